//! What a measurement found, and the document made of all of them.

use crate::machine::Machine;
use std::fmt::Write;

/// What one measurement found.
#[derive(Default)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// What was promised, and what came of it.
    pub goals: Vec<Goal>,
    /// The figures behind that.
    pub blocks: Vec<Block>,
}

/// A promise, and what was measured.
pub struct Goal {
    /// Of what.
    pub what: String,
    /// The promise.
    pub promised: String,
    /// The measured value.
    pub measured: String,
    /// Whether it is kept.
    pub met: bool,
}

/// A part of a section.
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Figures.
    Table(Table),
}

/// Rows of figures.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|&h| h.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&self.head);
        text += &line(&vec!["---".to_owned(); self.head.len()]);
        for row in &self.rows {
            text += &line(row);
        }
        text
    }
}

impl Section {
    /// A section with nothing in it yet.
    pub fn new(title: &'static str) -> Self {
        Self {
            title,
            ..Self::default()
        }
    }

    /// Adds a promise with what was measured.
    pub fn goal(
        &mut self,
        what: impl Into<String>,
        goal: impl Into<String>,
        measured: impl Into<String>,
        met: bool,
    ) {
        self.goals.push(Goal {
            what: what.into(),
            promised: goal.into(),
            measured: measured.into(),
            met,
        });
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Text(text.into()));
    }

    /// Adds a table.
    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    /// The section as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n", self.title);
        if !self.goals.is_empty() {
            text += &goals(&self.goals).markdown();
            text.push('\n');
        }
        for block in &self.blocks {
            match block {
                Block::Text(paragraph) => text += paragraph,
                Block::Table(table) => text += table.markdown().trim_end(),
            }
            text += "\n\n";
        }
        text
    }
}

fn goals(goals: &[Goal]) -> Table {
    let mut table = Table::new(&["what", "goal", "measured", ""]);
    for Goal {
        what,
        promised,
        measured,
        met,
    } in goals
    {
        let verdict = if *met { "met" } else { "**missed**" };
        table.row([
            what.clone(),
            promised.clone(),
            measured.clone(),
            verdict.to_owned(),
        ]);
    }
    table
}

/// The whole document.
pub fn document(machine: &Machine, sections: &[Section]) -> String {
    let sections = sections.iter().map(Section::markdown);
    assembled(&facts(machine), &sections.collect::<Vec<_>>())
}

/// The document with these sections in place of those that it had of the same title; what is
/// new comes to the end. Each says what it was measured on, which may be another machine than
/// that of the rest.
pub fn updated(document: &str, machine: &Machine, sections: &[Section]) -> String {
    let starts = document.match_indices("\n## ").map(|(at, _)| at + 1);
    let starts: Vec<usize> = starts.collect();
    let ends = starts.iter().skip(1).copied().chain([document.len()]);
    let kept = starts
        .iter()
        .zip(ends)
        .map(|(&from, to)| &document[from..to]);
    let kept = kept.filter(|part| !part.starts_with(GOALS));
    let mut parts: Vec<String> = kept
        .map(|part| format!("{}\n\n", part.trim_end()))
        .collect();
    let facts = machine.facts();
    let facts: Vec<_> = facts
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    for section in sections {
        let new = format!(
            "{}Measured apart from the rest, on: {}.\n\n",
            section.markdown(),
            facts.join(", ")
        );
        let heading = format!("## {}\n", section.title);
        match parts.iter_mut().find(|part| part.starts_with(&heading)) {
            Some(part) => *part = new,
            None => parts.push(new),
        }
    }
    let measured_on = document.split_once(GOALS).map_or("", |(before, _)| before);
    let measured_on = measured_on
        .rsplit_once("\n\n|")
        .map_or("", |(_, table)| table);
    assembled(&format!("|{}\n", measured_on.trim_end()), &parts)
}

fn facts(machine: &Machine) -> String {
    let mut facts = Table::new(&["measured on", ""]);
    for (name, value) in machine.facts() {
        facts.row([name.to_owned(), value]);
    }
    facts.markdown()
}

const GOALS: &str = "## Goals\n";

fn assembled(measured_on: &str, sections: &[String]) -> String {
    let mut text = String::from(
        "# Benchmarks\n\n\
         Written by `make bench`; change nothing here by hand. Times differ from machine to machine and from minute to\n\
         minute, so what is promised is a ratio: the other side of it, usually the bare library, is measured in the same run,\n\
         turn by turn. `cargo run --release --package quoit-bench -- --help` says how to run one measurement alone.\n\n",
    );
    text += measured_on;
    // Those of all sections together, as they stand there.
    let none = goals(&[]).markdown();
    // Writing to a String cannot fail.
    let _ = write!(text, "\n{GOALS}\n{none}");
    for section in sections {
        let after = section.split_once(&none).map_or("", |(_, after)| after);
        let rows = after.lines().take_while(|line| line.starts_with('|'));
        for row in rows {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{row}");
        }
    }
    text.push('\n');
    text += &sections.concat();
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(title: &'static str, measured: &str) -> Section {
        let mut section = Section::new(title);
        section.goal(format!("what {title} promises"), "1", measured, true);
        section.text("Some words.");
        section
    }

    #[test]
    fn a_part_that_is_measured_again_takes_the_place_of_the_old_one() {
        let machine = Machine::look();
        let (a, b) = (|| section("A", "1"), || section("B", "2"));
        let old = document(&machine, &[a(), section("B", "7")]);
        let new = updated(&old, &machine, &[b(), section("C", "3")]);
        let apart = new.matches("Measured apart from the rest, on: ").count();
        assert_eq!(apart, 2);
        let without: Vec<_> = new.split("Measured apart").collect();
        let whole = document(&machine, &[a(), b(), section("C", "3")]);
        assert_eq!(without[0], whole.split("## C").next().unwrap());
        assert_eq!(new.matches("what B promises").count(), 2);
    }
}
