//! The table of `docs/loom.md`: one row a run of a model, whole or with a mutant.
//!
//! A row comes from a line that `diptych_sync::model` prints:
//! `model|protocol|name|mutant|bound|executions|exhausted|verdict|seconds`.

use crate::Error;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use thiserror::Error;

const BEGIN: &str = "<!-- models:begin -->";
const END: &str = "<!-- models:end -->";
const HEADS: [&str; 10] = [
    "protocol",
    "model",
    "crate",
    "checker",
    "mutant",
    "bound",
    "executions",
    "exhausted",
    "verdict",
    "seconds",
];

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    checker: &'static str,
    crate_name: String,
    protocol: String,
    model: String,
    /// `-` for the code as it is.
    mutant: String,
    bound: String,
    executions: String,
    exhausted: String,
    verdict: String,
    seconds: String,
}

/// What is wrong with the runs of a crate.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Fault {
    #[error("the model line has {found} fields, 9 expected: {line}")]
    Malformed { found: usize, line: String },
    #[error("model {model} fails")]
    Fails { model: String },
    #[error("model {model}: the mutant {mutant} survives")]
    Survives { model: String, mutant: String },
    #[error("model {model} has no mutant: nothing shows that it can fail")]
    NoMutant { model: String },
    #[error("the test program ran no model")]
    NoModel,
}

/// How `docs/loom.md` and a run differ.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Difference {
    #[error("{key} was run and is not listed: cargo xtask loom --deep writes the table")]
    NotListed { key: String },
    #[error("{key} is listed and was not run: cargo xtask loom --deep writes the table")]
    NotRun { key: String },
}

impl Row {
    /// Reads a line of a test program; `None` if it is no model line.
    pub(crate) fn of_line(
        checker: &'static str,
        crate_name: &str,
        line: &str,
    ) -> Option<Result<Self, Fault>> {
        // The harness writes `test name ... ` before it, on the same line.
        let at = if line.starts_with("model|") { 0 } else { line.find(" ... model|")? + 5 };
        let fields: Vec<&str> = line[at..].split('|').collect();
        let [_, protocol, model, mutant, bound, executions, exhausted, verdict, seconds] =
            fields[..]
        else {
            let (found, line) = (fields.len(), line.to_owned());
            return Some(Err(Fault::Malformed { found, line }));
        };
        Some(Ok(Self {
            checker,
            crate_name: crate_name.to_owned(),
            protocol: protocol.to_owned(),
            model: model.to_owned(),
            mutant: mutant.to_owned(),
            bound: bound.to_owned(),
            executions: executions.to_owned(),
            exhausted: exhausted.to_owned(),
            verdict: verdict.to_owned(),
            seconds: seconds.to_owned(),
        }))
    }

    /// In the order of `HEADS`.
    fn cells(&self) -> [&str; 10] {
        [
            &self.protocol,
            &self.model,
            &self.crate_name,
            self.checker,
            &self.mutant,
            &self.bound,
            &self.executions,
            &self.exhausted,
            &self.verdict,
            &self.seconds,
        ]
    }

    /// What stays the same from run to run.
    fn key(&self) -> String {
        key(&self.cells())
    }
}

fn key(cells: &[&str; 10]) -> String {
    let [_, model, crate_name, checker, mutant, ..] = cells;
    let mutant = if *mutant == "-" { String::new() } else { format!(" without {mutant}") };
    format!("{crate_name}, {checker}: {model}{mutant}")
}

/// What is wrong with the runs of one crate.
pub(crate) fn faults(rows: &[Row], wants_mutants: bool) -> Vec<Fault> {
    let mut found = Vec::new();
    let mutated: BTreeSet<_> =
        rows.iter().filter(|row| row.mutant != "-").map(|row| &row.model).collect();
    let mut bare = BTreeSet::new();
    for row in rows {
        let model = row.model.clone();
        match row.verdict.as_str() {
            "FAILS" => found.push(Fault::Fails { model }),
            "SURVIVES" => found.push(Fault::Survives { model, mutant: row.mutant.clone() }),
            // A model that fails ends before its mutants.
            _ if wants_mutants && !mutated.contains(&row.model) && bare.insert(&row.model) => {
                found.push(Fault::NoMutant { model });
            }
            _ => {}
        }
    }
    found
}

/// How the table in the file differs from `rows`, bounds and counts aside.
pub(crate) fn differences(path: &Path, rows: &[Row]) -> Result<Vec<Difference>, Error> {
    let text = read(path)?;
    let (_, table, _) = parts(path, &text)?;
    let run: BTreeSet<_> = rows.iter().map(Row::key).collect();
    let listed: BTreeSet<_> = table.lines().filter_map(key_of_line).collect();
    let not_listed = run.difference(&listed).cloned().map(|key| Difference::NotListed { key });
    let not_run = listed.difference(&run).cloned().map(|key| Difference::NotRun { key });
    Ok(not_listed.chain(not_run).collect())
}

/// The key of a line of the table; `None` for its head and what is no row.
fn key_of_line(line: &str) -> Option<String> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
    let cells: [&str; 10] = cells.try_into().ok()?;
    (cells != HEADS && !cells[0].starts_with("--")).then(|| key(&cells))
}

/// Puts the table of `rows` between the file's markers.
pub(crate) fn write(path: &Path, rows: &[Row]) -> Result<(), Error> {
    let text = read(path)?;
    let (before, _, after) = parts(path, &text)?;
    let whole = format!("{before}{}{after}", table(rows));
    fs::write(path, whole).map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// The text up to and with the first marker, between them, and from the second one on.
fn parts<'a>(path: &Path, text: &'a str) -> Result<(&'a str, &'a str, &'a str), Error> {
    let split = || {
        let begin = text.find(BEGIN)? + BEGIN.len();
        let end = begin + text[begin..].find(END)?;
        Some((&text[..begin], &text[begin..end], &text[end..]))
    };
    split().ok_or_else(|| Error::NoMarkers { path: path.to_owned(), begin: BEGIN, end: END })
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("\n\n| {} |\n", HEADS.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(HEADS.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: &str) -> Row {
        Row::of_line("loom", "diptych-shared", line).expect("a model line").expect("well formed")
    }

    const HOLDS: &str = "model|claim|two-writers|-|2 pre-emptions|153|yes|holds|0.0";
    const DIES: &str = "model|claim|two-writers|fifo|2 pre-emptions|15|no|dies by I1|0.0";

    #[test]
    fn lines() {
        #[track_caller]
        fn check(line: &str, expected: Option<&str>) {
            let found = Row::of_line("loom", "diptych-shared", line);
            let found =
                found.map(|row| row.map_or_else(|fault| fault.to_string(), |row| row.key()));
            assert_eq!(found.as_deref(), expected, "{line}");
        }
        check(HOLDS, Some("diptych-shared, loom: two-writers"));
        check(
            &format!("test claim ... {DIES}"),
            Some("diptych-shared, loom: two-writers without fifo"),
        );
        check("test claim ... ok", None);
        check("a remodel|ling", None);
        check("model|claim|x", Some("the model line has 3 fields, 9 expected: model|claim|x"));
    }

    #[test]
    fn what_fails_a_crate() {
        #[track_caller]
        fn check(lines: &[&str], wants_mutants: bool, expected: &[&str]) {
            let rows: Vec<_> = lines.iter().copied().map(row).collect();
            let found: Vec<_> = faults(&rows, wants_mutants).iter().map(Fault::to_string).collect();
            assert_eq!(found, expected);
        }
        let none = "model two-writers has no mutant: nothing shows that it can fail";
        check(&[HOLDS, HOLDS, DIES], true, &[]);
        check(&[HOLDS, HOLDS], true, &[none]);
        check(&[HOLDS], false, &[]);
        check(&[&HOLDS.replace("holds", "FAILS")], true, &["model two-writers fails"]);
        check(
            &[HOLDS, &DIES.replace("dies by I1", "SURVIVES")],
            true,
            &["model two-writers: the mutant fifo survives"],
        );
    }

    #[test]
    fn the_table_is_written_between_the_markers_and_read_back() {
        let path = std::env::temp_dir().join(format!("xtask-loom-{}.md", std::process::id()));
        fs::write(&path, format!("# Models\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")).unwrap();
        write(&path, &[row(HOLDS), row(DIES)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let expected = "# Models\n\n<!-- models:begin -->\n\n\
            | protocol | model | crate | checker | mutant | bound | executions | exhausted | verdict \
            | seconds |\n\
            |---|---|---|---|---|---|---|---|---|---|\n\
            | claim | two-writers | diptych-shared | loom | - | 2 pre-emptions | 153 | yes | holds \
            | 0.0 |\n\
            | claim | two-writers | diptych-shared | loom | fifo | 2 pre-emptions | 15 | no \
            | dies by I1 | 0.0 |\n\n\
            <!-- models:end -->\n\nAfter.\n";
        assert_eq!(text, expected);
        assert_eq!(differences(&path, &[row(HOLDS), row(DIES)]).unwrap(), []);
        let key = || "diptych-shared, loom: two-writers without fifo".to_owned();
        assert_eq!(differences(&path, &[row(HOLDS)]).unwrap(), [Difference::NotRun { key: key() }]);
        write(&path, &[row(HOLDS)]).unwrap();
        let both = [row(HOLDS), row(DIES)];
        assert_eq!(differences(&path, &both).unwrap(), [Difference::NotListed { key: key() }]);
        fs::write(&path, "# No markers\n").unwrap();
        assert!(matches!(write(&path, &both), Err(Error::NoMarkers { .. })));
        fs::remove_file(&path).unwrap();
    }
}
