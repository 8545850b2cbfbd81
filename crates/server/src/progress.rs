//! Tells a person how far long work has come: on one line of a terminal, or else now and then.

use std::io::{IsTerminal, Write as _};

/// Shows the progress of work whose size is known.
pub(crate) struct Progress {
    label: &'static str,
    total: usize,
    shown_percent: usize,
    terminal: bool,
}

impl Progress {
    /// Begins, with a line that says what is to come.
    pub(crate) fn new(label: &'static str, total: usize, begin: &str) -> Self {
        let progress = Self { label, total, shown_percent: 0, terminal: std::io::stderr().is_terminal() };
        progress.print(begin);
        progress
    }

    /// So much is done.
    pub(crate) fn show(&mut self, done: usize) {
        let percent = done * 100 / self.total.max(1);
        let step = if self.terminal { 1 } else { 25 };
        if percent >= self.shown_percent + step {
            self.shown_percent = percent;
            self.print(&format!("{}: {percent:>3} %", self.label));
        }
    }

    /// Leaves the line.
    pub(crate) fn end(&self) {
        if self.terminal {
            let _ = writeln!(std::io::stderr());
        }
    }

    fn print(&self, text: &str) {
        let mut out = std::io::stderr();
        // Where nobody reads, nobody misses it.
        let _ = if self.terminal { write!(out, "\r{text}\x1b[K") } else { writeln!(out, "{text}") };
        let _ = out.flush();
    }
}
