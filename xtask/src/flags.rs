//! The command line: what may be typed, and the help made from the same table.

use std::fmt::Write as _;
use thiserror::Error;

/// A command line that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help(String),
    Check,
    Layers,
    Tidy,
    Test(TestOptions),
    Loom(LoomOptions),
    Bench(BenchOptions),
    Conformance(ConformanceOptions),
    /// Flags for the program, each with its value.
    Storm(Vec<String>),
    /// Likewise.
    Search(Vec<String>),
    /// Likewise.
    CrashImages(Vec<String>),
    /// Likewise.
    Faults(Vec<String>),
    /// Likewise.
    Kill(Vec<String>),
}

/// What `cargo xtask test` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Leaves out the models.
    pub(crate) no_loom: bool,
    /// First installs what of others' programs is missing.
    pub(crate) install: bool,
}

/// What `cargo xtask loom` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LoomOptions {
    /// Adds each model's deep bounds.
    pub(crate) deep: bool,
    /// Rewrites the table in `docs/loom.md`.
    pub(crate) write: bool,
    /// Runs only the models whose test name contains this.
    pub(crate) filter: Option<String>,
}

/// What `cargo xtask bench` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BenchOptions {
    /// Runs the criterion benches too.
    pub(crate) criterion: bool,
    /// Runs only the programs whose `package/bench` contains this.
    pub(crate) filter: Option<String>,
}

/// What `cargo xtask conformance` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConformanceOptions {
    /// Rewrites `docs/conformance.md`.
    pub(crate) write: bool,
    /// Runs only the tests whose name contains this.
    pub(crate) filter: Option<String>,
}

/// A command line that was not understood.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum FlagError {
    #[error("cargo xtask: no command {given:?}; there are {}", names())]
    UnknownCommand { given: String },
    #[error("cargo xtask {command}: no flag {given:?}; see cargo xtask {command} --help")]
    UnknownFlag { command: &'static str, given: String },
    #[error(
        "cargo xtask {command}: {given:?} is one word too many; see cargo xtask {command} --help"
    )]
    TooManyWords { command: &'static str, given: String },
    #[error("cargo xtask {command}: {flag} wants a value; see cargo xtask {command} --help")]
    NoValue { command: &'static str, flag: &'static str },
    #[error(
        "cargo xtask {command}: a filter and {flag} contradict each other: the table is of all"
    )]
    FilteredTable { command: &'static str, flag: &'static str },
}

struct Spec {
    name: &'static str,
    summary: &'static str,
    /// Flag and meaning.
    flags: &'static [(&'static str, &'static str)],
    /// Flags that have a value, and their meaning.
    values: &'static [(&'static str, &'static str)],
    /// The one word it takes, and its meaning.
    word: Option<(&'static str, &'static str)>,
    more: &'static str,
}

const SPECS: &[Spec] = &[
    Spec {
        name: "check",
        summary: "everything that is decided without running the code",
        flags: &[],
        values: &[],
        word: None,
        more: "Formatting, layers, tidy, clippy (also per feature), rustdoc. Warnings are errors.\n\
               Every failure is listed, not only the first.\n",
    },
    Spec {
        name: "layers",
        summary: "every dependency edge against the order of the layers",
        flags: &[],
        values: &[],
        word: None,
        more: "The order stands in [workspace.metadata.layers] of the workspace's Cargo.toml: a\n\
               crate uses lower levels, or its own level with a lower `order`, but never those\n\
               in `never`.\n",
    },
    Spec {
        name: "tidy",
        summary: "what no compiler checks: module headers, file sizes, forbidden words",
        flags: &[],
        values: &[],
        word: None,
        more: "",
    },
    Spec {
        name: "test",
        summary: "the whole test run; ends with `N passed, N failed, N skipped`",
        flags: &[
            ("--no-loom", "leave out the models (loom and shuttle); counts as two skipped"),
            ("--install", "first install the Debian packages that tests want and that are missing"),
        ],
        values: &[],
        word: None,
        more: "Everything of check; unit, property, snapshot and integration tests; doc tests;\n\
               features; every crate alone; the tests of conformance; and the models in their\n\
               everyday bounds.\n\
               Snapshots are never rewritten. Tests with programs of others, such as qemu-img, are\n\
               skipped where those are missing; --install has apt-get install them, as root or by sudo, and\n\
               removes nothing for it. Where qemu's tools are newer than this machine's sources, their\n\
               driver for iSCSI is taken from the release's backports and unpacked under target/tools.\n",
    },
    Spec {
        name: "loom",
        summary: "the models of loom and shuttle, each with its mutants",
        flags: &[
            ("--deep", "also the deep bounds (longer); writes the table"),
            ("--write", "writes the table with the everyday bounds"),
        ],
        values: &[],
        word: Some(("filter", "only models whose test name contains this")),
        more: "Runs tests/loom.rs and tests/shuttle.rs of every crate that has one. Fails when a\n\
               model fails, a mutant survives, a loom model has no mutant, a crate's file runs\n\
               no model, or docs/loom.md lists other models than were run.\n\
               The table in docs/loom.md is written only with --deep or --write, only without\n\
               a filter, and only when all models hold.\n",
    },
    Spec {
        name: "bench",
        summary: "the bench programs, as one table with yardsticks",
        flags: &[("--criterion", "also the criterion benches, with their own output")],
        values: &[],
        word: Some(("filter", "only programs whose package/bench contains this")),
        more: "A figure that is not met is shown and counted; only a program that fails, or\n\
               prints no row, makes the command fail.\n",
    },
    Spec {
        name: "conformance",
        summary: "libiscsi's tests of iSCSI targets against a real diptych serve",
        flags: &[("--write", "writes docs/conformance.md")],
        values: &[],
        word: Some(("filter", "only tests whose Suite.Test contains this")),
        more: "Every test of iscsi-test-cu in a process of its own, over a thin, a removable and a\n\
               write-protected logical unit. Prints what does not pass. Fails when a test fails that can be\n\
               passed, or when one is skipped on every kind. `cargo xtask test` runs it too.\n",
    },
    Spec {
        name: "storm",
        summary: "splits under load, or crashes, in virtual time; every block checked",
        flags: &[
            ("--trace", "of a crash that found something, what happened before"),
            ("--go-on", "also behind a seed whose crashes found something"),
        ],
        values: &[
            ("--splits", "so many, 10,000 if not said"),
            ("--seeds", "crashes instead: so many units, killed and cut off again and again"),
            ("--seed", "another storm; a storm that finds something says how to make it again"),
            ("--flaw", "wrong on purpose: one-by-one, instant-early or instant-late"),
            (
                "--crash-flaw",
                "the same of crashes: answer-before-append, log-flush-lies or drive-flush-lies",
            ),
        ],
        word: None,
        more: "Small units, writers on every volume, pairs made, split, read, written to and given\n\
               back. Fails when a block of an image is not what it was at the instant of the split,\n\
               and when a storm that is wrong on purpose finds nothing. A short run of it is among\n\
               the tests.\n",
    },
    Spec {
        name: "search",
        summary: "every state that the rules of pairs can come to, with crashes and failures",
        flags: &[],
        values: &[
            ("--config", "only this configuration"),
            ("--broken", "only this broken rule, and the shortest way to what it breaks"),
        ],
        word: None,
        more: "A model of the rules, not of the code: two tracks, two pairs, hosts, lanes, destages,\n\
               the log, crashes and an I/O error, searched until nothing is left. Fails when a state\n\
               violates an invariant, and when a rule that is broken on purpose is not found. Takes\n\
               minutes on one core and up to 2 GiB; the smallest configuration and all broken rules\n\
               are among the tests.\n",
    },
    Spec {
        name: "kill",
        summary: "a real process with a unit over files, killed at random moments",
        flags: &[],
        values: &[
            ("--times", "how often to kill, in each mode (150)"),
            ("--seed", "of moments, hosts and commands (1)"),
            ("--mode", "write-back or battery alone (both)"),
            ("--dir", "where to make the unit's directory (the temporary directory)"),
        ],
        word: None,
        more: "A child process runs hosts that write, pairs that are split, given back and taken apart,\n\
               and a schedule; it is killed after up to 300 ms and its directory opened again. Fails\n\
               when an acknowledged write, a status or an image is not what was answered; the directory\n\
               is left then. A few kills are among the tests.\n",
    },
    Spec {
        name: "crash-images",
        summary: "every image that a cut of power can leave, and a unit that comes back on it",
        flags: &[],
        values: &[
            ("--images", "so many different ones, 1,000,000 if not said"),
            ("--seed", "the first program; one that finds something says how to run it again"),
            ("--lying", "a drive that has not flushed and says so: log or of-volumes"),
        ],
        word: None,
        more: "Small units run random programs over drives that remember every write and flush. At each\n\
               flush all subsets of the writes since are left, up to ten, samples beyond, and parts of\n\
               writes; on each image a unit comes back and is held against the model. Fails when one\n\
               is wrong, and when a drive that lies is not found out. A short run is among the tests.\n",
    },
    Spec {
        name: "faults",
        summary: "the n-th request to a device goes wrong, for every n",
        flags: &[("--go-on", "also behind a case that found something")],
        values: &[
            ("--stride", "only one case in so many"),
            ("--only", "only cases whose text contains this"),
        ],
        word: None,
        more: "Scenarios of hosts and operators in virtual time; one read, write or flush of one drive,\n\
               or of the log, fails, finds no room, is not answered in time, or late. Fails when a\n\
               request is not answered, a volume or pair suffers that has nothing to do with the device,\n\
               or something that was answered is not there afterwards. A short run is among the tests.\n",
    },
];

fn names() -> String {
    SPECS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", ")
}

/// Understands a command line, without the program's own name.
pub(crate) fn parse(args: &[String]) -> Result<Command, FlagError> {
    let Some((name, rest)) = args.split_first() else {
        return Ok(Command::Help(overview()));
    };
    if is_help(name) || name == "help" {
        return Ok(Command::Help(overview()));
    }
    let spec = SPECS
        .iter()
        .find(|spec| spec.name == name)
        .ok_or_else(|| FlagError::UnknownCommand { given: name.clone() })?;
    if rest.iter().any(|arg| is_help(arg)) {
        return Ok(Command::Help(help(spec)));
    }
    let mut filter = None;
    let mut values = Vec::new();
    let mut args = rest.iter();
    while let Some(arg) = args.next() {
        if let Some((flag, _)) = spec.values.iter().find(|(flag, _)| flag == arg) {
            let value = args.next().filter(|value| !value.starts_with('-'));
            let value = value.ok_or(FlagError::NoValue { command: spec.name, flag })?;
            values.extend([arg.clone(), value.clone()]);
        } else if arg.starts_with('-') {
            if !spec.flags.iter().any(|(flag, _)| flag == arg) {
                return Err(FlagError::UnknownFlag { command: spec.name, given: arg.clone() });
            }
        } else if spec.word.is_none() || filter.replace(arg.clone()).is_some() {
            return Err(FlagError::TooManyWords { command: spec.name, given: arg.clone() });
        }
    }
    let has = |flag: &str| rest.iter().any(|arg| arg == flag);
    Ok(match spec.name {
        "check" => Command::Check,
        "layers" => Command::Layers,
        "tidy" => Command::Tidy,
        "test" => {
            Command::Test(TestOptions { no_loom: has("--no-loom"), install: has("--install") })
        }
        "loom" => {
            // A deep run of some models is useful; a table of some models is not.
            if filter.is_some() && has("--write") {
                return Err(FlagError::FilteredTable { command: spec.name, flag: "--write" });
            }
            Command::Loom(LoomOptions { deep: has("--deep"), write: has("--write"), filter })
        }
        "bench" => Command::Bench(BenchOptions { criterion: has("--criterion"), filter }),
        "conformance" => {
            if filter.is_some() && has("--write") {
                return Err(FlagError::FilteredTable { command: spec.name, flag: "--write" });
            }
            Command::Conformance(ConformanceOptions { write: has("--write"), filter })
        }
        "storm" => {
            let flags = spec.flags.iter().filter(|(flag, _)| has(flag));
            values.extend(flags.map(|(flag, _)| (*flag).to_owned()));
            Command::Storm(values)
        }
        "search" => Command::Search(values),
        "crash-images" => Command::CrashImages(values),
        "faults" => Command::Faults(values),
        "kill" => Command::Kill(values),
        other => unreachable!("{other} is in SPECS but has no command"),
    })
}

fn is_help(arg: &str) -> bool {
    matches!(arg, "--help" | "-h")
}

fn overview() -> String {
    let mut text = "cargo xtask <command> [flags] [--help]\n\n".to_owned();
    for spec in SPECS {
        let _ = writeln!(text, "  {:<13}{}", spec.name, spec.summary);
    }
    text
}

fn help(spec: &Spec) -> String {
    let mut text = format!("cargo xtask {}", spec.name);
    for (flag, _) in spec.flags {
        let _ = write!(text, " [{flag}]");
    }
    for (flag, _) in spec.values {
        let _ = write!(text, " [{flag} VALUE]");
    }
    if let Some((word, _)) = spec.word {
        let _ = write!(text, " [{word}]");
    }
    let _ = writeln!(text, "\n\n{}\n", spec.summary);
    for (what, meaning) in spec.flags.iter().chain(spec.values).chain(&spec.word) {
        let _ = writeln!(text, "  {what:<14}{meaning}");
    }
    if !spec.more.is_empty() {
        let _ = write!(text, "\n{}", spec.more);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Result<Command, &str>) {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let found = parse(&args).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned), "{line}");
    }

    #[test]
    fn commands() {
        check("check", Ok(Command::Check));
        check("layers", Ok(Command::Layers));
        check("tidy", Ok(Command::Tidy));
        check("test", Ok(Command::Test(TestOptions::default())));
        let both = TestOptions { no_loom: true, install: true };
        check("test --no-loom --install", Ok(Command::Test(both)));
        check("loom", Ok(Command::Loom(LoomOptions::default())));
        check(
            "loom claim --deep",
            Ok(Command::Loom(LoomOptions {
                deep: true,
                write: false,
                filter: Some("claim".to_owned()),
            })),
        );
        check(
            "bench --criterion",
            Ok(Command::Bench(BenchOptions { criterion: true, filter: None })),
        );
        let conformance = ConformanceOptions { write: true, filter: None };
        check("conformance --write", Ok(Command::Conformance(conformance)));
        check("storm", Ok(Command::Storm(Vec::new())));
        let with_values = ["--seed", "7", "--splits", "100"].map(str::to_owned).to_vec();
        check("storm --seed 7 --splits 100", Ok(Command::Storm(with_values)));
        let one = ["--config", "track"].map(str::to_owned).to_vec();
        check("search --config track", Ok(Command::Search(one)));
        let battery = ["--times", "9", "--mode", "battery"].map(str::to_owned).to_vec();
        check("kill --times 9 --mode battery", Ok(Command::Kill(battery)));
        let lying = ["--lying", "log"].map(str::to_owned).to_vec();
        check("crash-images --lying log", Ok(Command::CrashImages(lying)));
        let some = ["--stride", "9"].map(str::to_owned).to_vec();
        check("faults --stride 9", Ok(Command::Faults(some)));
    }

    #[test]
    fn refusals() {
        check(
            "lom",
            Err(
                "cargo xtask: no command \"lom\"; there are check, layers, tidy, test, loom, bench, conformance, \
                 storm, search, kill, crash-images, faults",
            ),
        );
        check(
            "loom --depp",
            Err("cargo xtask loom: no flag \"--depp\"; see cargo xtask loom --help"),
        );
        check(
            "check now",
            Err("cargo xtask check: \"now\" is one word too many; see cargo xtask check --help"),
        );
        check(
            "loom a b",
            Err("cargo xtask loom: \"b\" is one word too many; see cargo xtask loom --help"),
        );
        check(
            "storm --splits --seed 7",
            Err("cargo xtask storm: --splits wants a value; see cargo xtask storm --help"),
        );
        check(
            "storm 7",
            Err("cargo xtask storm: \"7\" is one word too many; see cargo xtask storm --help"),
        );
        check(
            "loom --write claim",
            Err(
                "cargo xtask loom: a filter and --write contradict each other: the table is of all",
            ),
        );
    }

    #[test]
    fn help_names_every_command_and_flag() {
        check("", Ok(Command::Help(overview())));
        check("--help", Ok(Command::Help(overview())));
        for spec in SPECS {
            assert!(overview().contains(spec.name));
            check(&format!("{} --help", spec.name), Ok(Command::Help(help(spec))));
            for (flag, meaning) in spec.flags.iter().chain(spec.values) {
                assert!(help(spec).contains(flag) && help(spec).contains(meaning));
            }
        }
    }
}
