//! One call with one message: a place among the requests in flight, and a
//! deadline, which is the client's `grpc-timeout` or the server's own.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::catalog::Collection;
use crate::error::Error;
use crate::limits::{MAX_TIMEOUT, Place};
use crate::metrics::REFUSED;
use crate::reading::{BadFreshness, Reading};
use crate::server::App;

/// Runs a call that can change nothing.
pub(crate) async fn reads<T, R>(
    app: &Arc<App>,
    request: Request<T>,
    work: impl AsyncFnOnce(T) -> Result<R, Error>,
) -> Result<Response<R>, Status> {
    run(app, request, false, work).await
}

/// Runs a call that can change something.
pub(crate) async fn writes<T, R>(
    app: &Arc<App>,
    request: Request<T>,
    work: impl AsyncFnOnce(T) -> Result<R, Error>,
) -> Result<Response<R>, Status> {
    run(app, request, true, work).await
}

async fn run<T, R>(
    app: &Arc<App>,
    request: Request<T>,
    writes: bool,
    work: impl AsyncFnOnce(T) -> Result<R, Error>,
) -> Result<Response<R>, Status> {
    // The room for the message is among the extensions: it is held to the end.
    let (metadata, _extensions, message) = request.into_parts();
    let limit = timeout(&metadata)?.unwrap_or(app.limits.timeout);
    let call = async {
        let _place = enter(app).await?;
        work(message).await
    };
    let finished = tokio::time::timeout(limit, call).await;
    let answer = finished.unwrap_or(Err(Error::Finish { limit, writes }))?;
    Ok(Response::new(answer))
}

/// A place among the requests in flight.
pub(crate) async fn enter(app: &App) -> Result<Place, Error> {
    app.admission.enter().await.map_err(|_| {
        metrics::counter!(REFUSED).increment(1);
        Error::Enter
    })
}

/// The collection of a name.
pub(crate) fn collection(app: &App, name: &str) -> Result<Arc<Collection>, Error> {
    if name.is_empty() {
        let message = "name a collection: the call Collections/List has their names";
        return Err(Error::fit("collection", message));
    }
    let found = app.catalog.get(name);
    found.map_err(|why| Error::no_collection(name, why))
}

/// Checks a message's size against the collection's own bound.
pub(crate) fn within(collection: &Collection, message: &impl Message) -> Result<(), Error> {
    let limit = collection.params().limits.max_request_bytes;
    if message.encoded_len() > limit {
        return Err(Error::FitBody { limit });
    }
    Ok(())
}

/// How fresh the client wants what the call reads; the words are those of REST.
pub(crate) fn reading(metadata: &MetadataMap) -> Result<Reading, Error> {
    const FIELD: &str = "consistency";
    let Some(value) = metadata.get(FIELD) else {
        return Ok(Reading::default());
    };
    let read = value.to_str().unwrap_or("not a text").parse();
    let freshness = read.map_err(|bad| match bad {
        BadFreshness::Zero => Error::fit(FIELD, "value 0 invalid, must be 1 or larger"),
        BadFreshness::Unreadable => Error::fit(
            FIELD,
            format!("{value:?} is not {}", BadFreshness::EXPECTED),
        ),
    })?;
    Ok(Reading {
        freshness,
        partial: None,
    })
}

/// How long the client gives the call.
pub(crate) fn timeout(metadata: &MetadataMap) -> Result<Option<Duration>, Error> {
    const FIELD: &str = "grpc-timeout";
    let Some(value) = metadata.get(FIELD) else {
        return Ok(None);
    };
    let read = value.to_str().ok().and_then(|text| {
        let unit = text.chars().next_back()?;
        let digits = text.strip_suffix(unit)?;
        let is_number =
            (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let number: u64 = is_number.then(|| digits.parse().ok()).flatten()?;
        match unit {
            'H' => Some(Duration::from_secs(number * 3600)),
            'M' => Some(Duration::from_secs(number * 60)),
            'S' => Some(Duration::from_secs(number)),
            'm' => Some(Duration::from_millis(number)),
            'u' => Some(Duration::from_micros(number)),
            'n' => Some(Duration::from_nanos(number)),
            _ => None,
        }
    });
    let message = "not a time: send up to 8 digits and one of H, M, S, m, u, n";
    let time = read.ok_or_else(|| Error::fit(FIELD, message))?;
    Ok(Some(time.min(MAX_TIMEOUT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Option<Duration> {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", text.parse().unwrap());
        timeout(&metadata).ok().flatten()
    }

    #[test]
    fn times_are_read_in_all_units_and_cut_to_an_hour() {
        for (text, time) in [
            ("1H", Duration::from_hours(1)),
            ("2M", Duration::from_mins(2)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("00000006n", Duration::from_nanos(6)),
            ("99999999H", MAX_TIMEOUT),
        ] {
            assert_eq!(read(text), Some(time), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "1.5S",
            "123456789S",
            "1 S",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
