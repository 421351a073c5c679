//! A member that is so far behind that the log has no longer what it lacks.

use crate::cluster::{Cluster, count, number_of, put, until};
use quoit_proto::ShardClient;
use std::path::{Path, PathBuf};

/// A checkpoint after each few writes, so that the log is cut.
const OFTEN: u64 = 64 << 10;

/// Whether the log of a replica begins behind its first entry.
fn is_cut(dir: &Path) -> bool {
    let log = std::fs::read_dir(dir.join("log")).unwrap();
    let names = log.map(|file| file.unwrap().path());
    let number = |path: PathBuf| path.file_stem()?.to_str()?.parse::<u32>().ok();
    names.filter_map(number).min() > Some(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_long_away_is_given_a_copy_while_writes_go_on() {
    let mut cluster = Cluster::start_with(3, OFTEN).await;
    cluster.put(1, 1).await;
    let leader = cluster.leader().await;
    let away = cluster.nodes().into_iter().find(|node| *node != leader);
    let away = away.unwrap();
    cluster.kill(away);
    let mut next = 2;
    until("the log to be cut", async || {
        for _ in 0..50 {
            cluster.put(next, 2).await;
            next += 1;
        }
        is_cut(&cluster.dir_of(leader)).then_some(())
    })
    .await;
    cluster.restart(away).await;
    let back = cluster.replica(away);
    until("it to have the copy", async || {
        cluster.put(next, 3).await;
        next += 1;
        let points = back.status().await.ok()?.points;
        (points > 50).then_some(())
    })
    .await;
    put(&*cluster.replica(leader), 1, 9).await.unwrap();
    assert_eq!(number_of(&*back, 1).await.unwrap(), Some(9.0));
    assert_eq!(count(&*back).await.unwrap(), next - 1);
    cluster.settled().await;

    // It is a member like the others: what they lose it has.
    cluster.kill(leader);
    cluster.put(next, 4).await;
    cluster.restart(leader).await;
    let leader = cluster.leader().await;
    assert_eq!(count(&*cluster.replica(leader)).await.unwrap(), next);
    // And it opens again, by itself.
    cluster.kill(away);
    cluster.restart(away).await;
    assert_eq!(count(&*cluster.replica(away)).await.unwrap(), next);
}
