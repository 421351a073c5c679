//! Calls as the REST API takes and answers them, and which of three things an
//! answer means: done, refused, or unknown.

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Http, Reply};
use crate::plan::Plan;
use crate::record::{Answer, Call, Outcome, Seen, ShardDigests, Stamp};

/// The candidate list of searches by the graph: long enough that it finds what
/// is there.
const EF: u64 = 512;

/// One collection at one server.
#[derive(Clone)]
pub struct Api {
    http: Http,
    endpoint: String,
    collection: String,
}

/// Why the server did not do what the set-up needs.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{call}: {why}")]
pub struct Failed {
    /// The request.
    pub call: String,
    /// What is known of it.
    pub why: String,
    /// Whether the same may succeed later.
    pub may_pass: bool,
}

#[derive(Deserialize)]
struct Envelope<T> {
    result: T,
}

#[derive(Deserialize)]
struct Changed {
    operation_id: u64,
}

#[derive(Deserialize)]
struct Point {
    id: u64,
    #[serde(default)]
    version: Option<u64>,
    #[serde(default)]
    payload: Option<Stamps>,
    #[serde(default)]
    vector: Option<Vec<f32>>,
}

#[derive(Deserialize)]
struct Stamps {
    put: Stamp,
    change: Stamp,
}

#[derive(Deserialize)]
struct Points {
    points: Vec<Point>,
    #[serde(default)]
    next_page_offset: Option<u64>,
}

#[derive(Deserialize)]
struct Counted {
    count: u64,
}

#[derive(Deserialize)]
struct Digests {
    shards: Vec<ShardDigests>,
}

impl Api {
    /// A collection at `http://HOST:PORT`.
    #[must_use]
    pub fn new(http: Http, endpoint: &str, collection: &str) -> Self {
        Self {
            http,
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            collection: collection.to_owned(),
        }
    }

    /// Asks for something of the collection that the set-up needs.
    ///
    /// # Errors
    /// There is no good answer.
    pub async fn set_up(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failed> {
        let url = self.url("", path);
        let failed = |why, may_pass| Failed {
            call: format!("{method} {url}"),
            why,
            may_pass,
        };
        match self.http.ask(method.clone(), &url, body).await {
            Reply::Answered(StatusCode::OK, body) => {
                let read = serde_json::from_slice::<Envelope<Value>>(&body);
                let read =
                    read.map_err(|e| failed(format!("its answer makes no sense: {e}"), false));
                Ok(read?.result)
            }
            Reply::Answered(status, body) => {
                let why = format!("{status}: {}", told(&body).unwrap_or_default());
                let may_pass = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
                Err(failed(why, may_pass))
            }
            Reply::NotSent(why) | Reply::Lost(why) => Err(failed(why, true)),
        }
    }

    fn url(&self, prefix: &str, path: &str) -> String {
        let Self {
            endpoint,
            collection,
            ..
        } = self;
        format!("{endpoint}{prefix}/collections/{collection}{path}")
    }

    /// Makes a call of the workload.
    pub async fn call(&self, plan: &Plan, call: &Call) -> Outcome {
        let (method, prefix, path, body) = request(plan, call);
        let url = self.url(prefix, path);
        outcome(plan, call, self.http.ask(method, &url, body.as_ref()).await)
    }
}

fn request(plan: &Plan, call: &Call) -> (Method, &'static str, &'static str, Option<Value>) {
    let post = |path, body| (Method::POST, "", path, Some(body));
    let upsert = |key, stamp, version: Option<u64>| {
        let mut point = json!({
            "id": plan.id_of(key),
            "vector": plan.vector_of(stamp),
            "payload": {"moves": true, "put": stamp, "change": stamp},
        });
        if let Some(version) = version {
            point["if_version"] = version.into();
        }
        let body = json!({"points": [point]});
        (Method::PUT, "", "/points?wait=true", Some(body))
    };
    match *call {
        Call::Put { key, stamp } => upsert(key, stamp, None),
        Call::PutIf {
            key,
            stamp,
            version,
            ..
        } => upsert(key, stamp, Some(version)),
        Call::Edit { key, stamp } => post(
            "/points/payload?wait=true",
            json!({"points": [plan.id_of(key)], "payload": {"change": stamp}}),
        ),
        Call::Delete { key } => post(
            "/points/delete?wait=true",
            json!({"points": [plan.id_of(key)]}),
        ),
        Call::Get { key } => post(
            "/points",
            json!({"ids": [plan.id_of(key)], "with_payload": true, "with_vector": true}),
        ),
        Call::Look { key } => post(
            "/points/query",
            json!({
                "query": plan.vector_of(Stamp { client: 0, counter: 0 }),
                "filter": {"must": [{"has_id": [plan.id_of(key)]}]},
                "limit": 1,
                "with_payload": true,
                "with_vector": true,
            }),
        ),
        Call::Scan => post(
            "/points/scroll",
            json!({
                "filter": {"must": [{"key": "moves", "match": {"value": true}}]},
                "limit": plan.keys + 1,
                "with_payload": true,
                "with_vector": true,
            }),
        ),
        Call::Search { near, exact } => post(
            "/points/query",
            json!({
                "query": plan.vector_at_rest(near),
                "limit": plan.limit,
                "params": {"exact": exact, "hnsw_ef": EF},
            }),
        ),
        Call::Page { from } => post(
            "/points/scroll",
            json!({
                "filter": {"must": [{"key": "rests", "match": {"value": true}}]},
                "offset": from,
                "limit": plan.page,
                "with_payload": false,
            }),
        ),
        Call::Count { group } => {
            let mut must = vec![json!({"key": "rests", "match": {"value": true}})];
            must.extend(group.map(|g| json!({"key": "group", "match": {"value": g}})));
            post(
                "/points/count",
                json!({"filter": {"must": must}, "exact": true}),
            )
        }
        Call::Digests => (Method::GET, "/quoit/v1", "/digests", None),
    }
}

/// What an answer means. Only a refusal in the server's own words is one: what
/// stands between, such as a proxy, does not know what became of a call.
fn outcome(plan: &Plan, call: &Call, reply: Reply) -> Outcome {
    let (status, body) = match reply {
        Reply::NotSent(why) => return Outcome::Refused(why),
        Reply::Lost(why) => return Outcome::Unknown(why),
        Reply::Answered(status, body) => (status, body),
    };
    if status == StatusCode::OK {
        let answer = answer(plan, call, &body);
        return Outcome::Done(answer.unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(&body);
            Answer::Nonsense(format!("the answer makes no sense ({error}): {text}"))
        }));
    }
    let Some(error) = told(&body) else {
        return Outcome::Unknown(format!("{status} without a word"));
    };
    let why = format!("{}: {error}", status.as_u16());
    match (call, status) {
        (Call::Edit { .. }, StatusCode::NOT_FOUND) if error.contains("No point with id") => {
            Outcome::Done(Answer::NotThere)
        }
        (Call::PutIf { .. }, StatusCode::CONFLICT) => Outcome::Done(Answer::OtherVersion),
        (_, StatusCode::REQUEST_TIMEOUT) => Outcome::Unknown(why),
        (_, StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE) => {
            Outcome::Refused(why)
        }
        (_, status) if status.is_client_error() => Outcome::Refused(why),
        _ => Outcome::Unknown(why),
    }
}

/// What an answer that is no success says, if it is one of the API.
fn told(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body.pointer("/status/error")?.as_str()?.to_owned())
}

fn answer(plan: &Plan, call: &Call, body: &[u8]) -> Result<Answer, String> {
    fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, String> {
        let read: Envelope<T> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        Ok(read.result)
    }
    let one = |key: u64, mut points: Vec<Point>| match (points.pop(), points.is_empty()) {
        (None, _) => Ok(Answer::Point(None)),
        (Some(point), true) if point.id == plan.id_of(key) => {
            Ok(Answer::Point(Some(seen(plan, point)?)))
        }
        _ => Err("not the one point that was asked for".to_owned()),
    };
    Ok(match *call {
        Call::Put { .. } | Call::PutIf { .. } | Call::Edit { .. } | Call::Delete { .. } => {
            let version = read::<Changed>(body)?.operation_id;
            Answer::Changed { version }
        }
        Call::Get { key } => one(key, read::<Vec<Point>>(body)?)?,
        Call::Look { key } => one(key, read::<Points>(body)?.points)?,
        Call::Scan => {
            let points = read::<Points>(body)?.points.into_iter();
            let one = |point: Point| {
                let id = point.id;
                let key = plan.key_of(id);
                let key = key.ok_or_else(|| format!("nobody wrote a point of id {id}"))?;
                Ok((key, seen(plan, point)?))
            };
            Answer::Points(points.map(one).collect::<Result<_, String>>()?)
        }
        Call::Search { .. } => Answer::Found(ids(read::<Points>(body)?.points)),
        Call::Page { .. } => {
            let page = read::<Points>(body)?;
            Answer::Page {
                next: page.next_page_offset,
                ids: ids(page.points),
            }
        }
        Call::Count { .. } => Answer::Counted(read::<Counted>(body)?.count),
        Call::Digests => Answer::Digests(read::<Digests>(body)?.shards),
    })
}

fn ids(points: Vec<Point>) -> Vec<u64> {
    points.into_iter().map(|point| point.id).collect()
}

fn seen(plan: &Plan, point: Point) -> Result<Seen, String> {
    let stamps = point.payload.ok_or("a point without a payload")?;
    let vector = point.vector;
    Ok(Seen {
        put: stamps.put,
        change: stamps.change,
        whole: vector.map(|vector| plan.is_vector_of(stamps.put, &vector)),
        version: point.version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn plan() -> Plan {
        Plan {
            seed: 7,
            dimension: 8,
            rest: 10,
            groups: 2,
            keys: 4,
            clients: 1,
            limit: 3,
            page: 5,
        }
    }

    fn came(call: &Call, status: u16, body: &str) -> Outcome {
        let status = StatusCode::from_u16(status).unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        outcome(&plan(), call, Reply::Answered(status, body))
    }

    const STAMP: Stamp = Stamp {
        client: 0,
        counter: 1,
    };

    fn is_refused(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Refused(_))
    }

    #[test]
    fn a_change_is_refused_only_where_the_server_says_so() {
        let put = Call::Put {
            key: 1,
            stamp: STAMP,
        };
        let error = r#"{"status":{"error":"as the test says"}}"#;
        for status in [400, 404, 413, 422, 429, 503, 507] {
            assert!(is_refused(&came(&put, status, error)), "{status}");
            let by_a_proxy = came(&put, status, "<html>");
            assert!(matches!(by_a_proxy, Outcome::Unknown(_)), "{status}");
        }
        for status in [408, 500, 502, 504] {
            let unknown = came(&put, status, error);
            assert!(matches!(unknown, Outcome::Unknown(_)), "{status}");
        }
        let reply = |reply| outcome(&plan(), &put, reply);
        assert!(is_refused(&reply(Reply::NotSent(String::new()))));
        let lost = reply(Reply::Lost(String::new()));
        assert!(matches!(lost, Outcome::Unknown(_)));
    }

    #[test]
    fn a_condition_that_is_not_met_is_an_answer() {
        let put_if = Call::PutIf {
            key: 1,
            stamp: STAMP,
            expected: STAMP,
            version: 4,
        };
        let edit = Call::Edit {
            key: 1,
            stamp: STAMP,
        };
        let error = r#"{"status":{"error":"Not found: No point with id 1 found; what …"}}"#;
        assert_eq!(
            came(&put_if, 409, error),
            Outcome::Done(Answer::OtherVersion)
        );
        assert_eq!(came(&edit, 404, error), Outcome::Done(Answer::NotThere));
        let gone = r#"{"status":{"error":"Not found: Collection `docs` doesn't exist!"}}"#;
        assert!(is_refused(&came(&edit, 404, gone)));
    }

    #[test]
    fn an_answer_to_something_else_is_nonsense() {
        let get = Call::Get { key: 1 };
        let is_nonsense = |body: String| {
            let came = came(&get, 200, &body);
            matches!(came, Outcome::Done(Answer::Nonsense(_)))
        };
        let point =
            |id: u64, payload: &str| format!(r#"{{"result":[{{"id":{id},"payload":{payload}}}]}}"#);
        let id = plan().id_of(1);
        let stamps = r#"{"put":"0-1","change":"0-2"}"#;
        assert!(!is_nonsense(point(id, stamps)));
        assert!(is_nonsense(point(id + 1, stamps)));
        assert!(is_nonsense(point(id, "{}")));
        assert!(is_nonsense("{}".to_owned()));
    }
}
