//! `cargo xtask bench`: the workspace's bench programs, as one table.
//!
//! A bench program is a `benches/<name>.rs` with `harness = false` and a `main` of its own. It
//! measures, and prints one line for each figure on standard output:
//!
//! ```text
//! bench|what|measured|yardstick|ratio|wanted|met
//! bench|copy a 48 KiB track, LA and CD rewritten|9.1 GB/s|11.8 GB/s memcpy, same buffers|0.77|>= 0.70|yes
//! ```
//!
//! - *what*: the thing measured, with its size; *measured*: the figure with its unit.
//! - *yardstick*: what it is held against, measured in the same run on the same machine, with its
//!   unit and name; *ratio*: measured to yardstick. Both are `-` when there is none.
//! - *wanted*: the limit, on the ratio or on the figure; *met*: `yes` or `no`. Both are `-` when
//!   nothing is wanted. A figure taken through a client that uses 95 % or more of its cores says
//!   `client-bound` in *measured*.
//!
//! Anything else it prints is shown as it comes. A bench whose source names `criterion` is not of
//! this kind and is run only with `--criterion`.

use crate::Error;
use crate::cargo::Cargo;
use crate::flags::BenchOptions;
use crate::report::{Outcome, Report};
use crate::workspace::{Member, Target, Workspace};
use std::fs;

const COLUMNS: usize = 6;
const HEADS: [&str; COLUMNS] = ["what", "measured", "yardstick", "ratio", "wanted", "met?"];

type Row = [String; COLUMNS];

/// Runs the benches and prints the table.
pub(crate) fn run(workspace: &Workspace, options: &BenchOptions, report: &mut Report) {
    let mut rows = Vec::new();
    let mut ran = false;
    for (member, target) in programs(workspace, options.filter.as_deref()) {
        let name = format!("bench {}/{}", member.name, target.name);
        match is_criterion(target) {
            Ok(true) if !options.criterion => report.skip(&name, "criterion, --criterion runs it"),
            kind => {
                ran = true;
                report.step(&name, || program(workspace, member, target, kind?, &mut rows));
            }
        }
    }
    if !ran {
        report.step("some bench ran", || Ok(Outcome::of_check(false)));
    }
    if !rows.is_empty() {
        print!("\n{}{}", table(&rows), summary(&rows));
    }
}

fn programs<'a>(
    workspace: &'a Workspace,
    filter: Option<&'a str>,
) -> impl Iterator<Item = (&'a Member, &'a Target)> {
    let filter = filter.unwrap_or_default();
    workspace
        .members
        .iter()
        .flat_map(|member| member.targets.iter().map(move |target| (member, target)))
        .filter(|(_, target)| target.kind == "bench")
        .filter(move |(member, target)| format!("{}/{}", member.name, target.name).contains(filter))
}

fn is_criterion(target: &Target) -> Result<bool, Error> {
    let path = &target.src_path;
    let read = fs::read_to_string(path);
    let text = read.map_err(|source| Error::Read { path: path.clone(), source })?;
    Ok(text.contains("criterion"))
}

/// Runs one program and adds its rows.
fn program(
    workspace: &Workspace,
    member: &Member,
    target: &Target,
    criterion: bool,
    rows: &mut Vec<Row>,
) -> Result<Outcome, Error> {
    let args = ["bench", "--all-features", "-p", &member.name, "--bench", &target.name];
    let rows_before = rows.len();
    let mut well_formed = true;
    let ok = Cargo::new(&workspace.root, &args).run_reading(|line| match row_of_line(line) {
        None => {}
        Some(Ok(row)) => rows.push(row),
        Some(Err(fault)) => {
            println!("{fault}");
            well_formed = false;
        }
    })?;
    let silent = rows.len() == rows_before && !criterion;
    if silent {
        println!("the program printed no bench| line");
    }
    Ok(Outcome::of_check(ok && well_formed && !silent))
}

/// Reads a line of a bench program; `None` if it is no row.
fn row_of_line(line: &str) -> Option<Result<Row, String>> {
    let fields: Vec<String> =
        line.strip_prefix("bench|")?.split('|').map(|field| field.trim().to_owned()).collect();
    let count = fields.len();
    let Ok(row) = Row::try_from(fields) else {
        return Some(Err(format!(
            "the bench line has {count} fields after bench, 6 expected: {line}"
        )));
    };
    if !["yes", "no", "-"].contains(&row[5].as_str()) {
        return Some(Err(format!("the bench line's last field is none of yes, no, -: {line}")));
    }
    Some(Ok(row))
}

fn table(rows: &[Row]) -> String {
    let heads = HEADS.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&heads]).map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let line = |row: &Row| {
        let cells = row.iter().enumerate().map(|(i, cell)| format!("{cell:<0$}", width(i)));
        let line = cells.collect::<Vec<_>>().join(" | ");
        format!("{}\n", line.trim_end())
    };
    let rule = (0..COLUMNS).map(|i| "-".repeat(width(i))).collect::<Vec<_>>().join("-+-");
    let body: String = rows.iter().map(line).collect();
    format!("{}{rule}\n{body}", line(&heads))
}

fn summary(rows: &[Row]) -> String {
    let count = |met: &str| rows.iter().filter(|row| row[5] == met).count();
    let (met, not_met, free) = (count("yes"), count("no"), count("-"));
    format!("\nfigures: {} ({met} met, {not_met} not met, {free} without a limit)\n", rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<Result<[&str; COLUMNS], &str>>) {
        let expected = expected.map(|row| match row {
            Ok(cells) => Ok(cells.map(str::to_owned)),
            Err(fault) => Err(format!("the bench line{fault}: {line}")),
        });
        assert_eq!(row_of_line(line), expected, "{line}");
    }

    #[test]
    fn lines() {
        check(
            "bench|copy|2 us|1 us|2.0|<= 3|yes",
            Some(Ok(["copy", "2 us", "1 us", "2.0", "<= 3", "yes"])),
        );
        check("benchmark|copy", None);
        check("warming up", None);
        check("bench|copy|2 us", Some(Err(" has 2 fields after bench, 6 expected")));
        check("bench|copy|2 us|-|-|-|maybe", Some(Err("'s last field is none of yes, no, -")));
    }

    #[test]
    fn one_table() {
        let rows = [
            ["copy a track", "9.1 GB/s", "11.8 GB/s memcpy", "0.77", ">= 0.70", "yes"],
            ["cache hit", "0.4 us", "-", "-", "<= 0.3 us", "no"],
        ]
        .map(|row| row.map(str::to_owned));
        let expected = "\
what         | measured | yardstick        | ratio | wanted    | met?
-------------+----------+------------------+-------+-----------+-----
copy a track | 9.1 GB/s | 11.8 GB/s memcpy | 0.77  | >= 0.70   | yes
cache hit    | 0.4 us   | -                | -     | <= 0.3 us | no
";
        assert_eq!(table(&rows), expected);
        assert_eq!(summary(&rows), "\nfigures: 2 (1 met, 1 not met, 0 without a limit)\n");
    }
}
