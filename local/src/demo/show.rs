//! What a person sees of a search: the words that were looked for, and a table
//! of what was found; and at the end, what to type to try it oneself.

use super::screen::Screen;
use super::{COLLECTION, Error};
use crate::client::Client;
use hyper::Method;
use quoit_dataset::Queries;
use serde::Deserialize;
use serde_json::json;
use std::io;
use std::net::SocketAddr;

/// Searches that need no knowledge of packages to be judged.
const WORTH_SEEING: [&str; 4] = [
    "play music from the terminal",
    "backup files to the cloud",
    "spam filter for mail",
    "screen reader for the blind",
];

/// How many answers a table has.
const ROWS: usize = 5;

/// The widest that a column gets before it is cut.
const WIDEST: [usize; 3] = [28, 14, 60];

#[derive(Deserialize)]
struct Found {
    points: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    score: f64,
    payload: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    section: String,
    summary: String,
}

impl Package {
    fn columns(&self) -> [String; 3] {
        let mut columns = [&self.name, &self.section, &self.summary]
            .into_iter()
            .zip(WIDEST);
        std::array::from_fn(|_| {
            columns
                .next()
                .map(|(text, widest)| cut(text, widest))
                .unwrap_or_default()
        })
    }
}

/// Searches a few texts, and shows what was found.
pub(super) async fn searches(
    screen: &Screen,
    client: &mut Client,
    queries: &Queries,
) -> Result<(), Error> {
    screen.line("")?;
    screen.line("Searches by meaning: the words need not be in what is found.")?;
    let path = format!("/collections/{COLLECTION}/points/query");
    let mut tables = Vec::new();
    for (text, vector) in chosen(queries) {
        let body =
            json!({"query": vector, "limit": ROWS, "with_payload": ["name", "section", "summary"]});
        let found: Found = client
            .call(Method::POST, &path, body.to_string().into())
            .await?;
        let rows: Vec<_> = found
            .points
            .iter()
            .map(|hit| (hit.score, hit.payload.columns()))
            .collect();
        tables.push((text, rows));
    }
    // One width for all tables: the eye goes down the page.
    let rows = || tables.iter().flat_map(|(_, rows)| rows);
    let width = |i: usize| {
        rows()
            .filter_map(|(_, columns)| columns.get(i))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or(0)
    };
    let (names, sections) = (width(0), width(1));
    for (text, rows) in &tables {
        screen.line("")?;
        screen.line(&format!("  “{text}”"))?;
        for (score, [name, section, summary]) in rows {
            screen.line(&format!(
                "    {score:.2}  {name:<names$}  {section:<sections$}  {summary}"
            ))?;
        }
    }
    Ok(())
}

/// The texts that are worth seeing, or of another data set the first ones, each
/// with its vector.
fn chosen(queries: &Queries) -> Vec<(&str, &[f32])> {
    let all = || {
        queries
            .texts
            .iter()
            .map(String::as_str)
            .zip(&queries.vectors)
    };
    let known: Vec<_> = WORTH_SEEING
        .iter()
        .filter_map(|text| all().find(|(t, _)| t == text))
        .collect();
    if known.is_empty() {
        all().take(WORTH_SEEING.len()).collect()
    } else {
        known
    }
}

/// A text of at most so many characters.
fn cut(text: &str, widest: usize) -> String {
    if text.chars().count() <= widest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(widest.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// What can be typed while the demo stays up.
pub(super) fn what_to_try(screen: &Screen, address: SocketAddr) -> io::Result<()> {
    let url = format!("http://{address}/collections/{COLLECTION}");
    screen.line("")?;
    screen.line(&format!(
        "Quoit stays up at http://{address}. Try, in another terminal:"
    ))?;
    for (what, command) in [
        ("how the collection is", format!("curl {url}")),
        ("one package", format!("curl {url}/points/2")),
        (
            "the packages that are most like it",
            format!(
                "curl {url}/points/query -H 'content-type: application/json' \\\n         -d '{{\"query\": 2, \"limit\": 5, \"with_payload\": true}}'"
            ),
        ),
    ] {
        screen.line("")?;
        screen.line(&format!("    # {what}"))?;
        screen.line(&format!("    {command}"))?;
    }
    screen.line("")?;
    screen.line("Qdrant's clients work here too, with this address. Ctrl-C stops Quoit.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_shows_it() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("a longer text", 9), "a longer…");
        assert_eq!(cut("größer als", 6), "größe…");
    }
}
