//! The one metric that the graph library lacks: L1, given to it as a function
//! over its own stored scalars.
//!
//! # Why the `unsafe` here is sound
//!
//! The library calls the function with two pointers to `dimension` stored
//! scalars of the kind the index was made with, both valid for the call, and
//! of no promised alignment beyond the scalar's own. The slices made of them do
//! not outlive the call. A bf16 is handed over as the library's 16-bit type and
//! read by its bits, which is what it stores.
#![allow(unsafe_code)]

use crate::Precision;
use std::slice;
use usearch::{Index, f16};

/// Makes an index measure L1. To be called again after each load, which puts
/// the metric of the file's header back.
pub fn install(index: &mut Index, precision: Precision, dimension: usize) {
    match precision {
        Precision::F32 => index.change_metric::<f32>(Box::new(move |a, b| {
            // SAFETY: as the module's text says.
            let (a, b) = unsafe {
                (
                    slice::from_raw_parts(a, dimension),
                    slice::from_raw_parts(b, dimension),
                )
            };
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum()
        })),
        Precision::Bf16 => index.change_metric::<f16>(Box::new(move |a, b| {
            let (a, b) = (a.cast::<u16>(), b.cast::<u16>());
            // SAFETY: as the module's text says.
            let (a, b) = unsafe {
                (
                    slice::from_raw_parts(a, dimension),
                    slice::from_raw_parts(b, dimension),
                )
            };
            let wide = |x: &u16| f32::from_bits(u32::from(*x) << 16);
            a.iter()
                .zip(b)
                .map(|(a, b)| (wide(a) - wide(b)).abs())
                .sum()
        })),
        Precision::I8 => index.change_metric::<i8>(Box::new(move |a, b| {
            // SAFETY: as the module's text says.
            let (a, b) = unsafe {
                (
                    slice::from_raw_parts(a, dimension),
                    slice::from_raw_parts(b, dimension),
                )
            };
            let sum: u32 = a
                .iter()
                .zip(b)
                .map(|(a, b)| u32::from(a.abs_diff(*b)))
                .sum();
            // Only the order matters, and rerank sets it right.
            #[allow(clippy::cast_precision_loss)]
            let sum = sum as f32;
            sum
        })),
    }
}
