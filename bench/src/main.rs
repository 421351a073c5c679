//! Measures Quoit against the bare library.

fn main() {}
