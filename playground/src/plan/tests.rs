use super::*;
use crate::programs::Programs;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn options(shards: u32, replicas: u32, etcd: Etcd) -> Options {
    Options {
        dir: "/d".into(),
        shards,
        replicas,
        listen: "127.0.0.1:6333".parse().unwrap(),
        grpc: "127.0.0.1:6334".parse().unwrap(),
        etcd,
        programs: Programs {
            shard: "/bin/quoit-shard".into(),
            router: "/bin/quoit-router".into(),
        },
        launcher: Vec::new(),
        log: None,
    }
}

fn own() -> Etcd {
    Etcd::Own("/bin/etcd".into())
}

fn given(urls: &[&str]) -> Etcd {
    Etcd::Given(urls.iter().map(|url| url.parse().unwrap()).collect())
}

fn plan(options: &Options) -> Plan {
    Plan::new(options, Path::new("/d"), 20_000)
}

fn process<'a>(plan: &'a Plan, name: &str) -> &'a Process {
    let found = plan.processes.iter().find(|process| process.name == name);
    found.unwrap()
}

/// The value of an option in a command line that has it once.
fn value(arguments: &[String], option: &str) -> String {
    let mut found = arguments
        .iter()
        .zip(&arguments[1..])
        .filter(|(is, _)| *is == option);
    let (_, value) = found.next().unwrap_or_else(|| panic!("no {option}"));
    assert!(found.next().is_none(), "{option} twice");
    value.clone()
}

#[test]
fn etcd_comes_first_and_the_router_last() {
    let plan = plan(&options(2, 1, own()));
    let names: Vec<_> = plan.processes.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["etcd", "shard-0-0", "shard-1-0", "router-0"]);
    assert_eq!(plan.endpoint, "http://127.0.0.1:6333");
    assert_eq!(plan.etcd, ["http://127.19.0.1:20001"]);
}

#[test]
fn a_shard_is_told_all_that_it_needs() {
    let plan = plan(&options(3, 3, own()));
    let shard = process(&plan, "shard-2-1");
    let arguments = shard.arguments("some-uid");
    for (option, is) in [
        ("--etcd", "http://127.20.2.2:20004"),
        ("--collection", "some-uid"),
        ("--zone", "zone-1"),
        ("--bind-outgoing", "127.20.2.2"),
        ("--log-format", "text"),
        ("--shard", "2"),
        ("--ordinal", "1"),
        ("--data-dir", "/d/shard-2-1/data"),
        ("--listen", "127.20.2.2:20001"),
        ("--advertise", "127.20.2.2:20000"),
        ("--http", "127.20.2.2:20002"),
    ] {
        assert_eq!(value(&arguments, option), is, "{option}");
    }
    assert_eq!(arguments.len(), 22, "{arguments:?}");
    assert_eq!(shard.program, Path::new("/bin/quoit-shard"));
    assert_eq!(shard.shard, Some(2));
    assert_eq!(shard.address.to_string(), "127.20.2.2:20000");
    assert_eq!(shard.http.to_string(), "127.20.2.2:20002");
}

#[test]
fn a_router_is_told_all_that_it_needs() {
    let mut options = options(2, 2, own());
    options.log = Some("debug".to_owned());
    let plan = plan(&options);
    let arguments = process(&plan, "router-0").arguments("some-uid");
    for (option, is) in [
        ("--etcd", "http://127.19.0.2:20004"),
        ("--collection", "some-uid"),
        ("--zone", "zone-0"),
        ("--bind-outgoing", "127.19.0.2"),
        ("--log-format", "text"),
        ("--log", "debug"),
        ("--listen", "127.0.0.1:6333"),
        ("--grpc", "127.0.0.1:6334"),
        (
            "--shards",
            "127.20.0.1:20000,127.20.0.2:20000,127.20.1.1:20000,127.20.1.2:20000",
        ),
    ] {
        assert_eq!(value(&arguments, option), is, "{option}");
    }
    assert_eq!(arguments.len(), 18, "{arguments:?}");
}

#[test]
fn etcd_is_told_nothing_of_the_collection() {
    let plan = plan(&options(1, 1, own()));
    let etcd = process(&plan, "etcd");
    let arguments = etcd.arguments("some-uid");
    assert!(!arguments.iter().any(|argument| argument == "--collection"));
    assert_eq!(value(&arguments, "--data-dir"), "/d/etcd/data");
    let url = "http://127.19.0.1:20001";
    assert_eq!(value(&arguments, "--listen-client-urls"), url);
    assert_eq!(etcd.ready, "/health");
}

#[test]
fn an_etcd_that_is_given_is_a_node_but_no_process() {
    let etcd = given(&["http://a:2379", "http://b:2380"]);
    let plan = plan(&options(1, 1, etcd));
    assert!(
        plan.processes
            .iter()
            .all(|process| process.role != Role::Etcd)
    );
    assert_eq!(plan.node("etcd"), Some(Node(0)));
    assert_eq!(plan.etcd, ["http://a:2379", "http://b:2380"]);
    let shard = process(&plan, "shard-0-0");
    let etcd = value(&shard.arguments("c"), "--etcd");
    assert_eq!(etcd, "http://127.20.0.1:20004,http://127.20.0.1:20005");
    let to: Vec<_> = plan
        .fronts
        .iter()
        .filter(|front| front.client == Some(shard.node))
        .map(|front| (front.at.to_string(), front.to.as_str(), front.server))
        .collect();
    let [first, second] = ["127.20.0.1:20004", "127.20.0.1:20005"].map(str::to_owned);
    assert_eq!(
        to,
        [(first, "a:2379", Node(0)), (second, "b:2380", Node(0))]
    );
}

#[test]
fn a_name_has_the_same_address_however_many_shards_there_are() {
    let few = plan(&options(2, 1, own()));
    let many = plan(&options(1024, 3, own()));
    for process_of_few in &few.processes {
        let same = process(&many, &process_of_few.name);
        assert_eq!(process_of_few.address, same.address);
        assert_eq!(process_of_few.http, same.http);
    }
}

#[test]
fn a_port_of_zero_is_one_of_the_playgrounds_own() {
    let mut options = options(1, 1, own());
    options.listen = "0.0.0.0:0".parse().unwrap();
    options.grpc = "127.0.0.1:0".parse().unwrap();
    let plan = plan(&options);
    let router = process(&plan, "router-0");
    let arguments = router.arguments("c");
    assert_eq!(value(&arguments, "--listen"), "0.0.0.0:20001");
    assert_eq!(value(&arguments, "--grpc"), "127.0.0.1:20002");
    // What listens everywhere is reached here.
    assert_eq!(plan.endpoint, "http://127.0.0.1:20001");
    assert_eq!(router.http.to_string(), "127.0.0.1:20001");
}

proptest! {
    #[test]
    fn no_two_things_listen_at_one_address_and_no_two_processes_share_a_source(
        shards in 1..40_u32,
        replicas in prop::sample::select(&[1, 3, 5, 7][..]),
        endpoints in 0..=MAX_ENDPOINTS,
        base in 20_000..30_000_u16,
    ) {
        let etcd = match endpoints {
            0 => own(),
            some => given(&vec!["http://elsewhere:2379"; some]),
        };
        let options = options(shards, replicas, etcd);
        let plan = Plan::new(&options, Path::new("/d"), base);
        let expected = 1 + (shards * replicas) as usize + usize::from(endpoints == 0);
        prop_assert_eq!(plan.processes.len(), expected);

        let mut listening = BTreeSet::new();
        for address in plan.fronts.iter().map(|front| front.at) {
            prop_assert!(listening.insert(address), "{} twice", address);
        }
        for process in &plan.processes {
            for address in BTreeSet::from([process.listens, process.http]) {
                prop_assert!(listening.insert(address), "{} twice", address);
            }
        }
        // But for the router's, all are among the ports that were claimed.
        let claimed = base..base + PORTS;
        let others = listening.iter().filter(|address| address.port() != 6333);
        for address in others {
            prop_assert!(claimed.contains(&address.port()), "{}", address);
        }

        prop_assert_eq!(plan.names.len(), plan.sources.len());
        let sources: BTreeSet<_> = plan.sources.iter().collect();
        prop_assert_eq!(sources.len(), plan.sources.len());
        let names: BTreeSet<_> = plan.names.iter().collect();
        prop_assert_eq!(names.len(), plan.names.len());
        for process in &plan.processes {
            prop_assert_eq!(plan.node(&process.name), Some(process.node));
            prop_assert_eq!(&process.dir, &Path::new("/d").join(&process.name));
            if process.role == Role::Shard {
                prop_assert_eq!(process.http.ip(), plan.sources[process.node.0]);
            }
        }
        // Each but etcd has its way to every endpoint of it.
        let ways = plan.fronts.iter().filter(|front| front.client.is_some()).count();
        prop_assert_eq!(ways, (plan.names.len() - 1) * endpoints.max(1));
    }
}
