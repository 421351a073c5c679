//! How evenly the ring spreads vnodes and keys, and what a join moves, beside a
//! classic consistent-hash ring. Computed, so the same on every machine.

use crate::clock::number;
use crate::corpus::{VNODES, vnode_count};
use crate::error::{Error, Result};
use crate::report::{Section, Table};
use crate::setting::Setting;
use quoit_ring::simulate::{Change, Distribution, Report, Setting as Ring, Side, simulate};

/// Points of each member on the classic ring.
const CLASSIC_POINTS: u32 = 80;

/// The most that the member with the most may have over the mean, by members.
const GOALS: [(u32, f64); 2] = [(10, 1.002), (100, 1.03)];

/// Measures the ring.
pub fn run(setting: &Setting) -> Result<Section> {
    let mut section = Section::new("Ring");
    section.text(format!(
        "{VNODES} vnodes, `quoit ring simulate`; the classic ring has {CLASSIC_POINTS} points a member. Keys are hashed, so\n\
         they are spread as chance has it, over an even share of the ring.",
    ));
    let widest = spread()?;
    section.goal(
        "vnodes of two members differ, 2 to 100 members",
        "≤ 1",
        widest.to_string(),
        widest <= 1,
    );
    let keys = if setting.quick { 100_000 } else { 1_000_000 };
    let mut table = Table::new(&[
        "members",
        "vnodes, max / mean",
        "keys, max / mean",
        "keys, max / mean, classic",
    ]);
    for (members, most) in GOALS {
        let report = ring(members, keys, Some(CLASSIC_POINTS), Change::Nothing)?;
        let quoit = &report.quoit;
        let classic = report
            .classic
            .as_ref()
            .map_or(f64::NAN, |c| c.keys_max_over_mean);
        table.row([
            members.to_string(),
            format!("{:.4}", quoit.vnodes_max_over_mean),
            format!("{:.4}", quoit.keys_max_over_mean),
            format!("{classic:.4}"),
        ]);
        section.goal(
            format!("vnodes of the fullest of {members} members over the mean"),
            format!("≤ {most}"),
            format!("{:.4}", quoit.vnodes_max_over_mean),
            quoit.vnodes_max_over_mean <= most,
        );
    }
    section.table(table);
    joins(&mut section)?;
    Ok(section)
}

/// The widest difference of two members' vnodes.
fn spread() -> Result<u64> {
    let mut widest = 0;
    for members in 2..=100 {
        let Side { members, .. } = ring(members, 0, None, Change::Nothing)?.quoit;
        let vnodes = Distribution::of(members.iter().map(|m| m.vnodes));
        widest = widest.max(vnodes.max - vnodes.min);
    }
    Ok(widest)
}

fn joins(section: &mut Section) -> Result<()> {
    let mut table = Table::new(&[
        "a member joins",
        "moved",
        "at most 1/(N+1) + 1/V",
        "least possible",
        "moved, classic",
    ]);
    // How much of what a join may move is left, at the worst join.
    let mut least_left = f64::INFINITY;
    for members in 1..100_u32 {
        let bound = 1.0 / (f64::from(members) + 1.0) + 1.0 / f64::from(VNODES);
        let shown = [1, 2, 3, 4, 9, 99].contains(&members);
        let (keys, classic) = if shown {
            (100_000, Some(CLASSIC_POINTS))
        } else {
            (0, None)
        };
        let report = ring(members, keys, classic, Change::Join(1))?;
        least_left = least_left.min(bound - report.quoit.moved);
        if shown {
            let classic = report.classic.as_ref().map_or(f64::NAN, |c| c.moved);
            table.row([
                format!("{members} → {}", members + 1),
                format!("{:.5}", report.quoit.moved),
                format!("{bound:.5}"),
                format!("{:.5}", report.quoit.least),
                format!("{classic:.5}"),
            ]);
        }
    }
    section.goal(
        "vnodes that a join moves, 1 to 99 members",
        "≤ 1/(N+1) + 1/V",
        format!(
            "at least {:.2} vnodes below",
            least_left * number(VNODES.into())
        ),
        least_left >= 0.0,
    );
    section.table(table);
    Ok(())
}

fn ring(members: u32, keys: u32, classic_points: Option<u32>, change: Change) -> Result<Report> {
    let ring = Ring {
        members,
        vnodes: vnode_count()?,
        keys,
        classic_points,
        change,
    };
    simulate(&ring).map_err(|e| Error::unexpected(e.to_string()))
}
