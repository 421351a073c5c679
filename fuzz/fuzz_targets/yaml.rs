//! Any text is one or more collections that keep every rule, or is refused with
//! words and places, in bounded time and memory.

#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's macros export C functions")]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use quoit_crds::LoadError;
use quoit_fuzz::{heap, text};

fuzz_target!(|text: &str| {
    heap::bounded(text.len(), 400, 16 << 20, || {
        match quoit_crds::load(text, "a.yaml") {
            Ok(collections) => {
                assert!(!collections.is_empty());
                for collection in collections {
                    collection.spec.validate().expect("it was found right");
                }
            }
            Err(LoadError::Invalid { problems, .. }) => assert!(!problems.is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    text::mutate(data, size, max_size, seed)
});
