//! Reading a segment from its begin: which groups are good, where they end,
//! and what the first bad bytes are: the end, a torn tail, or damage. Pure.
//!
//! A bad group is a torn tail only if nothing behind it shows that it was
//! durable: so the scan goes on, looking at each place where a group could
//! begin for a header that says "durable up to here" of a place behind the bad
//! one. A crash leaves no such header: it is written after the fdatasync that
//! it tells of.

use super::Position;
use super::codec::{self, ALIGN, Flaw, GROUP_HEADER, GroupHeader, Kind, SEGMENT_HEADER};
use super::index::{Index, Place};

/// How the good groups of a segment end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing is behind them (or zeros, where room was allocated).
    Clean,
    /// What is behind them was never known to be durable.
    Torn(&'static str),
    /// What is behind them was durable, or was never written by a log.
    Damaged(&'static str),
    /// A later version wrote what is behind them.
    Newer,
}

/// A segment as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Where the good groups end.
    pub end: u64,
    /// The last one's sum.
    pub chain: u64,
    /// Up to here the segment is known to have been durable.
    pub durable: u64,
    /// What is behind them.
    pub stop: Stop,
}

/// Applies the segment's groups to the index. `bytes` is the whole file, its
/// header decoded already; `chain` is that header's sum.
pub(super) fn scan(
    bytes: &[u8],
    segment: u32,
    salt: u64,
    chain: u64,
    index: &mut Index,
) -> Scanned {
    let (mut at, mut chain) = (SEGMENT_HEADER, chain);
    let mut durable = SEGMENT_HEADER as u64;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let stop = if rest.iter().all(|&byte| byte == 0) {
            Stop::Clean
        } else {
            match next_group(rest, segment, salt, at, chain, index) {
                Ok(header) => {
                    at += GROUP_HEADER + header.body_len as usize;
                    chain = header.sum;
                    durable = durable.max(header.synced_through);
                    continue;
                }
                Err(Flaw::Newer) => Stop::Newer,
                Err(Flaw::Bad(what)) if shown_durable(bytes, at, salt) => Stop::Damaged(what),
                // A crash cannot make this of a group, only a hand can.
                Err(Flaw::Bad(what)) if what == DOES_NOT_FOLLOW => Stop::Damaged(what),
                Err(Flaw::Bad(what)) => Stop::Torn(what),
            }
        };
        return Scanned {
            end: at as u64,
            chain,
            durable,
            stop,
        };
    }
}

const DOES_NOT_FOLLOW: &str = "a group does not follow the one before it";

/// Checks the group at the begin of `rest` and applies it.
fn next_group(
    rest: &[u8],
    segment: u32,
    salt: u64,
    at: usize,
    chain: u64,
    index: &mut Index,
) -> Result<GroupHeader, Flaw> {
    let header = codec::decode_group_header(rest, salt, at as u64)?;
    let mut places = Vec::with_capacity(header.count.min(1 << 16) as usize);
    let mut term = index.last().term;
    let mut falls = false;
    codec::decode_body(&header, &rest[GROUP_HEADER..], salt, |offset, record| {
        falls |= record.position.term < term;
        term = record.position.term;
        // Segments are under 4 GiB, so no offset is lost here; one that were
        // would be caught by the record's checksum when it is read.
        let offset = u32::try_from(at + GROUP_HEADER + offset).unwrap_or(u32::MAX);
        places.push(Place {
            term,
            segment,
            offset,
            len: record.len,
        });
    })?;
    let Position {
        index: position, ..
    } = header.position;
    let fits = match header.kind {
        Kind::Entries => !places.is_empty() && !falls && index.is_next(header.position),
        Kind::Truncate => position < index.next(),
        Kind::Restart => position < u64::MAX,
        Kind::Mark => true,
    };
    if header.chain != chain || header.synced_through > header.offset || !fits {
        return Err(Flaw::Bad(DOES_NOT_FOLLOW));
    }
    match header.kind {
        Kind::Entries => places.into_iter().for_each(|place| index.push(place)),
        Kind::Truncate => index.truncate(header.position),
        Kind::Restart => index.restart(header.position),
        Kind::Mark => {}
    }
    Ok(header)
}

/// Whether a group behind `bad` says that the segment was durable behind it.
fn shown_durable(bytes: &[u8], bad: usize, salt: u64) -> bool {
    (bad + ALIGN..bytes.len()).step_by(ALIGN).any(|at| {
        codec::decode_group_header(&bytes[at..], salt, at as u64)
            .is_ok_and(|header| header.synced_through > bad as u64)
    })
}
