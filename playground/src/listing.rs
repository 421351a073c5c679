//! What a playground is, for programs as one line of JSON and for people as a
//! table.

use crate::faults::{Cut, Faults};
use crate::plan::{Plan, Role};
use crate::supervisor::{Handle, State};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A playground.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Where REST clients find the collection.
    pub endpoint: String,
    /// Where gRPC clients find it.
    pub grpc: String,
    /// The identity of the collection.
    pub collection: String,
    /// Where etcd is, with no proxy between.
    pub etcd: Vec<String>,
    /// Its processes.
    pub processes: Vec<Listed>,
    /// Its links that are cut or slow.
    pub faults: Vec<Fault>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The shard that it is a replica of.
    pub shard: Option<u32>,
    /// Its process id, while it has one.
    pub pid: Option<u32>,
    /// Where others reach it.
    pub address: SocketAddr,
    /// Where it answers operators, with no proxy between.
    pub http: String,
    /// Its folder, with `log` and `data`.
    pub dir: PathBuf,
    /// What it is doing.
    pub state: State,
    /// How often it was started again.
    pub restarts: u64,
}

/// A link that is not well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Who sends.
    pub from: String,
    /// Who should receive.
    pub to: String,
    /// How it is cut, if it is.
    pub cut: Option<Cut>,
    /// What is sent arrives so many milliseconds later.
    pub delay_ms: u64,
}

impl Listing {
    pub(crate) fn new(plan: &Plan, collection: &str, handles: &[Handle], faults: &Faults) -> Self {
        let processes = handles.iter().map(|handle| {
            let (process, status) = (&handle.process, handle.status());
            Listed {
                name: process.name.clone(),
                role: process.role,
                shard: process.shard,
                pid: status.pid,
                address: process.address,
                http: format!("http://{}", process.http),
                dir: process.dir.clone(),
                state: status.state,
                restarts: status.starts.saturating_sub(1),
            }
        });
        let faults = faults.iter().map(|((from, to), link)| Fault {
            from: plan.names[from.0].clone(),
            to: plan.names[to.0].clone(),
            cut: link.cut,
            delay_ms: u64::try_from(link.delay.as_millis()).unwrap_or(u64::MAX),
        });
        Self {
            endpoint: plan.endpoint.clone(),
            grpc: plan.grpc.clone(),
            collection: collection.to_owned(),
            etcd: plan.etcd.clone(),
            processes: processes.collect(),
            faults: faults.collect(),
        }
    }
}

impl Fault {
    fn trouble(&self) -> String {
        let cut = self.cut.map(|cut| match cut {
            Cut::Lost => "cut".to_owned(),
            Cut::Reset => "cut by resets".to_owned(),
        });
        let delay = (self.delay_ms > 0).then(|| format!("{} ms late", self.delay_ms));
        let told: Vec<String> = [cut, delay].into_iter().flatten().collect();
        told.join(", ")
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, cells: [&str; 5]| {
            let [name, state, pid, restarts, address] = cells;
            writeln!(
                f,
                "{name:<12} {state:<10} {pid:>8} {restarts:>8}  {address}"
            )
        };
        row(f, ["NAME", "STATE", "PID", "RESTARTS", "ADDRESS"])?;
        for process in &self.processes {
            let pid = process
                .pid
                .map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            let cells = [
                &process.name,
                &process.state.to_string(),
                &pid,
                &process.restarts.to_string(),
                &process.address.to_string(),
            ];
            row(f, cells.map(String::as_str))?;
        }
        // Those of one sender that are alike are told together.
        let mut faults: Vec<(&str, String, Vec<&str>)> = Vec::new();
        for fault in &self.faults {
            let trouble = fault.trouble();
            let alike = faults
                .iter_mut()
                .find(|(from, told, _)| *from == fault.from && *told == trouble);
            match alike {
                Some((_, _, to)) => to.push(&fault.to),
                None => faults.push((&fault.from, trouble, vec![&fault.to])),
            }
        }
        for (from, trouble, to) in faults {
            writeln!(f, "{from} → {}: {trouble}", to.join(", "))?;
        }
        write!(f, "REST is at {}, gRPC at {}", self.endpoint, self.grpc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_and_the_table_say_what_is_and_what_is_cut() {
        let fault = |to: &str, cut, delay_ms| Fault {
            from: "shard-0-0".to_owned(),
            to: to.to_owned(),
            cut,
            delay_ms,
        };
        let listing = Listing {
            endpoint: "http://127.0.0.1:6333".to_owned(),
            grpc: "http://127.0.0.1:6334".to_owned(),
            collection: "c".to_owned(),
            etcd: vec!["http://127.19.0.1:20001".to_owned()],
            processes: vec![Listed {
                name: "shard-0-0".to_owned(),
                role: Role::Shard,
                shard: Some(0),
                pid: None,
                address: "127.20.0.1:20000".parse().unwrap(),
                http: "http://127.20.0.1:20002".to_owned(),
                dir: "/d/shard-0-0".into(),
                state: State::Down,
                restarts: 2,
            }],
            faults: vec![
                fault("etcd", Some(Cut::Lost), 0),
                fault("router-0", None, 50),
                fault("shard-0-1", Some(Cut::Lost), 0),
                fault("shard-0-2", Some(Cut::Reset), 7),
            ],
        };
        let line = serde_json::to_string(&listing).unwrap();
        let expected = concat!(
            r#"{"endpoint":"http://127.0.0.1:6333","grpc":"http://127.0.0.1:6334","collection":"c","etcd":["http://127.19.0.1:20001"],"#,
            r#""processes":[{"name":"shard-0-0","role":"shard","shard":0,"pid":null,"#,
            r#""address":"127.20.0.1:20000","http":"http://127.20.0.1:20002","dir":"/d/shard-0-0","#,
            r#""state":"down","restarts":2}],"faults":["#,
            r#"{"from":"shard-0-0","to":"etcd","cut":"lost","delay_ms":0},"#,
            r#"{"from":"shard-0-0","to":"router-0","cut":null,"delay_ms":50},"#,
            r#"{"from":"shard-0-0","to":"shard-0-1","cut":"lost","delay_ms":0},"#,
            r#"{"from":"shard-0-0","to":"shard-0-2","cut":"reset","delay_ms":7}]}"#,
        );
        assert_eq!(line, expected);
        assert_eq!(serde_json::from_str::<Listing>(&line).unwrap(), listing);
        let table = "\
NAME         STATE           PID RESTARTS  ADDRESS
shard-0-0    down              -        2  127.20.0.1:20000
shard-0-0 → etcd, shard-0-1: cut
shard-0-0 → router-0: 50 ms late
shard-0-0 → shard-0-2: cut by resets, 7 ms late
REST is at http://127.0.0.1:6333, gRPC at http://127.0.0.1:6334";
        assert_eq!(listing.to_string(), table);
    }
}
