//! The bytes of a segment: its header, groups and records. Pure: from values
//! to bytes and back, no file in sight. All numbers are little-endian, all
//! parts start at a multiple of 8.
//!
//! ```text
//!   segment  "quoitlog" version:u32 0:u32 seq salt base_index base_term chain prev_end sum
//!   group    "QGRP" kind:u32 offset synced_through chain index term count:u32 body_len:u32 digest sum
//!   record   sum len:u32 0:u32 index term payload, zeros up to a multiple of 8
//! ```
//!
//! Each `sum` is the xxh3 of the rest of its part, seeded by the segment's
//! salt (the segment header's own: by the identity of the log's owner, so
//! that a segment of another log is not taken for one of this). `digest` is over the group's record
//! sums and `chain` is the sum of the group before, so a group that is valid
//! and continues the chain has the whole history behind it as it was written;
//! `offset` catches a group that is whole and in the wrong place.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Entry, Position};

/// The size of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 72;
/// The size of a group's header.
pub(super) const GROUP_HEADER: usize = 72;
/// The size of a record without its payload.
pub(super) const RECORD_HEADER: usize = 32;
/// What each part starts at a multiple of.
pub(super) const ALIGN: usize = 8;

const SEGMENT_MAGIC: [u8; 8] = *b"quoitlog";
const GROUP_MAGIC: [u8; 4] = *b"QGRP";
const VERSION: u32 = 1;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Not as written; says how.
    Bad(&'static str),
    /// As written, by a version that knows more.
    Newer,
}

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Its number: one more than that of the segment before.
    pub seq: u32,
    /// The seed of the checksums in it.
    pub salt: u64,
    /// The last entry before it.
    pub base: Position,
    /// The sum of the last group before it.
    pub chain: u64,
    /// Where the segment before it ended.
    pub prev_end: u64,
}

/// What a group does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Holds entries, from an index on.
    Entries,
    /// The entries after a position are void.
    Truncate,
    /// All entries are void, the next follows a position.
    Restart,
    /// Nothing; says that what is before it is durable.
    Mark,
}

/// A group's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub kind: Kind,
    /// Where it is in its segment.
    pub offset: u64,
    /// The segment was durable up to here when the group was written.
    pub synced_through: u64,
    /// The sum of what was before it.
    pub chain: u64,
    /// Of entries, where the first is; else what the kind is about.
    pub position: Position,
    pub count: u32,
    pub body_len: u32,
    digest: u64,
    /// Its own checksum: the chain of what follows.
    pub sum: u64,
}

/// A record's place in its group, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub position: Position,
    /// The payload's length.
    pub len: u32,
    sum: u64,
}

impl Record {
    /// The record's size with header, payload and the zeros behind it.
    pub(super) fn size(&self) -> usize {
        record_size(self.len as usize)
    }
}

/// What is to be written as a group.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    Entries(&'a [Entry]),
    Truncate(Position),
    Restart(Position),
    Mark,
}

impl Content<'_> {
    /// The size of the group.
    pub(super) fn size(&self) -> u64 {
        let body: u64 = match self {
            Self::Entries(entries) => entries
                .iter()
                .map(|entry| record_size(entry.payload.len()) as u64)
                .sum(),
            Self::Truncate(_) | Self::Restart(_) | Self::Mark => 0,
        };
        GROUP_HEADER as u64 + body
    }
}

/// The size of a record with a payload of this length.
pub(super) fn record_size(len: usize) -> usize {
    (RECORD_HEADER + len).next_multiple_of(ALIGN)
}

/// Where a group goes, and what is before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub offset: u64,
    pub synced_through: u64,
    pub chain: u64,
    pub salt: u64,
}

fn sum(bytes: &[u8], salt: u64) -> u64 {
    xxh3_64_with_seed(bytes, salt)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(array)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut array = [0; 8];
    array.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(array)
}

/// The header's bytes, and its sum: the chain of the segment's first group.
pub(super) fn encode_segment(header: &SegmentHeader, identity: u64) -> (Vec<u8>, u64) {
    let SegmentHeader {
        seq,
        salt,
        base,
        chain,
        prev_end,
    } = *header;
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER);
    bytes.extend(SEGMENT_MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(0u32.to_le_bytes());
    for number in [u64::from(seq), salt, base.index, base.term, chain, prev_end] {
        bytes.extend(number.to_le_bytes());
    }
    let sum = sum(&bytes, identity);
    bytes.extend(sum.to_le_bytes());
    (bytes, sum)
}

/// The header at the begin of a segment, and its sum.
pub(super) fn decode_segment(bytes: &[u8], identity: u64) -> Result<(SegmentHeader, u64), Flaw> {
    let Some(bytes) = bytes.get(..SEGMENT_HEADER) else {
        return Err(Flaw::Bad("the segment is shorter than its header"));
    };
    let stored = u64_at(bytes, 64);
    if bytes[..8] != SEGMENT_MAGIC || sum(&bytes[..64], identity) != stored {
        return Err(Flaw::Bad(
            "the segment's header does not match its checksum, or it is another log's",
        ));
    }
    let Ok(seq) = u32::try_from(u64_at(bytes, 16)) else {
        return Err(Flaw::Newer);
    };
    if u32_at(bytes, 8) != VERSION || u32_at(bytes, 12) != 0 {
        return Err(Flaw::Newer);
    }
    let header = SegmentHeader {
        seq,
        salt: u64_at(bytes, 24),
        base: Position {
            index: u64_at(bytes, 32),
            term: u64_at(bytes, 40),
        },
        chain: u64_at(bytes, 48),
        prev_end: u64_at(bytes, 56),
    };
    Ok((header, stored))
}

/// Appends a group to `out`; answers its sum. The caller has checked that it
/// is under the log's limit, hence that counts and lengths fit.
pub(super) fn encode_group(out: &mut Vec<u8>, place: Place, content: Content<'_>) -> u64 {
    let start = out.len();
    let (kind, position, entries): (u32, Position, &[Entry]) = match content {
        Content::Entries(entries) => {
            let first = entries.first();
            let position = first.map(|entry| Position {
                index: entry.index,
                term: entry.term,
            });
            (1, position.unwrap_or_default(), entries)
        }
        Content::Truncate(position) => (2, position, &[]),
        Content::Restart(position) => (3, position, &[]),
        Content::Mark => (4, Position::default(), &[]),
    };
    out.resize(start + GROUP_HEADER, 0);
    let mut digest = 0;
    for entry in entries {
        digest = chained(digest, encode_record(out, place.salt, entry));
    }
    let body_len = out.len() - start - GROUP_HEADER;
    let mut header = Vec::with_capacity(GROUP_HEADER);
    header.extend(GROUP_MAGIC);
    header.extend(kind.to_le_bytes());
    for number in [
        place.offset,
        place.synced_through,
        place.chain,
        position.index,
        position.term,
    ] {
        header.extend(number.to_le_bytes());
    }
    header.extend(saturated(entries.len()).to_le_bytes());
    header.extend(saturated(body_len).to_le_bytes());
    header.extend(digest.to_le_bytes());
    let sum = sum(&header, place.salt);
    header.extend(sum.to_le_bytes());
    out[start..start + GROUP_HEADER].copy_from_slice(&header);
    sum
}

fn saturated(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn chained(digest: u64, record_sum: u64) -> u64 {
    xxh3_64_with_seed(&record_sum.to_le_bytes(), digest)
}

fn encode_record(out: &mut Vec<u8>, salt: u64, entry: &Entry) -> u64 {
    let start = out.len();
    out.extend([0; 8]);
    out.extend(saturated(entry.payload.len()).to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend(entry.index.to_le_bytes());
    out.extend(entry.term.to_le_bytes());
    out.extend_from_slice(&entry.payload);
    let sum = sum(&out[start + 8..], salt);
    out[start..start + 8].copy_from_slice(&sum.to_le_bytes());
    out.resize(start + record_size(entry.payload.len()), 0);
    sum
}

/// The group header at the begin of `bytes`, if it is one for this offset. Its
/// body is not looked at.
pub(super) fn decode_group_header(
    bytes: &[u8],
    salt: u64,
    offset: u64,
) -> Result<GroupHeader, Flaw> {
    let Some(bytes) = bytes.get(..GROUP_HEADER) else {
        return Err(Flaw::Bad("the file ends within a group's header"));
    };
    if bytes[..4] != GROUP_MAGIC {
        return Err(Flaw::Bad("no group begins where the last one ended"));
    }
    let stored = u64_at(bytes, 64);
    if sum(&bytes[..64], salt) != stored {
        return Err(Flaw::Bad("a group's header does not match its checksum"));
    }
    if u64_at(bytes, 8) != offset {
        return Err(Flaw::Bad("a group is not where it was written"));
    }
    let kind = match u32_at(bytes, 4) {
        1 => Kind::Entries,
        2 => Kind::Truncate,
        3 => Kind::Restart,
        4 => Kind::Mark,
        _ => return Err(Flaw::Newer),
    };
    Ok(GroupHeader {
        kind,
        offset,
        synced_through: u64_at(bytes, 16),
        chain: u64_at(bytes, 24),
        position: Position {
            index: u64_at(bytes, 32),
            term: u64_at(bytes, 40),
        },
        count: u32_at(bytes, 48),
        body_len: u32_at(bytes, 52),
        digest: u64_at(bytes, 56),
        sum: stored,
    })
}

/// The record at the begin of `bytes`, whole.
pub(super) fn decode_record(bytes: &[u8], salt: u64) -> Result<Record, Flaw> {
    if bytes.len() < RECORD_HEADER {
        return Err(Flaw::Bad("a record is cut short"));
    }
    let len = u32_at(bytes, 8);
    let Some(padded) = bytes.get(..record_size(len as usize)) else {
        return Err(Flaw::Bad("a record is cut short"));
    };
    let (whole, padding) = padded.split_at(RECORD_HEADER + len as usize);
    let stored = u64_at(whole, 0);
    if sum(&whole[8..], salt) != stored || padding.iter().any(|&byte| byte != 0) {
        return Err(Flaw::Bad("a record does not match its checksum"));
    }
    if u32_at(whole, 12) != 0 {
        return Err(Flaw::Newer);
    }
    let position = Position {
        index: u64_at(whole, 16),
        term: u64_at(whole, 24),
    };
    Ok(Record {
        position,
        len,
        sum: stored,
    })
}

/// Checks a group's body, and shows each record with its offset in the body.
/// The records have indices one after another.
pub(super) fn decode_body(
    header: &GroupHeader,
    bytes: &[u8],
    salt: u64,
    mut visit: impl FnMut(usize, &Record),
) -> Result<(), Flaw> {
    let Some(mut body) = bytes.get(..header.body_len as usize) else {
        return Err(Flaw::Bad("the file ends within a group"));
    };
    let (mut digest, mut count, mut at) = (0, 0u32, 0);
    while !body.is_empty() {
        let record = decode_record(body, salt)?;
        let index = header.position.index.checked_add(u64::from(count));
        if Some(record.position.index) != index {
            return Err(Flaw::Bad("a record is in another's place"));
        }
        digest = chained(digest, record.sum);
        visit(at, &record);
        count += 1;
        at += record.size();
        body = &body[record.size()..];
    }
    if (digest, count) != (header.digest, header.count) {
        return Err(Flaw::Bad("a group lacks a record, or has another's"));
    }
    Ok(())
}
