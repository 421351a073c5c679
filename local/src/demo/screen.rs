//! How the demo's lines look: a word at the left, what it has to say beside it,
//! and a bar while something takes time; where there is no terminal, a few plain
//! lines in place of the bar.

use crate::figures::thousands;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};

/// How wide the words at the left are.
const LEFT: usize = 12;

/// Into how many plain lines a bar turns where there is no terminal.
const PLAIN_LINES: u64 = 4;

/// Standard output.
pub(super) struct Screen {
    out: io::Stdout,
    terminal: bool,
}

impl Screen {
    pub(super) fn new() -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        Self { out, terminal }
    }

    /// Whether a person is likely to look at it.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// A line as it is. Unlike `println!` this does not panic where the reader
    /// has gone.
    pub(super) fn line(&self, text: &str) -> io::Result<()> {
        let mut out = self.out.lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// A word and what it has to say.
    pub(super) fn item(&self, word: &str, text: &str) -> io::Result<()> {
        self.line(&format!("  {word:<LEFT$}{text}"))
    }

    /// More of the same.
    pub(super) fn more(&self, text: &str) -> io::Result<()> {
        self.item("", text)
    }

    /// A bar that fills as `total` things are done.
    pub(super) fn progress(&self, word: &'static str, what: &'static str, total: u64) -> Progress {
        let target = if self.terminal {
            ProgressDrawTarget::stdout()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template =
            format!("  {{prefix:<{LEFT}}}{{bar:40}} {{human_pos}} of {{human_len}} {what}");
        // The template is the one above: were it wrong, the bar would look plain.
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_prefix(word);
        Progress {
            bar,
            word,
            what,
            total,
            told: 0,
            terminal: self.terminal,
        }
    }
}

/// Something that takes time.
pub(super) struct Progress {
    bar: ProgressBar,
    word: &'static str,
    what: &'static str,
    total: u64,
    /// How many plain lines there were.
    told: u64,
    terminal: bool,
}

impl Progress {
    /// So many are done.
    pub(super) fn set(&mut self, screen: &Screen, done: u64) -> io::Result<()> {
        self.bar.set_position(done);
        let reached = done * PLAIN_LINES / self.total.max(1);
        if !self.terminal && reached > self.told {
            self.told = reached;
            let (done, total) = (thousands(done), thousands(self.total));
            screen.item(self.word, &format!("{done} of {total} {}", self.what))?;
        }
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Its place is taken by the line that tells what came of it.
        self.bar.finish_and_clear();
    }
}
