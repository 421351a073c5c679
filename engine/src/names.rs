//! Which of a point's vectors is meant. A collection gives its vectors names; a
//! point has one of each name, or lacks some. Inside the engine a name is its
//! place in [`Params::vectors`](crate::Params::vectors).

/// How many vectors a point can have.
pub const MAX_VECTORS: usize = 16;

/// A vector's place among the collection's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub u8);

impl Name {
    /// The same as an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Some of a collection's vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names(u16);

impl Names {
    /// The first `count` of them.
    #[must_use]
    pub fn first(count: usize) -> Self {
        (0..).map(Name).take(count.min(MAX_VECTORS)).collect()
    }

    /// From the form in which rows keep it.
    #[must_use]
    pub fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Bit i: the i-th is there.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }

    /// Whether none is there.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one is there.
    #[must_use]
    pub fn contains(self, name: Name) -> bool {
        self.0 & bit(name) != 0
    }

    /// Whether all of some are there.
    #[must_use]
    pub fn contains_all(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// With one more.
    #[must_use]
    pub fn with(self, name: Name) -> Self {
        Self(self.0 | bit(name))
    }

    /// These and others.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These and none of some.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// In the order of their places.
    pub fn iter(self) -> impl Iterator<Item = Name> {
        (0_u8..)
            .take(MAX_VECTORS)
            .map(Name)
            .filter(move |n| self.contains(*n))
    }
}

impl FromIterator<Name> for Names {
    fn from_iter<T: IntoIterator<Item = Name>>(names: T) -> Self {
        names.into_iter().fold(Self::default(), Self::with)
    }
}

/// No bit for what lies beyond the last place.
fn bit(name: Name) -> u16 {
    1_u16.checked_shl(u32::from(name.0)).unwrap_or(0)
}

/// One of a point's vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    /// Which.
    pub name: Name,
    /// Of the dimension that the collection has under this name.
    pub values: Vec<f32>,
}
