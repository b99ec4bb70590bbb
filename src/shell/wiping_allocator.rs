//! Overwrites memory that a program frees. The line editor of the client keeps what is typed in strings that it frees as
//! they are, a password too; TLS does so with what it has decrypted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::slice;

use zeroize::optimization_barrier;

thread_local! {
    /// Whether what is freed may be secret.
    static SECRET: Cell<bool> = const { Cell::new(false) };
}

/// Does something with secrets. All memory that it frees is overwritten, if the allocator of the program is
/// [`WipingAllocator`].
pub fn with_secrets<T>(work: impl FnOnce() -> T) -> T {
    let before = SECRET.replace(true);
    let done = work();
    SECRET.set(before);
    done
}

/// The allocator of the system, which overwrites memory before it frees it.
#[derive(Debug, Clone, Copy)]
pub enum WipingAllocator {
    /// All of it.
    Always,
    /// What is freed by [`with_secrets`].
    Secrets,
}

impl WipingAllocator {
    fn wipes(self) -> bool {
        match self {
            WipingAllocator::Always => true,
            // At the end of a thread there are no secrets left.
            WipingAllocator::Secrets => SECRET.try_with(Cell::get).unwrap_or(false),
        }
    }
}

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: all memory is the system allocator's, under its contract; it is written to only while it is still allocated.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.wipes() {
            // SAFETY: the caller keeps the contract of `realloc`.
            return unsafe { System.realloc(memory, layout, size) };
        }
        // SAFETY: the caller keeps the contract of `realloc`: the new layout is valid and not empty. As many bytes are
        // copied as both have, and the old memory is given up only if there is new.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(memory, size.min(layout.size()));
                self.dealloc(memory, layout);
            }
            moved
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up `memory`, which has the size of its layout; all of it is written before it is
        // looked at.
        unsafe {
            if self.wipes() {
                memory.write_bytes(0, layout.size());
                // Otherwise the compiler may leave that out, for memory that is freed.
                optimization_barrier(slice::from_raw_parts(memory, layout.size()));
            }
            System.dealloc(memory, layout);
        }
    }
}
