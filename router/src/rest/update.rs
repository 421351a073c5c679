//! Changes of points as clients ask for them, one call or many in a batch, and
//! how they are made: in order, and those by id that follow each other as one
//! write, so that each vnode takes all of them or none.

use bytes::Bytes;
use quoit_proto::v1;
use quoit_proto::v1::change::Kind;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::Call;
use super::envelope::Reply;
use super::error::Error;
use super::filter::JsonFilter;
use super::ids::JsonId;
use super::openapi::shape::{shaped, word};
use super::params::Params;
use crate::catalog::Collection;
use crate::fanout::write::Change;
use crate::update::{Allowance, Mode, Update};

/// What updates are read with: the collection that they must fit, where in the
/// body they are, and what one request may yet ask for.
pub(crate) struct Reading<'a> {
    pub(crate) collection: &'a Collection,
    pub(crate) body: &'a Bytes,
    /// The place of the update's fields, with a dot at its end; empty for the
    /// body itself.
    pub(crate) at: String,
    allowance: Allowance<'a>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(collection: &'a Collection, body: &'a Bytes) -> Self {
        Self {
            collection,
            body,
            at: String::new(),
            allowance: Allowance::new(collection),
        }
    }

    /// The name of a field of the update.
    pub(crate) fn field(&self, name: &str) -> String {
        format!("{}{name}", self.at)
    }

    /// Counts the points that an update names.
    pub(crate) fn count(&mut self, field: &str, count: usize) -> Result<(), Error> {
        self.allowance
            .count(count, || format!("{}{field}", self.at))
    }

    /// The same change of points that are named by their ids or by a filter.
    pub(crate) fn selected(
        &mut self,
        points: Option<Vec<JsonId>>,
        filter: Option<JsonFilter>,
        of: &str,
        kind: Kind,
    ) -> Result<Update, Error> {
        match (points, filter) {
            (Some(ids), None) => {
                self.count("points", ids.len())?;
                let ids = ids.into_iter().map(|id| id.0).collect();
                self.allowance
                    .same(ids, &kind, || format!("{}{of}", self.at))
            }
            (None, Some(JsonFilter(filter))) => Ok(Update::Matching { filter, kind }),
            (Some(_), Some(_)) => Err(Error::ReadJson(format!(
                "`{0}points` and `{0}filter` exclude each other: send one of them",
                self.at
            ))),
            (None, None) => Err(Error::ReadJson(format!(
                "missing field `{0}points`: name the ids of the points, or send `{0}filter`",
                self.at
            ))),
        }
    }

    /// Changes that are made only where a mode and a filter allow: of points that
    /// meet the filter, of points that are there, or of points that are not.
    pub(crate) fn conditional(
        &mut self,
        changes: Vec<Change>,
        mode: Mode,
        filter: Option<&JsonFilter>,
    ) -> Result<Update, Error> {
        let filter = filter.map(|JsonFilter(filter)| v1::Filter::from(filter));
        self.allowance.conditional(changes, mode, filter, || {
            format!("{}update_filter", self.at)
        })
    }
}

/// What a client gets for an update.
#[derive(Serialize, Clone, ToSchema)]
#[schema(as = UpdateResult)]
pub(crate) struct Done {
    operation_id: u64,
    #[schema(value_type = Acknowledgement)]
    status: &'static str,
}

/// As it was asked for by `wait`.
enum Acknowledgement {}

shaped!(Acknowledgement as "UpdateStatus" => word(["acknowledged", "completed"]));

/// The answer to an update that has no number.
pub(crate) fn done(params: Params) -> Result<Reply, Error> {
    Reply::of(&Done {
        operation_id: 0,
        status: status(params),
    })
}

fn status(params: Params) -> &'static str {
    if params.wait {
        "completed"
    } else {
        "acknowledged"
    }
}

/// Reads one update from a call's body and makes it.
pub(crate) async fn one(
    mut call: Call,
    read: impl FnOnce(Reading) -> Result<Update, Error>,
) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let limit = collection.params().limits.max_request_bytes;
    let body = call.body(limit).await?;
    let update = read(Reading::new(&collection, &body))?;
    drop(body);
    let done = make(call.params, &collection, vec![update]).await?;
    Reply::of(&done[0])
}

/// Reads many updates from a call's body and makes them in their order.
pub(crate) async fn many(
    mut call: Call,
    read: impl FnOnce(Reading) -> Result<Vec<Update>, Error>,
) -> Result<Reply, Error> {
    let collection = call.collection().await?;
    let limit = collection.params().limits.max_request_bytes;
    let body = call.body(limit).await?;
    let updates = read(Reading::new(&collection, &body))?;
    drop(body);
    Reply::of(&make(call.params, &collection, updates).await?)
}

/// Makes updates in their order; what one cannot do stops those after it.
async fn make(
    params: Params,
    collection: &Collection,
    updates: Vec<Update>,
) -> Result<Vec<Done>, Error> {
    let status = status(params);
    let mut all = Vec::with_capacity(updates.len());
    let mut updates = updates.into_iter().peekable();
    while let Some(update) = updates.next() {
        let mut together = 1;
        let update = match update {
            Update::Points(mut changes) => {
                while let Some(Update::Points(more)) =
                    updates.next_if(|next| matches!(next, Update::Points(_)))
                {
                    changes.extend(more);
                    together += 1;
                }
                Update::Points(changes)
            }
            matching @ Update::Matching { .. } => matching,
        };
        let operation_id = update.make(collection).await?;
        let done = Done {
            operation_id,
            status,
        };
        all.extend(std::iter::repeat_n(done, together));
    }
    Ok(all)
}
