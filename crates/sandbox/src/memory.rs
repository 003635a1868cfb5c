//! What the C library's allocator keeps for itself: as little as a process at rest needs.
//!
//! By default it makes up to eight arenas a core and gives freed memory back only from the end of
//! each, so one burst of work (a delivery, a thousand requests) stays in the process for ever.

/// Arenas of the process: enough for two busy threads, and little to keep.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;
/// Bytes the heap of a short command grows by.
#[cfg(target_env = "gnu")]
const TOP_PAD_BYTES: libc::c_int = 64 << 20;
/// Blocks from this size on are mapped on their own; the library allows no more.
#[cfg(target_env = "gnu")]
const MMAP_THRESHOLD_BYTES: libc::c_int = 32 << 20;
/// What the machine's large pages are aligned to.
#[cfg(target_env = "gnu")]
const HUGE_PAGE_BYTES: usize = 2 << 20;
/// More than a young heap has free.
#[cfg(target_env = "gnu")]
const GROW_BYTES: usize = 256 << 10;
/// What the library writes before each block.
#[cfg(target_env = "gnu")]
const BLOCK_HEAD_BYTES: usize = 16;

/// Limits the arenas; call it before the first thread starts.
pub fn limit_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes no pointer; an unknown parameter is refused, not undefined.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// For a command that ends soon and renders on threads: all of them take memory from the one heap,
/// which grows without a system call for every few pages and in pages of 2 MiB where the machine
/// has them. A page first touched costs more than what most commands do with it.
pub fn one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: as in `limit_arenas`.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TOP_PAD, TOP_PAD_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    }
    #[cfg(target_env = "gnu")]
    huge_pages();
}

/// Asks for large pages under the heap that is to come, and moves its free part to where the first
/// of them begins.
#[cfg(target_env = "gnu")]
fn huge_pages() {
    // SAFETY: the blocks are never touched; the range given to `madvise` lies in the heap, from the
    // first aligned address after the blocks in use to its end, and advice changes no content.
    unsafe {
        // Larger than what is free, so that the heap grows now, and by the whole pad.
        let first = libc::malloc(GROW_BYTES);
        if first.is_null() {
            return;
        }
        let end = libc::sbrk(0) as usize;
        let start = (first as usize).next_multiple_of(HUGE_PAGE_BYTES);
        libc::free(first);
        if !(first as usize..end).contains(&start) {
            return;
        }
        // Kept for ever: what is taken from here on lies behind it.
        let _ = libc::malloc(start - first as usize - 2 * BLOCK_HEAD_BYTES);
        libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE);
    }
}

/// Gives freed memory back to the machine. Takes about a millisecond with little to give.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` takes no pointer and locks each arena while it looks at it.
    unsafe {
        libc::malloc_trim(0);
    }
}
