//! Which cells of the globe an area may have something in: never too few, and
//! a few too many at its border, since what is found is compared exactly.

use crate::key::{column, interleave, row};
use quoit_filter::{GeoBox, GeoPolygon, GeoRadius};

/// The mean radius of the earth as conditions have it.
const EARTH_RADIUS: f64 = 6_371_008.8;

/// By how much a circle is taken too wide, in radians (0.6 metres): more than
/// the haversine formula errs by, which is worst on the other side of the globe.
const MARGIN: f64 = 1e-7;

/// Into how many runs of cells an area is cut at most.
const MOST_RUNS: usize = 32;

/// First and last cell of a run.
pub type Run = (u64, u64);

/// What lies between two latitudes and two longitudes, borders included.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    south: f64,
    north: f64,
    west: f64,
    east: f64,
}

pub fn of_box(area: &GeoBox) -> Vec<Run> {
    let (north, south) = (area.top_left.lat(), area.bottom_right.lat());
    let (west, east) = (area.top_left.lon(), area.bottom_right.lon());
    runs(&frames(south, north, west, east))
}

pub fn of_radius(area: &GeoRadius) -> Vec<Run> {
    let (lat, lon) = (area.center().lat(), area.center().lon());
    let angle = area.metres() / EARTH_RADIUS + MARGIN;
    let (south, north) = (lat - angle.to_degrees(), lat + angle.to_degrees());
    if south <= -90.0 || north >= 90.0 {
        // A circle with a pole in it has all longitudes.
        return runs(&frames(south, north, -180.0, 180.0));
    }
    let across = (angle.sin() / lat.to_radians().cos()).min(1.0).asin();
    let (west, east) = (lon - across.to_degrees(), lon + across.to_degrees());
    let around = |lon: f64| match lon {
        lon if lon < -180.0 => lon + 360.0,
        lon if lon > 180.0 => lon - 360.0,
        lon => lon,
    };
    runs(&frames(south, north, around(west), around(east)))
}

pub fn of_polygon(area: &GeoPolygon) -> Vec<Run> {
    let Some(first) = area.exterior().first() else {
        return Vec::new();
    };
    let mut frame = Frame {
        south: first.lat(),
        north: first.lat(),
        west: first.lon(),
        east: first.lon(),
    };
    for corner in area.exterior() {
        frame.south = frame.south.min(corner.lat());
        frame.north = frame.north.max(corner.lat());
        frame.west = frame.west.min(corner.lon());
        frame.east = frame.east.max(corner.lon());
    }
    runs(&[frame])
}

/// One frame, or two if it lies over the antimeridian.
fn frames(south: f64, north: f64, west: f64, east: f64) -> Vec<Frame> {
    let frame = |west, east| Frame {
        south,
        north,
        west,
        east,
    };
    if west > east {
        vec![frame(west, 180.0), frame(-180.0, east)]
    } else {
        vec![frame(west, east)]
    }
}

/// The runs of all cells that touch one of some frames, in order and apart.
fn runs(frames: &[Frame]) -> Vec<Run> {
    let mut all: Vec<Run> = frames.iter().flat_map(runs_of).collect();
    all.sort_unstable();
    let mut joined: Vec<Run> = Vec::new();
    for (first, last) in all {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// Quarters the globe, and what lies across the border again, until there are
/// enough cells.
fn runs_of(frame: &Frame) -> Vec<Run> {
    let rows = (row(frame.south), row(frame.north));
    let columns = (column(frame.west), column(frame.east));
    if frame.south > frame.north || frame.west > frame.east {
        return Vec::new();
    }
    let mut inside: Vec<Run> = Vec::new();
    let mut across = vec![((0, u32::MAX), (0, u32::MAX))];
    while !across.is_empty() {
        let mut within = inside.clone();
        let mut next = Vec::new();
        for (r, c) in across.iter().flat_map(|(r, c)| {
            let (r, c) = (halve(*r), halve(*c));
            [(r[0], c[0]), (r[0], c[1]), (r[1], c[0]), (r[1], c[1])]
        }) {
            let touches = r.0 <= rows.1 && r.1 >= rows.0 && c.0 <= columns.1 && c.1 >= columns.0;
            let inner = r.0 >= rows.0 && r.1 <= rows.1 && c.0 >= columns.0 && c.1 <= columns.1;
            if inner {
                within.push((interleave(r.0, c.0), interleave(r.1, c.1)));
            } else if touches {
                next.push((r, c));
            }
        }
        if within.len() + next.len() > MOST_RUNS {
            break;
        }
        (inside, across) = (within, next);
    }
    let rest = across
        .iter()
        .map(|(r, c)| (interleave(r.0, c.0), interleave(r.1, c.1)));
    inside.extend(rest);
    inside
}

fn halve((first, last): (u32, u32)) -> [(u32, u32); 2] {
    let middle = first + (last - first) / 2;
    [(first, middle), (middle.saturating_add(1), last)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Place;
    use proptest::prelude::*;
    use quoit_filter::GeoPoint;

    fn has(runs: &[Run], place: GeoPoint) -> bool {
        let cell = Place::new(place).cell;
        runs.iter()
            .any(|(first, last)| (*first..=*last).contains(&cell))
    }

    fn at(lat: f64, lon: f64) -> GeoPoint {
        GeoPoint::new(lat, lon).unwrap()
    }

    /// Anywhere, and often where the globe is odd.
    fn lats() -> impl Strategy<Value = f64> {
        prop_oneof![
            -90.0..=90.0,
            89.9..=90.0,
            -90.0..=-89.9,
            Just(90.0),
            Just(-90.0),
            Just(0.0)
        ]
    }

    fn lons() -> impl Strategy<Value = f64> {
        prop_oneof![
            -180.0..=180.0,
            179.9..=180.0,
            -180.0..=-179.9,
            Just(180.0),
            Just(-180.0),
            Just(0.0)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn no_place_in_an_area_is_outside_its_cells(
            lat in lats(), lon in lons(), other_lat in lats(), other_lon in lons(),
            third_lat in lats(), third_lon in lons(),
            near in (-0.1..0.1_f64, -0.1..0.1_f64), metres in prop_oneof![0.0..100.0, 0.0..50_000.0, 0.0..3e7],
        ) {
            let (center, other) = (at(lat, lon), at(other_lat, other_lon));
            let area = GeoRadius::new(center, metres).unwrap();
            let runs = of_radius(&area);
            let close = at((lat + near.0).clamp(-90.0, 90.0), (lon + near.1).clamp(-180.0, 180.0));
            let edge = |angle: f64| {
                let degrees = (metres / EARTH_RADIUS).to_degrees();
                let lon = lon + degrees * angle.sin() / lat.to_radians().cos().max(1e-9);
                let lon = (lon + 180.0).rem_euclid(360.0) - 180.0;
                at((lat + degrees * angle.cos()).clamp(-90.0, 90.0), lon)
            };
            let edges = (0..16).map(|i| edge(f64::from(i) * 0.39));
            for place in [other, close, at(other_lat, lon), at(lat, other_lon), at(lat, -lon)].into_iter().chain(edges) {
                prop_assert!(!area.contains(place) || has(&runs, place), "{:?} {:?}", area, place);
            }
            let area = GeoBox { top_left: center, bottom_right: other };
            let third = at(third_lat, third_lon);
            for place in [third, close] {
                prop_assert!(!area.contains(place) || has(&of_box(&area), place));
            }
            let area = GeoPolygon::new(vec![center, other, third, center], Vec::new()).unwrap();
            let middle = at((lat + other_lat + third_lat) / 3.0, (lon + other_lon + third_lon) / 3.0);
            for place in [middle, close] {
                prop_assert!(!area.contains(place) || has(&of_polygon(&area), place));
            }
        }
    }

    #[test]
    fn the_cells_of_a_small_area_are_few_of_the_globe() {
        let berlin = GeoRadius::new(at(52.52, 13.4), 1000.0).unwrap();
        let runs = of_radius(&berlin);
        assert!(!runs.is_empty() && runs.len() <= 2 * MOST_RUNS);
        let cells: u64 = runs.iter().map(|(first, last)| last - first).sum();
        assert!(cells < u64::MAX >> 24, "{cells}");
        assert!(!has(&runs, at(52.6, 13.4)) && !has(&runs, at(-52.52, 13.4)));
        let world = GeoBox {
            top_left: at(90.0, -180.0),
            bottom_right: at(-90.0, 180.0),
        };
        assert_eq!(of_box(&world), [(0, u64::MAX)]);
    }
}
