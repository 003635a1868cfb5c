//! What the C library's allocator keeps for itself: as little as a process at rest needs.
//!
//! By default it makes up to eight arenas a core and gives freed memory back only from the end of
//! each, so one burst of work (a delivery, a thousand requests) stays in the process for ever.

/// Arenas of the process: enough for two busy threads, and little to keep.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;
/// Arenas of a short command whose threads work at once: two that share one wait for each other at
/// every block.
#[cfg(target_env = "gnu")]
const ARENAS_SHORT: libc::c_int = 8;
/// Bytes the heap of a short command grows by.
#[cfg(target_env = "gnu")]
const TOP_PAD_BYTES: libc::c_int = 16 << 20;
/// Blocks of a short command from this size on are mapped on their own; the library allows no more.
#[cfg(target_env = "gnu")]
const MMAP_THRESHOLD_BYTES: libc::c_int = 32 << 20;

/// Limits the arenas; call it before the first thread starts.
pub fn limit_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes no pointer; an unknown parameter is refused, not undefined.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// For a command that ends soon: memory is taken in large steps and never given back.
///
/// Pages of 2 MiB would make it faster still where memory is the machine's own; where it is lent by
/// a host that takes back what is free, the first touch of one takes longer than a small chart.
pub fn short_command() {
    #[cfg(target_env = "gnu")]
    // SAFETY: as in `limit_arenas`.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TOP_PAD, TOP_PAD_BYTES);
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

/// Lets the threads of a short command work at once; call it before the first of them starts. One
/// arena is the better choice as long as they wait for one another: only the first grows in large
/// steps.
pub fn threads_work_at_once() {
    #[cfg(target_env = "gnu")]
    // SAFETY: as in `limit_arenas`.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS_SHORT);
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
