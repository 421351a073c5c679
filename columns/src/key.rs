//! What a tree may be ordered by, how such a value is written to a checkpoint,
//! and how the numbers of payloads are put in order.

use jiff::Timestamp;
use quoit_filter::GeoPoint;
use std::cmp::Ordering;
use std::sync::Arc;

/// A value by which a tree is ordered.
pub trait Key: Ord + Clone {
    /// Bytes outside the entry that has it.
    fn heap(&self) -> usize {
        0
    }

    /// Appends it.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Takes one from the front of bytes. `None` if there is none.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

/// Takes so many bytes from the front.
pub fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

/// Takes an array of bytes from the front.
pub fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

impl Key for () {
    fn write(&self, _: &mut Vec<u8>) {}

    fn read(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl Key for bool {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        match take_array(bytes)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                take_array(bytes).map(Self::from_le_bytes)
            }
        }
    )*};
}

integer!(u64, i64, u128);

impl Key for Arc<str> {
    fn heap(&self) -> usize {
        // Two counters, and what an allocation costs.
        self.len() + 24
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        (self.len() as u64).write(bytes);
        bytes.extend(self.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let len = usize::try_from(u64::read(bytes)?).ok()?;
        let text = str::from_utf8(take(bytes, len)?).ok()?;
        Some(text.into())
    }
}

impl Key for Timestamp {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.as_second().to_le_bytes());
        bytes.extend(self.subsec_nanosecond().to_le_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let second = i64::read(bytes)?;
        let nanosecond = i32::from_le_bytes(take_array(bytes)?);
        Self::new(second, nanosecond).ok()
    }
}

/// A number that is compared as filters compare numbers.
#[derive(Clone, Copy, Debug)]
pub struct Number(f64);

impl Number {
    /// The two zeros are one, since they are equal to each other.
    pub fn new(number: f64) -> Self {
        Self(number + 0.0)
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl Key for Number {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.to_bits().write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let number = f64::from_bits(u64::read(bytes)?);
        number.is_finite().then(|| Self::new(number))
    }
}

/// A place, ordered by its cell: what is near each other on the globe is
/// mostly near each other in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The bits of its row and its column, in turns.
    pub cell: u64,
    lat: Number,
    lon: Number,
}

impl Place {
    pub fn new(place: GeoPoint) -> Self {
        let (row, column) = (row(place.lat()), column(place.lon()));
        Self {
            cell: interleave(row, column),
            lat: Number::new(place.lat()),
            lon: Number::new(place.lon()),
        }
    }

    /// The place itself, with its full precision.
    pub fn point(&self) -> Option<GeoPoint> {
        GeoPoint::new(self.lat.get(), self.lon.get()).ok()
    }
}

/// The row of a latitude; of a greater latitude no lower row.
pub fn row(lat: f64) -> u32 {
    quantize((lat + 90.0) / 180.0)
}

/// The column of a longitude; of a greater longitude no lower column.
pub fn column(lon: f64) -> u32 {
    quantize((lon + 180.0) / 360.0)
}

/// The cast takes what is too large to the last of all.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn quantize(share: f64) -> u32 {
    (share * 4_294_967_296.0) as u32
}

/// The cell of a row and a column.
pub fn interleave(row: u32, column: u32) -> u64 {
    let spread = |half: u32| {
        let mut bits = u64::from(half);
        for (shift, mask) in [
            (16, 0x0000_ffff_0000_ffff_u64),
            (8, 0x00ff_00ff_00ff_00ff),
            (4, 0x0f0f_0f0f_0f0f_0f0f),
            (2, 0x3333_3333_3333_3333),
            (1, 0x5555_5555_5555_5555),
        ] {
            bits = (bits | bits << shift) & mask;
        }
        bits
    };
    spread(row) << 1 | spread(column)
}

impl Key for Place {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.lat.write(bytes);
        self.lon.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (lat, lon) = (Number::read(bytes)?, Number::read(bytes)?);
        GeoPoint::new(lat.get(), lon.get()).ok().map(Self::new)
    }
}
