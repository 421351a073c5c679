//! What Quoit's programs have in common around their work: how they tell what
//! they do, when they stop, and the flags by which those of a cluster find each
//! other. A program's `main` parses, starts telemetry, runs, and stops in order.

pub mod descriptors;
pub mod flags;
pub mod secure;
mod show;
pub mod signals;
pub mod telemetry;

pub use show::{chain, print_config};
