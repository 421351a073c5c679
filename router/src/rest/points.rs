//! Points by id, in the order of ids, and counted.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::decode;
use super::call::Call;
use super::envelope::{self, Reply, Show};
use super::error::Error;
use super::filter::JsonFilter;
use super::ids::{self, JsonId};
use super::not_yet::NotYet;
use super::order::JsonOrder;
use super::payload::WithVector;
use crate::catalog::{Collection, VectorSet};
use crate::check::{self, window};
use crate::fanout::ordered::scroll_by;
use crate::fanout::read::{self, Page, With};
use crate::select::Selector;

impl Show {
    /// What a client asks for, checked. `place` is where in the body that is.
    pub(crate) fn new(
        collection: &Collection,
        payload: Selector,
        vector: WithVector,
        place: &str,
    ) -> Result<Self, Error> {
        let vectors = match vector {
            WithVector::None => VectorSet::NONE,
            WithVector::All => VectorSet::ALL,
            WithVector::Names(names) => {
                let mut some = VectorSet::NONE;
                for name in names {
                    let field = || format!("{place}with_vector");
                    some = some.with(check::known(collection, &name, field)?);
                }
                some
            }
        };
        Ok(Self {
            payload,
            vectors,
            is_unnamed: collection.params().is_unnamed(),
        })
    }

    /// What the shards are to send for it.
    pub(crate) fn with(&self) -> With {
        With {
            payload: self.payload.wants_any(),
            vectors: self.vectors,
        }
    }
}

/// Which points, and what of them.
#[derive(Deserialize, ToSchema)]
#[schema(as = PointRequest)]
pub(crate) struct RetrieveBody {
    ids: Vec<JsonId>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// `POST /collections/{c}/points`: the points of some ids.
pub(crate) async fn retrieve(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let body: RetrieveBody = decode(&body)?;
    check::ids(&collection, body.ids.len())?;
    let payload = body.with_payload.unwrap_or(Selector::Everything);
    let show = Show::new(&collection, payload, body.with_vector, "")?;
    let ids: Vec<_> = body.ids.iter().map(|id| id.0).collect();
    let rows = read::retrieve(&collection, &ids, show.with()).await?;
    Reply::written(|buffer| {
        envelope::list(buffer, &rows, |buffer, row| {
            envelope::record(buffer, row, &show)
        })
    })
}

/// `GET /collections/{c}/points/{id}`: one point with all it has.
pub(crate) async fn get(mut call: Call) -> Result<Reply, Error> {
    let text = call.path("id").to_owned();
    let id = ids::from_path(&text).ok_or_else(|| Error::ReadUrl {
        place: "path parameters",
        message: format!("id: {text:?} is not {}", ids::EXPECTED),
    })?;
    let collection = call.collection().await?;
    let show = Show::new(&collection, Selector::Everything, WithVector::All, "")?;
    let rows = read::retrieve(&collection, &[id], show.with()).await?;
    let row = rows.first().ok_or(Error::FindPoint(id))?;
    Reply::written(|buffer| envelope::record(buffer, row, &show))
}

/// Which points, in which order, and what of them.
#[derive(Deserialize, ToSchema)]
#[schema(as = ScrollRequest)]
pub(crate) struct ScrollBody {
    offset: Option<JsonId>,
    limit: Option<u64>,
    with_payload: Option<Selector>,
    #[serde(default)]
    with_vector: WithVector,
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    order_by: Option<JsonOrder>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// `POST /collections/{c}/points/scroll`: a page in the order of ids, or the
/// first points in the order of a field.
pub(crate) async fn scroll(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let body: ScrollBody = decode(&body)?;
    let (_, limit) = window(&collection, None, body.limit, "")?;
    let payload = body.with_payload.unwrap_or(Selector::Everything);
    let show = Show::new(&collection, payload, body.with_vector, "")?;
    let (filter, with) = (&body.filter.0, show.with());
    let page = match (body.order_by, body.offset) {
        (None, from) => {
            let from = from.map(|id| id.0);
            read::scroll(&collection, filter, from, limit, with).await?
        }
        (Some(JsonOrder(order)), None) => Page {
            rows: scroll_by(&collection, filter, &order, (0, limit), with).await?,
            next: None,
        },
        (Some(_), Some(_)) => {
            let message = "an offset is an id, and says nothing of a place in the order of `order_by`: \
                           start the next page with `order_by.start_from`, and leave out the points already seen of \
                           that value by a filter";
            return Err(Error::fit("offset", message));
        }
    };
    Reply::written(|buffer| {
        buffer.extend_from_slice(b"{\"points\":");
        envelope::list(buffer, &page.rows, |buffer, row| {
            envelope::record(buffer, row, &show)
        })?;
        buffer.extend_from_slice(b",\"next_page_offset\":");
        match page.next {
            Some(id) => envelope::id(buffer, id),
            None => buffer.extend_from_slice(b"null"),
        }
        buffer.push(b'}');
        Ok(())
    })
}

/// Which points are counted.
#[derive(Deserialize, ToSchema)]
#[schema(as = CountRequest)]
pub(crate) struct CountBody {
    #[serde(default)]
    #[schema(value_type = Option<JsonFilter>)]
    filter: JsonFilter,
    // A count is exact either way.
    #[serde(default, rename = "exact")]
    _exact: Option<bool>,
    #[serde(default, rename = "shard_key")]
    #[schema(ignore)]
    _shard_key: NotYet,
}

/// How many there are.
#[derive(Serialize, ToSchema)]
#[schema(as = CountResult)]
pub(crate) struct Counted {
    count: u64,
}

/// `POST /collections/{c}/points/count`.
pub(crate) async fn count(mut call: Call) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let body = call
        .body(collection.params().limits.max_request_bytes)
        .await?;
    let body: CountBody = decode(&body)?;
    let count = read::count(&collection, &body.filter.0).await?;
    Reply::of(&Counted { count })
}
