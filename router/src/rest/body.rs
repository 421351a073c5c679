//! Reads a request's body up to its bound, and decodes it. Decoding is done by
//! plain serde; only a body that fails is read a second time, to say where.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::Deserialize;

use super::error::Error;
use super::strict::strictly;

/// How much of a body that nobody wants is read, and for how long. A client
/// that is still sending when the connection closes may never see the answer.
const DISCARD: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// How long the next piece of a body may take. Room is set aside for all of a
/// body: clients that send nothing must not keep it from the others.
const PIECE_TIME: Duration = Duration::from_secs(10);

/// At most so much is set aside on the word of a header.
const TRUST: usize = 1 << 20;

/// So many characters are said of what is wrong with a body.
const SAID: usize = 1000;

/// The length that the client says the body has.
pub(crate) fn declared(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// The whole body, if it is within the bound.
pub(crate) async fn read(
    body: Body,
    declared: Option<usize>,
    limit: usize,
) -> Result<Bytes, Error> {
    let mut stream = body.into_data_stream();
    if declared.is_some_and(|length| length > limit) {
        discard_stream(stream).await;
        return Err(Error::FitBody { limit });
    }
    let mut whole = BytesMut::with_capacity(declared.unwrap_or(0).min(TRUST));
    loop {
        let piece = tokio::time::timeout(PIECE_TIME, stream.next()).await;
        let piece = piece.map_err(|_| Error::AwaitBody {
            seconds: PIECE_TIME.as_secs(),
        })?;
        let Some(piece) = piece else {
            return Ok(whole.freeze());
        };
        let piece = piece.map_err(|e| Error::ReadBody(e.to_string()))?;
        if whole.len() + piece.len() > limit {
            drop(whole);
            discard_stream(stream).await;
            return Err(Error::FitBody { limit });
        }
        whole.extend_from_slice(&piece);
    }
}

/// Reads what is left of a body that nobody wants, within bounds.
pub(crate) async fn discard(body: Body) {
    discard_stream(body.into_data_stream()).await;
}

async fn discard_stream(mut stream: BodyDataStream) {
    let all = async {
        let mut seen = 0;
        while let Some(Ok(piece)) = stream.next().await {
            seen += piece.len();
            if seen > DISCARD {
                break;
            }
        }
    };
    // Running out of time is as good as coming to the end.
    let _ = tokio::time::timeout(DISCARD_TIME, all).await;
}

/// Decodes a body; an error names the field.
pub(crate) fn decode<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Error> {
    let error = match plain(body) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let mut again = serde_json::Deserializer::from_slice(body);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut again, &mut track);
    let located = strictly::<T, _>(body.len(), tracked);
    let path = track.path();
    let text = match located {
        // What is wrong comes after the value.
        Ok(_) => error.to_string(),
        Err(located) if path.iter().next().is_none() => located.to_string(),
        Err(located) => format!("{path}: {located}"),
    };
    // What the parser says of such a number does not say which are right.
    let remedy = if text.contains("number out of range") {
        ": send finite numbers, in vectors within the range of 32-bit floats"
    } else {
        ""
    };
    Err(Error::ReadJson(cut(text) + remedy))
}

/// What is wrong may be as long as the body.
fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(SAID) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Decodes all of a text, within the memory that one of its length may take.
pub(crate) fn plain<'de, T: Deserialize<'de>>(text: &'de [u8]) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = strictly(text.len(), &mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_is_not_waited_for() {
        let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"{"))]);
        let body = Body::from_stream(first.chain(stream::pending()));
        let read = read(body, Some(1000), 1000).await;
        assert!(matches!(read, Err(Error::AwaitBody { seconds: 10 })));
    }
}
