//! The calls that read points and answer with one message.

use std::collections::BTreeSet;
use std::sync::Arc;

use quoit_proto::v1::{
    CountPointsRequest, CountPointsResponse, GetPointsRequest, GetPointsResponse, PointSearch,
    ScoredPoint, SearchPointsBatchRequest, SearchPointsBatchResponse, SearchPointsRequest,
    SearchPointsResponse,
};

use super::call::{collection, within};
use super::read::{self, Show};
use crate::catalog::Collection;
use crate::check;
use crate::error::Error;
use crate::fanout::read as shards;
use crate::fanout::search::{self, Found, Nearest, Scored};
use crate::reading::Reading;
use crate::select::Selector;
use crate::server::App;

/// The points nearest to one vector.
pub(crate) async fn one(
    app: &Arc<App>,
    request: SearchPointsRequest,
    reading: &Reading,
) -> Result<SearchPointsResponse, Error> {
    let collection = collection(app, &request.collection)?.read_as(reading);
    within(&collection, &request)?;
    let wish = request.search.unwrap_or_default();
    let (nearest, show) = nearest(&collection, wish, "search.")?;
    let found = search::search(&collection, &[nearest]).await?;
    answer(found.into_iter().next().unwrap_or_default(), &show)
}

/// The points nearest to each of some vectors.
pub(crate) async fn batch(
    app: &Arc<App>,
    request: SearchPointsBatchRequest,
    reading: &Reading,
) -> Result<SearchPointsBatchResponse, Error> {
    let collection = collection(app, &request.collection)?.read_as(reading);
    within(&collection, &request)?;
    if request.searches.is_empty() {
        return Err(Error::fit("searches", "name at least one search"));
    }
    check::searches(&collection, request.searches.len())?;
    let wishes = request.searches.into_iter().enumerate();
    let read = wishes.map(|(i, wish)| nearest(&collection, wish, &format!("searches[{i}].")));
    let (searches, shows): (Vec<_>, Vec<_>) =
        read.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let found = search::search(&collection, &searches).await?;
    let results = found.into_iter().zip(&shows);
    let results = results.map(|(found, show)| answer(found, show));
    Ok(SearchPointsBatchResponse {
        results: results.collect::<Result<_, _>>()?,
    })
}

/// One search, checked. `at` is where in the message it is.
fn nearest(
    collection: &Collection,
    asked: PointSearch,
    at: &str,
) -> Result<(Nearest, Show), Error> {
    let place = |name: &str| format!("{at}{name}");
    let PointSearch {
        vector,
        vector_name,
        filter,
        offset,
        limit,
        score_threshold,
        hnsw_ef,
        exact,
        with_payload,
        with_vectors,
        indexed_only,
        explain,
    } = asked;
    check::known(collection, &vector_name, || place("vector_name"))?;
    let using = read::checked(collection, &vector_name, &vector, |rest: &str| {
        place(&format!("vector{rest}"))
    })?;
    let (offset, limit) = check::window(collection, Some(offset), limit, at)?;
    let hnsw_ef = check::hnsw_ef(collection, Some(hnsw_ef), || place("hnsw_ef"))?;
    if let Some(bad) = score_threshold.filter(|least| !least.is_finite()) {
        let message = format!("{bad} is not finite as a 32-bit number");
        return Err(Error::fit(place("score_threshold"), message));
    }
    let filter = match filter {
        None => read::filter(None, "")?,
        some => read::filter(some, &place("filter"))?,
    };
    let show = Show::new(
        collection,
        with_payload,
        with_vectors,
        Selector::Nothing,
        place,
    )?;
    let nearest = Nearest {
        vector,
        using,
        objective: None,
        offset,
        limit,
        with: show.with(),
        score_threshold,
        hnsw_ef,
        exact,
        indexed_only,
        explain,
        filter,
        exclude: BTreeSet::new(),
    };
    Ok((nearest, show))
}

fn answer(found: Found, show: &Show) -> Result<SearchPointsResponse, Error> {
    let points = found.hits.into_iter().map(|Scored { row, score }| {
        let point = Some(show.point(row)?);
        Ok(ScoredPoint { point, score })
    });
    Ok(SearchPointsResponse {
        points: points.collect::<Result<_, Error>>()?,
        explanations: found.explanations,
    })
}

/// Points by their ids.
pub(crate) async fn get(
    app: &Arc<App>,
    request: GetPointsRequest,
    reading: &Reading,
) -> Result<GetPointsResponse, Error> {
    let collection = collection(app, &request.collection)?.read_as(reading);
    within(&collection, &request)?;
    check::ids(&collection, request.ids.len())?;
    let ids = read::ids(&request.ids, "ids")?;
    let show = Show::new(
        &collection,
        request.with_payload,
        request.with_vectors,
        Selector::Everything,
        |name: &str| name.to_owned(),
    )?;
    let rows = shards::retrieve(&collection, &ids, show.with()).await?;
    let points = rows.into_iter().map(|row| show.point(row));
    Ok(GetPointsResponse {
        points: points.collect::<Result<_, _>>()?,
    })
}

/// How many points meet a filter.
pub(crate) async fn count(
    app: &Arc<App>,
    request: CountPointsRequest,
    reading: &Reading,
) -> Result<CountPointsResponse, Error> {
    let collection = collection(app, &request.collection)?.read_as(reading);
    within(&collection, &request)?;
    let filter = read::filter(request.filter, "filter")?;
    let count = shards::count(&collection, &filter).await?;
    Ok(CountPointsResponse { count })
}
