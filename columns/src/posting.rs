//! The slots of one chunk, 65,536 slots, that have one value: a few inside the
//! entry itself, since most values are of few points, or a bitmap beside it.

use roaring::RoaringBitmap;
use std::sync::Arc;

/// Slots in the entry itself: as many as fit beside the bitmap's pointer.
const FEW: usize = 6;

/// A bitmap goes back to being a few only here, so that a value that gains and
/// loses one slot does not change its form each time.
const FEW_AGAIN: u64 = 3;

/// What a bitmap costs beside its slots: two allocations with their headers.
const BITMAP_OVERHEAD: usize = 112;

/// A set of slots that share their upper half.
#[derive(Clone, Debug)]
pub enum Posting {
    /// The lower halves of some slots, ascending.
    Few { len: u8, lows: [u16; FEW] },
    /// Whole slots.
    Many(Arc<RoaringBitmap>),
}

/// The upper and the lower half of a slot.
pub fn halves(slot: u32) -> (u16, u16) {
    let [a, b, c, d] = slot.to_be_bytes();
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

fn whole(chunk: u16, low: u16) -> u32 {
    u32::from(chunk) << 16 | u32::from(low)
}

impl Posting {
    /// One slot.
    pub fn one(slot: u32) -> Self {
        let mut lows = [0; FEW];
        lows[0] = halves(slot).1;
        Self::Few { len: 1, lows }
    }

    /// Slots of one chunk.
    pub fn of(bitmap: RoaringBitmap) -> Self {
        if bitmap.len() > FEW as u64 {
            return Self::Many(Arc::new(bitmap));
        }
        let mut posting = Self::Few {
            len: 0,
            lows: [0; FEW],
        };
        for slot in bitmap {
            posting.insert(slot);
        }
        posting
    }

    /// Adds a slot of the posting's chunk; says whether it is new.
    pub fn insert(&mut self, slot: u32) -> bool {
        let (chunk, low) = halves(slot);
        match self {
            Self::Many(bitmap) => Arc::make_mut(bitmap).insert(slot),
            Self::Few { len, lows } => {
                let used = usize::from(*len);
                let at = lows[..used].partition_point(|l| *l < low);
                if at < used && lows[at] == low {
                    return false;
                }
                if used < FEW {
                    lows.copy_within(at..used, at + 1);
                    lows[at] = low;
                    *len += 1;
                } else {
                    let mut bitmap: RoaringBitmap = lows.iter().map(|l| whole(chunk, *l)).collect();
                    bitmap.insert(slot);
                    *self = Self::Many(Arc::new(bitmap));
                }
                true
            }
        }
    }

    /// Takes a slot out; says whether it was there.
    pub fn remove(&mut self, slot: u32) -> bool {
        match self {
            Self::Many(bitmap) => {
                let bitmap = Arc::make_mut(bitmap);
                let was = bitmap.remove(slot);
                if bitmap.len() <= FEW_AGAIN {
                    *self = Self::of(std::mem::take(bitmap));
                }
                was
            }
            Self::Few { len, lows } => {
                let used = usize::from(*len);
                let low = halves(slot).1;
                let Some(at) = lows[..used].iter().position(|l| *l == low) else {
                    return false;
                };
                lows.copy_within(at + 1..used, at);
                *len -= 1;
                true
            }
        }
    }

    /// Whether a slot of the posting's chunk is in it.
    pub fn contains(&self, slot: u32) -> bool {
        match self {
            Self::Many(bitmap) => bitmap.contains(slot),
            Self::Few { len, lows } => lows[..usize::from(*len)].contains(&halves(slot).1),
        }
    }

    /// How many slots there are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Many(bitmap) => bitmap.len(),
            Self::Few { len, .. } => u64::from(*len),
        }
    }

    /// How many of them are in a set.
    pub fn len_in(&self, chunk: u16, set: &RoaringBitmap) -> u64 {
        match self {
            Self::Many(bitmap) => bitmap.intersection_len(set),
            Self::Few { .. } => {
                let there = self.slots(chunk).filter(|slot| set.contains(*slot));
                there.count() as u64
            }
        }
    }

    /// The slots, ascending.
    pub fn slots(&self, chunk: u16) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let (few, many) = match self {
            Self::Many(bitmap) => (&[][..], Some(bitmap.iter())),
            Self::Few { len, lows } => (&lows[..usize::from(*len)], None),
        };
        let few = few.iter().map(move |low| whole(chunk, *low));
        few.chain(many.into_iter().flatten())
    }

    /// About how many bytes lie outside the entry.
    pub fn heap(&self) -> usize {
        match self {
            Self::Few { .. } => 0,
            // An array of a bitmap has room for up to twice of what is in it.
            Self::Many(bitmap) => {
                let slots = usize::try_from(bitmap.len()).unwrap_or(usize::MAX);
                BITMAP_OVERHEAD + slots.saturating_mul(3).min(8192)
            }
        }
    }
}

/// Collects the slots of many postings: bit by bit where that is cheaper than
/// a sorted insertion each.
#[derive(Default)]
pub struct Union {
    bitmap: RoaringBitmap,
    few: Vec<u32>,
}

/// With fewer slots than this, sorting them is cheaper than a chunk of bits.
const SORTED: usize = 1024;

impl Union {
    /// Adds a posting.
    pub fn add(&mut self, chunk: u16, posting: &Posting) {
        match posting {
            Posting::Many(bitmap) => self.bitmap |= &**bitmap,
            Posting::Few { len, lows } => {
                let lows = &lows[..usize::from(*len)];
                self.few.extend(lows.iter().map(|low| whole(chunk, *low)));
            }
        }
    }

    /// All slots that were added.
    pub fn finish(mut self) -> RoaringBitmap {
        if self.few.len() < SORTED {
            self.few.sort_unstable();
            self.bitmap.extend(self.few);
            return self.bitmap;
        }
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        for slot in self.few {
            let (chunk, low) = halves(slot);
            let chunk = usize::from(chunk);
            if chunks.len() <= chunk {
                chunks.resize_with(chunk + 1, Vec::new);
            }
            if chunks[chunk].is_empty() {
                chunks[chunk] = vec![0; 8192];
            }
            chunks[chunk][usize::from(low / 8)] |= 1 << (low % 8);
        }
        for (chunk, bits) in (0_u32..).zip(chunks).filter(|(_, bits)| !bits.is_empty()) {
            self.bitmap |= RoaringBitmap::from_lsb0_bytes(chunk << 16, &bits);
        }
        self.bitmap
    }
}
