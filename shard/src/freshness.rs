//! Which view a read is given: one that has every write acknowledged before it, one that
//! is no older than was asked for, or the present one. A replica that cannot show in time
//! that it is fresh enough says so, and serves nothing older: another one may be fresher.

use crate::replication::{ProposeError, Replication};
use crate::shard::Shard;
use quoit_engine::View;
use quoit_proto::v1;
use quoit_proto::v1::freshness::Kind;
use quoit_proto::{ErrorKind, ShardError};
use std::sync::Arc;
use std::time::Duration;

/// How long a read waits for a view with all that was acknowledged before it: an election
/// and a little, and no more, since the leader's own view may be there already.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long one waits that may be answered from an older view: another replica is likely
/// to have one that is fresh enough.
const BOUNDED_PATIENCE: Duration = Duration::from_secs(1);

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// It has every write that was acknowledged before the read came.
    Strong,
    /// It has every write that was acknowledged so long before.
    Bounded(Duration),
    /// As it is.
    Eventual,
}

impl Wish {
    fn of(freshness: Option<v1::Freshness>) -> Self {
        match freshness.and_then(|freshness| freshness.kind) {
            None => Self::Strong,
            Some(Kind::BoundedMs(millis)) => Self::Bounded(Duration::from_millis(millis)),
            Some(Kind::Eventual(v1::Eventual {})) => Self::Eventual,
        }
    }

    /// Whether a view of this age will do. What was acknowledged since it was fresh,
    /// however lately, it may lack.
    fn is_met_by(self, age: Option<Duration>) -> bool {
        match self {
            Self::Strong => false,
            Self::Bounded(most) => age.is_some_and(|age| age <= most),
            Self::Eventual => true,
        }
    }

    fn patience(self) -> Duration {
        match self {
            Self::Strong => PATIENCE,
            Self::Bounded(_) | Self::Eventual => BOUNDED_PATIENCE,
        }
    }
}

impl Shard {
    /// A view that shows every write acknowledged before this call.
    ///
    /// # Errors
    /// Nobody can tell which these are, or this replica does not get them.
    pub(crate) async fn strong_view(&self) -> Result<Arc<View>, ShardError> {
        self.view_as_wished(Wish::Strong).await
    }

    /// A view that is as fresh as was asked for.
    ///
    /// # Errors
    /// It cannot be had in time.
    pub(crate) async fn view_for(
        &self,
        freshness: Option<v1::Freshness>,
    ) -> Result<Arc<View>, ShardError> {
        self.view_as_wished(Wish::of(freshness)).await
    }

    async fn view_as_wished(&self, wish: Wish) -> Result<Arc<View>, ShardError> {
        // The view is taken after its age is known: it can only be younger.
        let is_fresh = wish.is_met_by(self.group().age());
        if !is_fresh {
            let patience = wish.patience();
            let refreshed = tokio::time::timeout(patience, self.catch_up()).await;
            refreshed.unwrap_or_else(|_| Err(late(patience)))?;
        }
        let view = self.view()?;
        if wish == Wish::Eventual && !view.is_founded() {
            // What it would say of its vnodes is not old but wrong: that it has none.
            let why = "this replica is new and has nothing yet";
            return Err(ShardError::new(ErrorKind::Behind, why));
        }
        Ok(view)
    }

    /// Waits until this replica has applied all that was acknowledged before this call.
    async fn catch_up(&self) -> Result<(), ShardError> {
        let index = self.group().read_index().await.map_err(|e| stale(&e))?;
        self.group().applied(index).await.map_err(|e| stale(&e))
    }
}

/// Why a replica does not know how fresh it is. A read has no effect, so that nothing is
/// unknown of it; and another replica may know.
fn stale(error: &ProposeError) -> ShardError {
    let kind = match error {
        ProposeError::Stopped(_) => ErrorKind::Unavailable,
        _ => ErrorKind::Behind,
    };
    let why = format!("this replica cannot tell how far behind it is: {error}");
    ShardError::new(kind, why)
}

fn late(patience: Duration) -> ShardError {
    let seconds = patience.as_secs();
    let why = format!("this replica did not catch up with the shard's leader within {seconds} s");
    ShardError::new(ErrorKind::Behind, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(kind: Option<Kind>) -> Wish {
        Wish::of(Some(v1::Freshness { kind }))
    }

    #[test]
    fn a_read_that_says_nothing_is_strong_and_no_age_is_enough_for_it() {
        for wish in [Wish::of(None), wish(None)] {
            assert_eq!(wish, Wish::Strong);
            assert!(!wish.is_met_by(Some(Duration::ZERO)));
        }
    }

    #[test]
    fn a_bounded_read_takes_what_is_known_to_be_young_enough_and_an_eventual_one_anything() {
        let ms = |n| Some(Duration::from_millis(n));
        let bounded = wish(Some(Kind::BoundedMs(250)));
        assert!(bounded.is_met_by(ms(250)));
        assert!(!bounded.is_met_by(ms(251)));
        assert!(!bounded.is_met_by(None));
        let eventual = wish(Some(Kind::Eventual(v1::Eventual {})));
        assert!(eventual.is_met_by(None));
    }

    #[test]
    fn of_a_read_nothing_is_ever_unknown() {
        for error in [
            ProposeError::NoQuorum("as the test says".into()),
            ProposeError::NotLeader { leader: Some(2) },
            ProposeError::Unknown("as the test says".into()),
        ] {
            assert_eq!(stale(&error).kind, ErrorKind::Behind);
        }
        let stopped = ProposeError::Stopped("it is shutting down".into());
        assert_eq!(stale(&stopped).kind, ErrorKind::Unavailable);
    }
}
