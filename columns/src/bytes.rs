//! A column as bytes, for checkpoints. Lengths that bytes claim are never
//! reserved: what is not there cannot be read, so what is damaged costs no more
//! than its own size. Whoever keeps the bytes adds a checksum: a flipped bit may
//! make another column that is sound.

use crate::column::{Column, Facts, Keys, Kind, each_kind};
use crate::find::SORTS;
use crate::key::{Key, take, take_array};
use crate::posting::{Posting, halves};
use crate::tree::{Entry, Tree};
use quoit_filter::{Analyzer, Path, Tokenizer};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// The form of these bytes.
const VERSION: u8 = 1;

/// Above this many slots a chunk is written as bits.
const SPARSE: u64 = 4096;

/// The bits of one chunk.
const BITS: usize = 8192;

/// Bytes that are no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadColumn {
    /// They were written by another version.
    #[error(
        "the index has the form {0} and this program reads form {VERSION}: build the index again"
    )]
    Version(u8),
    /// They are cut off or damaged.
    #[error("the index is cut off or damaged: build it again")]
    Damaged,
}

impl Column {
    /// The column as bytes, to be kept beside a checksum.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, u8::from(self.complete)];
        Arc::<str>::from(self.path.to_string()).write(&mut bytes);
        write_kind(self.kind, &mut bytes);
        let facts = &self.facts;
        facts.extra.write(&mut bytes);
        let sets = [
            &facts.slots,
            &facts.present,
            &facts.hollow,
            &facts.null,
            &facts.several,
            &facts.uncommon,
        ];
        for set in sets.into_iter().chain(&facts.others) {
            write_tree(set, &mut bytes);
        }
        write_tree(&facts.counts, &mut bytes);
        each_kind!(&self.keys, tree => write_tree(tree, &mut bytes));
        bytes
    }

    /// The column of such bytes.
    ///
    /// # Errors
    /// They are of another version, cut off or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadColumn> {
        match bytes {
            [VERSION, rest @ ..] => read(rest).ok_or(BadColumn::Damaged),
            [version, ..] => Err(BadColumn::Version(*version)),
            [] => Err(BadColumn::Damaged),
        }
    }
}

fn read(mut bytes: &[u8]) -> Option<Column> {
    let bytes = &mut bytes;
    let complete = bool::read(bytes)?;
    let path: Path = Arc::<str>::read(bytes)?.parse().ok()?;
    let kind = read_kind(bytes)?;
    let extra = u64::read(bytes)?;
    let mut facts = Facts {
        extra,
        slots: read_tree(bytes)?,
        present: read_tree(bytes)?,
        hollow: read_tree(bytes)?,
        null: read_tree(bytes)?,
        several: read_tree(bytes)?,
        uncommon: read_tree(bytes)?,
        ..Facts::default()
    };
    for sort in SORTS {
        facts.others[sort as usize] = read_tree(bytes)?;
    }
    facts.counts = read_tree(bytes)?;
    let keys = match kind {
        Kind::Keyword => Keys::Keyword(read_tree(bytes)?),
        Kind::Integer => Keys::Integer(read_tree(bytes)?),
        Kind::Float => Keys::Float(read_tree(bytes)?),
        Kind::Bool => Keys::Bool(read_tree(bytes)?),
        Kind::Datetime => Keys::Datetime(read_tree(bytes)?),
        Kind::Uuid => Keys::Uuid(read_tree(bytes)?),
        Kind::Geo => Keys::Geo(read_tree(bytes)?),
        Kind::Text(analyzer) => Keys::Text(analyzer, read_tree(bytes)?),
    };
    bytes.is_empty().then(|| Column {
        path: Arc::new(path),
        kind,
        complete,
        closed: false,
        facts,
        keys,
    })
}

pub fn write_kind(kind: Kind, bytes: &mut Vec<u8>) {
    let analyzer = match kind {
        Kind::Keyword => return bytes.push(0),
        Kind::Integer => return bytes.push(1),
        Kind::Float => return bytes.push(2),
        Kind::Bool => return bytes.push(3),
        Kind::Datetime => return bytes.push(4),
        Kind::Uuid => return bytes.push(5),
        Kind::Geo => return bytes.push(6),
        Kind::Text(analyzer) => analyzer,
    };
    bytes.push(7);
    bytes.push(match analyzer.tokenizer {
        Tokenizer::Word => 0,
        Tokenizer::Whitespace => 1,
        Tokenizer::Prefix => 2,
        Tokenizer::Multilingual => 3,
    });
    analyzer.lowercase.write(bytes);
    for length in [analyzer.min_token_len, analyzer.max_token_len] {
        (length as u64).write(bytes);
    }
}

pub fn read_kind(bytes: &mut &[u8]) -> Option<Kind> {
    Some(match take_array(bytes)? {
        [0] => Kind::Keyword,
        [1] => Kind::Integer,
        [2] => Kind::Float,
        [3] => Kind::Bool,
        [4] => Kind::Datetime,
        [5] => Kind::Uuid,
        [6] => Kind::Geo,
        [7] => {
            let [tokenizer] = take_array(bytes)?;
            let lowercase = bool::read(bytes)?;
            let mut length = || usize::try_from(u64::read(bytes)?).ok();
            let tokenizer = match tokenizer {
                0 => Tokenizer::Word,
                1 => Tokenizer::Whitespace,
                2 => Tokenizer::Prefix,
                3 => Tokenizer::Multilingual,
                _ => return None,
            };
            Kind::Text(Analyzer {
                tokenizer,
                lowercase,
                min_token_len: length()?,
                max_token_len: length()?,
            })
        }
        _ => return None,
    })
}

fn write_tree<K: Key>(tree: &Tree<K>, bytes: &mut Vec<u8>) {
    tree.totals().entries.write(bytes);
    for entry in tree.walk(|_| false) {
        entry.key.write(bytes);
        bytes.extend(entry.chunk.to_le_bytes());
        let len = entry.slots.len();
        // At least one and at most all of a chunk: one less fits two bytes.
        let less = u16::try_from(len - 1).unwrap_or(u16::MAX);
        bytes.extend(less.to_le_bytes());
        let lows = entry.slots.slots(entry.chunk).map(|slot| halves(slot).1);
        if len <= SPARSE {
            bytes.extend(lows.flat_map(u16::to_le_bytes));
        } else {
            let start = bytes.len();
            bytes.resize(start + BITS, 0);
            for low in lows {
                bytes[start + usize::from(low / 8)] |= 1 << (low % 8);
            }
        }
    }
}

fn read_tree<K: Key>(bytes: &mut &[u8]) -> Option<Tree<K>> {
    let count = u64::read(bytes)?;
    let mut whole = true;
    let entries = (0..count).map_while(|_| {
        let entry = read_entry(bytes);
        whole = entry.is_some();
        entry
    });
    let tree = Tree::of_sorted(entries)?;
    whole.then_some(tree)
}

fn read_entry<K: Key>(bytes: &mut &[u8]) -> Option<Entry<K>> {
    let key = K::read(bytes)?;
    let chunk = u16::from_le_bytes(take_array(bytes)?);
    let len = u64::from(u16::from_le_bytes(take_array(bytes)?)) + 1;
    let start = u32::from(chunk) << 16;
    let slots = if len <= SPARSE {
        let lows = take(bytes, usize::try_from(len * 2).ok()?)?;
        let (lows, []) = lows.as_chunks::<2>() else {
            return None;
        };
        let lows = lows.iter().map(|low| u16::from_le_bytes(*low));
        RoaringBitmap::from_sorted_iter(lows.map(|low| start | u32::from(low))).ok()?
    } else {
        RoaringBitmap::from_lsb0_bytes(start, take(bytes, BITS)?)
    };
    (slots.len() == len).then(|| Entry {
        key,
        chunk,
        slots: Posting::of(slots),
    })
}
