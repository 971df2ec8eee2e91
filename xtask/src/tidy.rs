//! `cargo xtask tidy`: what no compiler checks, in every text file of the tree.
//!
//! Each rule is a line of a table or a few lines of code; a rule that needs more belongs in a lint.

use crate::Error;
use crate::report::Outcome;
use std::fs;
use std::path::Path;
use thiserror::Error;

const LINES_MAX: usize = 600;

/// Text that may stand in code only in the places named.
struct Forbidden {
    text: &'static str,
    /// Only in files under these; everywhere, if empty.
    under: &'static [&'static str],
    /// But not under these.
    but_under: &'static [&'static str],
    /// May be followed by these.
    but_before: &'static [&'static str],
    why: &'static str,
}

/// Sources of the passive layers: a driver above them turns the crank.
const PASSIVE: &[&str] = &[
    "crates/format/src/",
    "crates/device/src/",
    "crates/cache/src/",
    "crates/shared/src/",
    "crates/drr/src/",
    "crates/log/src/",
    "crates/dka/src/",
    "crates/cha/src/",
    "crates/unit/src/",
];
/// The switch itself, and this program, which never runs under it. A file that shares what the
/// model checkers need not see may be named here, with the reason.
const SWITCH: &[&str] = &[
    "crates/sync/",
    "xtask/",
    // A job's mailbox goes from thread to thread with the job, through a queue the checkers see.
    "crates/unit/src/job.rs",
    // Models note what they have seen outside of what is explored.
    "crates/cache/tests/loom.rs",
    "crates/rt/tests/loom/",
    "crates/rt/tests/shuttle/",
    "crates/testkit/tests/shuttle.rs",
];

// Split, so that this file passes its own rules.
const FORBIDDEN: &[Forbidden] = &[
    Forbidden {
        text: concat!("#[", "ignore"),
        under: &[],
        but_under: &[],
        but_before: &[],
        why: "a test runs or goes; move slow ones behind a command of their own",
    },
    Forbidden {
        text: concat!("to", "do!("),
        under: &[],
        but_under: &[],
        but_before: &[],
        why: "finish it, or answer with a typed error",
    },
    Forbidden {
        text: concat!("unimple", "mented!("),
        under: &[],
        but_under: &[],
        but_before: &[],
        why: "finish it, or answer with a typed error",
    },
    Forbidden {
        text: concat!("std::", "sync"),
        under: &[],
        but_under: SWITCH,
        // Set once to the same value whoever comes first: nothing for a checker to find.
        but_before: &["::OnceLock", "::LazyLock"],
        why: "take locks, atomics and Arc from diptych_sync, or the model checkers do not see them",
    },
    Forbidden {
        text: concat!("std::", "thread"),
        under: &[],
        but_under: SWITCH,
        but_before: &[],
        why: "take threads from diptych_sync, or the model checkers do not see them",
    },
    Forbidden {
        text: concat!("Instant", "::now"),
        under: PASSIVE,
        but_under: &[],
        but_before: &[],
        why: "passive layers read no clock; let the driver pass a Time in",
    },
    Forbidden {
        text: concat!("System", "Time"),
        under: PASSIVE,
        but_under: &[],
        but_before: &[],
        why: "passive layers read no clock; let the driver pass a Time in",
    },
    Forbidden {
        text: concat!("std::", "net"),
        under: PASSIVE,
        but_under: &[],
        but_before: &[],
        why: "passive layers open no socket",
    },
    Forbidden {
        text: concat!("std::", "fs"),
        under: PASSIVE,
        but_under: &["crates/device/"],
        but_before: &[],
        why: "only the file drive of diptych-device touches files",
    },
];

const HOMES: &[&str] = &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
const TEXT: &[&str] = &["rs", "md", "toml", "sh", "yml", "yaml", "html", "js", "css", "run"];

/// What is untidy, and where.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Problem {
    #[error("{path}:1: no module header: begin with `//!` and say role, figure and invariants")]
    NoHeader { path: String },
    #[error("{path}: {lines} lines, at most {LINES_MAX}: give each noun a file")]
    TooLong { path: String, lines: usize },
    #[error("{path}:{line_no}: {text}: {why}")]
    Forbidden { path: String, line_no: usize, text: &'static str, why: &'static str },
    #[error(
        "{path}:{line_no}: a path of somebody's home directory: name it from the root of the tree"
    )]
    HomePath { path: String, line_no: usize },
}

/// Checks the real tree and prints every problem.
pub(crate) fn outcome(root: &Path) -> Result<Outcome, Error> {
    let found = problems(root)?;
    for problem in &found {
        println!("{problem}");
    }
    Ok(Outcome::of_check(found.is_empty()))
}

/// Everything untidy under `root`.
pub(crate) fn problems(root: &Path) -> Result<Vec<Problem>, Error> {
    let mut found = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        let read = |source| Error::Read { path: dir.clone(), source };
        for entry in fs::read_dir(&dir).map_err(read)? {
            let path = entry.map_err(read)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                let hidden = name.starts_with('.') && ![".ci", ".cargo"].contains(&&*name);
                let is_workspace = dir == root || dir == root.join("fuzz");
                let built = is_workspace && name.starts_with("target");
                if !hidden && !built && !path.is_symlink() {
                    dirs.push(path);
                }
                continue;
            }
            let extension = name.rsplit('.').next().unwrap_or_default();
            if TEXT.contains(&extension) {
                let text = fs::read_to_string(&path)
                    .map_err(|source| Error::Read { path: path.clone(), source })?;
                let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
                found.extend(check_file(&shown, &text));
            }
        }
    }
    found.sort_by_cached_key(Problem::to_string);
    Ok(found)
}

/// Everything untidy in one file; `path` is from the root of the tree.
fn check_file(path: &str, text: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    let path = || path.to_owned();
    for (line_no, line) in (1..).zip(text.lines()) {
        if HOMES.iter().any(|home| names_a_home(line, home)) {
            found.push(Problem::HomePath { path: path(), line_no });
        }
    }
    if !path().ends_with(".rs") {
        return found;
    }
    if !text.starts_with("//!") {
        found.push(Problem::NoHeader { path: path() });
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        found.push(Problem::TooLong { path: path(), lines });
    }
    for (line_no, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap_or_default();
        for rule in FORBIDDEN.iter().filter(|rule| rule.holds_in(&path())) {
            if rule.stands_in(code) {
                let (text, why) = (rule.text, rule.why);
                found.push(Problem::Forbidden { path: path(), line_no, text, why });
            }
        }
    }
    found
}

impl Forbidden {
    fn holds_in(&self, path: &str) -> bool {
        let is_under = |dirs: &[&str]| dirs.iter().any(|dir| path.starts_with(dir));
        (self.under.is_empty() || is_under(self.under)) && !is_under(self.but_under)
    }

    fn stands_in(&self, code: &str) -> bool {
        code.match_indices(self.text).any(|(at, _)| {
            let rest = &code[at + self.text.len()..];
            !self.but_before.iter().any(|allowed| rest.starts_with(allowed))
        })
    }
}

/// Whether the path is absolute there: `a/root/b` is no home.
fn names_a_home(line: &str, home: &str) -> bool {
    line.match_indices(home).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-}$~".contains(c)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The problems of a file, without path and reason: `line: what`.
    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        let short = |problem: &Problem| match problem {
            Problem::NoHeader { .. } => "header".to_owned(),
            Problem::TooLong { lines, .. } => format!("{lines} lines"),
            Problem::Forbidden { line_no, text, .. } => format!("{line_no}: {text}"),
            Problem::HomePath { line_no, .. } => format!("{line_no}: home"),
        };
        let found: Vec<_> = check_file(path, text).iter().map(short).collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn headers_and_sizes() {
        check("crates/drr/src/lib.rs", "//! Role.\nmod a;\n", &[]);
        check("crates/drr/src/lib.rs", "mod a;\n", &["header"]);
        let long = format!("//! Role.\n{}", "fn f() {}\n".repeat(LINES_MAX));
        check("crates/drr/src/lib.rs", &long, &["601 lines"]);
        check("docs/format.md", &long, &[]);
    }

    #[test]
    fn the_switch_is_in_one_place() {
        let text = concat!("//! x\nuse std::", "sync::{Arc, Mutex};\nuse std::", "thread;\n");
        let both = [concat!("2: std::", "sync"), concat!("3: std::", "thread")];
        check("crates/cache/src/slot.rs", text, &both);
        check("tests/integration/main.rs", text, &both);
        check("crates/sync/src/source.rs", text, &[]);
        let once =
            concat!("//! x\nstatic T: std::", "sync::OnceLock<u8>;\n// std::", "sync::Arc\n");
        check("crates/drr/src/crc.rs", once, &[]);
    }

    #[test]
    fn passive_layers_are_passive() {
        let text = concat!("//! x\nlet t = Instant", "::now();\nstd::", "fs::read(p);\n");
        let both = [concat!("2: Instant", "::now"), concat!("3: std::", "fs")];
        check("crates/unit/src/job.rs", text, &both);
        check("crates/device/src/file.rs", text, &both[..1]);
        check("crates/rt/src/clock.rs", text, &[]);
        check("crates/unit/examples/pair.rs", text, &[]);
    }

    #[test]
    fn unfinished_code() {
        let text = concat!("//! x\n#[", "ignore]\nto", "do!();\n");
        check("tests/lib.rs", text, &[concat!("2: #[", "ignore"), concat!("3: to", "do!(")]);
    }

    #[test]
    fn home_directories() {
        check("docs/a.md", concat!("see /ho", "me/someone/x\n"), &["1: home"]);
        check("docs/a.md", concat!("$HOME/x, tree/ro", "ot/x, /dev/x\n"), &[]);
    }

    #[test]
    fn this_workspace_is_tidy() {
        let found = problems(&crate::workspace::root()).unwrap();
        let text: Vec<_> = found.iter().map(Problem::to_string).collect();
        assert!(found.is_empty(), "{}", text.join("\n"));
    }
}
