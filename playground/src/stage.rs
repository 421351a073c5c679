//! Does what a running playground is asked: who is meant by a name, and which
//! order or fault it is.

use crate::control::{Answer, Links, Request};
use crate::faults::{Cut, Faults, Node, links_of};
use crate::listing::Listing;
use crate::plan::Plan;
use crate::supervisor::{Handle, Order};
use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;
use tokio::sync::watch;

/// What requests act on.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) collection: String,
    pub(crate) handles: Vec<Handle>,
    pub(crate) faults: watch::Sender<Faults>,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("there is no {name:?}; there are {}", names.join(", "))]
    NoNode { name: String, names: Vec<String> },
    #[error("etcd is not the playground's: it was given by --etcd")]
    GivenEtcd,
    #[error("{name} has no link to itself; --from and --to name others")]
    Itself { name: String },
    #[error(transparent)]
    Order(#[from] crate::supervisor::Error),
}

impl Stage {
    /// What is now.
    pub(crate) fn listing(&self) -> Listing {
        let faults = self.faults.borrow();
        Listing::new(&self.plan, &self.collection, &self.handles, &faults)
    }

    /// Does it, or says why not.
    pub(crate) async fn perform(&self, request: Request) -> Result<Answer, String> {
        let performed = match request {
            Request::Ps => return Ok(Answer::Listing(Box::new(self.listing()))),
            Request::Kill { name, stay_down } => self.order(&name, Order::Kill { stay_down }).await,
            Request::Start { name } => self.order(&name, Order::Start).await,
            Request::Pause { name } => self.order(&name, Order::Pause).await,
            Request::Resume { name } => self.order(&name, Order::Resume).await,
            Request::Wipe { name } => self.order(&name, Order::Wipe).await,
            Request::Partition { links, reset } => self.partition(&links, reset),
            Request::Delay { links, ms } => self.delay(&links, ms),
            Request::Heal { name } => self.heal(name.as_deref()),
        };
        match performed {
            Ok(said) => {
                tracing::info!("{said}");
                Ok(Answer::Done(said))
            }
            Err(refusal) => Err(chain(&refusal)),
        }
    }

    async fn order(&self, name: &str, order: Order) -> Result<String, Refusal> {
        let node = self.node(name)?;
        let handle = self.handles.iter().find(|h| h.process.node == node);
        // Only a given etcd is a node and no process.
        Ok(handle.ok_or(Refusal::GivenEtcd)?.order(order).await?)
    }

    fn partition(&self, links: &Links, reset: bool) -> Result<String, Refusal> {
        let cut = if reset { Cut::Reset } else { Cut::Lost };
        let meant = self.links(links)?;
        self.faults.send_modify(|faults| faults.cut(&meant, cut));
        let how = if reset { " by resets" } else { "" };
        Ok(format!("cut{how}: {}", self.told(links, &meant)))
    }

    fn delay(&self, links: &Links, ms: u64) -> Result<String, Refusal> {
        let meant = self.links(links)?;
        let delay = Duration::from_millis(ms);
        self.faults
            .send_modify(|faults| faults.delay(&meant, delay));
        Ok(format!("{ms} ms late: {}", self.told(links, &meant)))
    }

    fn heal(&self, name: Option<&str>) -> Result<String, Refusal> {
        let node = name.map(|name| self.node(name)).transpose()?;
        self.faults.send_modify(|faults| faults.heal(node));
        let whose = name.map_or_else(String::new, |name| format!(" of {name}"));
        Ok(format!("all links{whose} are well"))
    }

    fn links(&self, links: &Links) -> Result<BTreeSet<(Node, Node)>, Refusal> {
        let node = self.node(&links.name)?;
        let nodes = |names: &[String]| -> Result<Vec<Node>, Refusal> {
            let nodes = names.iter().map(|name| match self.node(name)? {
                other if other == node => Err(Refusal::Itself { name: name.clone() }),
                other => Ok(other),
            });
            nodes.collect()
        };
        let (from, to) = (nodes(&links.from)?, nodes(&links.to)?);
        Ok(links_of(node, &from, &to, self.plan.names.len()))
    }

    fn told(&self, links: &Links, meant: &BTreeSet<(Node, Node)>) -> String {
        if links.from.is_empty() && links.to.is_empty() {
            return format!("{} ⇄ all others", links.name);
        }
        let name = |node: &Node| self.plan.names[node.0].as_str();
        let told = meant
            .iter()
            .map(|(from, to)| format!("{} → {}", name(from), name(to)));
        told.collect::<Vec<_>>().join(", ")
    }

    fn node(&self, name: &str) -> Result<Node, Refusal> {
        self.plan.node(name).ok_or_else(|| Refusal::NoNode {
            name: name.to_owned(),
            names: self.plan.names.clone(),
        })
    }
}

/// An error with its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::plan::Etcd;
    use crate::programs::Programs;
    use std::path::Path;

    fn stage() -> Stage {
        let any = "127.0.0.1:0".parse().unwrap();
        let options = Options {
            dir: "/d".into(),
            shards: 1,
            replicas: 1,
            listen: any,
            grpc: any,
            etcd: Etcd::Given(vec!["http://elsewhere".parse().unwrap()]),
            programs: Programs {
                shard: "shard".into(),
                router: "router".into(),
            },
            launcher: Vec::new(),
            log: None,
        };
        Stage {
            plan: Plan::new(&options, Path::new("/d"), 20_000),
            collection: "c".to_owned(),
            handles: Vec::new(),
            faults: watch::Sender::default(),
        }
    }

    fn links(name: &str, from: &[&str], to: &[&str]) -> Links {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Links {
            name: name.to_owned(),
            from: owned(from),
            to: owned(to),
        }
    }

    fn cuts(stage: &Stage) -> Vec<(String, String)> {
        let faults = stage.listing().faults;
        faults.into_iter().map(|f| (f.from, f.to)).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[tokio::test]
    async fn a_partition_cuts_the_links_that_it_names_until_they_are_healed() {
        let stage = stage();
        let only = links("shard-0-0", &["router-0"], &["etcd"]);
        let request = Request::Partition {
            links: only,
            reset: false,
        };
        let said = stage.perform(request).await.unwrap();
        let expected = "cut: shard-0-0 → etcd, router-0 → shard-0-0";
        assert_eq!(said, Answer::Done(expected.to_owned()));
        let expected = [("shard-0-0", "etcd"), ("router-0", "shard-0-0")];
        assert_eq!(cuts(&stage), pairs(&expected));
        let heal = |name: Option<&str>| Request::Heal {
            name: name.map(str::to_owned),
        };
        stage.perform(heal(Some("etcd"))).await.unwrap();
        assert_eq!(cuts(&stage), pairs(&expected[1..]));
        stage.perform(heal(None)).await.unwrap();
        assert_eq!(cuts(&stage), []);
    }

    #[tokio::test]
    async fn a_delay_is_listed_with_its_links() {
        let stage = stage();
        let request = Request::Delay {
            links: links("etcd", &["router-0"], &[]),
            ms: 70,
        };
        stage.perform(request).await.unwrap();
        let faults = stage.listing().faults;
        let [fault] = &faults[..] else {
            panic!("{faults:?}")
        };
        assert_eq!(
            (fault.from.as_str(), fault.to.as_str()),
            ("router-0", "etcd")
        );
        assert_eq!((fault.cut, fault.delay_ms), (None, 70));
    }

    #[tokio::test]
    async fn what_cannot_be_meant_is_refused_and_changes_nothing() {
        let stage = stage();
        let partition = |links| Request::Partition {
            links,
            reset: false,
        };
        let kill = |name: &str| Request::Kill {
            name: name.to_owned(),
            stay_down: false,
        };
        let known = "there is no \"shard-1-0\"; there are etcd, shard-0-0, router-0";
        for (request, why) in [
            (kill("shard-1-0"), known),
            (partition(links("shard-1-0", &[], &[])), known),
            (partition(links("etcd", &["shard-1-0"], &[])), known),
            (
                partition(links("etcd", &[], &["router-0", "shard-1-0"])),
                known,
            ),
            (
                partition(links("etcd", &[], &["etcd"])),
                "etcd has no link to itself",
            ),
            (
                kill("etcd"),
                "etcd is not the playground's: it was given by --etcd",
            ),
        ] {
            let asked = format!("{request:?}");
            let refused = stage.perform(request).await.unwrap_err();
            assert!(refused.contains(why), "{asked}: {refused}");
        }
        assert_eq!(cuts(&stage), []);
    }
}
