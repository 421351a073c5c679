//! Starts that cannot go well: each ends with a text that names what to do, and
//! nothing is damaged.

use crate::support::{Cluster, UID};
use quoit_ring::{ShardId, ValueName, Values};
use std::fs;
use std::process::Command;

/// What one says that must not start.
fn refusal(cluster: &mut Cluster, place: usize) -> String {
    cluster.start(place);
    let status = cluster.replicas[place].ended();
    assert_eq!(status.code(), Some(1), "{}", cluster.replicas[place].said());
    cluster.replicas[place].said()
}

fn set(cluster: &mut Cluster, place: usize, flag: &str, value: &str) {
    let flags = &mut cluster.replicas[place].flags;
    match flags.iter().position(|f| f == flag) {
        Some(at) => value.clone_into(&mut flags[at + 1]),
        None => flags.extend([flag.to_owned(), value.to_owned()]),
    }
}

#[tokio::test]
async fn a_directory_of_another_replica_is_refused_and_left_as_it_is() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    cluster.leader(0).await;
    let data = cluster.replicas[0].data.display().to_string();

    let other = cluster.add(0, 1);
    set(&mut cluster, other, "--data-dir", &data);
    let said = refusal(&mut cluster, other);
    assert!(said.contains("is in use by another quoit-shard"), "{said}");

    cluster.replicas[0].kill();
    let said = refusal(&mut cluster, other);
    assert!(
        said.contains("--ordinal is 1") && said.contains("is of 0"),
        "{said}"
    );
    set(&mut cluster, other, "--shard", "1");
    let said = refusal(&mut cluster, other);
    assert!(
        said.contains("--shard is 1") && said.contains("its own directory"),
        "{said}"
    );

    cluster.start(0);
    cluster.ready(3).await;
    cluster.same(3, 1).await;
}

#[tokio::test]
async fn a_directory_that_lost_a_part_is_not_taken_for_a_new_one() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    cluster.leader(0).await;
    let data = cluster.replicas[0].data.clone();
    cluster.replicas[0].kill();
    for (part, says) in [
        ("record", "no record of which replica"),
        ("shard/vote", "the vote in"),
        ("shard/stamp.json", "stamp.json"),
    ] {
        let (path, away) = (data.join(part), data.join("away"));
        fs::rename(&path, &away).unwrap();
        let said = refusal(&mut cluster, 0);
        assert!(said.contains(says), "{part}: {said}");
        fs::rename(&away, &path).unwrap();
    }
    let (log, away) = (data.join("shard/log"), data.join("away"));
    fs::rename(&log, &away).unwrap();
    let said = refusal(&mut cluster, 0);
    assert!(said.contains("is empty, and this shard had data"), "{said}");
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&away, &log).unwrap();
    cluster.start(0);
    cluster.ready(3).await;
    cluster.same(3, 1).await;
}

#[tokio::test]
async fn what_the_ring_does_not_know_is_refused_with_what_it_knows() {
    let mut cluster = Cluster::new(0).await;
    let shard = cluster.add(7, 0);
    let said = refusal(&mut cluster, shard);
    assert!(
        said.contains("--shard 7: there is no such shard; the ring has the shards [0]"),
        "{said}"
    );
    let place = cluster.add(0, 3);
    let said = refusal(&mut cluster, place);
    assert!(
        said.contains("--ordinal 3") && said.contains("0 to 2"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_in_etcd_and_is_not_ours_is_refused_by_its_place() {
    let mut cluster = Cluster::new(1).await;
    let store = cluster.store();
    for (name, says) in [
        (ValueName::ring(), "ring"),
        (ValueName::wish(), "apply the collection again"),
    ] {
        let kept = store.get(&name).await.unwrap().unwrap();
        let revision = store
            .swap(&name, Some(kept.revision), b"garbage")
            .await
            .unwrap();
        let said = refusal(&mut cluster, 0);
        assert!(said.contains(says), "{name}: {said}");
        store
            .swap(&name, Some(revision), &kept.value)
            .await
            .unwrap();
    }
    let garbage = ValueName::node(ShardId(0), 77);
    store.swap(&garbage, None, b"garbage").await.unwrap();
    for ordinal in [1, 2] {
        cluster.add(0, ordinal);
    }
    cluster.start_all();
    cluster.ready(3).await;
    cluster.leader(0).await;
    assert!(
        cluster.nodes().values().all(|n| *n > 77),
        "a number that may be somebody's"
    );
}

#[test]
fn flags_that_make_no_sense_are_named() {
    let uid = UID.to_string();
    let usual = [
        "--collection",
        &uid,
        "--shard",
        "0",
        "--ordinal",
        "0",
        "--data-dir",
        "/nowhere/x",
    ];
    for (flags, says) in [
        (
            &["--etcd", "http://127.0.0.1:1", "--tls-ca", "ca"][..],
            "--tls-cert",
        ),
        (&["--etcd", "etcd:2379"], "is no endpoint of etcd"),
        (&["--etcd", "https://127.0.0.1:1"], "no CA file is given"),
        (
            &["--etcd", "http://127.0.0.1:1", "--listen", "300.0.0.1:1"],
            "--listen",
        ),
        (
            &[
                "--etcd",
                "http://127.0.0.1:1",
                "--tls-ca",
                "/x/ca",
                "--tls-cert",
                "/x/c",
                "--tls-key",
                "/x/k",
            ],
            "/x/ca cannot be read",
        ),
        (&[], "--etcd"),
    ] {
        let ended = Command::new(env!("CARGO_BIN_EXE_quoit-shard"))
            .args(usual)
            .args(flags)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success(), "{flags:?}");
        assert!(said.contains(says), "{flags:?}: {said}");
    }
}

#[test]
fn the_configuration_is_printed_and_nothing_is_started() {
    let uid = UID.to_string();
    let ended = Command::new(env!("CARGO_BIN_EXE_quoit-shard"))
        .args([
            "--collection",
            &uid,
            "--shard",
            "4",
            "--ordinal",
            "2",
            "--data-dir",
            "/nowhere/x",
        ])
        .args(["--etcd", "http://a:1,http://b:2", "--print-config"])
        .env("QUOIT_ZONE", "eu-1a")
        .output()
        .unwrap();
    let printed = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success());
    for line in [
        "shard: 4",
        "- http://b:2",
        "zone: eu-1a",
        "listen: 0.0.0.0:7000",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
}
