//! A run from its start to its records: the collection is made ready, clients
//! work, and at the end everything is read once more.

use hyper::Method;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::api::{Api, Failed};
use crate::client::{Client, Shared, Versions};
use crate::http::Http;
use crate::mix::Mix;
use crate::plan::Plan;
use crate::record::{Answer, Call, Outcome, Records};
use crate::recorder::{FileError, Recorder};
use crate::replicas::{Compared, compare};

/// Points that are loaded with one request.
const BATCH: u64 = 200;

/// The pause before something is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// Points at rest that are searched for at the end.
const SEARCHED: u64 = 100;

/// The least dimension in which vectors at rest are well apart.
const LEAST_DIMENSION: usize = 4;

/// What a run is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the API is, as `http://HOST:PORT`; clients take them in turn.
    pub endpoints: Vec<String>,
    /// The collection, which the run has for itself.
    pub collection: String,
    /// How it is made, if it is to be.
    pub create: Option<Create>,
    /// Whether all of its points are deleted first.
    pub clear: bool,
    /// Of all that is random.
    pub seed: u64,
    /// Clients at work.
    pub clients: u32,
    /// Points that they change.
    pub keys: u64,
    /// Points at rest.
    pub rest: u64,
    /// How often they make calls of each kind.
    pub mix: Mix,
    /// The least time from the start of one of a client's calls to that of the next.
    pub pace: Duration,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How long the set-up, and the reads at the end, are tried again.
    pub patience: Duration,
    /// A file for the record.
    pub record: Option<PathBuf>,
}

/// How a collection is made.
#[derive(Clone, Copy, Debug)]
pub struct Create {
    /// Its shards; the server's own number if unset.
    pub shards: Option<u32>,
    /// The dimension of its vectors.
    pub dimension: usize,
    /// Whether it has no graph.
    pub flat: bool,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nothing to ask.
    #[error("no endpoint is given: name at least one, such as http://127.0.0.1:6333")]
    NoEndpoint,
    /// A number is out of its range.
    #[error("{what} must be from {least} to {most}, not {is}")]
    Range {
        /// The number.
        what: &'static str,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
        /// What it is.
        is: u64,
    },
    /// The server does not do what is needed.
    #[error("the collection cannot be made ready")]
    Prepare(#[from] Failed),
    /// The collection does not serve the purpose.
    #[error("the collection {collection} cannot be used: {why}")]
    Unfit {
        /// The collection.
        collection: String,
        /// What is wrong with it, and the remedy.
        why: String,
    },
    /// The record cannot be kept.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A run under way.
pub struct Run {
    shared: Arc<Shared>,
    apis: Vec<Api>,
    patience: Duration,
    clients: Vec<JoinHandle<()>>,
}

/// Makes the collection ready, loads the points at rest, and sends the clients
/// to work.
///
/// # Errors
/// The collection could not be made ready. The clients have not begun then.
pub async fn start(options: Options) -> Result<Run, StartError> {
    check(&options)?;
    let http = Http::new(options.timeout);
    let endpoints = options.endpoints.iter();
    let apis = endpoints.map(|e| Api::new(http.clone(), e, &options.collection));
    let apis: Vec<Api> = apis.collect();
    let ready = Ready {
        api: apis.first().ok_or(StartError::NoEndpoint)?,
        options: &options,
        deadline: Instant::now() + options.patience,
    };
    let plan = ready.prepare().await?;
    ready.load(&plan).await?;
    let shared = Arc::new(Shared {
        recorder: Recorder::new(&plan, options.record.as_deref())?,
        plan,
        mix: options.mix,
        pace: options.pace,
        versions: Versions::default(),
        stop: AtomicBool::new(false),
    });
    let turns = (0..options.clients).zip(apis.iter().cycle());
    let clients = turns.map(|(number, api)| {
        let client = Client::new(number, api.clone(), shared.clone());
        tokio::spawn(client.run())
    });
    Ok(Run {
        clients: clients.collect(),
        shared,
        apis,
        patience: options.patience,
    })
}

fn check(options: &Options) -> Result<(), StartError> {
    for (what, is, least, most) in [
        (
            "the number of clients",
            u64::from(options.clients),
            1,
            10_000,
        ),
        ("the number of keys", options.keys, 1, 1000),
        ("the number of points at rest", options.rest, 1, 1_000_000),
    ] {
        if !(least..=most).contains(&is) {
            return Err(StartError::Range {
                what,
                least,
                most,
                is,
            });
        }
    }
    Ok(())
}

/// What makes the collection ready.
struct Ready<'a> {
    api: &'a Api,
    options: &'a Options,
    deadline: Instant,
}

impl Ready<'_> {
    /// Asks until it is done. What is asked here may be done twice.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Failed> {
        loop {
            match self.api.set_up(method.clone(), path, body.as_ref()).await {
                Err(failed) if failed.may_pass && Instant::now() < self.deadline => {
                    tokio::time::sleep(AGAIN).await;
                }
                done => return done,
            }
        }
    }

    fn unfit(&self, why: impl Into<String>) -> StartError {
        StartError::Unfit {
            collection: self.options.collection.clone(),
            why: why.into(),
        }
    }

    async fn prepare(&self) -> Result<Plan, StartError> {
        if let Some(create) = self.options.create {
            let mut vectors = json!({"size": create.dimension, "distance": "Cosine"});
            if create.flat {
                vectors["hnsw_config"] = json!({"m": 0});
            }
            let mut body = json!({"vectors": vectors});
            if let Some(shards) = create.shards {
                body["shard_number"] = shards.into();
            }
            self.ask(Method::PUT, "", Some(body)).await?;
        }
        let info = self.ask(Method::GET, "", None).await?;
        let vectors = &info["config"]["params"]["vectors"];
        let dimension = vectors["size"].as_u64().and_then(|n| n.try_into().ok());
        let Some(dimension) = dimension else {
            return Err(
                self.unfit("its vectors have names; make one with a single vector without a name")
            );
        };
        // By these three the vectors at rest, of length 1, have the same order.
        if !matches!(
            vectors["distance"].as_str(),
            Some("Cosine" | "Dot" | "Euclid")
        ) {
            return Err(self.unfit("its metric must be Cosine, Dot or Euclid"));
        }
        if dimension < LEAST_DIMENSION {
            return Err(self.unfit(format!("its dimension must be at least {LEAST_DIMENSION}")));
        }
        if self.options.clear {
            let all = json!({"filter": {}});
            self.ask(Method::POST, "/points/delete?wait=true", Some(all))
                .await?;
        }
        let points = self.count().await?;
        if points > 0 {
            let what = format!(
                "it has {points} points, and the checker wants one for itself: name another, or clear it by --clear"
            );
            return Err(self.unfit(what));
        }
        // The other field is left without one, so that both ways are taken.
        let index = json!({"field_name": "group", "field_schema": "integer"});
        self.ask(Method::PUT, "/index?wait=true", Some(index))
            .await?;
        Ok(Plan {
            seed: self.options.seed,
            dimension,
            rest: self.options.rest,
            groups: 8.min(self.options.rest),
            keys: self.options.keys,
            clients: self.options.clients,
            limit: 10,
            page: 100,
        })
    }

    async fn load(&self, plan: &Plan) -> Result<(), StartError> {
        let mut next = 1;
        while next <= plan.rest {
            let end = (next + BATCH).min(plan.rest + 1);
            let point = |id: u64| {
                json!({
                    "id": id,
                    "vector": plan.vector_at_rest(id),
                    "payload": {"rests": true, "group": plan.group_of(id)},
                })
            };
            let points: Vec<Value> = (next..end).map(point).collect();
            let body = json!({"points": points});
            self.ask(Method::PUT, "/points?wait=true", Some(body))
                .await?;
            next = end;
        }
        let (is, right) = (self.count().await?, plan.rest);
        if is == right {
            return Ok(());
        }
        Err(self.unfit(format!(
            "{right} points were loaded and acknowledged, and {is} are there"
        )))
    }

    async fn count(&self) -> Result<u64, StartError> {
        let all = json!({"exact": true});
        let counted = self.ask(Method::POST, "/points/count", Some(all)).await?;
        let count = counted["count"].as_u64();
        count.ok_or_else(|| self.unfit("its count is no number"))
    }
}

impl Run {
    /// Lets the clients end, reads everything once more, and gives the records.
    ///
    /// # Errors
    /// The record could not be kept.
    pub async fn finish(self) -> Result<Records, FileError> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            // One that panicked has recorded what it knew.
            drop(client.await);
        }
        let closing = Closing {
            shared: &self.shared,
            apis: &self.apis,
            deadline: Instant::now() + self.patience,
        };
        closing.read_all().await;
        let plan = self.shared.plan.clone();
        self.shared.recorder.finish(plan)
    }
}

/// The reads at the end.
struct Closing<'a> {
    shared: &'a Shared,
    apis: &'a [Api],
    deadline: Instant,
}

impl Closing<'_> {
    async fn read_all(&self) {
        let plan = &self.shared.plan;
        for key in 0..plan.keys {
            self.until_answered(Call::Get { key }).await;
        }
        self.until_answered(Call::Scan).await;
        let mut from = 1;
        while from <= plan.rest {
            let from_here = (from > 1).then_some(from);
            self.until_answered(Call::Page { from: from_here }).await;
            from += plan.page as u64;
        }
        for group in (0..plan.groups).map(Some).chain([None]) {
            self.until_answered(Call::Count { group }).await;
        }
        let searched = plan.rest.min(SEARCHED);
        for nth in 0..searched {
            let near = 1 + nth * plan.rest / searched;
            let exact = nth % 2 == 0;
            self.until_answered(Call::Search { near, exact }).await;
        }
        self.compare_replicas().await;
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Asks one endpoint after the other until one answers or patience ends.
    async fn until_answered(&self, call: Call) -> Outcome {
        let mut last = Outcome::Refused("it was not asked".to_owned());
        for api in self.apis.iter().cycle() {
            last = self.shared.make(self.shared.plan.closer(), api, call).await;
            if matches!(last, Outcome::Done(_)) || self.is_over() {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        last
    }

    /// Asks until all replicas are as far as each other, or patience ends.
    async fn compare_replicas(&self) {
        loop {
            let outcome = self.until_answered(Call::Digests).await;
            let is_behind = match &outcome {
                Outcome::Done(Answer::Digests(shards)) => {
                    let Compared { behind, .. } = compare(shards);
                    !behind.is_empty()
                }
                _ => false,
            };
            if !is_behind || self.is_over() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
