//! The scenarios in `tests/scenarios`, played by both drivers, and `diptych play` as its users meet
//! it: exit codes, what it says, and where.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]

use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

fn play(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_diptych"));
    program.arg("play").args(args).output().expect("the program starts")
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scenarios")
}

/// Plays with --check, and fails with what is not as expected.
#[track_caller]
fn all_hold(args: impl IntoIterator<Item = impl AsRef<OsStr>>) {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let output = play([OsStr::new("--check").to_owned()].into_iter().chain(args));
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    let said = said.concat();
    let wrong: Vec<&str> = said.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert_eq!(output.status.code(), Some(0), "\n{}", wrong.join("\n"));
}

#[test]
fn every_scenario_holds_in_virtual_time() {
    all_hold([scenarios()]);
}

#[test]
fn every_scenario_holds_whatever_comes_first() {
    for seed in ["1", "2", "3"] {
        all_hold([OsStr::new("--seed"), OsStr::new(seed), scenarios().as_os_str()]);
    }
}

#[test]
fn scenarios_that_are_not_tied_hold_on_threads() {
    let files = fs::read_dir(scenarios()).expect("the scenarios");
    let paths = files.map(|file| file.expect("an entry").path());
    let is_tied = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a scenario");
        text.lines().any(|line| line == "time = \"virtual\"")
    };
    let paths: Vec<_> = paths.filter(|path| !is_tied(path)).collect();
    assert!(paths.len() > 3, "{} scenarios are not tied to virtual time", paths.len());
    let real = [OsStr::new("--time"), OsStr::new("real")].map(OsStr::to_owned);
    all_hold(real.into_iter().chain(paths.into_iter().map(PathBuf::into_os_string)));
}

#[test]
fn drives_in_files_are_gone_afterwards() {
    let dir = TempDir::new().expect("a directory");
    let scenario = scenarios().join("copy-at-an-instant.toml");
    for time in ["virtual", "real"] {
        let args = [OsStr::new("--time"), OsStr::new(time), OsStr::new("--dir")];
        all_hold(args.into_iter().chain([dir.path().as_os_str(), scenario.as_os_str()]));
        assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
    }
}

const HEAD: &str = r#"title = "A small one"

[volumes]
"00:00" = { tracks = 2 }
"00:01" = { tracks = 2, reserved = true }
"#;

/// A scenario of these steps, played; the path is cut out of what is said.
fn played(steps: &str, args: &[&str]) -> (Option<i32>, String) {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("small.toml");
    fs::write(&path, format!("{HEAD}{steps}")).expect("a file");
    let args = args.iter().map(OsStr::new).chain([path.as_os_str()]);
    let output = play(args);
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).expect("UTF-8"));
    (output.status.code(), said.concat().replace(&path.display().to_string(), "small.toml"))
}

const STEPS: &str = r#"
[[step]]
write = "00:00"
tracks = 1

[[step]]
note = "As it is after a failover."
create = "00:01 -> 00:00"
expect = "accepted: pending"

[[step]]
settle = true
"#;

#[test]
fn what_happens_is_shown() {
    let (code, said) = played(STEPS, &[]);
    insta::assert_snapshot!(said, @"
    A small one
    small.toml, virtual time

        0.000000   1 write 00:00 tracks 1 fill 1                          done
                     # As it is after a failover.
        0.000020   2 create 00:01 -> 00:00                                refused: not-reserved (volume 00:00 is not reserved as a secondary)
                     not as expected: it was refused: not-reserved (volume 00:00 is not reserved as a secondary), expected accepted: pending
        0.000040   3 settle                                               after 5.528 ms
    ");
    assert_eq!(code, Some(0));
}

#[test]
fn what_is_not_as_expected_is_named_with_its_place() {
    let (code, said) = played(STEPS, &["--check"]);
    insta::assert_snapshot!(said, @"
    small.toml:13: step 2, create 00:01 -> 00:00: it was refused: not-reserved (volume 00:00 is not reserved as a secondary), expected accepted: pending
    FAILED small.toml: 2 steps, 2 expectations, 0.000040 s of virtual time
    ");
    assert_eq!(code, Some(1));
    let (code, said) = played("\n[[step]]\nwait = \"00:00 -> 00:01\"\nstatus = \"split\"\n", &[]);
    insta::assert_snapshot!(said, @"
    A small one
    small.toml, virtual time

    small.toml:8: step 1, wait 00:00 -> 00:01 until split: pair 00:00 -> 00:01 is simplex, and after 1 min still not split
    ");
    assert_eq!(code, Some(1));
}

#[test]
fn bad_input_is_named_with_its_place() {
    fn check(steps: &str, args: &[&str], expected: &str) {
        let (code, said) = played(steps, args);
        assert_eq!((code, said.as_str()), (Some(2), expected), "{steps}");
    }
    check(
        "\n[[step]]\nflush = \"00:00\"\nhard = true\n",
        &["--check"],
        "diptych: small.toml:9: unknown field `hard`, expected `flush`\n",
    );
    check(
        "\n[[step]]\nsame = \"00:00\"\nas = \"before\"\n",
        &["--check"],
        "diptych: small.toml:8: there is no mark \"before\": set it by a step mark before\n",
    );
    let gone = ["--dir", "/nowhere/at/all"];
    check(
        STEPS,
        &gone,
        "diptych: cannot work in /nowhere/at/all: No such file or directory (os error 2)\n",
    );
    check(
        STEPS,
        &["--seed", "1", "--time", "real"],
        "diptych: a seed decides nothing in real time: leave --seed or --time real away\n",
    );
    let output = play(["nowhere.toml"]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said, "diptych: cannot read nowhere.toml: No such file or directory (os error 2)\n");
}

#[test]
fn a_scenario_tied_to_virtual_time_is_not_played_on_threads() {
    let dir = TempDir::new().expect("a directory");
    let path = dir.path().join("tied.toml");
    fs::write(&path, format!("time = \"virtual\"\n{HEAD}{STEPS}")).expect("a file");
    let output = play([OsStr::new("--time"), OsStr::new("real"), path.as_os_str()]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.ends_with("is tied to virtual time: leave --time real away\n"), "{said}");
}

/// The words between backticks.
fn words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// What the program says when a step has a field that no verb has: after its verb the fields there
/// are; without a verb all verbs.
fn known(verb: Option<&str>) -> Vec<String> {
    let subject = match verb {
        None => String::new(),
        Some("settle") => "settle = true".to_owned(),
        Some(verb) => format!("{verb} = \"00:00\""),
    };
    let (_, said) = played(&format!("\n[[step]]\n0 = 1\n{subject}\n"), &[]);
    match verb {
        None => {
            let (_, verbs) = said.trim_end().split_once("one of ").expect("all verbs");
            verbs.split(", ").map(str::to_owned).collect()
        }
        Some(_) => {
            let (_, fields) = said.split_once("expected").expect("all fields");
            words(fields).into_iter().map(str::to_owned).collect()
        }
    }
}

#[test]
fn the_document_has_every_verb_with_every_field() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = fs::read_to_string(root.join("docs/scenarios.md")).expect("the document");
    let section = document.split("\n## ").find(|section| section.starts_with("The verbs"));
    let rows = section.expect("the verbs").lines().filter(|line| line.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split('|').collect()).collect();
    let verbs = known(None);
    assert!(verbs.len() > 20, "{verbs:?}");
    for verb in verbs {
        let row = rows.iter().find(|row| words(row[1]).contains(&verb.as_str()));
        let row = row.unwrap_or_else(|| panic!("no row for {verb}"));
        let mut documented = words(row[3]);
        documented.push(&verb);
        let mut fields = known(Some(&verb));
        fields.sort();
        documented.sort_unstable();
        assert_eq!(documented, fields, "{verb}");
    }
    let example = fs::read_to_string(scenarios().join("copy-at-an-instant.toml")).expect("a file");
    assert!(document.contains(&example), "the example is not the file:\n{example}");
}

#[test]
fn the_document_has_every_scenario() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = fs::read_to_string(root.join("docs/scenarios.md")).expect("the document");
    let mut missing = Vec::new();
    for file in fs::read_dir(scenarios()).expect("the scenarios") {
        let path = file.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a scenario");
        let title =
            text.lines().find_map(|line| line.strip_prefix("title = \"")?.strip_suffix('"'));
        let name = path.file_stem().and_then(OsStr::to_str).expect("a name");
        let title = title.expect("a title on a line of its own");
        let row = format!("| [{name}](../tests/scenarios/{name}.toml) | {title} |");
        if !document.contains(&row) {
            missing.push(row);
        }
    }
    assert!(missing.is_empty(), "docs/scenarios.md has no\n{}", missing.join("\n"));
}

/// The reasons that no scenario can show: nobody is there to ask while the unit stops, and its units have
/// no log that could be too small.
const NOT_SHOWN: [&str; 2] = ["stopping", "control-full"];

#[test]
fn every_verb_and_every_reason_has_a_scenario() {
    let files = fs::read_dir(scenarios()).expect("the scenarios");
    let text = |file: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(file.expect("an entry").path()).expect("a scenario")
    };
    let all: String = files.map(text).collect();
    let (_, said) = played("\n[[step]]\nflush = \"00:00\"\nexpect = \"refused: ?\"\n", &[]);
    let (_, reasons) = said.trim_end().split_once("there are ").expect("all reasons");
    let reasons = reasons.split(", ").filter(|reason| !NOT_SHOWN.contains(reason));
    let reasons = reasons.map(|reason| format!("expect = \"refused: {reason}\"\n"));
    let verbs = known(None).into_iter().map(|verb| format!("\n{verb} = "));
    let missing: Vec<String> = verbs.chain(reasons).filter(|text| !all.contains(text)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn json_lines() {
    let (code, said) = played(STEPS, &["--check", "--json"]);
    assert_eq!(code, Some(1));
    let lines: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["step", "step", "failure", "end"]);
    assert_eq!(lines[1]["line"], 13);
    assert_eq!(lines[2]["step"], 2);
    assert_eq!((&lines[3]["held"], &lines[3]["steps"]), (&Value::Bool(false), &2.into()));
}
