//! Where in a slot each of a point's vectors lies: one behind the other, in the
//! order of their names. One that a point lacks leaves its place unused: so one
//! slot, and one number, stands for all that a point's version has.

use crate::VectorParams;
use crate::names::{Name, Names};
use std::ops::Range;

/// The places of the vectors in a slot, counted in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    places: Vec<Range<usize>>,
    len: usize,
}

impl Layout {
    /// The layout of a collection's vectors.
    #[must_use]
    pub fn new(vectors: &[VectorParams]) -> Self {
        let mut len = 0;
        let places = vectors.iter().map(|vector| {
            let start = len;
            len += vector.dimension;
            start..len
        });
        Self {
            places: places.collect(),
            len,
        }
    }

    /// How many numbers a slot holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where one vector is; nowhere for a name that the collection lacks.
    #[must_use]
    pub fn place(&self, name: Name) -> Range<usize> {
        self.places.get(name.index()).cloned().unwrap_or(0..0)
    }

    /// Some of the vectors in a slot's numbers.
    pub fn parts<'a>(
        &'a self,
        numbers: &'a [f32],
        names: Names,
    ) -> impl Iterator<Item = &'a [f32]> + 'a {
        names
            .iter()
            .filter_map(|name| numbers.get(self.place(name)))
    }
}
