//! Starts that cannot go well: each ends with a text that names what to do, and
//! nothing is damaged.

use crate::support::{Cluster, UID, put};
use quoit_proto::reach::Reach;
use quoit_proto::v1::raft_client::RaftClient;
use quoit_proto::{ErrorKind, v1};
use quoit_ring::{Ring, ShardId, ValueName, Values};
use quoit_testkit_etcd::free_ports;
use std::fs;
use std::process::Command;

/// Another collection.
const OTHER: &str = "6f1c2a9e-0000-4000-8000-000000000002";

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
    set(&mut cluster, other, "--collection", OTHER);
    let said = refusal(&mut cluster, other);
    assert!(
        said.contains(&format!("--collection is {OTHER}")) && said.contains("is of 6f1c2a9e"),
        "{said}"
    );
    set(&mut cluster, other, "--collection", &UID.to_string());
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
    // The folder of another replica, under this one's record.
    cluster.replicas[1].kill();
    let others = cluster.replicas[1].data.clone();
    let (own, away) = (data.join("shard"), data.join("away"));
    fs::rename(&own, &away).unwrap();
    fs::rename(others.join("shard"), &own).unwrap();
    let said = refusal(&mut cluster, 0);
    assert!(
        said.contains("belongs to shard 0, member") && said.contains("check the data directory"),
        "{said}"
    );
    fs::rename(&own, others.join("shard")).unwrap();
    fs::rename(&away, &own).unwrap();
    cluster.start(1);
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
    let name = ValueName::ring();
    let ring = store.get(&name).await.unwrap().unwrap();
    let mut parts = Ring::from_bytes(&ring.value).unwrap().into_parts();
    parts.uid = OTHER.parse().unwrap();
    let foreign = Ring::from_parts(parts).unwrap().to_bytes();
    let swapped = store.swap(&name, Some(ring.revision), &foreign);
    let revision = swapped.await.unwrap();
    let said = refusal(&mut cluster, 0);
    let says = format!("is the ring of collection {OTHER}, and this is collection {UID}");
    assert!(
        said.contains(&says) && said.contains("put back the right one"),
        "{said}"
    );
    let swapped = store.swap(&name, Some(revision), &ring.value);
    swapped.await.unwrap();

    let garbage = ValueName::node(ShardId(0), 77);
    store.swap(&garbage, None, b"garbage").await.unwrap();
    let begun = ValueName::bootstrapped(ShardId(0));
    let revision = store.swap(&begun, None, b"garbage").await.unwrap();
    for ordinal in [1, 2] {
        cluster.add(0, ordinal);
    }
    cluster.start_all();
    for replica in &cluster.replicas {
        replica
            .has_said("put back what was there: it is never written anew")
            .await;
        replica
            .is_unready("it waits to be taken into its shard's group")
            .await;
    }
    // A person knows that it never began.
    store.remove(&begun, revision).await.unwrap();
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
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = free_ports(1).unwrap()[0].to_string();
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
        (
            &["--etcd", "http://127.0.0.1:1"],
            "give one by --advertise HOST:PORT",
        ),
        (
            &["--etcd", "http://127.0.0.1:1", "--advertise", "docs"],
            "--advertise \"docs\" is no HOST:PORT",
        ),
        (
            &["--etcd", "http://127.0.0.1:1", "--log", "loud=very"],
            "use a level (error, warn",
        ),
        (
            &["--etcd", "http://127.0.0.1:1", "--listen", &taken],
            "cannot listen there; is another program there? Give another address",
        ),
        (
            &[
                "--etcd",
                "http://127.0.0.1:1",
                "--listen",
                &free,
                "--http",
                &taken,
            ],
            "--http ",
        ),
        (
            &[
                "--etcd",
                "http://127.0.0.1:1",
                "--listen",
                &free,
                "--http",
                &free,
            ],
            "--http ",
        ),
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

#[tokio::test]
async fn limits_at_their_ends_are_kept_or_stop_writes_with_the_remedy() {
    let mut cluster = Cluster::new(3).await;
    for flag in [
        "--checkpoint-bytes",
        "--checkpoint-seconds",
        "--kept-log-bytes",
        "--log-segment-bytes",
        "--payload-index-bytes",
    ] {
        set(&mut cluster, 0, flag, "0");
        set(&mut cluster, 1, flag, &u64::MAX.to_string());
    }
    cluster.start_all();
    cluster.ready(3).await;
    for id in 0..10 {
        cluster.leader(id).await;
    }
    for place in [0, 1] {
        cluster.replicas[place].kill();
        cluster.start(place);
    }
    cluster.ready(3).await;
    cluster.same(3, 10).await;

    for place in 0..3 {
        cluster.replicas[place].kill();
        set(&mut cluster, place, "--disk-reserve", &u64::MAX.to_string());
    }
    cluster.start_all();
    cluster.ready(3).await;
    crate::support::until("a write to be refused for its disk", async || {
        for replica in &cluster.replicas {
            let error = put(&replica.client(), 10).await.err()?;
            if error.kind == ErrorKind::DiskFull {
                return error.message.contains("free some space").then_some(());
            }
        }
        None
    })
    .await;
    cluster.same(3, 10).await;
}

#[tokio::test]
async fn a_peer_of_another_version_or_group_is_refused_with_the_remedy_and_changes_nothing() {
    let mut cluster = Cluster::new(3).await;
    cluster.start_all();
    cluster.ready(3).await;
    let leader = cluster.leader(0).await;
    let nodes = cluster.nodes();
    let to = (leader + 1) % 3;
    let envelope = v1::Envelope {
        version: 1,
        collection: UID.as_bytes().to_vec(),
        group: 0,
        from: nodes[&leader],
        to: nodes[&to],
    };
    let other: uuid::Uuid = OTHER.parse().unwrap();
    let mut wrong = vec![envelope.clone(); 4];
    wrong[0].version = 2;
    wrong[1].group = 1;
    wrong[2].collection = other.as_bytes().to_vec();
    wrong[3].to = nodes[&leader];
    let says = [
        "speaks version 2 of the protocol between members, and this one 1: run one version of Quoit on all members".to_owned(),
        format!("it is for member {} of group 1 of", nodes[&to]),
        format!("of group 0 of collection {OTHER}, and this is member {}", nodes[&to]),
        format!("it is for member {} of group 0 of", nodes[&leader]),
    ];
    // It would depose the leader.
    let term = 1000;
    let vote = v1::Vote {
        term,
        node: Some(nodes[&leader]),
        committed: false,
    };
    let leads = v1::Vote {
        committed: true,
        ..vote
    };
    let last = Some(v1::LogPosition {
        index: 1 << 40,
        term,
    });
    let refused = |status: tonic::Status, says: &str| {
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status}");
        assert!(status.message().contains(says), "{status}");
    };
    let channel = Reach::default().channel(&cluster.replicas[to].address.to_string());
    let mut peer = RaftClient::new(channel.unwrap());
    for (envelope, says) in wrong.into_iter().zip(&says) {
        let envelope = Some(envelope);
        let ballot = v1::BallotRequest {
            envelope: envelope.clone(),
            vote: Some(vote),
            last,
        };
        refused(peer.request_vote(ballot).await.unwrap_err(), says);
        let append = v1::AppendRequest {
            envelope: envelope.clone(),
            vote: Some(leads),
            ..Default::default()
        };
        refused(peer.append(append).await.unwrap_err(), says);
        let ask = v1::ReadIndexRequest {
            envelope: envelope.clone(),
        };
        refused(peer.read_index(ask).await.unwrap_err(), says);
        let offer = v1::SnapshotOffer {
            envelope: envelope.clone(),
            vote: Some(leads),
            ..Default::default()
        };
        refused(peer.offer_snapshot(offer).await.unwrap_err(), says);
        let chunk = v1::SnapshotChunk {
            envelope,
            vote: Some(leads),
            ..Default::default()
        };
        refused(peer.put_chunk(chunk).await.unwrap_err(), says);
        cluster.replicas[to].has_said(says).await;
    }
    let nobody = v1::ReadIndexRequest { envelope: None };
    refused(
        peer.read_index(nobody).await.unwrap_err(),
        "is it from a Quoit?",
    );
    assert_eq!(cluster.leader(1).await, leader, "it leads as before");
    cluster.same(3, 2).await;
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
