//! What the program says of itself: each command is there and teaches its use.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod support;

use support::{quoit, run};

fn says(args: &[&str], parts: &[&str]) -> String {
    let said = run(quoit().args(args));
    assert!(said.status.success(), "{args:?}: {said:?}");
    for part in parts {
        assert!(
            said.out.contains(part),
            "{args:?} does not say {part:?}: {}",
            said.out
        );
    }
    said.out
}

#[test]
fn help_shows_each_command_with_its_flags_defaults_and_examples() {
    says(
        &["--help"],
        &[
            "Quoit",
            "serve",
            "demo",
            "playground",
            "explain",
            "ring",
            "completion",
            "--log",
            "--help",
            "--version",
        ],
    );
    says(&["--version"], &["quoit 0."]);
    says(
        &["serve", "--help"],
        &[
            "-f, --file <FILE>",
            "--data-dir <DIR>",
            "[default: ./data]",
            "--listen <ADDR>",
            "[default: 127.0.0.1:6333]",
            "--grpc <ADDR>",
            "[default: 127.0.0.1:6334]",
            "[env: QUOIT_LISTEN",
            "--checkpoint-bytes <BYTES>",
            "--checkpoint-seconds <SECONDS>",
            "[default: 60]",
            "--log-segment-bytes <BYTES>",
            "--disk-reserve <BYTES>",
            "[default: 268435456]",
            "Examples:",
            "quoit serve -f collection.yaml",
            "curl -X PUT",
        ],
    );
    says(
        &["playground", "--help"],
        &[
            "--file <FILE>",
            "--shards <N>",
            "--replicas <N>",
            "--etcd <URL>",
            "--dir <DIR>",
            "[default: ./quoit-playground]",
            "--json",
            "partition",
            "Examples:",
            "quoit playground heal",
        ],
    );
    says(
        &["playground", "partition", "--help"],
        &["--from <OTHER>", "--to <OTHER>", "--reset", "--dir <DIR>"],
    );
    says(
        &["ring", "simulate", "--help"],
        &[
            "--members",
            "--vnodes",
            "--keys",
            "--join",
            "--leave",
            "--compare",
            "--points",
            "-o",
            "json",
            "Examples:",
        ],
    );
}

#[test]
fn completion_is_a_script_for_the_shell() {
    for (shell, part) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef quoit"),
        ("fish", "complete -c quoit"),
    ] {
        let script = says(&["completion", shell], &[part]);
        for word in ["serve", "simulate", "data-dir", "checkpoint-bytes"] {
            assert!(script.contains(word), "{shell} cannot complete {word}");
        }
    }
}

#[test]
fn a_command_line_that_is_not_understood_is_refused_with_the_way_to_help() {
    for (args, parts) in [
        (&["srve"][..], ["srve", "serve"]),
        (&["serve", "--data-dri", "x"], ["--data-dri", "--data-dir"]),
        (
            &["serve", "--listen", "6333"],
            ["--listen", "invalid socket address"],
        ),
        (
            &["serve", "--checkpoint-bytes", "many"],
            ["--checkpoint-bytes", "many"],
        ),
        (&["serve", "--log", "=!="], ["--log", "quoit_shard=debug"]),
        (&["ring", "simulate", "--members", "-1"], ["-1", "--help"]),
        (&["completion", "tcsh"], ["tcsh", "possible values"]),
    ] {
        let said = run(quoit().args(args));
        assert!(!said.status.success(), "{args:?}");
        for part in parts {
            assert!(
                said.err.contains(part),
                "{args:?} does not say {part:?}: {}",
                said.err
            );
        }
        assert!(!said.err.contains("panicked"), "{}", said.err);
    }
}

#[test]
fn a_ring_is_simulated_as_numbers_for_programs() {
    let out = says(
        &[
            "ring",
            "simulate",
            "--members",
            "4",
            "--join",
            "1",
            "--compare",
            "classic",
            "-o",
            "json",
        ],
        &[],
    );
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    for side in ["quoit", "classic"] {
        assert_eq!(report[side]["members"].as_array().unwrap().len(), 5);
        assert_eq!(report[side]["members"][4]["id"], "node-4");
        let keys: u64 = report[side]["members"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m["keys"].as_u64().unwrap())
            .sum();
        assert_eq!(keys, 6000);
    }
    let moved = report["quoit"]["moved"].as_f64().unwrap();
    assert!(moved <= 0.2 + 1.0 / 4096.0, "{moved}");
}

#[test]
fn who_reads_only_the_beginning_is_not_told_of_an_error() {
    for args in [
        &["completion", "bash"][..],
        &["ring", "simulate", "--members", "3"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = quoit();
        let ended = command.args(args).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            ended.status.success() && said.is_empty(),
            "{args:?}: {said}"
        );
    }
}
