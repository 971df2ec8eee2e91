//! How far the demo is: bars on a terminal, one plain line a step elsewhere. Always on stderr.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Tells the user how far it is.
#[derive(Debug)]
pub(crate) struct Progress {
    is_terminal: bool,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Bar {
    name: &'static str,
    /// Only on a terminal.
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal() }
    }

    /// A step of so many tracks.
    pub(crate) fn step(&self, name: &'static str, tracks: u64) -> Bar {
        let bar = self.is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(tracks), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg:<24} {wide_bar} {pos:>7}/{len} tracks");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(name);
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Bar { name, bar }
    }
}

impl Bar {
    /// So many tracks are done.
    pub(crate) fn at(&self, tracks: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(tracks);
        }
    }

    /// The step is done; `result` stays on the screen.
    pub(crate) fn done(self, result: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        // Progress is a courtesy: a closed stderr does not stop the demo.
        let _ = writeln!(io::stderr(), "{:<24} {result}", self.name);
    }
}

impl Drop for Bar {
    /// A step that is not done leaves no half a bar behind.
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
