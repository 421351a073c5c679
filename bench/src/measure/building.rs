//! Searches on a collection that is at rest, and while a payload index of it is
//! built: in turns, so that what disturbs the machine disturbs both.

use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::replica::{Replica, query};
use crate::report::{Section, Table};
use crate::setting::Setting;
use quoit_columns::Kind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// By how much the build may raise the 99th percentile.
const OVER_REST: f64 = 1.5;

/// One turn.
const TURN: Duration = Duration::from_millis(700);

/// The times of searches, in microseconds.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn at(&mut self, percent: usize) -> f64 {
        self.0.sort_by(f64::total_cmp);
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or(f64::NAN)
    }
}

/// Measures.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("Searches while a payload index is built");
    section.text(
        "One thread searches, in process, without filters; in every other turn another builds an index of all payloads, of\n\
         words or of numbers, again and again. Microseconds a search.",
    );
    let corpus = &setting.debian;
    let replica = Replica::load_with(setting, corpus, payload)?;
    let kinds = [
        ("text", Kind::Text(quoit_filter::Analyzer::default())),
        ("integer", Kind::Integer),
    ];
    let mut table = Table::new(&[
        "index",
        "when",
        "searches",
        "p50, µs",
        "p99, µs",
        "points indexed",
    ]);
    let mut worst = 0.0_f64;
    for (name, kind) in kinds {
        let [mut rest, mut beside] = [Times::default(), Times::default()];
        let built = AtomicUsize::new(0);
        for round in 0..=setting.rounds(6, 3) {
            let first = turn(&replica, corpus)?;
            let second = while_built(&replica, corpus, (name, kind), &built)?;
            // The first fills the caches.
            if round > 0 {
                rest.0.extend(first.0);
                beside.0.extend(second.0);
            }
        }
        worst = worst.max(beside.at(99) / rest.at(99));
        let built = built.into_inner().to_string();
        for (when, times, points) in [("at rest", &mut rest, "0"), ("built", &mut beside, &built)] {
            table.row([
                name.to_owned(),
                when.to_owned(),
                times.0.len().to_string(),
                format!("{:.0}", times.at(50)),
                format!("{:.0}", times.at(99)),
                points.to_owned(),
            ]);
        }
    }
    section.goal(
        "p99 of a search while a payload index is built, at the worst",
        format!("≤ {OVER_REST} × at rest"),
        format!("{worst:.2} ×"),
        worst <= OVER_REST,
    );
    section.table(table);
    Ok(section)
}

/// Some words and a number, other ones in each payload.
fn payload(row: usize) -> String {
    let words: Vec<String> = (1..12).map(|n| format!("word{}", row * n % 5003)).collect();
    format!(r#"{{"text":"{}","integer":{row}}}"#, words.join(" "))
}

fn turn(replica: &Replica, corpus: &Corpus) -> Result<Times> {
    let queries = corpus.queries();
    let queries: Vec<_> = queries.into_iter().map(|q| query(q, None, false)).collect();
    let mut times = Times::default();
    let begun = Instant::now();
    for query in queries.iter().cycle() {
        let started = Instant::now();
        std::hint::black_box(replica.search(&replica.view(), query)?);
        times.0.push(started.elapsed().as_secs_f64() * 1e6);
        if begun.elapsed() > TURN {
            break;
        }
    }
    Ok(times)
}

fn while_built(
    replica: &Replica,
    corpus: &Corpus,
    (field, kind): (&str, Kind),
    built: &AtomicUsize,
) -> Result<Times> {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let builder = scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                replica.begin_indexes(&[])?;
                replica.begin_indexes(&[(field, kind)])?;
                loop {
                    if is_done.load(Ordering::Acquire) || !replica.fill()? {
                        break;
                    }
                }
                let points = usize::try_from(replica.indexed_points()).unwrap_or(0);
                built.fetch_add(points, Ordering::Relaxed);
            }
            Ok(())
        });
        let times = turn(replica, corpus);
        is_done.store(true, Ordering::Release);
        let done: Result<()> = builder
            .join()
            .unwrap_or_else(|_| Err(Error::unexpected("the thread that builds has panicked")));
        done.and(times)
    })
}
