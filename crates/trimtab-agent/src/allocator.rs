//! Settings of the C library's allocator.
//!
//! A list arrives in pages of a megabyte or two, each read into memory that is free again a moment
//! later. By default glibc returns such memory to the kernel every time and allocates it again for
//! the next page, and it keeps a heap for each thread, so that one thread cannot use what another
//! has freed. With these settings there is one heap, which keeps its memory while the lists arrive,
//! and [`give_back`] returns free memory to the kernel afterwards.

/// Bytes that may be free at the end of the heap, and the size from which allocations are mapped
/// separately (at most 32 MiB, `DEFAULT_MMAP_THRESHOLD_MAX` in glibc's malloc.c).
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 32 << 20;
/// The minimum number of bytes by which the heap grows: fewer system calls while it fills.
#[cfg(target_env = "gnu")]
const STEP: libc::c_int = 1 << 20;

/// Configures the allocator; call it before any thread is started.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no safe wrapper for its allocator's settings")]
pub fn configure() {
    let settings = [
        (libc::M_ARENA_MAX, 1),
        (libc::M_TRIM_THRESHOLD, KEPT),
        (libc::M_MMAP_THRESHOLD, KEPT),
        (libc::M_TOP_PAD, STEP),
    ];
    for (parameter, value) in settings {
        // SAFETY: mallopt takes two numbers, locks its own state, and rejects unknown parameters.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Returns free memory to the kernel.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no safe wrapper for malloc_trim")]
pub fn give_back() {
    // SAFETY: malloc_trim releases pages without allocations; it locks its own state.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have other allocators.
#[cfg(not(target_env = "gnu"))]
pub fn configure() {}

/// Other C libraries have other allocators.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}
