//! Between the generated messages and the ring's types.

use crate::v1;
use quoit_ring::{NotAPointId, PointId};

impl From<PointId> for v1::PointId {
    fn from(id: PointId) -> Self {
        let kind = match id {
            PointId::Num(n) => v1::point_id::Kind::Num(n),
            PointId::Uuid(u) => v1::point_id::Kind::Uuid(u.as_bytes().to_vec()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<&v1::PointId> for PointId {
    type Error = NotAPointId;

    fn try_from(id: &v1::PointId) -> Result<Self, NotAPointId> {
        match &id.kind {
            Some(v1::point_id::Kind::Num(n)) => Ok(Self::Num(*n)),
            Some(v1::point_id::Kind::Uuid(u)) => uuid::Uuid::from_slice(u)
                .map(Self::Uuid)
                .map_err(|_| NotAPointId),
            None => Err(NotAPointId),
        }
    }
}
