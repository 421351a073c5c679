//! Changes of points as they are made, whichever way a client asked for them,
//! and how much one request may ask for.

use prost::Message;
use quoit_filter::Filter;
use quoit_proto::v1;
use quoit_proto::v1::change::Kind;
use quoit_proto::v1::operation::OnlyIf;
use quoit_proto::weight::weight;
use quoit_ring::PointId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::catalog::Collection;
use crate::error::Error;
use crate::fanout::write::{self, Change};

/// Which points an upsert is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = UpdateMode)]
pub(crate) enum Mode {
    /// All.
    #[default]
    Upsert,
    /// Those that are not there.
    InsertOnly,
    /// Those that are there.
    UpdateOnly,
}

/// One change that a client asks for.
pub(crate) enum Update {
    /// Of points by id.
    Points(Vec<Change>),
    /// Of all points that meet a filter.
    Matching { filter: Filter, kind: Kind },
}

impl Update {
    /// Makes it, durably and visibly. Returns the highest number that a vnode gave
    /// to its part.
    pub(crate) async fn make(self, collection: &Collection) -> Result<u64, Error> {
        match self {
            Self::Matching { filter, kind } => {
                Ok(write::write_matching(collection, &filter, &kind).await?)
            }
            Self::Points(changes) => by_id(collection, changes).await,
        }
    }
}

async fn by_id(collection: &Collection, changes: Vec<Change>) -> Result<u64, Error> {
    let told: Vec<_> = changes
        .iter()
        .map(|change| Some((change.id, told(change)?)))
        .collect();
    let written = write::write(collection, changes).await?;
    let mut left = written.left;
    left.sort_unstable();
    match left.into_iter().find_map(|place| told[place]) {
        None => Ok(written.seq),
        Some((id, Told::Missing)) => Err(Error::ChangePoint(id)),
        Some((id, Told::Version(version))) => Err(Error::MatchVersion { id, version }),
    }
}

/// What a client is told of a change that left its point as it is.
#[derive(Clone, Copy)]
enum Told {
    /// There is no such point.
    Missing,
    /// It is not of this version.
    Version(u64),
}

/// A point that does not meet a filter is left alone without a word.
fn told(change: &Change) -> Option<Told> {
    match change.only_if {
        None => Some(Told::Missing),
        Some(OnlyIf::UnchangedSince(version)) => Some(Told::Version(version)),
        Some(_) => None,
    }
}

/// About how much memory a change takes beside each point.
fn size(kind: &Kind) -> usize {
    match kind {
        Kind::EditPayload(edit) => weight(edit),
        Kind::RemoveVectors(names) => weight(names),
        Kind::Upsert(one) => one.encoded_len(),
        Kind::SetVectors(vectors) => vectors.encoded_len(),
        Kind::Delete(_) => 0,
    }
}

/// What one request may yet ask for.
pub(crate) struct Allowance<'a> {
    collection: &'a Collection,
    points: usize,
    bytes: usize,
}

impl<'a> Allowance<'a> {
    /// All that one request to a collection may ask for.
    pub(crate) fn new(collection: &'a Collection) -> Self {
        let limits = &collection.params().limits;
        Self {
            collection,
            points: limits.max_batch_points,
            bytes: limits.max_request_bytes,
        }
    }

    /// Counts the points that an update names.
    pub(crate) fn count(
        &mut self,
        count: usize,
        field: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        if count == 0 {
            let message = "Empty update request: name at least one point";
            return Err(Error::fit(field(), message));
        }
        let max = self.collection.params().limits.max_batch_points;
        let Some(left) = self.points.checked_sub(count) else {
            let all = max - self.points + count;
            let message =
                format!("{all} points are more than the {max} of one request: send several");
            return Err(Error::validate(field(), message));
        };
        self.points = left;
        Ok(())
    }

    /// Counts what is written beside each of some points. A short request must
    /// not become a long one by naming many points.
    fn repeat(
        &mut self,
        points: usize,
        bytes: usize,
        field: impl FnOnce() -> String,
    ) -> Result<(), Error> {
        let Some(left) = self.bytes.checked_sub(points.saturating_mul(bytes)) else {
            let max = self.collection.params().limits.max_request_bytes;
            let message = format!(
                "its {bytes} bytes of memory for each of {points} points are more than the {max} of one request: \
                 send several with fewer points"
            );
            return Err(Error::validate(field(), message));
        };
        self.bytes = left;
        Ok(())
    }

    /// The same change of each of some points.
    pub(crate) fn same(
        &mut self,
        ids: Vec<PointId>,
        kind: &Kind,
        field: impl FnOnce() -> String,
    ) -> Result<Update, Error> {
        self.repeat(ids.len(), size(kind), field)?;
        let change = |id| Change {
            id,
            only_if: None,
            kind: kind.clone(),
        };
        Ok(Update::Points(ids.into_iter().map(change).collect()))
    }

    /// Changes that are made only where a mode and a filter allow: of points that
    /// meet the filter, of points that are there, or of points that are not.
    /// `field` is where the filter is.
    pub(crate) fn conditional(
        &mut self,
        mut changes: Vec<Change>,
        mode: Mode,
        filter: Option<v1::Filter>,
        field: impl Fn() -> String,
    ) -> Result<Update, Error> {
        if let Some(filter) = &filter {
            self.repeat(changes.len(), weight(filter), &field)?;
        }
        let only_if = match (mode, filter) {
            (Mode::Upsert, None) => None,
            (Mode::Upsert, Some(filter)) => Some(OnlyIf::MeetsOrMissing(filter)),
            (Mode::UpdateOnly, filter) => Some(OnlyIf::Meets(filter.unwrap_or_default())),
            // A filter is about points that are there.
            (Mode::InsertOnly, _) => Some(OnlyIf::Missing(v1::Missing {})),
        };
        if only_if.is_some() {
            if changes.iter().any(|change| change.only_if.is_some()) {
                let message = "a point is put in if it is of a version (`if_version`), or if a filter and a mode allow: send one of them";
                return Err(Error::validate(field(), message));
            }
            for change in &mut changes {
                change.only_if.clone_from(&only_if);
            }
        }
        Ok(Update::Points(changes))
    }
}
