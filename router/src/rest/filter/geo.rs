//! Places in filters: boxes, circles and polygons.

use quoit_filter::{GeoBox, GeoError, GeoPoint, GeoPolygon, GeoRadius};
use serde::Deserialize;
use utoipa::ToSchema;

#[derive(Deserialize)]
#[serde(try_from = "LatLon")]
struct Place(GeoPoint);

/// Degrees.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GeoPoint)]
struct LatLon {
    lat: f64,
    lon: f64,
}

impl TryFrom<LatLon> for Place {
    type Error = GeoError;

    fn try_from(LatLon { lat, lon }: LatLon) -> Result<Self, GeoError> {
        GeoPoint::new(lat, lon).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(from = "Corners")]
pub(super) struct JsonBox(pub(super) GeoBox);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GeoBoundingBox)]
pub(super) struct Corners {
    #[schema(value_type = LatLon)]
    top_left: Place,
    #[schema(value_type = LatLon)]
    bottom_right: Place,
}

impl From<Corners> for JsonBox {
    fn from(corners: Corners) -> Self {
        Self(GeoBox {
            top_left: corners.top_left.0,
            bottom_right: corners.bottom_right.0,
        })
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Circle")]
pub(super) struct JsonRadius(pub(super) GeoRadius);

/// The radius is in metres.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GeoRadius)]
pub(super) struct Circle {
    #[schema(value_type = LatLon)]
    center: Place,
    radius: f64,
}

impl TryFrom<Circle> for JsonRadius {
    type Error = GeoError;

    fn try_from(circle: Circle) -> Result<Self, GeoError> {
        GeoRadius::new(circle.center.0, circle.radius).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(try_from = "Rings")]
pub(super) struct JsonPolygon(pub(super) GeoPolygon);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GeoPolygon)]
pub(super) struct Rings {
    exterior: Ring,
    interiors: Option<Vec<Ring>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GeoLineString)]
struct Ring {
    #[schema(value_type = Vec<LatLon>)]
    points: Vec<Place>,
}

impl TryFrom<Rings> for JsonPolygon {
    type Error = GeoError;

    fn try_from(rings: Rings) -> Result<Self, GeoError> {
        let ring = |ring: Ring| ring.points.into_iter().map(|p| p.0).collect();
        let interiors = rings.interiors.unwrap_or_default();
        GeoPolygon::new(
            ring(rings.exterior),
            interiors.into_iter().map(ring).collect(),
        )
        .map(Self)
    }
}
