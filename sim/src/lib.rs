//! The handoff of vnodes, explored: the transitions and steps are those of
//! `quoit_ring`, and everything around them is as unkind as it may be.

pub mod model;
