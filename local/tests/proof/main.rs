//! The checker against the real program: what keeps its promises is proved to,
//! also when it is killed in between, and each way of breaking one is caught.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test cannot go on without fails it"
)]

#[path = "../support/mod.rs"]
mod support;

mod liar;

use liar::{Liar, Lie};
use quoit_checker::{
    Create, Mix, Options, Promise, Report, StartError, Verdict, prove, read, start,
};
use std::time::{Duration, Instant};
use support::{PATIENCE, Server};

fn options(endpoint: &str, collection: &str) -> Options {
    Options {
        endpoints: vec![endpoint.to_owned()],
        collection: collection.to_owned(),
        create: Some(Create {
            shards: Some(3),
            dimension: 16,
            flat: false,
        }),
        clear: false,
        seed: 7,
        clients: 6,
        keys: 12,
        rest: 300,
        mix: Mix::default(),
        pace: Duration::ZERO,
        timeout: Duration::from_secs(20),
        patience: PATIENCE,
        record: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_again_and_again_is_proved_to_keep_its_promises() {
    let folder = support::data_dir();
    let data = folder.path().join("data");
    let file = folder.path().join("run.jsonl");
    let mut server = Server::start(&data, &[]);
    let (proxy, url) = Liar::start(&server.url(), Lie::Never).await;
    let mut options = options(&url, "docs");
    options.record = Some(file.clone());
    let run = start(options).await.unwrap();
    for _ in 0..3 {
        // The moment is random: there is no state to wait for.
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.kill();
        let again = data.clone();
        let started = tokio::task::spawn_blocking(move || Server::start(&again, &[]));
        server = started.await.unwrap();
        proxy.turn_to(&server.url());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let records = run.finish().await.unwrap();
    let report = prove(&records);
    assert_eq!(report.verdict, Verdict::Proved, "{report}");
    // A run that came to none of this has shown nothing.
    let checked = &report.checked;
    assert!(
        checked.unknown > 0 && checked.acknowledged > 100,
        "{report}"
    );
    assert!(
        checked.reads > 100 && checked.answers_at_rest > 100,
        "{report}"
    );
    assert_eq!(checked.replicas, 3);
    let all = |kind| {
        let mut rows = report.availability.rows.iter();
        rows.find(|row| row.kind == kind).unwrap()
    };
    assert!(all("writes").longest_gap_ms > all("writes").p50_ms);
    assert_eq!(read(&file).unwrap(), records);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_breaking_a_promise_is_caught() {
    let folder = support::data_dir();
    let server = Server::start(folder.path(), &[]);
    for (lie, promise) in [
        (Lie::LosesWrites, Promise::Order),
        (Lie::LosesDeletes, Promise::Order),
        (Lie::RefusesWhatItDoes, Promise::Refused),
        (Lie::ReadsOldPoints, Promise::Order),
        (Lie::TearsPoints, Promise::Whole),
        (Lie::CountsShort, Promise::Rest),
        (Lie::FindsTwice, Promise::Rest),
        (Lie::MissesTheNearest, Promise::Rest),
        (Lie::ShortensPages, Promise::Rest),
        (Lie::HasAnotherReplica, Promise::Replicas),
    ] {
        let (liar, url) = Liar::start(&server.url(), lie).await;
        let run = start(options(&url, &format!("{lie:?}"))).await.unwrap();
        // These are asked for at the end.
        if lie != Lie::HasAnotherReplica {
            liar.until_lies(30).await;
        }
        let report = prove(&run.finish().await.unwrap());
        assert_eq!(report.verdict, Verdict::Violated, "{lie:?}: {report}");
        let mut broken = report.violations.iter();
        let story = broken.find(|violation| violation.promise == promise);
        let story = story.unwrap_or_else(|| panic!("{lie:?}: {report}"));
        assert!((1..20).contains(&story.story.len()), "{lie:?}: {story:#?}");
        only_promise(lie, promise, &report);
    }
    server.stop();
}

/// What reads alone are told wrong breaks no other promise.
fn only_promise(lie: Lie, promise: Promise, report: &Report) {
    if !matches!(
        lie,
        Lie::LosesWrites | Lie::LosesDeletes | Lie::RefusesWhatItDoes
    ) {
        let others = report.violations.iter().find(|v| v.promise != promise);
        assert!(others.is_none(), "{lie:?}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_in_use_is_refused_and_cleared_only_when_asked_to() {
    let folder = support::data_dir();
    let server = Server::start(folder.path(), &[]);
    let begun = Instant::now();
    let run = start(options(&server.url(), "docs")).await.unwrap();
    let report = prove(&run.finish().await.unwrap());
    assert!(
        begun.elapsed() < PATIENCE,
        "it waited for something: {report}"
    );

    let mut again = options(&server.url(), "docs");
    let refused = |error: StartError| std::error::Error::source(&error).unwrap().to_string();
    let exists = start(again.clone()).await.err().unwrap();
    assert!(refused(exists).contains("already exists"));
    again.create = None;
    let in_use = start(again.clone()).await.err().unwrap().to_string();
    assert!(in_use.contains("--clear"), "{in_use}");
    again.clear = true;
    again.seed = 8;
    let run = start(again).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let report = prove(&run.finish().await.unwrap());
    assert_eq!(report.verdict, Verdict::Proved, "{report}");
    server.stop();
}
