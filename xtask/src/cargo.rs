//! Running cargo: its output goes through as it comes, and lines of interest are read on the way.

use crate::Error;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// One call of cargo.
#[derive(Debug)]
pub(crate) struct Cargo {
    command: Command,
    shown: String,
}

impl Cargo {
    /// `cargo <args>` in the workspace's root, never rewriting a snapshot.
    pub(crate) fn new(root: &Path, args: &[&str]) -> Self {
        // Set when cargo started this program; keeps the toolchain the same.
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(program);
        command.current_dir(root).args(args);
        command.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS");
        Self { command, shown: format!("cargo {}", args.join(" ")) }
    }

    /// One more argument.
    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self.shown = format!("{} {arg}", self.shown);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{key}={:?} {}", value.as_ref(), self.shown);
        self.command.env(key, value);
        self
    }

    /// Builds with `--cfg <name>` besides the caller's own flags.
    pub(crate) fn cfg(self, name: &str) -> Self {
        let own = std::env::var("RUSTFLAGS").unwrap_or_default();
        let flags = format!("{own} --cfg {name}");
        let mut cargo = self.env("RUSTFLAGS", flags.trim());
        // It would win over RUSTFLAGS, and the models would run over std.
        cargo.command.env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo
    }

    /// Runs it to its end; whether it succeeded.
    pub(crate) fn run(self) -> Result<bool, Error> {
        self.run_reading(|_| {})
    }

    /// Runs it to its end and shows every line of its standard output to `on_line` too.
    pub(crate) fn run_reading(mut self, mut on_line: impl FnMut(&str)) -> Result<bool, Error> {
        println!("    $ {}", self.shown);
        let mut child = self
            .command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| Error::Start { source })?;
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        let output = |source| Error::Output { source };
        while reader.read_until(b'\n', &mut line).map_err(output)? > 0 {
            let mut own = std::io::stdout().lock();
            own.write_all(&line).and_then(|()| own.flush()).map_err(output)?;
            drop(own);
            on_line(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        Ok(child.wait().map_err(output)?.success())
    }
}
