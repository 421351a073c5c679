//! The program as people and scripts use it: what it says of itself, and with
//! which status it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

use std::path::Path;
use std::process::{Command, Output};

fn checker(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quoit-checker"));
    command.args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const PLAN: &str = r#"{"plan":{"seed":7,"dimension":8,"rest":20,"groups":4,"keys":2,"clients":1,"limit":5,"page":10}}"#;
const PUT: &str = r#"{"client":0,"start":1000,"end":2000,"call":{"put":{"key":0,"stamp":"0-1"}},"outcome":{"done":{"changed":{"version":4}}}}"#;
const COUNT: &str = r#"{"client":0,"start":3000,"end":4000,"call":{"count":{"group":null}},"outcome":{"done":{"counted":20}}}"#;
const DIGESTS: &str = r#"{"client":1,"start":7000,"end":8000,"call":"digests","outcome":{"done":{"digests":[{"id":0,"replicas":[{"node":0,"applied":4,"vnodes":[]}]}]}}}"#;

fn get(answer: &str) -> String {
    format!(
        r#"{{"client":1,"start":5000,"end":6000,"call":{{"get":{{"key":0}}}},"outcome":{{"done":{{"point":{answer}}}}}}}"#
    )
}

fn verify(path: &Path, calls: &[&str], more: &[&str]) -> (Option<i32>, String) {
    let end = format!(r#"{{"calls":{}}}"#, calls.len());
    let lines = [&[PLAN], calls, &[&end]].concat();
    std::fs::write(path, lines.join("\n")).unwrap();
    let args = [&["verify", path.to_str().unwrap()], more].concat();
    let output = checker(&args);
    (output.status.code(), text(&output.stdout))
}

#[test]
fn the_status_says_whether_all_is_proved() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run.jsonl");
    let there = get(r#"{"put":"0-1","change":"0-1"}"#);
    let (status, said) = verify(&path, &[PUT, COUNT, &there, DIGESTS], &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("\nPROVED: nothing acknowledged is lost"),
        "{said}"
    );

    let gone = get("null");
    let (status, said) = verify(&path, &[PUT, COUNT, &gone, DIGESTS], &[]);
    assert_eq!(status, Some(1), "{said}");
    let story = "0.000001 …     0.000002 s  client 0   put 0-1 into point 0: done, version 4";
    assert!(
        said.contains("VIOLATED point 0") && said.contains(story),
        "{said}"
    );

    let (status, said) = verify(&path, &[PUT, COUNT, DIGESTS], &["-o", "json"]);
    assert_eq!(status, Some(2), "{said}");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["verdict"], "unproved");
    assert_eq!(json["availability"]["rows"][0]["kind"], "put");
}

#[test]
fn what_cannot_be_run_ends_with_2_and_the_remedy() {
    let run = |more: &[&str]| {
        let args = [&["run", "--collection", "docs", "--patience", "0.1"], more].concat();
        let output = checker(&args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        text(&output.stderr)
    };
    // A port that nobody listens on: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let nobody = run(&["--endpoint", &url]);
    assert!(
        nobody.contains(&url) && nobody.contains("refused"),
        "{nobody}"
    );
    assert!(run(&["--keys", "0"]).contains("keys must be from 1 to 1000"));
    assert!(run(&["--rate", "0"]).contains("--rate must be a positive number"));
    assert!(run(&["--mix", "pot=1"]).contains("there is no kind"));
    assert!(run(&["--shards", "3"]).contains("--create"));
    let missing = checker(&["verify", "/nowhere/run.jsonl"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/nowhere/run.jsonl"));
}

#[test]
fn help_teaches_its_use() {
    let says = |args: &[&str], parts: &[&str]| {
        let said = text(&checker(args).stdout);
        for part in parts {
            assert!(
                said.contains(part),
                "{args:?} does not say {part:?}: {said}"
            );
        }
    };
    says(
        &["--help"],
        &[
            "run",
            "verify",
            "Status: 0 all is proved, 1",
            "kill processes",
        ],
    );
    says(
        &["run", "--help"],
        &[
            "--endpoint <URL>",
            "--collection <NAME>",
            "--create",
            "--clear",
            "--seconds",
            "[default: 30]",
            "--mix <KIND=N,…>",
            "put-if",
            "--record <FILE>",
            "Examples:",
            "quoit-checker run",
        ],
    );
    says(
        &["verify", "--help"],
        &["<FILE>", "json", "quoit-checker verify run.jsonl"],
    );
}
