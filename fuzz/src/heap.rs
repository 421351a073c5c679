//! How much memory a decoder takes. Without a sanitizer libFuzzer sees only
//! what the process has touched, and that from time to time: here every
//! allocation is counted as it is made.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe by its nature: this one hands all to the system's and counts"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// No allocation is larger than this: one that is wanted fails, which aborts.
const LARGEST: usize = 256 << 20;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counted;

#[global_allocator]
static HEAP: Counted = Counted;

fn taken(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: every call is the system allocator's with the same arguments; the
// counters are beside it, and null is an answer that `alloc` may give.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST {
            return std::ptr::null_mut();
        }
        taken(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `at` came from `alloc` or `realloc`, hence from the system.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > LARGEST {
            return std::ptr::null_mut();
        }
        // Both are there while one is copied into the other.
        taken(size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above, and the caller keeps the contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Does some work, and shows that it took no more memory at any time than
/// `times` its input and a fixed part for what is always there.
///
/// # Panics
/// It took more.
pub fn bounded<T>(input: usize, times: usize, fixed: usize, work: impl FnOnce() -> T) -> T {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let done = work();
    let took = PEAK.load(Relaxed).saturating_sub(before);
    let bound = fixed + times * input;
    assert!(
        took <= bound,
        "an input of {input} bytes took {took} bytes of memory, more than {bound}"
    );
    done
}
