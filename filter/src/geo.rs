//! Places on the globe. Distances by the haversine formula on a sphere with
//! the mean radius of the earth; borders are straight lines in degrees, and
//! what is exactly on a border is outside.

use serde_json::Value;

/// Metres (IUGG).
const EARTH_RADIUS: f64 = 6_371_008.8;

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoPoint {
    lat: f64,
    lon: f64,
}

/// A box between two latitudes and two longitudes; over the antimeridian where
/// its left is east of its right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoBox {
    /// The corner in the north west.
    pub top_left: GeoPoint,
    /// The corner in the south east.
    pub bottom_right: GeoPoint,
}

/// All places nearer to one than so many metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeoRadius {
    center: GeoPoint,
    metres: f64,
}

/// A ring of places, and rings cut out of it.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoPolygon {
    exterior: Vec<GeoPoint>,
    interiors: Vec<Vec<GeoPoint>>,
}

/// Why something is no place or area.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GeoError {
    /// A latitude.
    #[error("the latitude {0} is not between -90 and 90 degrees")]
    Latitude(f64),
    /// A longitude.
    #[error("the longitude {0} is not between -180 and 180 degrees")]
    Longitude(f64),
    /// A radius.
    #[error("the radius {0} is not a number of metres, 0 or more")]
    Radius(f64),
    /// A ring of a polygon.
    #[error("a ring of a polygon needs four points or more, of which the last is the first again")]
    Ring,
}

impl GeoPoint {
    /// A place.
    ///
    /// # Errors
    /// It is not on the globe.
    pub fn new(lat: f64, lon: f64) -> Result<Self, GeoError> {
        if !(-90.0..=90.0).contains(&lat) {
            Err(GeoError::Latitude(lat))
        } else if !(-180.0..=180.0).contains(&lon) {
            Err(GeoError::Longitude(lon))
        } else {
            Ok(Self { lat, lon })
        }
    }

    /// Degrees north.
    #[must_use]
    pub fn lat(&self) -> f64 {
        self.lat
    }

    /// Degrees east.
    #[must_use]
    pub fn lon(&self) -> f64 {
        self.lon
    }

    /// The place that an object with `lat` and `lon` names. It may not be on the
    /// globe: payloads are not checked.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        let degrees = |key| value.get(key)?.as_f64();
        Some(Self {
            lat: degrees("lat")?,
            lon: degrees("lon")?,
        })
    }

    fn metres_to(self, other: Self) -> f64 {
        let [lat, other_lat] = [self.lat, other.lat].map(f64::to_radians);
        let half = |a: f64, b: f64| ((b - a) / 2.0).sin().powi(2);
        let across = half(self.lon.to_radians(), other.lon.to_radians());
        let chord = half(lat, other_lat) + lat.cos() * other_lat.cos() * across;
        2.0 * EARTH_RADIUS * chord.min(1.0).sqrt().asin()
    }
}

impl GeoBox {
    /// Whether a place is in it.
    #[must_use]
    pub fn contains(&self, place: GeoPoint) -> bool {
        let (left, right) = (self.top_left.lon, self.bottom_right.lon);
        let between = if left > right {
            place.lon > left || place.lon < right
        } else {
            place.lon > left && place.lon < right
        };
        between && place.lat < self.top_left.lat && place.lat > self.bottom_right.lat
    }
}

impl GeoRadius {
    /// What is nearer to a place than so many metres.
    ///
    /// # Errors
    /// The radius is negative or no number.
    pub fn new(center: GeoPoint, metres: f64) -> Result<Self, GeoError> {
        if metres.is_finite() && metres >= 0.0 {
            Ok(Self { center, metres })
        } else {
            Err(GeoError::Radius(metres))
        }
    }

    /// Its middle.
    #[must_use]
    pub fn center(&self) -> GeoPoint {
        self.center
    }

    /// Its radius in metres.
    #[must_use]
    pub fn metres(&self) -> f64 {
        self.metres
    }

    /// Whether a place is in it.
    #[must_use]
    pub fn contains(&self, place: GeoPoint) -> bool {
        self.center.metres_to(place) < self.metres
    }
}

impl GeoPolygon {
    /// An area with holes.
    ///
    /// # Errors
    /// A ring has too few points or is open.
    pub fn new(exterior: Vec<GeoPoint>, interiors: Vec<Vec<GeoPoint>>) -> Result<Self, GeoError> {
        let is_ring = |ring: &Vec<GeoPoint>| ring.len() >= 4 && ring.first() == ring.last();
        if is_ring(&exterior) && interiors.iter().all(is_ring) {
            Ok(Self {
                exterior,
                interiors,
            })
        } else {
            Err(GeoError::Ring)
        }
    }

    /// Its outer ring.
    #[must_use]
    pub fn exterior(&self) -> &[GeoPoint] {
        &self.exterior
    }

    /// Its holes.
    #[must_use]
    pub fn interiors(&self) -> &[Vec<GeoPoint>] {
        &self.interiors
    }

    /// Whether a place is in it.
    #[must_use]
    pub fn contains(&self, place: GeoPoint) -> bool {
        let in_hole = |ring: &Vec<GeoPoint>| side(ring, place) != Side::Out;
        side(&self.exterior, place) == Side::In && !self.interiors.iter().any(in_hole)
    }
}

#[derive(PartialEq)]
enum Side {
    In,
    Out,
    Border,
}

/// Even–odd rule: a ray from the place crosses the ring an odd number of times
/// if the place is inside.
fn side(ring: &[GeoPoint], place: GeoPoint) -> Side {
    let mut inside = false;
    for (from, to) in ring.iter().zip(ring.iter().skip(1)) {
        let (fx, fy) = (from.lon - place.lon, from.lat - place.lat);
        let (tx, ty) = (to.lon - place.lon, to.lat - place.lat);
        let turn = fx * ty - tx * fy;
        if turn == 0.0 && fx * tx <= 0.0 && fy * ty <= 0.0 {
            return Side::Border;
        }
        if (fy > 0.0) != (ty > 0.0) && (turn > 0.0) == (ty > fy) {
            inside = !inside;
        }
    }
    if inside { Side::In } else { Side::Out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(lat: f64, lon: f64) -> GeoPoint {
        GeoPoint::new(lat, lon).unwrap()
    }

    fn ring(corners: &[(f64, f64)]) -> Vec<GeoPoint> {
        let closed = corners.iter().chain(corners.first());
        closed.map(|(lat, lon)| at(*lat, *lon)).collect()
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        let (berlin, london) = (at(52.52, 13.405), at(51.5074, -0.1278));
        let km = berlin.metres_to(london) / 1000.0;
        assert!((km - 932.0).abs() < 2.0, "{km}");
        let half = at(0.0, 0.0).metres_to(at(0.0, 180.0));
        assert!((half - std::f64::consts::PI * EARTH_RADIUS).abs() < 1.0);
        let within = |metres| GeoRadius::new(berlin, metres).unwrap().contains(london);
        assert!(within(935_000.0) && !within(929_000.0));
        assert!(!GeoRadius::new(berlin, 0.0).unwrap().contains(berlin));
    }

    #[test]
    fn a_box_may_lie_over_the_antimeridian_and_its_border_is_outside() {
        let fiji = GeoBox {
            top_left: at(-15.0, 176.0),
            bottom_right: at(-20.0, -178.0),
        };
        assert!(fiji.contains(at(-17.0, 179.0)) && fiji.contains(at(-17.0, -179.0)));
        assert!(!fiji.contains(at(-17.0, 0.0)) && !fiji.contains(at(-17.0, 176.0)));
        assert!(!fiji.contains(at(-15.0, 179.0)) && !fiji.contains(at(-21.0, 179.0)));
    }

    #[test]
    fn a_polygon_has_what_is_in_its_ring_and_in_none_of_its_holes() {
        let area = GeoPolygon::new(
            ring(&[
                (0.0, 0.0),
                (0.0, 10.0),
                (10.0, 10.0),
                (5.0, 5.0),
                (10.0, 0.0),
            ]),
            vec![ring(&[(1.0, 1.0), (1.0, 2.0), (2.0, 2.0), (2.0, 1.0)])],
        )
        .unwrap();
        for (lat, lon, inside) in [
            (3.0, 3.0, true),
            (9.0, 9.5, true),
            (8.0, 5.0, false),
            (1.5, 1.5, false),
            (1.0, 1.5, false),
            (0.0, 5.0, false),
            (5.0, 5.0, false),
            (5.0, 0.5, true),
            (0.5, 11.0, false),
            (-1.0, 0.0, false),
        ] {
            assert_eq!(area.contains(at(lat, lon)), inside, "{lat} {lon}");
        }
    }

    #[test]
    fn what_is_no_place_or_area_is_refused() {
        assert_eq!(GeoPoint::new(90.5, 0.0), Err(GeoError::Latitude(90.5)));
        assert_eq!(GeoPoint::new(0.0, -181.0), Err(GeoError::Longitude(-181.0)));
        assert!(GeoPoint::new(f64::NAN, 0.0).is_err());
        assert!(GeoRadius::new(at(0.0, 0.0), -1.0).is_err());
        assert!(GeoRadius::new(at(0.0, 0.0), f64::INFINITY).is_err());
        let open = vec![at(0.0, 0.0), at(0.0, 1.0), at(1.0, 1.0), at(1.0, 0.0)];
        assert_eq!(GeoPolygon::new(open, vec![]), Err(GeoError::Ring));
        let whole = ring(&[(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
        let flat = vec![at(0.2, 0.2), at(0.3, 0.3), at(0.2, 0.2)];
        assert_eq!(GeoPolygon::new(whole, vec![flat]), Err(GeoError::Ring));
    }
}
