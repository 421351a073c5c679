//! A collection's values in etcd: `/quoit/UID/NAME`. It decides how a change is
//! one transaction, and what is known of one that failed.

use etcd_client::{Compare, CompareOp, GetOptions, KeyValue, Txn, TxnOp, TxnOpResponse};
use quoit_ring::{
    Change, Leader, Named, Revision, StoreError, SwapError, ValueName, Values, Versioned, Watch,
};
use uuid::Uuid;

use super::endpoints::{Again, Etcd, GivenUp};
use super::failure::EtcdError;
use super::watch;

/// etcd refuses requests of more than 1.5 MiB; the rest is for keys and frames.
const LARGEST: usize = 1536 * 1024 - 16 * 1024;

/// A list of values may be larger than the four megabytes that a client takes
/// unless it is told otherwise.
pub(super) const LARGEST_ANSWER: usize = 256 << 20;

/// The values of one collection. A clone is the same store.
#[derive(Clone)]
pub struct EtcdStore {
    etcd: Etcd,
    prefix: String,
}

impl EtcdStore {
    pub(super) fn new(etcd: Etcd, uid: Uuid) -> Self {
        Self {
            etcd,
            prefix: format!("/quoit/{uid}/"),
        }
    }

    pub(super) fn etcd(&self) -> &Etcd {
        &self.etcd
    }

    pub(super) fn key(&self, name: &ValueName) -> String {
        format!("{}{name}", self.prefix)
    }

    /// From the value of this name to behind all below it, as etcd sorts keys;
    /// some in between are neither.
    pub(super) fn range(&self, under: &ValueName) -> (String, String) {
        let key = self.key(under);
        let end = format!("{key}0");
        (key, end)
    }

    /// The value that etcd gave, if its name is covered by this one. A key that
    /// is no name belongs to nobody here.
    pub(super) fn named(
        &self,
        under: &ValueName,
        kept: KeyValue,
    ) -> Option<(ValueName, Versioned<Vec<u8>>)> {
        let revision = revision(kept.mod_revision());
        let (key, value) = kept.into_key_value();
        let key = std::str::from_utf8(&key).ok()?;
        let name = ValueName::new(key.strip_prefix(&self.prefix)?).ok()?;
        under
            .covers(&name)
            .then_some((name, Versioned { revision, value }))
    }

    /// All that is under a name, and the revision and the cluster of which it is
    /// so.
    pub(super) async fn all(&self, under: &ValueName) -> Result<(Named, Moment), StoreError> {
        let (key, end) = self.range(under);
        let action = || format!("list {key}");
        let mut answer = self
            .etcd
            .call(Again::Harmless, action, |client| {
                let mut kv = client.kv_client().max_decoding_message_size(LARGEST_ANSWER);
                let (key, options) = (key.clone(), GetOptions::new().with_range(end.clone()));
                async move { kv.get(key, Some(options)).await }
            })
            .await?;
        let header = answer
            .header()
            .ok_or_else(|| self.strange("list", under, "a header"))?;
        let moment = Moment {
            cluster: header.cluster_id(),
            revision: header.revision(),
        };
        let kept = answer.take_kvs().into_iter();
        let named = kept.filter_map(|kept| self.named(under, kept)).collect();
        Ok((named, moment))
    }

    fn strange(&self, verb: &str, name: &ValueName, lacks: &'static str) -> StoreError {
        StoreError::Unavailable {
            action: format!("{verb} {}", self.place(name)),
            source: Box::new(EtcdError::Answer(lacks)),
        }
    }

    fn leads(&self, leader: &Leader) -> [Compare; 2] {
        let key = self.key(&ValueName::leader());
        [
            Compare::create_revision(key.clone(), CompareOp::Equal, number(leader.since)),
            // Another's, after etcd was set back to before this one's.
            Compare::lease(key, CompareOp::Equal, leader.session),
        ]
    }
}

/// When, and of which etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) cluster: u64,
    pub(super) revision: i64,
}

/// The revision that etcd counts from 1 as it is told to others.
pub(super) fn revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or_default())
}

/// For etcd 0 means that there is none, and no revision means that.
fn number(revision: Revision) -> i64 {
    match i64::try_from(revision.0) {
        Ok(0) | Err(_) => i64::MAX,
        Ok(number) => number,
    }
}

#[async_trait::async_trait]
impl Values for EtcdStore {
    async fn get(&self, name: &ValueName) -> Result<Option<Versioned<Vec<u8>>>, StoreError> {
        let key = self.key(name);
        let action = || format!("read {key}");
        let mut answer = self
            .etcd
            .call(Again::Harmless, action, |mut client| {
                let key = key.clone();
                async move { client.get(key, None).await }
            })
            .await?;
        let kept = answer.take_kvs().into_iter().next();
        Ok(kept.map(|kept| Versioned {
            revision: revision(kept.mod_revision()),
            value: kept.into_key_value().1,
        }))
    }

    async fn list(&self, under: &ValueName) -> Result<Named, StoreError> {
        Ok(self.all(under).await?.0)
    }

    async fn change(&self, change: Change<'_>) -> Result<Revision, SwapError> {
        let Change {
            name,
            expected,
            next,
            leader,
        } = change;
        let bytes = next.map_or(0, <[u8]>::len);
        if bytes > LARGEST {
            return Err(SwapError::Failed(StoreError::TooLarge {
                place: self.place(name),
                bytes,
                limit: LARGEST,
            }));
        }
        let key = self.key(name);
        let leading = leader.map(|leader| self.leads(leader));
        let mut when: Vec<_> = leading.iter().flatten().cloned().collect();
        when.push(match expected {
            None => Compare::create_revision(key.clone(), CompareOp::Equal, 0),
            Some(revision) => {
                Compare::mod_revision(key.clone(), CompareOp::Equal, number(revision))
            }
        });
        let then = match next {
            Some(next) => TxnOp::put(key.clone(), next, None),
            None => TxnOp::delete(key.clone(), None),
        };
        let keys_only = Some(GetOptions::new().with_keys_only());
        let otherwise = [
            TxnOp::get(key.clone(), keys_only.clone()),
            TxnOp::get(self.key(&ValueName::leader()), keys_only),
        ];
        let txn = Txn::new().when(when).and_then([then]).or_else(otherwise);
        let action = || format!("write {key}");
        let answer = self
            .etcd
            .call(Again::Harmful, action, |mut client| {
                let txn = txn.clone();
                async move { client.txn(txn).await }
            })
            .await
            .map_err(given_up)?;
        if answer.succeeded() {
            let header = answer.header();
            let made = header.map(|header| revision(header.revision()));
            return made.ok_or_else(|| SwapError::Unknown(self.strange("write", name, "a header")));
        }
        let mut found = answer.op_responses().into_iter().map(|found| match found {
            TxnOpResponse::Get(mut found) => found.take_kvs().into_iter().next(),
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => None,
        });
        let present = found.next().flatten();
        let seat = found.next().flatten();
        match leader {
            Some(leader) if !holds(leader, seat.as_ref()) => Err(SwapError::NotLeader {
                who: leader.who.clone(),
            }),
            Some(_) | None => Err(SwapError::Conflict {
                present: present.map(|kept| revision(kept.mod_revision())),
            }),
        }
    }

    fn watch(&self, under: &ValueName) -> Watch<Named> {
        watch::watch(self.clone(), under.clone())
    }

    fn place(&self, name: &ValueName) -> String {
        format!("{} in {}", self.key(name), self.etcd.place())
    }
}

/// Whether this leader holds what is under the leader's key.
pub(super) fn holds(leader: &Leader, seat: Option<&KeyValue>) -> bool {
    seat.is_some_and(|seat| {
        seat.create_revision() == number(leader.since) && seat.lease() == leader.session
    })
}

fn given_up(given_up: GivenUp) -> SwapError {
    if given_up.unknown {
        SwapError::Unknown(given_up.error)
    } else {
        SwapError::Failed(given_up.error)
    }
}
