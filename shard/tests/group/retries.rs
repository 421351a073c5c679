//! Writes whose answer was lost.

use crate::cluster::{Cluster, all_vnodes, number_of, operation_counts, until, upsert};
use quoit_proto::v1::vnode_outcome::Kind as Outcome;
use quoit_proto::{ShardClient, ShardError, v1};

/// What one write comes to.
async fn write(shard: &impl ShardClient, write: &v1::VnodeWrite) -> Result<v1::Done, ShardError> {
    let writes = vec![write.clone()];
    let answer = shard.write(v1::WriteRequest { writes }).await?;
    match &answer.outcomes[0].kind {
        Some(Outcome::Done(done)) => Ok(done.clone()),
        other => panic!("not done: {other:?}"),
    }
}

/// Who leads instead of one that is cut off.
async fn leader_after(cluster: &Cluster, old: u64) -> u64 {
    until("another leader", async || {
        let mut others = cluster.nodes().into_iter().filter(|node| *node != old);
        others.find(|node| cluster.leader_of(*node) == Some(*node))
    })
    .await
}

/// An upsert of a point that is known by its number.
fn known(id: u64, number: u8, tried_since: Option<u64>) -> v1::VnodeWrite {
    v1::VnodeWrite {
        op_id: vec![number; 16],
        tried_since,
        ..upsert(id, number.into())
    }
}

/// Tries a write at one replica until it is answered: it is done once.
async fn written(cluster: &Cluster, node: u64, again: &v1::VnodeWrite) -> v1::Done {
    assert!(again.tried_since.is_some());
    until("a write", async || {
        write(&*cluster.replica(node), again).await.ok()
    })
    .await
}

/// How many writes the vnode of a point has taken, as one replica knows.
async fn count_of(cluster: &Cluster, node: u64, id: u64) -> u64 {
    let counts = operation_counts(&*cluster.replica(node), &all_vnodes()).await;
    counts[&upsert(id, 0).vnode]
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_with_the_leader_is_done_once_and_answered_as_it_was() {
    let cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    let old = cluster.leader().await;
    let since = count_of(&cluster, old, 1).await;
    let first = known(1, 2, None);
    let lost = write(&*cluster.replica(old), &first).await.unwrap();
    assert_eq!(lost.w, since + 1);
    cluster.wires.isolate(old);
    // Nobody else is asked for it.
    assert_eq!(count_of(&cluster, old, 1).await, since + 1);
    let new = leader_after(&cluster, old).await;
    // Another client's write of the same point stays.
    let other = known(1, 3, Some(lost.w));
    let other = written(&cluster, new, &other).await;
    assert_eq!((other.seq, other.w), (lost.seq + 1, lost.w + 1));
    let again = known(1, 2, Some(since));
    for _ in 0..2 {
        assert_eq!(written(&cluster, new, &again).await, lost);
    }
    let number = number_of(&*cluster.replica(new), 1).await.unwrap();
    assert_eq!(number, Some(3.0));
    cluster.wires.heal();
    cluster.settled().await;
    assert_eq!(count_of(&cluster, old, 1).await, other.w);
}

#[tokio::test]
async fn a_write_that_the_old_leader_could_give_to_nobody_is_done_by_the_next_one() {
    let cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    let old = cluster.leader().await;
    let since = count_of(&cluster, old, 1).await;
    cluster.wires.isolate(old);
    let cut_off = cluster.replica(old);
    let alone = tokio::spawn(async move { write(&*cut_off, &known(1, 2, None)).await });
    let new = leader_after(&cluster, old).await;
    let again = known(1, 2, Some(since));
    let done = written(&cluster, new, &again).await;
    assert_eq!(done.w, since + 1);
    cluster.wires.heal();
    alone.await.unwrap().unwrap_err();
    cluster.settled().await;
    let leader = cluster.leader().await;
    assert_eq!(written(&cluster, leader, &again).await, done);
}
