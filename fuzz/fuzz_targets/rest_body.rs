//! Any call of the REST API with any body gets an envelope, and never fails by
//! the server's own fault; what it stores can be read.
//!
//! An input is a line with method and path, then the body. A line that is no
//! call stands for one of the table, by its first byte.

#![no_main]
#![allow(unsafe_code, reason = "libFuzzer's macros export C functions")]

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};
use quoit_fuzz::{doors, heap, json};

const CALLS: &[&str] = &[
    "PUT /collections/docs/points",
    "POST /collections/docs/points",
    "POST /collections/docs/points/scroll",
    "POST /collections/docs/points/count",
    "POST /collections/docs/points/delete",
    "POST /collections/docs/points/payload",
    "PUT /collections/docs/points/payload",
    "POST /collections/docs/points/payload/delete",
    "POST /collections/docs/points/payload/clear",
    "PUT /collections/docs/points/vectors",
    "POST /collections/two/points/vectors/delete",
    "POST /collections/two/points/batch",
    "POST /collections/docs/points/query",
    "POST /collections/two/points/query",
    "POST /collections/docs/points/query/batch",
    "POST /collections/docs/points/search",
    "POST /collections/docs/points/search/batch",
    "POST /collections/docs/points/query/groups",
    "POST /collections/docs/points/search/groups",
    "POST /collections/docs/points/recommend",
    "POST /collections/docs/points/recommend/batch",
    "POST /collections/docs/points/recommend/groups",
    "POST /collections/docs/points/discover",
    "POST /collections/docs/points/discover/batch",
    "POST /collections/docs/points/search/matrix/pairs",
    "POST /collections/docs/points/search/matrix/offsets",
    "POST /collections/docs/facet",
    "PUT /collections/docs/index",
    "PUT /collections/new",
    "PUT /collections/docs",
];

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

fn call(line: &[u8]) -> (&str, &str) {
    let split = |line: &'static str| line.split_once(' ').unwrap_or(("GET", "/"));
    let given = std::str::from_utf8(line).ok();
    let given = given.and_then(|line| line.split_once(' '));
    given
        .filter(|(method, path)| METHODS.contains(method) && doors::is_path(path))
        .unwrap_or_else(|| {
            let first = usize::from(line.first().copied().unwrap_or(0));
            split(CALLS[first % CALLS.len()])
        })
}

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n');
    let (line, body) = input.split_at(end.unwrap_or(0));
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let (method, path) = call(line);
    doors::fresh(|doors| {
        let went_well = heap::bounded(input.len(), 32, 16 << 20, || {
            doors.rest_answers(method, path, body.to_vec())
        });
        if went_well && method != "GET" {
            doors.all_can_be_read();
        }
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    json::mutate(data, size, max_size, seed)
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    json::cross(one, other, out, seed)
});
