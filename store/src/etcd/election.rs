//! The election by etcd: the leader's key, held by a lease. It decides when a
//! leader takes itself for deposed: when the key is another's, or when it could
//! not renew the lease for as long as that lasts, counted from before the last
//! renewal was sent. That is politeness. What protects is that a change compares
//! the key.

use std::time::Duration;

use etcd_client::{Compare, CompareOp, Error as ClientError, PutOptions, Txn, TxnOp};
use futures::StreamExt;
use quoit_ring::{Election, Leader, Leadership, StoreError, ValueName, Values};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::endpoints::Again;
use super::values::{EtcdStore, holds, revision};

/// How often a lease is renewed while it lasts.
const RENEWALS: u32 = 3;

/// A lease of etcd.
#[derive(Clone, Copy)]
struct Lease {
    id: i64,
    lasts: Duration,
    /// From when on it lasts for sure.
    from: Instant,
}

#[async_trait::async_trait]
impl Election for EtcdStore {
    async fn campaign(&self, who: &str) -> Result<Box<dyn Leadership>, StoreError> {
        let mut seats = self.watch(&ValueName::leader());
        loop {
            // What is shown first is what is there, and it never ends.
            match seats.next().await {
                Some(Ok(seat)) if !seat.now.is_empty() => {}
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) | None => {
                    if let Some(leadership) = self.stand(who).await? {
                        return Ok(Box::new(leadership));
                    }
                }
            }
        }
    }

    async fn leader(&self) -> Result<Option<String>, StoreError> {
        let seat = self.get(&ValueName::leader()).await?;
        Ok(seat.map(|seat| String::from_utf8_lossy(&seat.value).into_owned()))
    }
}

impl EtcdStore {
    /// Leads, if nobody does.
    async fn stand(&self, who: &str) -> Result<Option<EtcdLeadership>, StoreError> {
        let lease = self.lease().await?;
        match self.take_seat(who, lease).await {
            Ok(Some(leader)) => Ok(Some(EtcdLeadership::begin(self.clone(), leader, lease))),
            Ok(None) => {
                // It would end by itself; nothing depends on it.
                let _ = self.revoke(lease.id).await;
                Ok(None)
            }
            // If it was taken after all, it ends with the lease.
            Err(error) => Err(error),
        }
    }

    async fn lease(&self) -> Result<Lease, StoreError> {
        let wanted = self.etcd().options().lease;
        let seconds = wanted.as_secs() + u64::from(wanted.subsec_nanos() > 0);
        let ttl = i64::try_from(seconds).unwrap_or(i64::MAX);
        let from = Instant::now();
        let action = || "be granted a lease".to_owned();
        let granted = self
            .etcd()
            .call(Again::Harmless, action, |mut client| async move {
                client.lease_grant(ttl, None).await
            })
            .await?;
        Ok(Lease {
            id: granted.id(),
            // etcd has a least time of its own.
            lasts: Duration::from_secs(u64::try_from(granted.ttl()).unwrap_or_default()),
            from,
        })
    }

    async fn take_seat(&self, who: &str, lease: Lease) -> Result<Option<Leader>, StoreError> {
        let key = self.key(&ValueName::leader());
        let free = Compare::create_revision(key.clone(), CompareOp::Equal, 0);
        let hold = PutOptions::new().with_lease(lease.id);
        let txn = Txn::new()
            .when([free])
            .and_then([TxnOp::put(key.clone(), who, Some(hold))]);
        let taken = self
            .etcd()
            .call(
                Again::Harmful,
                || format!("write {key}"),
                |mut client| {
                    let txn = txn.clone();
                    async move { client.txn(txn).await }
                },
            )
            .await?;
        let since = taken.header().map(|header| revision(header.revision()));
        Ok(since.filter(|_| taken.succeeded()).map(|since| Leader {
            who: who.to_owned(),
            session: lease.id,
            since,
        }))
    }

    async fn revoke(&self, lease: i64) -> Result<(), StoreError> {
        let action = || "end a lease".to_owned();
        let ended = self
            .etcd()
            .call(Again::Harmless, action, |mut client| async move {
                match client.lease_revoke(lease).await {
                    // By an earlier try, or by itself.
                    Err(ClientError::GRpcStatus(status))
                        if status.code() == tonic::Code::NotFound =>
                    {
                        Ok(())
                    }
                    ended => ended.map(|_| ()),
                }
            });
        Ok(ended.await?)
    }

    /// Renews the lease, if the seat is still this leader's; whether it is.
    async fn renew(&self, leader: &Leader) -> Result<bool, StoreError> {
        let id = leader.session;
        let key = self.key(&ValueName::leader());
        let action = || format!("renew the lease of {key}");
        let seat = self
            .etcd()
            .call(Again::Harmless, action, |mut client| {
                let key = key.clone();
                async move {
                    match client.lease_keep_alive(id).await {
                        // etcd knows it no more.
                        Err(ClientError::LeaseKeepAliveError(_)) => return Ok(None),
                        renewed => renewed?,
                    };
                    // Also without its lease the seat may be lost: a person may
                    // have removed the key.
                    Ok(client.get(key, None).await?.take_kvs().into_iter().next())
                }
            })
            .await?;
        Ok(holds(leader, seat.as_ref()))
    }
}

struct EtcdLeadership {
    store: EtcdStore,
    leader: Leader,
    lost: watch::Receiver<bool>,
    renewal: AbortHandle,
}

impl EtcdLeadership {
    fn begin(store: EtcdStore, leader: Leader, lease: Lease) -> Self {
        let (end, lost) = watch::channel(false);
        let renewal = tokio::spawn({
            let (store, leader) = (store.clone(), leader.clone());
            async move {
                renew_until_lost(&store, &leader, lease).await;
                end.send_replace(true);
            }
        });
        Self {
            store,
            leader,
            lost,
            renewal: renewal.abort_handle(),
        }
    }
}

async fn renew_until_lost(store: &EtcdStore, leader: &Leader, lease: Lease) {
    let mut from = lease.from;
    let pause = lease.lasts / RENEWALS;
    loop {
        sleep(pause).await;
        let sent = Instant::now();
        let end = from + lease.lasts;
        match timeout(end.saturating_duration_since(sent), store.renew(leader)).await {
            Ok(Ok(true)) => from = sent,
            Ok(Ok(false)) | Err(_) => return,
            // The world failed; there may be time to try again.
            Ok(Err(_)) => {}
        }
    }
}

#[async_trait::async_trait]
impl Leadership for EtcdLeadership {
    fn leader(&self) -> &Leader {
        &self.leader
    }

    async fn lost(&self) {
        // An end that is gone without a word is an end too.
        let _ = self.lost.clone().wait_for(|lost| *lost).await;
    }

    async fn resign(self: Box<Self>) -> Result<(), StoreError> {
        self.renewal.abort();
        self.store.revoke(self.leader.session).await
    }
}

impl Drop for EtcdLeadership {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}
