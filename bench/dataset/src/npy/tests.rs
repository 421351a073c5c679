//! Small files, written as `NumPy` writes them, and the same with one thing wrong.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// An array file of version 1 or 2.
fn array(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    let len = u32::try_from(header.len()).unwrap().to_le_bytes();
    bytes.extend(if version == 1 { &len[..2] } else { &len[..] });
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

fn read_bytes<E: Element>(name: &str, bytes: &[u8]) -> Result<Matrix<E::Value>, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read::<E>(&path)
}

fn refusal<E: Element>(bytes: &[u8]) -> String {
    match read_bytes::<E>("a.npy", bytes) {
        Err(Error::Content { path, what }) => {
            assert!(path.ends_with("a.npy"));
            what
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was read"),
    }
}

const I4: &str = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 1), }      \n";
const U1: &str = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n";

#[test]
fn both_versions_are_read() {
    for version in [1, 2] {
        let bytes = array(version, I4, &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        let matrix = read_bytes::<I32>("a.npy", &bytes).unwrap();
        assert_eq!((matrix.rows(), matrix.values()), (2, &[1, -1][..]));
    }
}

#[test]
fn a_gzipped_file_is_the_same_array() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(&array(1, U1, &[0, 1, 2, 253, 254, 255]))
        .unwrap();
    let bytes = encoder.finish().unwrap();
    let matrix = read_bytes::<U8>("a.npy.gz", &bytes).unwrap();
    assert_eq!(matrix.row(1), Some(&[253.0, 254.0, 255.0][..]));
    let cut = read_bytes::<U8>("a.npy.gz", &bytes[..bytes.len() - 4]);
    assert!(
        matches!(cut, Err(Error::Read { .. })),
        "a cut file is seen by its checksum"
    );
}

#[test]
fn every_half_is_widened_to_the_same_value() {
    for half in 0..=u16::MAX {
        let (exponent, fraction) = (i32::from(half >> 10) & 0x1f, f64::from(half & 0x3ff));
        let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
        let size = match exponent {
            0 => fraction * 2f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
        };
        let got = f64::from(widen(half));
        assert_eq!(got.is_nan(), size.is_nan(), "{half:#06x}");
        if !size.is_nan() {
            assert_eq!(got.to_bits(), (sign * size).to_bits(), "{half:#06x}");
        }
    }
}

#[test]
fn what_is_no_array_is_refused_and_says_why() {
    let six = [0; 6];
    let damaged = |header: &str| refusal::<U8>(&array(1, header, &six));
    assert_eq!(refusal::<U8>(b""), "it is too short for a NumPy array");
    assert_eq!(
        refusal::<U8>(b"PK\x03\x04 not numpy"),
        "it is no NumPy array: it does not start as one"
    );
    assert_eq!(
        refusal::<U8>(b"\x93NUMPY\x03\0\0\0\0\0"),
        "it is of format 3.0, and 1.0 and 2.0 are known"
    );
    assert_eq!(
        refusal::<U8>(b"\x93NUMPY\x01\0\x40\0{'descr'"),
        "it ends inside its header"
    );
    let long = b"\x93NUMPY\x02\0\xff\xff\xff\xff";
    assert_eq!(
        refusal::<U8>(long),
        "its header is said to be 4294967295 bytes long: it is damaged"
    );
    for (header, what) in [
        (
            "{'descr': '|u1', 'fortran_order': False}",
            "its header lacks \"shape\"",
        ),
        (
            "{'descr': '|u1', 'descr': '|u1'}",
            "its header has \"descr\" twice",
        ),
        (
            "{'order': False}",
            "its header has an unknown key \"order\"",
        ),
        (
            "{'fortran_order': 0}",
            "its header is damaged: True or False is wanted before \"0}\"",
        ),
        (
            "{'shape': (2, -3)}",
            "its header is damaged: a length is wanted before \"-3)}\"",
        ),
        (
            "{'shape': (99999999999999999999,)}",
            "its header is damaged: a length is wanted before \"99999999999999999999\"",
        ),
        (
            "{'descr",
            "its header is damaged: a closing quote is wanted before \"descr\"",
        ),
        (
            "descr",
            "its header is damaged: \"{\" is wanted before \"descr\"",
        ),
    ] {
        assert_eq!(damaged(header), what);
    }
    assert_eq!(
        damaged(&format!("{U1} more")),
        "its header is damaged: the end is wanted before \"more\""
    );
}

#[test]
fn an_array_of_another_kind_is_refused() {
    let six = [0; 6];
    let with = |from: &str, to: &str| refusal::<U8>(&array(1, &U1.replace(from, to), &six));
    assert_eq!(
        with("|u1", ">f2"),
        "its values are of type \">f2\", and \"|u1\" is wanted"
    );
    assert_eq!(
        with("False", "True"),
        "it is in Fortran order (columns first), and C order is wanted"
    );
    assert_eq!(
        with("(2, 3)", "(6,)"),
        "it has 1 axes, and two are wanted: rows and columns"
    );
    assert_eq!(with("(2, 3)", "(2, 0)"), "it is empty: 2 rows of 0");
    assert_eq!(with("(2, 3)", "(2, 4)"), "it ends in row 2 of 2");
    assert_eq!(with("(2, 3)", "(2, 2)"), "there is more after its 2 rows");
    let huge = format!("({0}, {0})", u64::MAX);
    assert_eq!(with("(2, 3)", &huge), "its shape is larger than memory");
}

#[test]
fn a_missing_file_is_named() {
    let Err(error) = read::<U8>(Path::new("nowhere/a.npy")) else {
        panic!("it was read");
    };
    assert_eq!(error.to_string(), "nowhere/a.npy: cannot be read");
}
