//! `quoit ring simulate`: shows how a ring spreads vnodes and keys over its
//! members and what a change moves, without a server. It decides which
//! arguments make sense and how the numbers look; the numbers are
//! [`quoit_ring::simulate`]'s.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::{Args, ValueEnum};
use quoit_ring::simulate::{Change, Distribution, Report, Setting, Side, simulate};
use quoit_ring::{BadVnodeCount, ClaimError, VnodeCount};

#[cfg(test)]
mod tests;

/// Beyond these the answer takes minutes or the memory of a laptop.
const MOST_MEMBERS: u32 = 10_000;
const MOST_KEYS: u32 = 10_000_000;
const MOST_POINTS: u64 = 10_000_000;

/// Points of a member on the classic ring unless others are asked for.
const USUAL_POINTS: u32 = 80;

const LONG_ABOUT: &str = "\
Show how a ring spreads vnodes and keys over its members, and what a change of \
the members moves. Nothing is started and nothing is read: the table is computed \
as a cluster would compute it.

Members are node-0, node-1 and so on, all of equal weight; those who join go on \
from there. Keys are the numbers from 0: in Quoit's ring, key 7 is the point with \
the id 7. With --compare classic the same members and keys are put on a classic \
consistent-hash ring as well: each member has --points points on a circle, at the \
first 64 bits of the SHA-256 of `node:{id}#vnode:{v}`, and a key belongs to the \
first point at or after that of `key:{key}`.";

const AFTER_LONG_HELP: &str = "\
What the rows and fields say:
  vnodes    how many of the ring's vnodes a member has; in the classic ring, its points
  keys      how many of the keys fall to it
  max/mean  the load of the fullest member over the mean: 1 is perfect
  moved     the fraction that changes owner: of the vnodes in Quoit's ring, of the
            keys in the classic one
  least     the least that any ring must move to be balanced after this change, as
            the same fraction: all that the leavers had, or an equal share for each
            newcomer, in whole vnodes or keys and rounded down

The members are those after the change. In JSON, moved and least are fractions from
0 to 1, and `classic` is there only with --compare classic:
  {\"quoit\": {\"members\": [{\"id\", \"vnodes\", \"keys\"}], \"vnodes_max_over_mean\",
             \"keys_max_over_mean\", \"moved\", \"least\"}, \"classic\": {the same}}

Examples:
  quoit ring simulate --members 4 --join 1 --compare classic
  quoit ring simulate --members 10 --leave node-3 node-7
  quoit ring simulate --members 100 --vnodes 65536 --keys 1000000 -o json";

/// The arguments of `quoit ring simulate`.
#[derive(Clone, Debug, Args)]
#[command(
    about = "Show how a ring spreads its load, and what a change of the members moves",
    long_about = LONG_ABOUT,
    after_long_help = AFTER_LONG_HELP
)]
pub struct SimulateArgs {
    /// How many members there are before the change.
    #[arg(long, value_name = "N")]
    pub members: u32,

    /// How many vnodes the ring has: a power of two, at most 65536.
    #[arg(long, value_name = "V", default_value_t = 4096)]
    pub vnodes: u32,

    /// How many keys to place.
    #[arg(long, value_name = "K", default_value_t = 6000)]
    pub keys: u32,

    /// Let so many newcomers join, all at once.
    #[arg(long, value_name = "K", conflicts_with = "leave")]
    pub join: Option<u32>,

    /// Let these members leave, all at once. One that is not there is named,
    /// and changes nothing.
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    pub leave: Vec<String>,

    /// Hold another kind of ring against Quoit's.
    #[arg(long, value_name = "RING")]
    pub compare: Option<Compare>,

    /// How many points each member has on the classic ring: 80 unless given,
    /// usually 20 to 300. Needs --compare classic.
    #[arg(long, value_name = "P")]
    pub points: Option<u32>,

    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: Output,
}

/// A ring to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compare {
    /// A consistent-hash ring with random points.
    Classic,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--members 0`.
    #[error("--members is 0, and a ring needs at least one member: give 1 or more")]
    NoMembers,
    /// More members than are simulated.
    #[error(
        "--members and --join make {0} members, and at most {MOST_MEMBERS} are simulated: give fewer"
    )]
    TooManyMembers(u64),
    /// A number of vnodes that no ring has.
    #[error("--vnodes {given} is not a power of two from 1 to 65536: {remedy}")]
    Vnodes {
        /// What was given.
        given: u32,
        /// What to give instead.
        remedy: String,
    },
    /// `--keys 0`, or more than are simulated.
    #[error("--keys is {0}: give 1 to {MOST_KEYS}")]
    Keys(u32),
    /// `--points 0`.
    #[error("--points is 0, and a member without points owns nothing: give 1 or more")]
    NoPoints,
    /// More points than are simulated.
    #[error(
        "--points and the members make {0} points, and at most {MOST_POINTS} are simulated: \
         give fewer"
    )]
    TooManyPoints(u64),
    /// `--points` without the ring that has them.
    #[error("--points says nothing about Quoit's ring: add --compare classic, or leave it out")]
    PointsOfWhat,
    /// Everybody leaves.
    #[error("--leave names every member, and one at least must stay: name fewer")]
    NobodyStays,
    /// The ring could not be made for a reason the arguments do not show.
    #[error("could not simulate the ring")]
    Simulate(#[source] ClaimError),
    /// The output is closed or full.
    #[error("could not print the result")]
    Print(#[from] io::Error),
    /// The result has no JSON form.
    #[error("could not write the result as JSON")]
    Json(#[from] serde_json::Error),
}

/// Simulates, and prints the result to `out` and what a person should know
/// besides it to `notes`, so that the result can be piped on as it is.
///
/// # Errors
/// An argument makes no sense, or the result cannot be printed.
pub fn run(args: &SimulateArgs, out: &mut impl Write, notes: &mut impl Write) -> Result<(), Error> {
    let setting = setting(args)?;
    for id in setting.absent() {
        writeln!(
            notes,
            "note: --leave {id} changes nothing: no member has that id; they are {}",
            names(setting.members)
        )?;
    }
    let report = simulate(&setting).map_err(|error| match (&setting.change, error) {
        (Change::Leave(_), ClaimError::NoMembers) => Error::NobodyStays,
        (_, error) => Error::Simulate(error),
    })?;
    match args.output {
        Output::Json => {
            // Not straight to `out`: serde_json would take a closed pipe for
            // a fault of the JSON.
            let json = serde_json::to_string_pretty(&report)?;
            writeln!(out, "{json}")?;
        }
        Output::Table => {
            writeln!(out, "{}", headline(&setting, &report))?;
            writeln!(out)?;
            print(out, &rows(&report))?;
        }
    }
    Ok(())
}

fn setting(args: &SimulateArgs) -> Result<Setting, Error> {
    if args.members == 0 {
        return Err(Error::NoMembers);
    }
    let most = u64::from(args.members) + u64::from(args.join.unwrap_or(0));
    if most > u64::from(MOST_MEMBERS) {
        return Err(Error::TooManyMembers(most));
    }
    let vnodes = VnodeCount::new(args.vnodes).map_err(vnodes_error)?;
    if args.keys == 0 || args.keys > MOST_KEYS {
        return Err(Error::Keys(args.keys));
    }
    let classic_points = match (args.compare, args.points) {
        (None, Some(_)) => return Err(Error::PointsOfWhat),
        (None, None) => None,
        (Some(Compare::Classic), Some(0)) => return Err(Error::NoPoints),
        (Some(Compare::Classic), points) => Some(points.unwrap_or(USUAL_POINTS)),
    };
    let points = u64::from(classic_points.unwrap_or(0)) * most;
    if points > MOST_POINTS {
        return Err(Error::TooManyPoints(points));
    }
    let change = match args.join {
        Some(newcomers) if newcomers > 0 => Change::Join(newcomers),
        _ if args.leave.is_empty() => Change::Nothing,
        _ => Change::Leave(args.leave.iter().cloned().collect::<BTreeSet<_>>()),
    };
    Ok(Setting {
        members: args.members,
        vnodes,
        keys: args.keys,
        classic_points,
        change,
    })
}

fn vnodes_error(BadVnodeCount(given): BadVnodeCount) -> Error {
    let remedy = match given {
        0 => "give 1 or more; 4096 is usual".to_owned(),
        3..65_536 => {
            let above = given.next_power_of_two();
            format!("the nearest are {} and {above}", above / 2)
        }
        _ => "the largest is 65536".to_owned(),
    };
    Error::Vnodes { given, remedy }
}

/// The ids of so many members, as people write them.
fn names(members: u32) -> String {
    match members {
        1 => "node-0 alone".to_owned(),
        n => format!("node-0 to node-{}", n.saturating_sub(1)),
    }
}

fn headline(setting: &Setting, report: &Report) -> String {
    let members = counted(u64::from(setting.members), "member");
    let change = match &setting.change {
        Change::Nothing => String::new(),
        Change::Join(newcomers) => format!(", {newcomers} joining"),
        Change::Leave(ids) => format!(", {} leaving", ids.len() - setting.absent().len()),
    };
    let points = report.classic.as_ref().and(setting.classic_points);
    let points = points.map_or_else(String::new, |points| {
        let points = counted(u64::from(points), "point");
        format!("; classic ring with {points} a member")
    });
    let vnodes = counted(u64::from(setting.vnodes.get()), "vnode");
    let keys = counted(u64::from(setting.keys), "key");
    format!("{members}{change}; {vnodes}, {keys}{points}")
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The table's rows, cell by cell; the first cell is the row's name.
fn rows(report: &Report) -> Vec<Vec<String>> {
    let quoit = columns(&report.quoit, ["QUOIT", "vnodes"], true);
    let classic = report.classic.iter();
    let classic = classic.flat_map(|side| columns(side, ["CLASSIC", "points"], false));
    let columns: Vec<Vec<String>> = quoit.into_iter().chain(classic).collect();

    let members = report.quoit.members.iter().map(|member| member.id.as_str());
    let names = ["", "member"].into_iter().chain(members);
    let names = names.chain(["min", "mean", "max", "max/mean", "moved", "least"]);
    names
        .enumerate()
        .map(|(row, name)| {
            let cells = columns.iter().map(|column| column[row].clone());
            std::iter::once(name.to_owned()).chain(cells).collect()
        })
        .collect()
}

/// A ring's two columns, vnodes and keys. What it moved stands in the column
/// of what was counted.
fn columns(side: &Side, [ring, vnodes]: [&str; 2], counts_vnodes: bool) -> [Vec<String>; 2] {
    let column = |titles: [&str; 2], loads: &[u64], counted: bool| {
        let of = Distribution::of(loads.iter().copied());
        let mut column = titles.map(str::to_owned).to_vec();
        column.extend(loads.iter().map(u64::to_string));
        column.push(of.min.to_string());
        column.push(format!("{:.2}", of.mean));
        column.push(of.max.to_string());
        column.push(format!("{:.4}", of.max_over_mean()));
        let percent = |fraction: f64| {
            if counted {
                format!("{:.2}%", 100.0 * fraction)
            } else {
                String::new()
            }
        };
        column.extend([percent(side.moved), percent(side.least)]);
        column
    };
    let loads: Vec<u64> = side.members.iter().map(|member| member.vnodes).collect();
    let keys: Vec<u64> = side.members.iter().map(|member| member.keys).collect();
    [
        column([ring, vnodes], &loads, counts_vnodes),
        column(["", "keys"], &keys, !counts_vnodes),
    ]
}

/// Prints rows with the names to the left and the numbers to the right, and a
/// line of space between the members and what is said of all of them.
fn print(out: &mut impl Write, rows: &[Vec<String>]) -> io::Result<()> {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in rows {
        if row[0] == "min" {
            writeln!(out)?;
        }
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
