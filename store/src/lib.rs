//! The RingStore in a file
