//! Shards, asked what they saw of their cluster, for a router that has seen nothing of
//! it and gets no answer of etcd. It decides whose picture is taken: the one with the
//! latest ring, of equal rings the one with the newest wish, and then schema.

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{BoxStream, unfold};
use quoit_cluster::{NotAPicture, Seen, of_picture};
use quoit_process::chain;
use quoit_proto::ShardError;
use quoit_proto::reach::{BadAddress, Reach};
use quoit_proto::remote::{MAX_MESSAGE, of_status};
use quoit_proto::v1::PictureRequest;
use quoit_proto::v1::cluster_client::ClusterClient;
use quoit_ring::Ring;

use std::time::Duration;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// How long etcd may take before shards are asked. It answers sooner where it is
/// there, and knows what is now.
const MOMENT: Duration = Duration::from_secs(1);

/// How long a shard may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// The pause before they are asked again when none showed anything.
const AGAIN: Duration = Duration::from_secs(1);

/// The same when one did: another that was not there may have seen more.
const SHOWN_AGAIN: Duration = Duration::from_secs(10);

/// Shards that are named in an error; what ails one ails most.
const NAMED: usize = 4;

/// Whom to ask, and for what.
pub struct Asked {
    /// Where they are.
    pub addresses: Vec<String>,
    /// How they are reached.
    pub reach: Reach,
    /// The collection.
    pub collection: Uuid,
}

/// A shard that shows what it saw.
#[derive(Debug)]
pub struct Shows {
    /// Where it is.
    pub address: String,
    /// What it saw.
    pub seen: Box<Seen>,
}

/// Why there is nothing to be seen.
#[derive(Debug, thiserror::Error)]
pub enum NoPicture {
    /// Nobody can be asked.
    #[error(
        "etcd does not answer, and there is nobody else to ask what there is to serve: give addresses of shards by --shards HOST:PORT, and a router that starts while etcd is away asks them"
    )]
    NoShards,
    /// None answers as it should.
    #[error(
        "etcd does not answer, and no shard of --shards shows what it saw of the cluster: {}",
        told(.0)
    )]
    NoneShows(Vec<(String, AskError)>),
}

/// Why a shard shows nothing that can be served by.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It cannot be anywhere.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// It says nothing.
    #[error("no answer within {0:?}")]
    Silence(Duration),
    /// It refuses, or is not there.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// What it shows is not this collection.
    #[error("what it shows cannot be served by")]
    Picture(#[from] NotAPicture),
}

fn told(errors: &[(String, AskError)]) -> String {
    let first = errors.iter().take(NAMED);
    let first = first.map(|(address, error)| format!("{address}: {}", chain(error)));
    let mut told: Vec<String> = first.collect();
    if errors.len() > NAMED {
        told.push(format!("and {} more", errors.len() - NAMED));
    }
    told.join("; ")
}

impl Asked {
    /// What each round of questions comes to. They are asked as the rounds are waited
    /// for, the first after a moment.
    pub fn rounds(self) -> BoxStream<'static, Result<Shows, NoPicture>> {
        unfold((self, MOMENT), |(asked, pause)| async move {
            sleep(pause).await;
            let round = asked.round().await;
            let pause = if round.is_ok() { SHOWN_AGAIN } else { AGAIN };
            Some((round, (asked, pause)))
        })
        .boxed()
    }

    async fn round(&self) -> Result<Shows, NoPicture> {
        let answers = self.addresses.iter().map(async |address| {
            let answer = self.ask(address).await;
            (address.clone(), answer)
        });
        newest(join_all(answers).await)
    }

    async fn ask(&self, address: &str) -> Result<Seen, AskError> {
        let channel = self.reach.channel(address)?;
        let mut client = ClusterClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        let answer = timeout(DEADLINE, client.picture(PictureRequest {})).await;
        let answer = answer.map_err(|_| AskError::Silence(DEADLINE))?;
        let picture = answer.map_err(|status| of_status(&status))?.into_inner();
        Ok(of_picture(picture, self.collection)?)
    }
}

/// How new a picture is: of two the greater is served by. One that lacks something is
/// less than one that has it.
pub fn age(seen: &Seen) -> [Option<u64>; 3] {
    [
        seen.ring().map(Ring::epoch),
        seen.wish().map(|wish| wish.generation),
        seen.schema().map(|schema| schema.indexes.number),
    ]
}

/// The answer to serve by.
fn newest(answers: Vec<(String, Result<Seen, AskError>)>) -> Result<Shows, NoPicture> {
    if answers.is_empty() {
        return Err(NoPicture::NoShards);
    }
    let mut best: Option<Shows> = None;
    let mut errors = Vec::new();
    for (address, answer) in answers {
        match answer {
            Ok(seen)
                if best
                    .as_ref()
                    .is_none_or(|best| age(&best.seen) < age(&seen)) =>
            {
                let seen = Box::new(seen);
                best = Some(Shows { address, seen });
            }
            Ok(_) => {}
            Err(error) => errors.push((address, error)),
        }
    }
    best.ok_or(NoPicture::NoneShows(errors))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use quoit_cluster::{KeptSchema, Wish, picture};
    use quoit_crds::{Metric, VectorCollectionSpec};
    use quoit_proto::ErrorKind;
    use quoit_ring::{
        Member, Named, Revision, ShardId, ValueName, Versioned, VnodeCount, first_table,
    };

    const UID: Uuid = Uuid::from_u128(7);

    pub fn ring(epoch: u64) -> Ring {
        let shards = [ShardId(0)];
        let members = shards.map(Member::equal);
        let table = first_table(VnodeCount::new(16).unwrap(), &members).unwrap();
        let mut parts = Ring::first(UID, table, shards).unwrap().into_parts();
        parts.epoch = epoch;
        Ring::from_parts(parts).unwrap()
    }

    pub fn seen(epoch: u64, generation: u64) -> Seen {
        let wish = Wish {
            generation,
            name: "docs".to_owned(),
            spec: VectorCollectionSpec::unnamed(3, Metric::Cosine),
        };
        let (revision, value) = (Revision(1), wish.to_bytes());
        let named = Named::from([(ValueName::wish(), Versioned { revision, value })]);
        let mut seen = Seen::default();
        seen.see_wish(&named).unwrap();
        seen.see_ring(Some(ring(epoch))).unwrap();
        seen.see_nodes(&Named::new()).unwrap();
        seen
    }

    /// The same with a schema, whose indexes are of this number.
    fn seen_with(number: u64, epoch: u64, generation: u64) -> Seen {
        let mut seen = seen(epoch, generation);
        let mut schema = KeptSchema::default();
        schema.indexes.number = number;
        let (revision, value) = (Revision(1), schema.to_bytes());
        let named = Named::from([(ValueName::schema(), Versioned { revision, value })]);
        seen.see_schema(&named).unwrap();
        seen
    }

    fn silent() -> Result<Seen, AskError> {
        Err(AskError::Silence(DEADLINE))
    }

    fn taken(answers: Vec<Result<Seen, AskError>>) -> Result<String, String> {
        let addresses = ["a", "b", "c", "d", "e", "f"].map(str::to_owned);
        let newest = newest(addresses.into_iter().zip(answers).collect());
        newest.map(|shows| shows.address).map_err(|e| chain(&e))
    }

    #[test]
    fn of_several_pictures_the_latest_ring_is_taken_then_the_newest_wish_then_schema() {
        let of = |age: &[(u64, u64)]| {
            let answers = age.iter().map(|(epoch, wish)| Ok(seen(*epoch, *wish)));
            taken(answers.collect()).unwrap()
        };
        assert_eq!(of(&[(3, 9), (10, 1), (9, 9)]), "b");
        assert_eq!(of(&[(3, 1), (3, 2), (2, 9)]), "b");
        assert_eq!(of(&[(3, 2), (3, 10), (3, 9)]), "b");
        assert_eq!(of(&[(3, 2), (3, 2)]), "a");
        let equal = [seen(3, 2), seen_with(1, 3, 2), seen_with(0, 3, 2)];
        assert_eq!(taken(equal.map(Ok).into()).unwrap(), "b");
    }

    #[test]
    fn one_that_answers_is_enough_and_where_none_does_it_is_said_of_each_why() {
        assert_eq!(
            taken(vec![silent(), Ok(seen(1, 1)), silent()]).unwrap(),
            "b"
        );
        let refused = ShardError::new(ErrorKind::Unavailable, "not yet");
        let why = taken(vec![silent(), Err(refused.into())]).unwrap_err();
        assert!(why.ends_with("a: no answer within 2s; b: not yet"), "{why}");
        let why = taken((0..6).map(|_| silent()).collect()).unwrap_err();
        assert!(why.ends_with("d: no answer within 2s; and 2 more"), "{why}");
        let why = taken(Vec::new()).unwrap_err();
        assert!(why.contains("--shards HOST:PORT"), "{why}");
    }

    #[test]
    fn the_picture_of_another_collection_is_not_taken() {
        let foreign = || {
            let picture = picture(&seen(9, 9)).unwrap();
            Ok(of_picture(picture, Uuid::from_u128(8))?)
        };
        assert_eq!(taken(vec![foreign(), Ok(seen(1, 1))]).unwrap(), "b");
        let why = taken(vec![foreign()]).unwrap_err();
        assert!(why.contains(&UID.to_string()), "{why}");
    }
}
