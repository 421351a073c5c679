//! Starts that cannot go well: each ends with a text that names the flag and what
//! to do.

use crate::support::UID;
use quoit_testkit_etcd::free_ports;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};

fn start(flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quoit-router"))
        .args(["--collection", &UID.to_string()])
        .args(flags)
        .output()
        .unwrap()
}

fn refusal(flags: &[&str]) -> String {
    let ended = start(flags);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success(), "{flags:?}");
    assert!(!said.contains("panicked"), "{flags:?}: {said}");
    said
}

#[test]
fn flags_that_make_no_sense_are_named_with_the_remedy() {
    let etcd = ["--etcd", "http://127.0.0.1:1"];
    for (flags, says) in [
        (&[][..], "--etcd"),
        (&["--etcd", "etcd:2379"], "is no endpoint of etcd"),
        (&["--etcd", "http://"], "is no endpoint of etcd"),
        (&["--etcd", ""], "--etcd"),
        (&["--etcd", "https://127.0.0.1:1"], "no CA file is given"),
        (&[etcd[0], etcd[1], "--tls-ca", "ca"], "--tls-cert"),
        (
            &[etcd[0], etcd[1], "--tls-cert", "c", "--tls-key", "k"],
            "--tls-ca",
        ),
        (&[etcd[0], etcd[1], "--listen", "300.0.0.1:1"], "--listen"),
        (
            &[etcd[0], etcd[1], "--bind-outgoing", "here"],
            "--bind-outgoing",
        ),
        (&[etcd[0], etcd[1], "--log", "loud=very"], "--log"),
        (
            &[etcd[0], etcd[1], "--etcd-user", "u"],
            "--etcd-password-file",
        ),
        (
            &[
                etcd[0],
                etcd[1],
                "--etcd-user",
                "u",
                "--etcd-password-file",
                "/x/p",
            ],
            "--etcd-password-file /x/p: cannot be read",
        ),
    ] {
        let said = refusal(flags);
        assert!(said.contains(says), "{flags:?}: {said}");
    }
    let said = refusal(&[etcd[0], etcd[1], "--log", "loud=very"]);
    assert!(said.contains("use a level (error, warn"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_named_by_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = free_ports(1).unwrap()[0].to_string();
    for (http, grpc, flag) in [
        (&taken, &free, "--listen"),
        (&free, &taken, "--grpc"),
        (&free, &free, "--grpc"),
    ] {
        let etcd = ["--etcd", "http://127.0.0.1:1"];
        let said = refusal(&[etcd[0], etcd[1], "--listen", http, "--grpc", grpc]);
        let says = format!("{flag} ");
        assert!(
            said.contains(&says) && said.contains("Give another address"),
            "{said}"
        );
    }
}

#[test]
fn files_of_tls_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let pair = |name: &str, until| {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let path = |end: &str| dir.path().join(format!("{name}.{end}"));
        fs::write(path("pem"), certificate.pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        (
            path("pem").display().to_string(),
            path("key").display().to_string(),
        )
    };
    let (good, expired) = (pair("good", 4000), pair("expired", 2021));
    for (certificate, key, says) in [
        (&expired.0, &expired.1, "renew it"),
        (&good.0, &expired.1, "is not that of"),
        (&good.1, &good.1, "must have one in PEM"),
    ] {
        let etcd = ["--etcd", "http://127.0.0.1:1"];
        let tls = [
            "--tls-ca",
            &good.0,
            "--tls-cert",
            certificate,
            "--tls-key",
            key,
        ];
        let said = refusal(&[&etcd[..], &tls[..]].concat());
        assert!(said.contains("--tls") && said.contains(says), "{said}");
    }
}

#[test]
fn the_configuration_is_printed_and_nothing_is_started() {
    let ended = start(&[
        "--etcd",
        "http://a:1,http://b:2",
        "--zone",
        "",
        "--print-config",
    ]);
    let printed = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success());
    for line in ["- http://b:2", "zone: ''", "grpc: 0.0.0.0:6334"] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
}
