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

fn goals<'a>(goals: impl IntoIterator<Item = &'a Goal>) -> Table {
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
    let mut text = String::from(
        "# Benchmarks\n\n\
         Written by `make bench`; change nothing here by hand. Times differ from machine to machine and from minute to\n\
         minute, so what is promised is a ratio: the other side of it, usually the bare library, is measured in the same run,\n\
         turn by turn. `cargo run --release --package quoit-bench -- --help` says how to run one measurement alone.\n\n",
    );
    let mut facts = Table::new(&["measured on", ""]);
    for (name, value) in machine.facts() {
        facts.row([name.to_owned(), value]);
    }
    text += &facts.markdown();
    text += "\n## Goals\n\n";
    text += &goals(sections.iter().flat_map(|s| &s.goals)).markdown();
    text.push('\n');
    for section in sections {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}", section.markdown());
    }
    format!("{}\n", text.trim_end())
}
