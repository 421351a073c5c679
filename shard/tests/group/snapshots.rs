//! A member that is so far behind that the log has no longer what it lacks.

use crate::cluster::{
    Cluster, Trouble, count, count_as, eventual, member_id, number_of, put, until,
};
use quoit_proto::{ErrorKind, ShardClient, v1};
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

/// A shard with a member that was away until the log of the leader had no longer what
/// it lacks: who leads, who was away, and how many points the others have.
async fn one_is_far_behind() -> (Cluster, u64, u64, u64) {
    let mut cluster = Cluster::start_with(3, OFTEN).await;
    for id in 1..=20 {
        cluster.put(id, 1).await;
    }
    cluster.settled().await;
    let leader = cluster.leader().await;
    let away = cluster.nodes().into_iter().find(|node| *node != leader);
    let away = away.unwrap();
    cluster.kill(away);
    let mut points = 20;
    until("the log to be cut", async || {
        for _ in 0..50 {
            points += 1;
            cluster.put(points, 2).await;
        }
        is_cut(&cluster.dir_of(leader)).then_some(())
    })
    .await;
    (cluster, leader, away, points)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_parts_are_lost_damaged_or_of_others_is_refused_part_by_part_and_comes_whole()
{
    use Trouble::{
        AnswerLost, Cut, Damaged, ForAnother, Late, Lost, OfAnotherCollection, OfAnotherCopy,
        OfAnotherGroup, OfAnotherVersion, Twice, WithoutVote,
    };
    let (mut cluster, leader, away, points) = one_is_far_behind().await;
    let troubles = [
        Lost,
        Damaged,
        Cut,
        OfAnotherCopy,
        OfAnotherGroup,
        OfAnotherCollection,
        ForAnother,
        OfAnotherVersion,
        WithoutVote,
        AnswerLost,
        Twice,
        Late,
    ];
    cluster.wires.trouble(&troubles);
    cluster.restart(away).await;
    let back = cluster.replica(away);
    until("all troubles to come", async || {
        // What it had it still has, and the others go on.
        match count_as(&*back, eventual()).await {
            Ok(has) => assert!(has == 20 || has >= points, "{has}"),
            Err(error) => assert_eq!(error.kind, ErrorKind::Unavailable, "{error}"),
        }
        for _ in 0..20 {
            put(&*cluster.replica(leader), 1, 3).await.unwrap();
        }
        (cluster.wires.troubles() == 0).then_some(())
    })
    .await;
    let refusals = cluster.wires.refusals();
    for says in [
        "was damaged on its way; ask for it again",
        "is not the next one, which is that at",
        "it takes no such copy in: offer it first",
        "of group 4 of collection",
        "of collection 01000000-0000-0000-0000-000000000007, and this is member",
        "run one version of Quoit on all members",
        "it shows no vote",
    ] {
        let is_said = refusals.iter().any(|refusal| refusal.contains(says));
        assert!(is_said, "{says}: {refusals:?}");
    }
    let for_another = format!("it is for member {} of group 3", away + 1);
    assert!(
        refusals.iter().any(|r| r.contains(&for_another)),
        "{refusals:?}"
    );
    until("it to be opened on the copy", async || {
        let has = count(&*back).await.ok()?;
        (has == points).then_some(())
    })
    .await;
    assert_eq!(number_of(&*back, 1).await.unwrap(), Some(3.0));
    cluster.settled().await;
    // All of that is one copy, and the log kept what came after it.
    assert_eq!(cluster.wires.copies(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_room_for_the_copy_says_so_keeps_what_it_has_and_takes_it_when_there_is_room()
 {
    let (mut cluster, leader, away, mut points) = one_is_far_behind().await;
    let folder = cluster.dir_of(away).display().to_string();
    cluster.disk.set_free_of(&folder, 100_000);
    cluster.restart(away).await;
    let back = cluster.replica(away);
    let remedy = "bytes of the disk, and 100000 are free: make room and try again";
    let mut told = 0;
    until("it to be refused again and again", async || {
        points += 1;
        put(&*cluster.replica(leader), points, 3).await.unwrap();
        assert_eq!(count_as(&*back, eventual()).await.unwrap(), 20);
        let refusals = cluster.wires.refusals();
        told = refusals.iter().filter(|r| r.contains(remedy)).count();
        (told >= 2).then_some(())
    })
    .await;
    let shard = cluster.shard(away);
    let why = shard.unready().unwrap();
    assert!(why.contains(remedy), "{why}");
    drop(shard);
    // It opens again on what it has.
    cluster.kill(away);
    drop(back);
    cluster.restart(away).await;
    let back = cluster.replica(away);
    assert_eq!(count_as(&*back, eventual()).await.unwrap(), 20);

    cluster.disk.set_free_of(&folder, 1 << 40);
    until("it to have the copy", async || {
        let has = count_as(&*back, eventual()).await.ok()?;
        (has >= points).then_some(())
    })
    .await;
    assert_eq!(count(&*back).await.unwrap(), points);
    cluster.settled().await;
}

#[tokio::test]
async fn a_leader_that_was_deposed_is_told_so_before_anything_of_its_copy_is_looked_at() {
    let cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    let member = cluster.shard(2).member();
    let envelope = Some(member_id(1).to(2));
    let vote = v1::Vote {
        term: 0,
        node: Some(1),
        committed: true,
    };
    let offer = v1::SnapshotOffer {
        envelope: envelope.clone(),
        vote: Some(vote),
        export: 7,
        manifest: b"garbage".to_vec().into(),
    };
    let chunk = v1::SnapshotChunk {
        envelope: envelope.clone(),
        vote: Some(vote),
        export: 7,
        ..Default::default()
    };
    let answers = [
        member.offer_snapshot(offer.clone()).await.unwrap(),
        member.put_chunk(chunk).await.unwrap(),
    ];
    for answer in answers {
        match answer.kind {
            Some(v1::snapshot_answer::Kind::HigherVote(vote)) => assert!(vote.term > 0),
            other => panic!("{other:?}"),
        }
    }
    // One that leads now, with a manifest that is none.
    let leads = v1::Vote {
        term: u64::from(u32::MAX),
        ..vote
    };
    let offer = v1::SnapshotOffer {
        vote: Some(leads),
        ..offer
    };
    let error = member.offer_snapshot(offer).await.unwrap_err().to_string();
    assert!(error.contains("manifest is damaged"), "{error}");
    assert!(error.contains("ask for it again"), "{error}");
}
