//! A whole cluster as processes whose etcd is away: what is new asks what is there,
//! and what changes the cluster waits.
//!
//! The programs are taken from beside `quoit`: `cargo build --workspace --bins`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use support::{Client, quoit, run, wait_for};
use tempfile::TempDir;

const COLLECTION: &str = "
apiVersion: quoit.dev/v1alpha1
kind: VectorCollection
metadata: {name: docs}
spec: {dimension: 3, metric: Cosine, ring: {vnodes: 64}}
";

/// A playground of two shards of one replica.
struct Playground {
    folder: TempDir,
    child: Child,
    router: Client,
}

impl Playground {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("docs.yaml");
        fs::write(&file, COLLECTION).unwrap();
        let mut child = quoit()
            .args(["playground", "--json", "--shards", "2", "--replicas", "1"])
            .args(["--listen", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "-f"])
            .arg(&file)
            .arg("--dir")
            .arg(folder.path().join("play"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let listed: Value = serde_json::from_str(&line).expect("a playground that is ready");
        let endpoint = listed["endpoint"].as_str().unwrap();
        let router = Client::new(endpoint.strip_prefix("http://").unwrap());
        Self {
            folder,
            child,
            router,
        }
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("play")
    }

    fn play(&self, words: &[&str]) -> String {
        let mut command = quoit();
        let command = command.arg("playground").args(words);
        let said = run(command.arg("--dir").arg(self.dir()));
        assert!(said.status.success(), "{words:?}: {}", said.err);
        said.out
    }

    /// Kills processes, and waits until others are in their places.
    fn replace(&self, names: &[&str]) {
        for name in names {
            self.play(&["kill", name]);
        }
        for name in names {
            wait_for(&format!("{name} to run again"), || {
                let listed: Value = serde_json::from_str(&self.play(&["ps", "--json"])).unwrap();
                let mut all = listed["processes"].as_array().unwrap().iter();
                let it = all.find(|process| process["name"] == *name).unwrap();
                (it["state"] == "running").then_some(())
            });
        }
    }

    /// Waits until the router is ready, and says this.
    fn says(&mut self, part: &str) {
        wait_for(&format!("the router to say {part:?}"), || {
            let answer = self.router.call("GET", "/readyz", None).ok()?;
            let said = String::from_utf8(answer.body).unwrap();
            (answer.status == 200 && said.contains(part)).then_some(())
        });
    }

    /// Writes points, and finds all that were written.
    fn works(&mut self, from: u64, to: u64) {
        let points: Vec<Value> = (from..to)
            .map(|id| json!({"id": id, "vector": [1, id, 1]}))
            .collect();
        let points = json!({ "points": points });
        let path = "/collections/docs/points?wait=true";
        self.router.ok("PUT", path, Some(&points));
        let path = "/collections/docs/points/query";
        let all = json!({"query": [1, 1, 1], "limit": 1000});
        let found = self.router.ok("POST", path, Some(&all));
        let found = found["points"].as_array().unwrap().len();
        assert_eq!(u64::try_from(found).unwrap(), to);
    }

    fn names(&mut self, alias: &str) -> u16 {
        let alias = json!({"alias_name": alias, "collection_name": "docs"});
        let actions = json!({"actions": [{"create_alias": alias}]});
        let path = "/collections/aliases";
        let answer = self.router.call("POST", path, Some(&actions));
        answer.unwrap().status
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["router-0", "shard-0-0", "shard-1-0"] {
                let log = fs::read_to_string(self.dir().join(name).join("log"));
                eprintln!("--- {name}:\n{}", log.unwrap_or_default());
            }
        }
        // Its processes end with it.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

#[test]
fn a_router_and_shards_that_start_while_etcd_is_away_serve_all_and_see_changes_when_it_is_back() {
    let mut playground = Playground::start();
    playground.works(0, 50);
    assert_eq!(playground.names("first"), 200);
    wait_for("the shards to keep what they saw", || {
        let keeps = |shard: &str| {
            let kept = playground.dir().join(shard).join("data/cluster");
            fs::read_to_string(kept).is_ok_and(|kept| kept.contains("first"))
        };
        (keeps("shard-0-0") && keeps("shard-1-0")).then_some(())
    });

    playground.play(&["kill", "etcd", "--stay-down"]);
    playground.replace(&["router-0"]);
    playground.says("served by what the shard at");
    playground.works(50, 100);

    playground.replace(&["shard-0-0", "shard-1-0", "router-0"]);
    playground.says("served by what the shard at");
    playground.works(100, 150);
    let path = "/collections/first/points/count";
    let counted = playground.router.ok("POST", path, Some(&json!({})));
    assert_eq!(counted["count"], 150);
    // It would be lost: what is changed of the cluster waits for etcd.
    assert_eq!(playground.names("second"), 500);

    playground.play(&["start", "etcd"]);
    playground.says("ready\n");
    assert_eq!(playground.names("second"), 200);
    playground.replace(&["router-0"]);
    playground.says("ready\n");
    let path = "/collections/second/points/count";
    let counted = playground.router.ok("POST", path, Some(&json!({})));
    assert_eq!(counted["count"], 150);
}
