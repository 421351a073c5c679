//! Members that come and go, and what a member says that does not lead.

use crate::cluster::{Cluster, all_vnodes, member_id, put, until};
use crate::disk::Call;
use quoit_proto::{ErrorKind, ShardClient, v1};
use quoit_shard::{Member, PeerError, Wished};
use std::io;
use std::time::Duration;

fn place(ordinal: u32) -> Member {
    Member {
        ordinal,
        wish: 1,
        ..Member::default()
    }
}

#[tokio::test]
async fn while_it_is_not_agreed_on_who_votes_no_member_says_that_another_may_go() {
    let mut cluster = Cluster::start(3).await;
    cluster.put(1, 1).await;
    let leader = cluster.leader().await;
    for node in cluster.nodes() {
        let shard = cluster.shard(node);
        until("it to be ready", async || shard.become_ready().await.ok()).await;
        assert_eq!(shard.unready(), None);
    }
    // One lost its disk, and comes back as the member 4.
    let mut others = cluster.nodes().into_iter().filter(|node| *node != leader);
    let (stays, lost) = (others.next().unwrap(), others.next().unwrap());
    cluster.kill(lost);
    cluster.start_newcomer(4).await;
    let at = |node: u64| u32::try_from(node).unwrap() - 1;
    let nodes = [(leader, at(leader)), (stays, at(stays)), (4, at(lost))];
    let wished = Wished {
        generation: 1,
        replicas: 3,
        nodes: nodes.map(|(node, ordinal)| (node, place(ordinal))).into(),
    };
    until("it to learn all", async || {
        // Whatever comes before its vote.
        let leads = cluster.shard(leader);
        let learns = leads.members().contains(&4);
        if !learns {
            leads.settle(&wished).await.ok()?;
        }
        let shard = cluster.shard(4);
        (learns && shard.become_ready().await.is_ok()).then_some(())
    })
    .await;
    let learner = cluster.shard(4).unready().unwrap();
    assert!(learner.contains("it has no vote yet"), "{learner}");

    // Of those who voted no majority is left that could agree on who votes now.
    cluster.kill(stays);
    let leads = cluster.shard(leader);
    let settling = tokio::spawn(async move {
        loop {
            // What is not agreed on is looked at again, as a replica does.
            let _: Result<bool, _> = leads.settle(&wished).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    for node in [leader, 4] {
        until("it to say that the voters change", async || {
            let why = cluster.shard(node).unready()?;
            why.contains("who votes in its shard is just being changed")
                .then_some(())
        })
        .await;
        assert!(!cluster.shard(node).is_ready());
        assert!(cluster.shard(node).belongs());
    }
    cluster.restart(stays).await;
    for node in [leader, stays, 4] {
        until("it to vote", async || {
            let shard = cluster.shard(node);
            shard.become_ready().await.ok()?;
            shard.is_ready().then_some(())
        })
        .await;
        assert_eq!(cluster.shard(node).members(), [leader, stays, 4].into());
    }
    settling.abort();
}

/// A cluster, who leads it, and another member, which knows who leads.
async fn with_a_follower() -> (Cluster, u64, u64) {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.nodes().into_iter().find(|node| *node != leader);
    let follower = follower.unwrap();
    until("it to know who leads", async || {
        (cluster.leader_of(follower) == Some(leader)).then_some(())
    })
    .await;
    (cluster, leader, follower)
}

#[tokio::test]
async fn who_does_not_lead_tells_no_other_how_far_it_must_be_and_asks_nobody_for_it() {
    let (cluster, leader, follower) = with_a_follower().await;
    cluster.put(1, 1).await;
    let ask = |from: u64, to: u64| {
        let envelope = Some(member_id(from).to(to));
        let member = cluster.shard(to).member();
        async move {
            let request = v1::ReadIndexRequest { envelope };
            member.leader_read_index(request).await
        }
    };
    let third = (1..=3).find(|n| *n != leader && *n != follower).unwrap();
    let before = cluster.wires.read_indexes();
    let error = ask(third, follower).await.unwrap_err();
    assert!(matches!(error, PeerError::Refused(_)), "{error}");
    assert!(error.to_string().contains("ask its leader"), "{error}");
    // Two that take each other for the leader would ask each other without end.
    assert_eq!(cluster.wires.read_indexes(), before);
    assert!(ask(third, leader).await.unwrap().index > 0);
}

#[tokio::test]
async fn a_follower_whose_disk_is_full_says_who_leads_to_every_write() {
    let (cluster, leader, full) = with_a_follower().await;
    put(&*cluster.replica(leader), 1, 1).await.unwrap();
    let data = ["/1/data", "/2/data", "/3/data"][usize::try_from(full).unwrap() - 1];
    let disk = &cluster.disk;
    disk.fail(Call::FreeSpace, data, io::ErrorKind::StorageFull);
    let replica = cluster.replica(full);
    until("its full disk to be noticed", async || {
        let status = replica.status().await.unwrap();
        status.writes_stopped.contains("disk is full").then_some(())
    })
    .await;
    let matching = v1::WriteMatchingRequest {
        vnodes: all_vnodes().to_bytes(),
        change: Some(v1::Change {
            kind: Some(v1::change::Kind::Delete(v1::Delete {})),
        }),
        ..Default::default()
    };
    let schema = v1::SetSchemaRequest {
        schema: Some(v1::Schema {
            number: 1,
            ..Default::default()
        }),
    };
    let leads = ErrorKind::NotLeader {
        leader: Some(leader),
    };
    let write = put(&*replica, 1, 2).await.unwrap_err();
    let matching = replica.write_matching(matching).await.unwrap_err();
    let schema = replica.set_schema(schema).await.unwrap_err();
    for error in [write, matching, schema] {
        assert_eq!(error.kind, leads, "{error}");
    }
    // The disk that is full is not that of who leads.
    put(&*cluster.replica(leader), 1, 3).await.unwrap();
    // Nor when it does not know who leads now.
    cluster.wires.isolate(full);
    until("it to know of no leader", async || {
        cluster.leader_of(full).is_none().then_some(())
    })
    .await;
    let error = put(&*replica, 1, 4).await.unwrap_err();
    let nobody = ErrorKind::NotLeader { leader: None };
    assert_eq!(error.kind, nobody, "{error}");
    cluster.wires.heal();
    cluster.disk.mend();
    cluster.settled().await;
}

#[tokio::test]
async fn a_message_with_a_vote_that_is_not_its_senders_is_refused_and_makes_no_leader() {
    let (cluster, leader, follower) = with_a_follower().await;
    cluster.put(1, 1).await;
    let third = (1..=3).find(|n| *n != leader && *n != follower).unwrap();
    let member = cluster.shard(follower).member();
    let its_own = format!("it is from member {follower}, which is this one");
    let anothers =
        |voted: &str| format!("it is from member {third}, and shows the vote of {voted}");
    for (from, voted, says) in [
        (follower, Some(follower), its_own),
        (
            third,
            Some(follower),
            anothers(&format!("member {follower}")),
        ),
        (third, Some(leader), anothers(&format!("member {leader}"))),
        (third, None, anothers("nobody")),
    ] {
        let envelope = Some(member_id(from).to(follower));
        let stands = v1::Vote {
            term: 1000,
            node: voted,
            committed: false,
        };
        let leads = Some(v1::Vote {
            committed: true,
            ..stands
        });
        let last = v1::LogPosition {
            index: 1 << 40,
            term: 1000,
        };
        let append = v1::AppendRequest {
            envelope: envelope.clone(),
            vote: leads,
            ..Default::default()
        };
        let ballot = v1::BallotRequest {
            envelope: envelope.clone(),
            vote: Some(stands),
            last: Some(last),
        };
        let offer = v1::SnapshotOffer {
            envelope: envelope.clone(),
            vote: leads,
            ..Default::default()
        };
        let chunk = v1::SnapshotChunk {
            envelope,
            vote: leads,
            ..Default::default()
        };
        for error in [
            member.append(append).await.unwrap_err(),
            member.vote(ballot).await.unwrap_err(),
            member.offer_snapshot(offer).await.unwrap_err(),
            member.put_chunk(chunk).await.unwrap_err(),
        ] {
            assert!(matches!(error, PeerError::Refused(_)), "{error}");
            assert!(error.to_string().contains(&says), "{error}");
        }
    }
    assert!(!cluster.shard(follower).leads());
    assert_eq!(cluster.leader_of(follower), Some(leader));
    put(&*cluster.replica(leader), 2, 2).await.unwrap();
    cluster.settled().await;
}
