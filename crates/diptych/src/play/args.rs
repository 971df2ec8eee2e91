//! The options of `diptych play`.

use super::file::TimeKind;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  diptych play copy.toml                      print what happens, step by step
  diptych play --check tests/scenarios        compare all of a directory with what it expects
  diptych play --check --time real *.toml     the same on threads
  diptych play --time virtual --seed 7 copy.toml
  diptych play --dir /var/tmp copy.toml       drives in files, which are removed afterwards
  diptych play --json copy.toml               one JSON object a line on stdout

A scenario, in short:
  title = \"The image is the primary at the instant of the command\"

  [volumes]
  \"00:00\" = { tracks = 12 }
  \"00:01\" = { tracks = 12, reserved = true }

  [[step]]
  create = \"00:00 -> 00:01\"

  [[step]]
  pair = \"00:00 -> 00:01\"
  status = \"pending\"

docs/scenarios.md explains every verb; tests/scenarios has one scenario for each function.

Exit codes:
  0  everything was played, and with --check everything is as expected
  1  something is not as expected, or a step never ended
  2  bad input, or the environment did not allow it";

/// Play scenarios: scripted host I/O, commands and faults against a control unit of their own.
///
/// A scenario is a TOML file that names volumes and steps. It is played in virtual time, where it
/// is the same run every time and years take milliseconds, or in real time on threads. Without
/// --check it shows what happens; with it, it says what is not as the scenario expects.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlayArgs {
    /// Scenario files; of a directory, all that end in .toml
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<PathBuf>,

    /// Compare with what the scenarios expect, and print only what differs
    #[arg(long)]
    pub(crate) check: bool,

    /// With --check, print the steps as well
    #[arg(long, short, requires = "check")]
    pub(crate) verbose: bool,

    /// Which driver plays. Default: what the scenario says, else virtual
    #[arg(long, value_enum)]
    pub(crate) time: Option<TimeKind>,

    /// In virtual time, let this seed decide what may happen in any order. Default: first come,
    /// first served
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Make the drives in files, in a directory of their own in this one. Default: in memory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Print JSON lines: one object a step, an event of the history, and a scenario's end
    #[arg(long)]
    pub(crate) json: bool,
}
