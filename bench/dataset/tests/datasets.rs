//! Folders of tiny data sets, whole and with one thing wrong.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helpers fail the test"
)]

use flate2::Compression;
use flate2::write::GzEncoder;
use quoit_dataset::{Dataset, Measure, Packages};
use std::fs;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

fn npy(descr: &str, rows: usize, columns: usize, values: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const ONE: [u8; 2] = [0x00, 0x3c];
const ZERO: [u8; 2] = [0, 0];
const INFINITY: [u8; 2] = [0x00, 0x7c];

/// Two points, one query.
fn packages() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir,
        "vectors.f16.npy",
        &npy("<f2", 2, 2, &[ONE, ZERO, ZERO, ONE].concat()),
    );
    write(
        &dir,
        "points.jsonl.gz",
        &gzip(b"{\"id\": 0, \"name\": \"a\"}\n{\"id\": 1, \"name\": \"b\"}\n"),
    );
    write(
        &dir,
        "queries.f16.npy",
        &npy("<f2", 1, 2, &[ONE, ZERO].concat()),
    );
    write(&dir, "queries.txt", b"the letter a\n");
    write(
        &dir,
        "neighbors.i32.npy",
        &npy("<i4", 1, 2, &[0, 0, 0, 0, 1, 0, 0, 0]),
    );
    dir
}

fn write(dir: &TempDir, file: &str, bytes: &[u8]) {
    fs::write(dir.path().join(file), bytes).unwrap();
}

/// What is said of the folder after one of its files was replaced, without the
/// folder's own path.
fn refusal(file: &str, bytes: &[u8]) -> String {
    let dir = packages();
    write(&dir, file, bytes);
    let Err(error) = Dataset::packages(dir.path()) else {
        panic!("{file}: it was read");
    };
    error
        .to_string()
        .replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn a_whole_folder_is_read() {
    let dir = packages();
    let dataset = Dataset::packages(dir.path()).unwrap();
    assert_eq!(dataset.measure, Measure::Cosine);
    assert_eq!(dataset.points.vectors.row(1), Some(&[0.0, 1.0][..]));
    assert_eq!(
        dataset.points.payloads,
        ["{\"name\":\"a\"}", "{\"name\":\"b\"}"]
    );
    assert_eq!(dataset.queries.texts, ["the letter a"]);
    assert_eq!(dataset.truth().mean_recall(1, &[[0]]), Some(1.0));
    assert_eq!(dataset.truth().mean_recall(1, &[[1]]), Some(0.0));
}

#[test]
fn packages_are_read_one_by_one() {
    let dir = packages();
    let mut points = Packages::open(dir.path()).unwrap();
    assert_eq!((points.total(), points.dimension()), (2, 2));
    let first = points.next().unwrap().unwrap();
    assert_eq!((first.id, first.vector), (0, vec![1.0, 0.0]));
    let second = points.next().unwrap().unwrap();
    assert_eq!(
        (second.id, second.payload.as_str()),
        (1, "{\"name\":\"b\"}")
    );
    assert!(points.next().is_none());
}

#[test]
fn images_are_read_too() {
    let dir = tempfile::tempdir().unwrap();
    write(
        &dir,
        "train.u8.npy.gz",
        &gzip(&npy("|u1", 2, 3, &[0, 1, 2, 3, 4, 255])),
    );
    write(&dir, "test.u8.npy.gz", &gzip(&npy("|u1", 1, 3, &[0, 1, 3])));
    write(&dir, "neighbors.i32.npy", &npy("<i4", 1, 1, &[0, 0, 0, 0]));
    let dataset = Dataset::mnist(dir.path()).unwrap();
    assert_eq!(dataset.measure, Measure::Euclid);
    assert_eq!(dataset.points.vectors.row(1), Some(&[3.0, 4.0, 255.0][..]));
    assert!(dataset.points.payloads.is_empty() && dataset.queries.texts.is_empty());
    assert_eq!(dataset.truth().score(0, 0), Some(1.0));
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let three = npy("<f2", 1, 3, &[ONE, ZERO, ZERO].concat());
    let two_rows = npy("<i4", 2, 1, &[0; 8]);
    let unknown = npy("<i4", 1, 2, &[0, 0, 0, 0, 2, 0, 0, 0]);
    let negative = npy("<i4", 1, 1, &[0xff; 4]);
    let infinite = npy("<f2", 2, 2, &[ONE, ZERO, INFINITY, ONE].concat());
    for (file, bytes, what) in [
        (
            "queries.f16.npy",
            &three[..],
            "its vectors have 3 numbers, and those of the points 2",
        ),
        (
            "neighbors.i32.npy",
            &two_rows,
            "it has 2 entries, and there are 1 queries",
        ),
        (
            "neighbors.i32.npy",
            &unknown,
            "it names point 2, and the points are 0 to 1",
        ),
        (
            "neighbors.i32.npy",
            &negative,
            "it names point -1, and the points are 0 to 1",
        ),
        (
            "vectors.f16.npy",
            &infinite,
            "row 1 has a value that is no finite number",
        ),
        (
            "queries.txt",
            b"one\ntwo\n",
            "it has 2 entries, and there are 1 queries",
        ),
        (
            "points.jsonl.gz",
            &gzip(b"{\"id\": 0}\n{\"id\": 1}\n{\"id\": 2}\n{\"id\": 3}\n"),
            "it has 4 entries, and there are 2 points",
        ),
        (
            "points.jsonl.gz",
            &gzip(b"{\"id\": 0}\n"),
            "it has 1 entries, and there are 2 points",
        ),
    ] {
        assert_eq!(refusal(file, bytes), format!("{file}: {what}"));
    }
}

#[test]
fn a_bad_payload_is_named_by_its_line() {
    let swapped = gzip(b"{\"id\": 0}\n{\"id\": 0}\n");
    assert_eq!(
        refusal("points.jsonl.gz", &swapped),
        "points.jsonl.gz, line 2: its \"id\" is not 1, the number of its row"
    );
    let list = refusal("points.jsonl.gz", &gzip(b"[]\n"));
    assert!(
        list.starts_with("points.jsonl.gz, line 1: it is no JSON object"),
        "{list}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let error = Dataset::packages(Path::new("no/such/folder")).unwrap_err();
    assert_eq!(error.to_string(), "no/such/folder: there is no such folder");
    let dir = packages();
    fs::remove_file(dir.path().join("queries.txt")).unwrap();
    let error = Dataset::packages(dir.path()).unwrap_err();
    assert!(
        error.to_string().ends_with("queries.txt: cannot be read"),
        "{error}"
    );
}

#[test]
fn the_data_in_the_project_is_whole_and_its_neighbours_are_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/debian-20k");
    let dataset = Dataset::packages(&folder).unwrap();
    let vectors = &dataset.points.vectors;
    assert_eq!((vectors.rows(), vectors.columns()), (20_000, 384));
    assert_eq!(dataset.queries.vectors.rows(), 1_000);
    let (truth, k) = (dataset.truth(), 10);
    // A few queries, each against all points: the tenth best score is the one that is listed.
    for query in (0..1_000).step_by(250) {
        let mut scores: Vec<f64> = (0..20_000)
            .filter_map(|id| truth.score(query, id))
            .collect();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let listed = truth.kth(query, k).unwrap();
        assert!(
            (scores[k - 1] - listed).abs() < 1e-6,
            "query {query}: {} and {listed}",
            scores[k - 1]
        );
    }
}

#[test]
fn mnist_is_whole_where_it_is_given() {
    let Some(data) = std::env::var_os("QUOIT_BENCH_DATA") else {
        eprintln!("skipped: QUOIT_BENCH_DATA names no folder with mnist-784");
        return;
    };
    let dataset = Dataset::mnist(&Path::new(&data).join("mnist-784")).unwrap();
    assert_eq!(dataset.points.vectors.columns(), 784);
    let neighbors: Vec<Vec<u64>> = dataset
        .queries
        .neighbors
        .iter()
        .map(|row| {
            row.iter()
                .filter_map(|id| u64::try_from(*id).ok())
                .collect()
        })
        .collect();
    assert_eq!(dataset.truth().mean_recall(10, &neighbors), Some(1.0));
}
