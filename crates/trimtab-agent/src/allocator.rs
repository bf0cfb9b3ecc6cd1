//! What the C library's allocator is told about this program.
//!
//! A list arrives in pages of a megabyte or two, each read into memory that is free again a moment
//! later. By default glibc gives such memory back to the kernel every time and asks for it again
//! for the next page, and it keeps a heap for each thread, so that what one thread frees, another
//! cannot use. Here there is one heap, it keeps what it has while the lists arrive, and
//! [`give_back`] returns what is left over.

/// Bytes that a heap may have free at its end, and the smallest allocation that is mapped by itself
/// (at most 32 MiB, `DEFAULT_MMAP_THRESHOLD_MAX` in glibc's malloc.c).
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 32 << 20;
/// Bytes by which the heap grows at least: fewer calls while it fills.
#[cfg(target_env = "gnu")]
const STEP: libc::c_int = 1 << 20;

/// Tells the allocator; to be called before there are threads.
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
        // SAFETY: mallopt takes two numbers, keeps its own lock, and refuses what it does not know.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Returns free memory to the kernel.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "the C library has no safe wrapper for malloc_trim")]
pub fn give_back() {
    // SAFETY: malloc_trim releases pages that hold no allocation; it keeps its own locks.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries have other allocators.
#[cfg(not(target_env = "gnu"))]
pub fn configure() {}

/// Other C libraries have other allocators.
#[cfg(not(target_env = "gnu"))]
pub fn give_back() {}
