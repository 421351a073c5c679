//! A replica whose disk is too small for what it is to take in.

use crate::support::{Cluster, on_own_disk, put, until};
use quoit_proto::{ShardClient, v1};
use quoit_ring::{VnodeCount, VnodeSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What stays free of a disk that is filled.
const LEFT: u64 = 128 << 10;

/// Takes the room of a disk.
fn fill(disk: &Path) {
    let mut file = File::create(disk.join("filler")).unwrap();
    let mut bytes = 0;
    loop {
        match file.write(&[0; 16 << 10]) {
            Ok(written) => bytes += written as u64,
            Err(error) if error.kind() == ErrorKind::StorageFull => break,
            Err(error) => panic!("{}: {error}", disk.display()),
        }
    }
    file.set_len(bytes - LEFT).unwrap();
}

/// Whether a log begins behind its first entry.
fn is_cut(data: &Path) -> bool {
    let log = fs::read_dir(data.join("shard/log")).unwrap();
    let number = |path: PathBuf| path.file_stem()?.to_str()?.parse::<u32>().ok();
    log.filter_map(|file| number(file.unwrap().path())).min() > Some(1)
}

/// The points that one replica has, old or not.
async fn has(replica: &impl ShardClient) -> Option<u64> {
    let all: VnodeSet = VnodeCount::new(64).unwrap().iter().collect();
    let eventual = v1::freshness::Kind::Eventual(v1::Eventual {});
    let request = v1::CountRequest {
        vnodes: all.to_bytes(),
        filter: None,
        freshness: Some(v1::Freshness {
            kind: Some(eventual),
        }),
    };
    Some(replica.count(request).await.ok()?.count)
}

#[tokio::test]
async fn one_whose_disk_has_no_room_for_a_copy_says_so_serves_what_it_has_and_takes_it_when_it_has_room()
 {
    let dir = tempfile::tempdir().unwrap();
    match on_own_disk(&dir.path().join("data")).arg("true").output() {
        Ok(output) if output.status.success() => {}
        why => {
            eprintln!("no disk will be full: none can be made here ({why:?})");
            return;
        }
    }
    let mut cluster = Cluster::new(3).await;
    for replica in &mut cluster.replicas {
        for flag in [
            "--checkpoint-bytes",
            "--kept-log-bytes",
            "--log-segment-bytes",
        ] {
            replica.flags.extend([flag.to_owned(), "65536".to_owned()]);
        }
    }
    cluster.replicas[2].has_own_disk = true;
    cluster.start_all();
    cluster.ready(3).await;
    for id in 0..10 {
        cluster.leader(id).await;
    }
    cluster.same(3, 10).await;

    // While it is held up the others write more than their logs keep.
    let small = &cluster.replicas[2];
    small.hold(true);
    fill(&small.own_disk());
    let mut points = 10;
    until("the others' logs to be cut", async || {
        for replica in &cluster.replicas[..2] {
            for _ in 0..100 {
                let Ok(()) = put(&replica.client(), points).await else {
                    break;
                };
                points += 1;
            }
        }
        let mut others = cluster.replicas[..2].iter();
        others.all(|replica| is_cut(&replica.data)).then_some(())
    })
    .await;
    small.hold(false);

    let remedy = "are free: make room and try again";
    small.is_unready(remedy).await;
    small.has_said(remedy).await;
    assert_eq!(small.probe("/livez").await, Some(true));
    // What it had it has, and maybe what was on its way to it when it was held up.
    let had = has(&small.client()).await.unwrap();
    assert!((10..points).contains(&had), "{had} of {points}");
    until("the others to say why it is behind", async || {
        let mut others = cluster.replicas[..2].iter();
        others.any(|r| r.said().contains(remedy)).then_some(())
    })
    .await;
    let mut written = false;
    for replica in &cluster.replicas[..2] {
        written |= put(&replica.client(), points).await.is_ok();
    }
    assert!(written, "the others go on");
    points += 1;

    fs::remove_file(small.own_disk().join("filler")).unwrap();
    cluster.ready(3).await;
    cluster.same(3, points).await;
}
