//! The process's allocator, seen from outside: mimalloc, chosen in `main.rs`.

/// Gives the calling thread's free memory back to the kernel. Does nothing harmful under another allocator.
pub fn give_back_free_memory() {
    // SAFETY: the call takes no memory of ours and may be made by any thread at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
