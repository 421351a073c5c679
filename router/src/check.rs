//! Whether what a client asks for is within the bounds of its collection, the
//! same for every way in which clients ask. A refusal names the field, the bound
//! and what to do.

use crate::catalog::Collection;
use crate::error::Error;

/// How many points a page or a search has that names no limit.
const DEFAULT_LIMIT: u64 = 10;

/// Checks which part of an answer is wanted: the skipped points and the
/// limit. All of them are fetched and sorted, so that the bound is on both.
pub(crate) fn window(
    collection: &Collection,
    offset: Option<u64>,
    limit: Option<u64>,
    place: &str,
) -> Result<(usize, usize), Error> {
    let max = collection.params().limits.max_search_limit as u64;
    let (offset, limit) = (offset.unwrap_or(0), limit.unwrap_or(DEFAULT_LIMIT));
    if limit == 0 {
        let message = "value 0 invalid, must be 1 or larger";
        return Err(Error::validate(format!("{place}limit"), message));
    }
    let last = offset.saturating_add(limit);
    match usize::try_from(last) {
        Ok(_) if last <= max => Ok((
            usize::try_from(offset).unwrap_or(usize::MAX),
            usize::try_from(limit).unwrap_or(usize::MAX),
        )),
        _ => {
            let field = if limit > max { "limit" } else { "offset" };
            let message = format!(
                "offset and limit together are {last} and may be {max} at most: \
                 page through many points with scroll"
            );
            Err(Error::validate(format!("{place}{field}"), message))
        }
    }
}

/// Checks how many points a request names.
pub(crate) fn ids(collection: &Collection, count: usize) -> Result<(), Error> {
    let max = collection.params().limits.max_batch_points;
    if count <= max {
        return Ok(());
    }
    let message = format!("{count} points are more than the {max} of one request: send several");
    Err(Error::validate("ids", message))
}

/// Checks how many points a request has as examples.
pub(crate) fn examples(collection: &Collection, count: usize, field: &str) -> Result<(), Error> {
    let max = collection.params().limits.max_batch_points;
    if count <= max {
        return Ok(());
    }
    let message = format!("{count} points as examples are more than the {max} of one request");
    Err(Error::validate(field, message))
}

/// What the copies of one request may take in any case.
const COPIES: usize = 4 << 20;

/// Checks how much memory the prefetches of a request take for what they have from
/// the searches around them: a short request must not become a long one.
pub(crate) fn copies(collection: &Collection, bytes: usize, field: &str) -> Result<(), Error> {
    let max = collection.params().limits.max_request_bytes.max(COPIES);
    if bytes <= max {
        return Ok(());
    }
    let message = format!(
        "filters and examples around prefetches hold for each of them, and take together more than {max} bytes of memory: send fewer prefetches, or a smaller filter"
    );
    Err(Error::validate(field, message))
}

/// Checks how many searches a request has, prefetches among them.
pub(crate) fn searches(collection: &Collection, got: usize) -> Result<(), Error> {
    let max = collection.params().limits.max_batch_searches;
    if got <= max {
        return Ok(());
    }
    let message = format!(
        "{got} searches, prefetches among them, are more than the {max} of one request: send several"
    );
    Err(Error::validate("searches", message))
}

/// Checks the size of the candidate list that a search asks for. None of no
/// length: then the index's own is meant.
pub(crate) fn hnsw_ef(
    collection: &Collection,
    ef: Option<u64>,
    field: impl FnOnce() -> String,
) -> Result<Option<u32>, Error> {
    let max = collection.params().limits.max_hnsw_ef;
    match ef {
        None | Some(0) => Ok(None),
        Some(ef) => match u32::try_from(ef) {
            Ok(ef) if ef <= max => Ok(Some(ef)),
            _ => {
                let message = format!("{ef} is more than {max}: `exact` searches everything");
                Err(Error::validate(field(), message))
            }
        },
    }
}

/// The place of a vector's name, which the collection must have.
pub(crate) fn known(
    collection: &Collection,
    name: &str,
    field: impl FnOnce() -> String,
) -> Result<usize, Error> {
    let params = collection.params();
    params.place(name).ok_or_else(|| {
        let there: Vec<_> = params.vectors.iter().map(|v| &v.name).collect();
        let message = if params.is_unnamed() {
            format!(
                "Not existing vector name error: {name}: the collection's one vector has no name"
            )
        } else {
            format!("Not existing vector name error: {name}: the collection has {there:?}")
        };
        Error::fit(field(), message)
    })
}

/// Checks a vector's name and length; the place of its name.
pub(crate) fn fitting(
    collection: &Collection,
    name: &str,
    values: &[f32],
    field: impl Fn() -> String,
) -> Result<usize, Error> {
    let place = known(collection, name, &field)?;
    let (want, got) = (collection.params().vectors[place].dimension, values.len());
    if want == got {
        return Ok(place);
    }
    let message = format!("Vector dimension error: expected dim: {want}, got {got}");
    Err(Error::fit(field(), message))
}

/// Checks the length of a payload's text, in bytes.
pub(crate) fn payload_size(
    collection: &Collection,
    bytes: usize,
    field: impl FnOnce() -> String,
) -> Result<(), Error> {
    let max = collection.params().limits.max_payload_bytes;
    if bytes <= max {
        return Ok(());
    }
    let message = format!("{bytes} bytes are more than the {max} of one payload");
    Err(Error::validate(field(), message))
}
