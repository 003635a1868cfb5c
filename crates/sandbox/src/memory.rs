//! What the C library's allocator keeps for itself: as little as a process at rest needs.
//!
//! By default it makes up to eight arenas a core and gives freed memory back only from the end of
//! each, so one burst of work (a delivery, a thousand requests) stays in the process for ever.

/// Arenas of the process: enough for two busy threads, and little to keep.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;
/// Bytes the heap of a short command grows by.
#[cfg(target_env = "gnu")]
const TOP_PAD_BYTES: libc::c_int = 1 << 20;

/// Limits the arenas; call it before the first thread starts.
pub fn limit_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes no pointer; an unknown parameter is refused, not undefined.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// For a command that ends soon and renders on threads: all of them take memory from the one heap
/// that grows without a system call for every few pages.
pub fn one_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: as in `limit_arenas`.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TOP_PAD, TOP_PAD_BYTES);
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
