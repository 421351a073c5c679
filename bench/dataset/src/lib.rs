//! Readers of the data sets of the demo and the benchmarks: a folder of arrays
//! in, points and queries with their exact nearest neighbours out, every file
//! checked against the others, so that a figure is never of the wrong data.
//! What an answer is worth is decided here too ([`Truth`]), since the demo and
//! the benchmarks have to agree on it.

mod dataset;
mod matrix;
mod npy;
mod recall;

pub use dataset::{Dataset, Error, Package, Packages, Points, Queries};
pub use matrix::Matrix;
pub use npy::Error as NpyError;
pub use recall::{Measure, Order, Truth, is_right, recall_by_score};
