//! What the fuzz targets share: what they show of each input, mutations that
//! keep an input's form, a measure of memory, and shards in memory behind a
//! router.
//!
//! ```text
//! libFuzzer ─▶ json, text, wire (mutations) ─▶ fuzz_targets/* ─▶ doors (router over shards in memory)
//!                                              └─▶ heap (how much memory it took)
//! ```

pub mod dice;
pub mod doors;
pub mod heap;
pub mod json;
pub mod text;
pub mod wire;

#[path = "../../router/tests/support/mod.rs"]
mod support;
