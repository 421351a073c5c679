//! The calls that change points, but for imports.

use std::sync::Arc;

use quoit_filter::{BadEdit, Edit};
use quoit_proto::v1::change::Kind;
use quoit_proto::v1::operation::OnlyIf;
use quoit_proto::v1::{
    self, ChangePointsResponse, Delete, DeletePointsRequest, EditPayloadRequest, PayloadEdit,
    PointSelection, PointVectors, SetVectorsRequest, UpsertPointsRequest, payload_edit,
    point_selection,
};

use super::call::{collection, within};
use super::read;
use crate::catalog::Collection;
use crate::error::Error;
use crate::fanout::write::Change;
use crate::server::App;
use crate::update::{Allowance, Update};

type Changed = Result<ChangePointsResponse, Error>;

/// Puts points in.
pub(crate) async fn upsert(app: &Arc<App>, request: UpsertPointsRequest) -> Changed {
    let collection = collection(app, &request.collection)?;
    within(&collection, &request)?;
    let mut allowance = Allowance::new(&collection);
    allowance.count(request.points.len(), || "points".to_owned())?;
    let points = request.points.into_iter().enumerate();
    let changes = points.map(|(i, mut point)| {
        read::upsert(&collection, &mut point, |name: &str| {
            format!("points[{i}].{name}")
        })
    });
    let changes = changes.collect::<Result<_, _>>()?;
    let update = conditional(&mut allowance, changes, request.update_filter)?;
    done(&collection, update).await
}

/// Takes points away.
pub(crate) async fn delete(app: &Arc<App>, request: DeletePointsRequest) -> Changed {
    let collection = collection(app, &request.collection)?;
    within(&collection, &request)?;
    let kind = Kind::Delete(Delete {});
    let update = selected(&collection, request.points, kind, "points")?;
    done(&collection, update).await
}

/// Changes payloads.
pub(crate) async fn edit_payload(app: &Arc<App>, request: EditPayloadRequest) -> Changed {
    let collection = collection(app, &request.collection)?;
    within(&collection, &request)?;
    let edit = edit(&collection, request.edit)?;
    let kind = Kind::EditPayload(PayloadEdit::from(&edit));
    let update = selected(&collection, request.points, kind, "edit")?;
    done(&collection, update).await
}

/// Gives points other vectors.
pub(crate) async fn set_vectors(app: &Arc<App>, request: SetVectorsRequest) -> Changed {
    let collection = collection(app, &request.collection)?;
    within(&collection, &request)?;
    let mut allowance = Allowance::new(&collection);
    allowance.count(request.points.len(), || "points".to_owned())?;
    let points = request.points.into_iter().enumerate();
    let changes = points.map(|(i, point)| {
        let PointVectors {
            id,
            vector,
            named_vectors,
        } = point;
        let place = |name: &str| format!("points[{i}].{name}");
        let id = read::id(id.as_ref(), place)?;
        let vectors = read::vectors(&collection, vector, named_vectors, place)?;
        if vectors.is_empty() {
            let message = "no vector to set: name at least one, or leave the point out";
            return Err(Error::validate(place("named_vectors"), message));
        }
        Ok(Change {
            id,
            only_if: None,
            kind: Kind::SetVectors(v1::Vectors { vectors }),
        })
    });
    let changes = changes.collect::<Result<_, Error>>()?;
    let update = conditional(&mut allowance, changes, request.update_filter)?;
    done(&collection, update).await
}

async fn done(collection: &Collection, update: Update) -> Changed {
    let operation_id = update.make(collection).await?;
    Ok(ChangePointsResponse { operation_id })
}

fn conditional(
    allowance: &mut Allowance,
    changes: Vec<Change>,
    filter: Option<v1::Filter>,
) -> Result<Update, Error> {
    const FIELD: &str = "update_filter";
    let filter = filter.map(|filter| read::filter(Some(filter), FIELD));
    let only_if = filter.transpose()?;
    let only_if = only_if.map(|filter| OnlyIf::MeetsOrMissing((&filter).into()));
    allowance.conditional(changes, only_if.as_ref(), || FIELD.to_owned())
}

/// The same change of all points that a client means. `of` is the field that
/// says which change.
fn selected(
    collection: &Collection,
    points: Option<PointSelection>,
    kind: Kind,
    of: &str,
) -> Result<Update, Error> {
    match points.and_then(|points| points.by) {
        Some(point_selection::By::Ids(named)) => {
            let mut allowance = Allowance::new(collection);
            allowance.count(named.ids.len(), || "points.ids".to_owned())?;
            let ids = read::ids(&named.ids, "points.ids")?;
            allowance.same(ids, &kind, || of.to_owned())
        }
        Some(point_selection::By::Filter(filter)) => {
            let filter = read::filter(Some(filter), "points.filter")?;
            Ok(Update::Matching { filter, kind })
        }
        None => {
            let message =
                "it is missing: name `ids`, or send a `filter`; an empty filter means all points";
            Err(Error::fit("points", message))
        }
    }
}

fn edit(collection: &Collection, edit: Option<PayloadEdit>) -> Result<Edit, Error> {
    let Some(kind) = edit.and_then(|edit| edit.kind) else {
        let message = "it is missing: send one of `set`, `replace` and `remove`";
        return Err(Error::fit("edit", message));
    };
    let (field, text) = match &kind {
        payload_edit::Kind::Set(set) => ("edit.set", set.values.as_str()),
        payload_edit::Kind::Replace(text) => ("edit.replace", text.as_str()),
        payload_edit::Kind::Remove(_) => ("edit.remove", ""),
    };
    if !text.is_empty() {
        read::payload_text(collection, text, || field.to_owned())?;
    }
    let edit = PayloadEdit { kind: Some(kind) };
    let edit = Edit::try_from(edit);
    edit.map_err(|e: BadEdit| Error::fit(field, e.to_string()))
}
