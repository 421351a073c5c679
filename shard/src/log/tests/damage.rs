//! Damage to what was durable is found and never served; a torn tail is cut;
//! no bytes make the decoder panic.

use std::error::Error;
use std::fs;

use proptest::prelude::*;

use super::super::codec::{self, Content, Place, SEGMENT_HEADER, SegmentHeader};
use super::super::index::Index;
use super::super::scan::{self, Stop};
use super::*;

/// A disk that spends no time on syncs; its power is never cut here.
fn disk(dir: &Path) -> Arc<SimDisk> {
    Arc::new(SimDisk::new(dir.to_owned(), 0).unwrap())
}

/// A log of several segments; at rest.
fn written() -> (TempDir, Vec<Entry>) {
    let dir = scratch();
    let mut log = open(disk(dir.path()), dir.path(), SMALL).unwrap().writer;
    for index in (1..12).step_by(2) {
        log.append_group(&entries(index..index + 2)).unwrap();
    }
    log.truncate_after(10).unwrap();
    log.append_group(&[entry(11, 2, b"eleven"), entry(12, 2, &[9; 100])])
        .unwrap();
    log.mark_synced().unwrap();
    let expected = all(&log);
    assert!(segments(dir.path()).len() > 1);
    (dir, expected)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    RealDisk.list(dir).unwrap()
}

fn reopen(dir: &Path) -> Result<Vec<Entry>, LogError> {
    open(disk(dir), dir, SMALL).map(|opened| all(&opened.writer))
}

/// Where the groups of a segment begin, and where the last one ends.
fn groups(bytes: &[u8]) -> Vec<usize> {
    let (header, _) = codec::decode_segment(bytes, 0).unwrap();
    let mut places = vec![SEGMENT_HEADER];
    while let Some(&at) = places.last()
        && let Ok(group) = codec::decode_group_header(&bytes[at..], header.salt, at as u64)
    {
        places.push(at + codec::GROUP_HEADER + group.body_len as usize);
    }
    places
}

#[test]
fn a_flipped_bit_anywhere_in_what_was_durable_is_an_error_that_says_where() {
    let (dir, expected) = written();
    assert_eq!(reopen(dir.path()).unwrap(), expected);
    let paths = segments(dir.path());
    for (number, path) in paths.iter().enumerate() {
        let good = fs::read(path).unwrap();
        let groups = groups(&good);
        // The last mark itself is not known to be durable.
        let durable = groups[groups.len() - if number + 1 == paths.len() { 2 } else { 1 }];
        for at in 0..durable {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fs::write(path, &bad).unwrap();
            let error = reopen(dir.path()).expect_err("damage was served");
            let text = error.to_string();
            let LogError::Damaged {
                path: named,
                offset,
                ..
            } = error
            else {
                panic!("byte {at}: {text}");
            };
            assert_eq!(&named, path);
            assert!(offset <= at as u64, "byte {at}, and {offset} is named");
            assert!(
                text.contains("must not serve") && text.contains("new node"),
                "{text}"
            );
            assert_eq!(
                fs::read(path).unwrap(),
                bad,
                "nothing is cut from a damaged log"
            );
        }
        fs::write(path, &good).unwrap();
    }
    assert_eq!(reopen(dir.path()).unwrap(), expected);
}

#[test]
fn a_log_cut_short_where_it_was_durable_is_an_error() {
    let (dir, _) = written();
    let path = segments(dir.path()).remove(0);
    let good = fs::read(&path).unwrap();
    for len in 0..*groups(&good).last().unwrap() {
        fs::write(&path, &good[..len]).unwrap();
        let error = reopen(dir.path()).unwrap_err();
        assert!(matches!(error, LogError::Damaged { .. }), "{len}: {error}");
    }
}

#[test]
fn a_last_group_cut_anywhere_is_a_torn_tail_and_is_cut() {
    let dir = scratch();
    let mut log = open(disk(dir.path()), dir.path(), SMALL).unwrap().writer;
    log.append_group(&entries(1..3)).unwrap();
    log.append_group(&entries(3..6)).unwrap();
    let path = segments(dir.path()).remove(0);
    let good = fs::read(&path).unwrap();
    let groups = groups(&good);
    let (last, end) = (groups[1], groups[2]);
    for len in last..end - 1 {
        fs::write(&path, &good[..len]).unwrap();
        let mut log = open(disk(dir.path()), dir.path(), SMALL).unwrap().writer;
        assert_eq!(all(&log), entries(1..3), "{len}");
        if len > last {
            let torn = log.torn_tail().unwrap();
            assert_eq!(
                (torn.offset, torn.bytes),
                (last as u64, (len - last) as u64)
            );
            assert_eq!(fs::metadata(&path).unwrap().len(), last as u64);
        }
        log.append_group(&[entry(3, 2, b"instead")]).unwrap();
        assert_eq!(reopen(dir.path()).unwrap()[2..], [entry(3, 2, b"instead")]);
    }
}

#[test]
fn a_missing_segment_is_an_error_that_names_it() {
    let (dir, _) = written();
    let mut log = open(disk(dir.path()), dir.path(), SMALL).unwrap().writer;
    log.append_group(&[entry(13, 2, &[1; 900])]).unwrap();
    let paths = segments(dir.path());
    fs::remove_file(&paths[1]).unwrap();
    let error = reopen(dir.path()).unwrap_err();
    let LogError::SegmentMissing { path } = &error else {
        panic!("{error}")
    };
    assert_eq!(path, &paths[1]);
    assert!(error.to_string().contains("must not serve"));
}

#[test]
fn segments_and_groups_in_another_place_are_noticed() {
    let (dir, expected) = written();
    let paths = segments(dir.path());
    let (first, second) = (fs::read(&paths[0]).unwrap(), fs::read(&paths[1]).unwrap());
    fs::write(&paths[0], &second).unwrap();
    fs::write(&paths[1], &first).unwrap();
    assert!(matches!(
        reopen(dir.path()),
        Err(LogError::Damaged { offset: 0, .. })
    ));
    fs::write(&paths[1], &second).unwrap();
    // Two groups of the same size change places.
    let places = groups(&first);
    let (a, b, c) = (places[0], places[1], places[2]);
    assert_eq!(b - a, c - b);
    let swapped = [&first[..a], &first[b..c], &first[a..b], &first[c..]].concat();
    fs::write(&paths[0], swapped).unwrap();
    assert!(matches!(reopen(dir.path()), Err(LogError::Damaged { .. })));
    fs::write(&paths[0], first).unwrap();
    assert_eq!(reopen(dir.path()).unwrap(), expected);
}

#[test]
fn a_segment_of_another_log_is_noticed() {
    let ((dir, _), (other, _)) = (written(), written());
    // The same entries, and one group more: another history.
    let mut log = open(disk(other.path()), other.path(), SMALL)
        .unwrap()
        .writer;
    log.append_group(&[entry(13, 2, b"thirteen")]).unwrap();
    log.append_group(&[entry(14, 2, &[1; 900])]).unwrap();
    let (here, there) = (segments(dir.path()), segments(other.path()));
    assert_eq!(there.len(), here.len() + 1);
    let last = there.last().unwrap();
    fs::copy(last, dir.path().join(last.file_name().unwrap())).unwrap();
    assert!(matches!(reopen(dir.path()), Err(LogError::Damaged { .. })));
}

#[test]
fn a_group_of_another_history_in_the_same_place_is_noticed() {
    let history = |word: &[u8]| {
        let dir = scratch();
        let mut log = open(disk(dir.path()), dir.path(), SMALL).unwrap().writer;
        log.append_group(&[entry(1, 1, word)]).unwrap();
        log.append_group(&[entry(2, 1, b"the same")]).unwrap();
        let path = segments(dir.path()).remove(0);
        (dir, path)
    };
    let ((dir, here), (_other, there)) = (history(b"yes"), history(b"not"));
    let (mut bytes, other) = (fs::read(&here).unwrap(), fs::read(there).unwrap());
    let end = groups(&bytes)[1];
    bytes[..end].copy_from_slice(&other[..end]);
    fs::write(here, bytes).unwrap();
    assert!(matches!(reopen(dir.path()), Err(LogError::Damaged { .. })));
}

#[test]
fn damage_under_an_open_log_is_not_read() {
    let (dir, _) = written();
    let reader = open(disk(dir.path()), dir.path(), SMALL).unwrap().reader;
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(7)
        .position(|window| window == b"entry 1")
        .unwrap();
    bytes[at] = b'E';
    fs::write(&path, &bytes).unwrap();
    let error = reader.read(1..2).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    assert_eq!(reader.read(3..5).unwrap(), entries(3..5));
    fs::write(&path, b"").unwrap();
    let error = reader.read(1..2).unwrap_err();
    assert!(
        matches!(error, LogError::Read { .. }) && error.source().is_some(),
        "{error}"
    );
}

#[test]
fn a_payload_that_looks_like_a_group_does_not_make_a_torn_tail_damage() {
    let dir = scratch();
    let mut log = open(disk(dir.path()), dir.path(), SMALL).unwrap().writer;
    log.append_group(&entries(1..3)).unwrap();
    let path = segments(dir.path()).remove(0);
    let end = *groups(&fs::read(&path).unwrap()).last().unwrap();
    // A client that knows all but the salt.
    let offset = (end + codec::GROUP_HEADER + codec::RECORD_HEADER) as u64;
    let (synced_through, chain) = (offset, 0);
    let mut forged = Vec::new();
    let place = Place {
        offset,
        synced_through,
        chain,
        salt: SMALL.salt + 1,
    };
    codec::encode_group(&mut forged, place, Content::Mark);
    log.append_group(&[entry(3, 1, &forged)]).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[end + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(reopen(dir.path()).unwrap(), entries(1..3));
}

#[test]
fn what_a_newer_version_wrote_is_not_touched() {
    let (dir, _) = written();
    let path = segments(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 2;
    let sum = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes[..64], 0);
    bytes[64..72].copy_from_slice(&sum.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = reopen(dir.path()).unwrap_err();
    assert!(matches!(error, LogError::Newer { .. }), "{error}");
}

/// A segment of version 1 as it was first written: its header, and a group of
/// one entry. The format must read it for ever.
const STORED: &str = "71756f69746c6f67010000000000000003000000000000000500000000000000070000000000000002000000000000000b00000000000000001000000000000098f9a606d16816c2\
    51475250010000004800000000000000480000000000000098f9a606d16816c2080000000000000002000000000000000100000028000000134f874d984ab68bd9b95c5e64c1f2ff\
    0761553f22e3f36b05000000000000000800000000000000020000000000000068656c6c6f000000";

#[test]
fn the_bytes_of_version_1_are_read_and_written_as_ever() {
    let header = SegmentHeader {
        seq: 3,
        salt: 5,
        base: position(7, 2),
        chain: 11,
        prev_end: 4096,
    };
    let (mut bytes, chain) = codec::encode_segment(&header, 0);
    let place = Place {
        offset: 72,
        synced_through: 72,
        chain,
        salt: 5,
    };
    codec::encode_group(
        &mut bytes,
        place,
        Content::Entries(&[entry(8, 2, b"hello")]),
    );
    let hex = bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(hex, STORED);
    assert_eq!(codec::decode_segment(&bytes, 0), Ok((header, chain)));
    let mut index = Index::new(header.base);
    let scanned = scan::scan(&bytes, 3, 5, chain, &mut index);
    assert_eq!(
        (scanned.end, scanned.stop),
        (bytes.len() as u64, Stop::Clean)
    );
    assert_eq!(index.last(), position(8, 2));
}

fn content() -> impl Strategy<Value = (u8, Position, Vec<Entry>)> {
    let number = prop_oneof![0..4u64, any::<u64>(), u64::MAX - 3..=u64::MAX];
    let place = (number.clone(), number.clone()).prop_map(|(index, term)| position(index, term));
    let entries = prop::collection::vec(
        (
            number.clone(),
            number,
            prop::collection::vec(any::<u8>(), 0..40),
        )
            .prop_map(|(index, term, payload)| entry(index, term, &payload)),
        0..4,
    );
    (0..4u8, place, entries)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = codec::decode_segment(&bytes, 0);
        let _ = codec::decode_group_header(&bytes, 42, 0);
        let _ = codec::decode_record(&bytes, 42);
        let mut index = Index::new(position(0, 0));
        let _ = scan::scan(&bytes, 1, 42, 0, &mut index);
    }

    #[test]
    fn a_log_with_any_bytes_changed_is_refused_or_a_log_that_was(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        which: prop::sample::Index,
    ) {
        let (dir, expected) = written();
        let paths = segments(dir.path());
        let path = &paths[which.index(paths.len())];
        let mut bytes = fs::read(path).unwrap();
        // Not the last mark: with it and the last group gone, nothing shows
        // that the group was ever durable.
        let groups = groups(&bytes);
        let durable = groups[groups.len() - 2];
        for (at, byte) in changes {
            bytes[at.index(durable)] = byte;
        }
        fs::write(path, bytes).unwrap();
        if let Ok(found) = reopen(dir.path()) {
            prop_assert_eq!(found, expected);
        }
    }

    /// With checksums that hold, as only a faulty or hostile writer makes them.
    #[test]
    fn no_valid_groups_make_the_scan_panic(contents in prop::collection::vec(content(), 1..6)) {
        let (mut bytes, mut chain) = (vec![0; SEGMENT_HEADER], 0);
        for (kind, place, entries) in &contents {
            let content = match kind {
                0 => Content::Entries(entries),
                1 => Content::Truncate(*place),
                2 => Content::Restart(*place),
                _ => Content::Mark,
            };
            let (offset, synced_through) = (bytes.len() as u64, place.index);
            let place = Place { offset, synced_through, chain, salt: 42 };
            chain = codec::encode_group(&mut bytes, place, content);
        }
        let mut index = Index::new(position(0, 0));
        let _ = scan::scan(&bytes, 1, 42, 0, &mut index);
        prop_assert!(index.first() <= index.next());
    }
}
