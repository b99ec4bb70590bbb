//! Overwrites all memory that a program frees. The line editor keeps what is typed in strings that it frees as they
//! are, a password too.

use std::alloc::{GlobalAlloc, Layout, System};
use std::slice;

use zeroize::optimization_barrier;

/// The allocator of the system, which overwrites memory before it frees it.
#[derive(Debug, Clone, Copy)]
pub struct WipingAllocator;

// `realloc` is the provided one, which allocates, copies and frees.
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

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up `memory`, which has the size of its layout; all of it is written before it is
        // looked at.
        unsafe {
            memory.write_bytes(0, layout.size());
            // Otherwise the compiler may leave that out, for memory that is freed.
            optimization_barrier(slice::from_raw_parts(memory, layout.size()));
            System.dealloc(memory, layout);
        }
    }
}
