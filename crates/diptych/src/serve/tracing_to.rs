//! What is traced, and where to.

use std::io::{self, IsTerminal};
use std::str::FromStr;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// A level, or a filter.
#[derive(Debug, Clone)]
pub(crate) struct LogLevel(String);

impl FromStr for LogLevel {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned()))
    }
}

impl LogLevel {
    /// From here on, to stderr.
    pub(crate) fn start(&self) {
        let lines = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&self.0));
        let lines = lines.with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
        // Where stderr takes no more, as on a full disk, nobody panics for telling so on stderr.
        let lines = lines.with_target(false).log_internal_errors(false);
        // It can only fail where somebody has begun before.
        let _ = lines.try_init();
    }
}
