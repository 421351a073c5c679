//! What is to run: from the wish (shards, replicas, addresses) the processes with
//! their names, addresses, folders and command lines, and the fronts at which
//! proxies stand. Pure.
//!
//! Every process has a loopback address of its own, so that a proxy knows by the
//! source of a connection who connects, and all use the same few ports, from
//! `base` on. A name always has the same address, however many shards there are:
//!
//! ```text
//! etcd        127.19.0.1
//! router-0    127.19.0.2
//! shard-N-K   127.20.N.K+1   (and on to 127.21 from N = 256)
//!
//! base        the front, which others connect to: a proxy
//! base + 1    where the process itself listens
//! base + 2    its HTTP: /readyz, /metrics
//! base + 3    etcd for its peers, of which it has none
//! base + 4 …  etcd as this process sees it: a proxy for each endpoint
//! ```
//!
//! etcd has no front of its own: each process has its own way to it, which can be
//! cut although etcd's clients choose no source address.

use crate::Options;
use crate::endpoint::Endpoint;
use crate::faults::Node;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Ports that a process may use, from the base on.
pub const PORTS: u16 = 10;

/// The endpoints of etcd that these ports are enough for.
pub const MAX_ENDPOINTS: usize = (PORTS - ETCD_FRONTS) as usize;

const FRONT: u16 = 0;
const OWN: u16 = 1;
const HTTP: u16 = 2;
const PEERS: u16 = 3;
const ETCD_FRONTS: u16 = 4;

/// The name of etcd, whoever started it.
pub const ETCD: &str = "etcd";

const ETCD_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 19, 0, 1);
const ROUTER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 19, 0, 2);

/// Which etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Etcd {
    /// One of the playground's own, by this program.
    Own(PathBuf),
    /// One that is there.
    Given(Vec<Endpoint>),
}

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Keeps the ring.
    Etcd,
    /// A replica of a shard.
    Shard,
    /// Answers clients.
    Router,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Etcd => "etcd",
            Role::Shard => "shard",
            Role::Router => "router",
        })
    }
}

/// A process that is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its name, and its folder's.
    pub name: String,
    /// Where its links are in the table of faults.
    pub node: Node,
    /// What it is for.
    pub role: Role,
    /// The shard that it is a replica of.
    pub shard: Option<u32>,
    /// Where others reach it.
    pub address: SocketAddr,
    /// Where it itself listens for them.
    pub listens: SocketAddr,
    /// Where it answers `GET`s of operators.
    pub http: SocketAddr,
    /// The path that answers 200 when it is ready.
    pub ready: &'static str,
    /// Its folder.
    pub dir: PathBuf,
    /// What it runs.
    pub program: PathBuf,
    arguments: Vec<String>,
}

impl Process {
    /// Its arguments, given the identity of the collection.
    #[must_use]
    pub fn arguments(&self, collection: &str) -> Vec<String> {
        let mut arguments = self.arguments.clone();
        if self.role != Role::Etcd {
            arguments.extend(["--collection".to_owned(), collection.to_owned()]);
        }
        arguments
    }

    /// Where its data is.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        data_of(&self.dir)
    }

    /// Where what it says is.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

/// A proxy's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    /// Where it listens.
    pub at: SocketAddr,
    /// Where it connects to, `HOST:PORT`.
    pub to: String,
    /// Who is there.
    pub server: Node,
    /// Who connects; if not set, the source of a connection tells.
    pub client: Option<Node>,
}

/// All that is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The names of the nodes.
    pub names: Vec<String>,
    /// The addresses from which the nodes connect.
    pub sources: Vec<Ipv4Addr>,
    /// The processes, in the order in which they are started.
    pub processes: Vec<Process>,
    /// The proxies.
    pub fronts: Vec<Front>,
    /// Where REST clients find the collection.
    pub endpoint: String,
    /// The URL at which clients find it by gRPC.
    pub grpc: String,
    /// Where etcd is, with no proxy between, as URLs.
    pub etcd: Vec<String>,
}

impl Plan {
    /// What is to run in this folder, from this port on.
    #[must_use]
    pub fn new(options: &Options, dir: &Path, base: u16) -> Self {
        let [rest, grpc] = router_listens(options, base);
        let mut plan = Planner {
            options,
            dir,
            base,
            plan: Self {
                names: Vec::new(),
                sources: Vec::new(),
                processes: Vec::new(),
                fronts: Vec::new(),
                endpoint: format!("http://{rest}"),
                grpc: format!("http://{grpc}"),
                etcd: Vec::new(),
            },
        };
        plan.etcd();
        for shard in 0..options.shards {
            for ordinal in 0..options.replicas {
                plan.shard(shard, ordinal);
            }
        }
        plan.router();
        plan.plan
    }

    /// The node of this name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<Node> {
        self.names.iter().position(|known| known == name).map(Node)
    }
}

/// Where the router listens for REST and for gRPC. A port of 0 means any free one.
#[must_use]
pub fn router_addresses(options: &Options, base: u16) -> [SocketAddr; 2] {
    let or_own = |mut address: SocketAddr, own: u16| {
        if address.port() == 0 {
            address.set_port(base + own);
        }
        address
    };
    // 127.0.0.1 and the base alone are the playground's claim on its ports.
    [or_own(options.listen, OWN), or_own(options.grpc, HTTP)]
}

/// The addresses at which this machine reaches the router's REST and gRPC.
fn router_listens(options: &Options, base: u16) -> [SocketAddr; 2] {
    router_addresses(options, base).map(|mut listen| {
        if listen.ip().is_unspecified() {
            listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        listen
    })
}

struct Planner<'a> {
    options: &'a Options,
    dir: &'a Path,
    base: u16,
    plan: Plan,
}

impl Planner<'_> {
    fn at(&self, source: Ipv4Addr, port: u16) -> SocketAddr {
        (source, self.base + port).into()
    }

    fn node(&mut self, name: &str, source: Ipv4Addr) -> Node {
        self.plan.names.push(name.to_owned());
        self.plan.sources.push(source);
        Node(self.plan.names.len() - 1)
    }

    fn etcd(&mut self) {
        let node = self.node(ETCD, ETCD_ADDRESS);
        let program = match &self.options.etcd {
            Etcd::Own(program) => program.clone(),
            Etcd::Given(endpoints) => {
                self.plan.etcd = endpoints.iter().map(Endpoint::to_string).collect();
                return;
            }
        };
        let listens = self.at(ETCD_ADDRESS, OWN);
        let url = format!("http://{listens}");
        let peers = format!("http://{}", self.at(ETCD_ADDRESS, PEERS));
        let dir = self.dir.join(ETCD);
        let arguments = [
            ("--name", ETCD.to_owned()),
            ("--data-dir", data_of(&dir).display().to_string()),
            ("--listen-client-urls", url.clone()),
            ("--advertise-client-urls", url.clone()),
            ("--listen-peer-urls", peers.clone()),
            ("--initial-advertise-peer-urls", peers.clone()),
            ("--initial-cluster", format!("{ETCD}={peers}")),
        ];
        self.plan.etcd = vec![url];
        self.plan.processes.push(Process {
            name: ETCD.to_owned(),
            node,
            role: Role::Etcd,
            shard: None,
            address: listens,
            listens,
            http: listens,
            ready: "/health",
            dir,
            program,
            arguments: flatten(arguments),
        });
    }

    fn shard(&mut self, shard: u32, ordinal: u32) {
        let name = format!("shard-{shard}-{ordinal}");
        let source = shard_address(shard, ordinal);
        let node = self.node(&name, source);
        let (address, listens) = (self.at(source, FRONT), self.at(source, OWN));
        let http = self.at(source, HTTP);
        let dir = self.dir.join(&name);
        let mut arguments = self.common(node, source, ordinal);
        arguments.extend(flatten([
            ("--shard", shard.to_string()),
            ("--ordinal", ordinal.to_string()),
            ("--data-dir", data_of(&dir).display().to_string()),
            ("--listen", listens.to_string()),
            ("--advertise", address.to_string()),
            ("--http", http.to_string()),
        ]));
        self.plan.fronts.push(Front {
            at: address,
            to: listens.to_string(),
            server: node,
            client: None,
        });
        self.plan.processes.push(Process {
            name,
            node,
            role: Role::Shard,
            shard: Some(shard),
            address,
            listens,
            http,
            ready: "/readyz",
            dir,
            program: self.options.programs.shard.clone(),
            arguments,
        });
    }

    fn router(&mut self) {
        let name = "router-0".to_owned();
        let node = self.node(&name, ROUTER_ADDRESS);
        let [listen, grpc] = router_addresses(self.options, self.base);
        let mut arguments = self.common(node, ROUTER_ADDRESS, 0);
        let processes = self.plan.processes.iter();
        let shards = processes.filter(|process| process.role == Role::Shard);
        let shards: Vec<String> = shards.map(|shard| shard.address.to_string()).collect();
        arguments.extend(flatten([
            ("--listen", listen.to_string()),
            ("--grpc", grpc.to_string()),
            ("--shards", shards.join(",")),
        ]));
        let [reached, _] = router_listens(self.options, self.base);
        self.plan.processes.push(Process {
            dir: self.dir.join(&name),
            name,
            node,
            role: Role::Router,
            shard: None,
            address: reached,
            listens: reached,
            http: reached,
            ready: "/readyz",
            program: self.options.programs.router.clone(),
            arguments,
        });
    }

    /// What shards and routers are both told, and their ways to etcd. The
    /// replicas of a shard are each in a zone of their own.
    fn common(&mut self, node: Node, source: Ipv4Addr, zone: u32) -> Vec<String> {
        let targets: Vec<String> = match &self.options.etcd {
            Etcd::Own(_) => vec![self.at(ETCD_ADDRESS, OWN).to_string()],
            Etcd::Given(endpoints) => endpoints.iter().map(|e| e.authority().to_owned()).collect(),
        };
        let mut urls = Vec::with_capacity(targets.len());
        for (port, to) in (ETCD_FRONTS..).zip(targets) {
            let at = self.at(source, port);
            urls.push(format!("http://{at}"));
            self.plan.fronts.push(Front {
                at,
                to,
                server: Node(0),
                client: Some(node),
            });
        }
        let mut arguments = flatten([
            ("--etcd", urls.join(",")),
            ("--zone", format!("zone-{zone}")),
            ("--bind-outgoing", source.to_string()),
            ("--log-format", "text".to_owned()),
        ]);
        if let Some(log) = &self.options.log {
            arguments.extend(["--log".to_owned(), log.clone()]);
        }
        arguments
    }
}

fn data_of(dir: &Path) -> PathBuf {
    dir.join("data")
}

fn shard_address(shard: u32, ordinal: u32) -> Ipv4Addr {
    let first = u32::from(Ipv4Addr::new(127, 20, 0, 1));
    Ipv4Addr::from(first + (shard << 8) + ordinal)
}

fn flatten<const N: usize>(arguments: [(&str, String); N]) -> Vec<String> {
    arguments
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        .collect()
}

#[cfg(test)]
mod tests;
