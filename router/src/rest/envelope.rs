//! The envelope around every answer, and the points inside it. Points are
//! written byte by byte: their payloads are JSON already, and a tree of values
//! would be built only to be taken apart.

use std::io::Write;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use quoit_proto::v1::order_value::Kind;
use quoit_ring::PointId;
use serde::Serialize;

use super::error::Error;
use crate::catalog::VectorSet;
use crate::fanout::Row;
use crate::fanout::search::Scored;
pub(crate) use crate::json::list;
use crate::select::Selector;

const OPEN: &[u8] = b"{\"result\":";

/// The result of a call as JSON text, in an envelope that is still open.
pub(crate) struct Reply(Vec<u8>);

/// What of each point is answered.
#[derive(Debug, Clone)]
pub(crate) struct Show {
    pub(crate) payload: Selector,
    pub(crate) vectors: VectorSet,
    /// Points have one vector without a name: it is answered as a list of numbers.
    pub(crate) is_unnamed: bool,
}

impl Reply {
    /// A result that serde writes.
    pub(crate) fn of(result: &impl Serialize) -> Result<Self, Error> {
        let mut buffer = OPEN.to_vec();
        serde_json::to_writer(&mut buffer, result)?;
        Ok(Self(buffer))
    }

    /// A result that a function writes.
    pub(crate) fn written(
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut buffer = OPEN.to_vec();
        write(&mut buffer)?;
        Ok(Self(buffer))
    }

    /// The same with one more field beside the result.
    pub(crate) fn with(mut self, field: &str, value: &impl Serialize) -> Result<Self, Error> {
        // Writing into a vector does not fail.
        let _ = write!(self.0, ",\"{field}\":");
        serde_json::to_writer(&mut self.0, value)?;
        Ok(self)
    }

    /// The whole envelope.
    pub(crate) fn close(mut self, seconds: f64) -> Response {
        self.0.extend_from_slice(b",\"status\":\"ok\",\"time\":");
        time(&mut self.0, seconds);
        self.0.push(b'}');
        json(StatusCode::OK, self.0)
    }
}

/// The envelope of an error.
pub(crate) fn failed(text: &str, seconds: f64) -> Vec<u8> {
    let text = serde_json::Value::from(text);
    let mut buffer = format!("{{\"status\":{{\"error\":{text}}},\"time\":").into_bytes();
    time(&mut buffer, seconds);
    buffer.push(b'}');
    buffer
}

fn time(buffer: &mut Vec<u8>, seconds: f64) {
    // Writing into a vector does not fail.
    let _ = write!(buffer, "{seconds:.9}");
}

/// A response of JSON text.
pub(crate) fn json(status: StatusCode, text: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Writes a point without a score.
pub(crate) fn record(buffer: &mut Vec<u8>, row: &Row, show: &Show) -> Result<(), Error> {
    buffer.extend_from_slice(b"{\"id\":");
    id(buffer, row.id);
    rest(buffer, row, show)
}

/// Writes a point with its score.
pub(crate) fn scored(buffer: &mut Vec<u8>, hit: &Scored, show: &Show) -> Result<(), Error> {
    buffer.extend_from_slice(b"{\"id\":");
    id(buffer, hit.row.id);
    let _ = write!(buffer, ",\"version\":{},\"score\":", hit.row.point.version);
    serde_json::to_writer(&mut *buffer, &hit.score)?;
    rest(buffer, &hit.row, show)
}

/// Writes an id: a number as such, a UUID with hyphens.
pub(crate) fn id(buffer: &mut Vec<u8>, id: PointId) {
    let _ = match id {
        PointId::Num(n) => write!(buffer, "{n}"),
        PointId::Uuid(u) => write!(buffer, "\"{}\"", u.hyphenated()),
    };
}

fn rest(buffer: &mut Vec<u8>, row: &Row, show: &Show) -> Result<(), Error> {
    if show.payload.wants_any() {
        buffer.extend_from_slice(b",\"payload\":");
        show.payload.write(buffer, &row.point.payload)?;
    }
    if show.vectors != VectorSet::NONE {
        buffer.extend_from_slice(b",\"vector\":");
        match row.point.vectors.as_slice() {
            [one] if show.is_unnamed => numbers(buffer, &one.values)?,
            named => {
                buffer.push(b'{');
                for (i, vector) in named.iter().enumerate() {
                    if i > 0 {
                        buffer.push(b',');
                    }
                    serde_json::to_writer(&mut *buffer, &vector.name)?;
                    buffer.push(b':');
                    numbers(buffer, &vector.values)?;
                }
                buffer.push(b'}');
            }
        }
    }
    if let Some(kind) = row.order_value.as_ref().and_then(|value| value.kind) {
        buffer.extend_from_slice(b",\"order_value\":");
        match kind {
            Kind::Integer(n) => serde_json::to_writer(&mut *buffer, &n)?,
            Kind::Float(x) => serde_json::to_writer(&mut *buffer, &x)?,
        }
    }
    buffer.push(b'}');
    Ok(())
}

fn numbers(buffer: &mut Vec<u8>, values: &[f32]) -> Result<(), Error> {
    list(buffer, values, |buffer, x| {
        Ok(serde_json::to_writer(buffer, x)?)
    })
}
