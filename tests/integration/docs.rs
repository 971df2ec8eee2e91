//! The documents against the tree: links, paths, names, steps, headings, commands and block tables.
//!
//! What a document says in words only a reader can check. What it names is checked here: a file that
//! moved, a function that was renamed or a step whose comment went fails a test that says where.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Steps of Figs. 5, 6 and 9 that stand for a whole flowchart or its return, or that the patent does
/// not have: they need a row, but no comment in the code.
const WITHOUT_COMMENT: [u32; 4] = [500, 600, 608, 908];

/// A document: its path from the root of the tree, and its text.
struct Document {
    path: String,
    text: String,
}

/// `[text](target)`.
struct Link<'a> {
    text: &'a str,
    target: &'a str,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the tree")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names in a directory, ascending.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().into_string().expect("a name in UTF-8")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// README.md, CHANGELOG.md and all of docs/.
fn documents() -> Vec<Document> {
    let mut paths = vec!["CHANGELOG.md".to_owned(), "README.md".to_owned()];
    let mut dirs = vec!["docs".to_owned()];
    while let Some(dir) = dirs.pop() {
        for name in names(&root().join(&dir)) {
            let path = format!("{dir}/{name}");
            if root().join(&path).is_dir() {
                dirs.push(path);
            } else if name.ends_with(".md") {
                paths.push(path);
            }
        }
    }
    let document = |path: String| Document { text: read(&path), path };
    paths.into_iter().map(document).collect()
}

fn links(text: &str) -> impl Iterator<Item = Link<'_>> {
    text.match_indices("](").filter_map(|(at, _)| {
        let start = text[..at].rfind('[')? + 1;
        let rest = &text[at + 2..];
        Some(Link { text: &text[start..at], target: &rest[..rest.find(')')?] })
    })
}

/// The file of the tree that a link leads to, and the heading; `None` if it leads elsewhere.
fn resolve<'a>(document: &str, target: &'a str) -> Option<(PathBuf, Option<&'a str>)> {
    if target.contains("://") {
        return None;
    }
    let (file, heading) = match target.split_once('#') {
        Some((file, heading)) => (file, Some(heading)),
        None => (target, None),
    };
    let from = root().join(document);
    let path = match file {
        "" => from,
        _ => from.parent().expect("a document is in a directory").join(file),
    };
    Some((path, heading))
}

/// The anchors that a viewer makes of a document's headings.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Whether Rust source defines something of this name: an item, or a variant.
fn defines(source: &str, name: &str) -> bool {
    let starts = |line: &str, with: &str| {
        let rest = line.strip_prefix(with);
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    source.lines().map(str::trim_start).any(|line| {
        let mut line = line;
        for word in ["pub ", "pub(crate) ", "pub(super) ", "async ", "const "] {
            line = line.strip_prefix(word).unwrap_or(line);
        }
        let item = ["fn", "struct", "enum", "trait", "type"];
        let is_item = item.iter().any(|kind| starts(line, &format!("{kind} {name}")));
        is_item || (name.starts_with(char::is_uppercase) && starts(line, name))
    })
}

/// Whether a comment of the source names this step, alone or within a range.
fn mentions(source: &str, step: u32) -> bool {
    let comments = source.lines().filter_map(|line| line.split_once("//"));
    comments.map(|(_, comment)| comment.replace(" to ", "-")).any(|comment| {
        comment.split(|c: char| !c.is_ascii_digit() && c != '-').any(|word| {
            match word.trim_matches('-').split_once('-') {
                Some((from, to)) => match (from.parse(), to.parse()) {
                    (Ok(from), Ok(to)) => (from..=to).contains(&step),
                    _ => false,
                },
                None => word.trim_matches('-').parse() == Ok(step),
            }
        })
    })
}

/// The words of a text that start so, up to what cannot be part of a path.
fn paths<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(start).filter_map(move |(at, _)| {
        let whole = !text[..at].ends_with(|c: char| c.is_alphanumeric() || "-_".contains(c));
        let end = |c: char| !(c.is_ascii_alphanumeric() || "/._-*<>".contains(c));
        let path = &text[at..];
        let path = path[..path.find(end).unwrap_or(path.len())].trim_end_matches(['.', '/']);
        // A pattern is no path.
        (whole && !path.contains(['*', '<'])).then_some(path)
    })
}

/// The cells of the rows below a heading that starts so, heads and rules left out.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let section = text.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("there is a section {heading}"));
    let lines = section.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    lines.map(|line| line.split('|').map(str::trim).collect()).collect()
}

/// Fails with all that was found.
#[track_caller]
fn none_of(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    let mut problems = Vec::new();
    for Document { path, text } in documents() {
        for Link { text: name, target } in links(&text) {
            let Some((file, heading)) = resolve(&path, target) else { continue };
            if !file.exists() {
                problems.push(format!("{path}: no file {target}"));
                continue;
            }
            if let Some(heading) = heading {
                let there = fs::read_to_string(&file)
                    .is_ok_and(|text| anchors(&text).iter().any(|anchor| anchor == heading));
                if !there {
                    problems.push(format!("{path}: no heading {target}"));
                }
            }
            let name = name.trim_matches('`');
            let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let is_code = links_code(&text, name, target);
            if is_name && is_code && !defines(&fs::read_to_string(&file).expect("text"), name) {
                problems.push(format!("{path}: {target} does not define {name}"));
            }
        }
    }
    none_of(&problems);
}

/// Whether the document links this name in code type to a Rust file.
fn links_code(text: &str, name: &str, target: &str) -> bool {
    target.ends_with(".rs") && text.contains(&format!("[`{name}`]({target})"))
}

#[test]
fn named_paths_exist() {
    let mut problems = Vec::new();
    for Document { path, text } in documents() {
        for start in ["crates/", "docs/", "tests/integration/", "tests/scenarios/", "xtask/"] {
            for named in paths(&text, start).filter(|named| !root().join(named).exists()) {
                problems.push(format!("{path}: {named} does not exist"));
            }
        }
    }
    none_of(&problems);
}

#[test]
fn named_commands_exist() {
    let mut problems = Vec::new();
    for Document { path, text } in documents() {
        for line in text.lines() {
            let words: Vec<&str> = line.split(|c: char| c.is_whitespace() || c == '`').collect();
            let after = |word: &str| {
                let at = words.iter().position(|other| *other == word)?;
                words.get(at + 1).copied()
            };
            if let (Some(package), Some(example)) = (after("-p"), after("--example")) {
                let dir = package.strip_prefix("diptych-").unwrap_or(package);
                let file = format!("crates/{dir}/examples/{example}.rs");
                if !root().join(&file).exists() {
                    problems.push(format!("{path}: no example {example} of {package}"));
                }
            }
            let command = after("xtask").filter(|_| line.contains("cargo xtask "));
            let is_word = |word: &&str| !word.is_empty() && word.chars().all(char::is_alphabetic);
            if let Some(command) = command.filter(is_word) {
                // One file is one command.
                if !root().join(format!("xtask/src/{command}.rs")).exists() {
                    problems.push(format!("{path}: no command cargo xtask {command}"));
                }
            }
        }
    }
    none_of(&problems);
}

#[test]
fn every_crate_is_on_the_map() {
    let text = read("docs/architecture.md");
    let has = |heading: &str| text.lines().any(|line| line == heading);
    let mut problems = Vec::new();
    for name in names(&root().join("crates")) {
        let is_crate = root().join("crates").join(&name).join("Cargo.toml").exists();
        if is_crate && !has(&format!("### {name}")) {
            problems.push(format!("docs/architecture.md has no heading for crates/{name}"));
        }
    }
    none_of(&problems);
}

#[test]
fn every_decision_is_in_the_index() {
    let index = read("docs/decisions/README.md");
    let records = names(&root().join("docs/decisions"));
    let is_missing = |name: &&String| !index.contains(&format!("({name})")) && *name != "README.md";
    let missing: Vec<String> = records.iter().filter(is_missing).cloned().collect();
    none_of(&missing);
}

#[test]
fn every_step_is_in_its_room() {
    fn check(text: &str, figure: &str, steps: std::ops::RangeInclusive<u32>) -> Vec<String> {
        let rows = rows(text, figure);
        let mut problems = Vec::new();
        for step in steps {
            let Some(row) = rows.iter().find(|row| row[0] == step.to_string()) else {
                problems.push(format!("{figure}: no row for step {step}"));
                continue;
            };
            if WITHOUT_COMMENT.contains(&step) {
                continue;
            }
            let target =
                links(row[2]).next().and_then(|link| resolve("docs/figures.md", link.target));
            let source = target.and_then(|(file, _)| fs::read_to_string(file).ok());
            if !source.is_some_and(|source| mentions(&source, step)) {
                problems.push(format!("{figure}: no comment names step {step} in {}", row[2]));
            }
        }
        problems
    }
    let text = read("docs/figures.md");
    let mut problems = check(&text, "Fig. 5", 500..=504);
    problems.extend(check(&text, "Fig. 6", 600..=609));
    problems.extend(check(&text, "Fig. 9", 901..=909));
    none_of(&problems);
}

#[test]
fn block_tables_are_those_of_the_code() {
    /// The table rows in the module's header, as `offset bytes field`; its own tests compare them with
    /// the code.
    fn check(heading: &str, source: &str) {
        let header = read(source);
        let coded = header.lines().filter_map(|line| {
            let cells: Vec<&str> = line.strip_prefix("//! |")?.split('|').map(str::trim).collect();
            cells[1].parse::<u32>().ok()?;
            Some(cells[..3].join(" "))
        });
        let text = read("docs/format.md");
        let documented = rows(&text, heading).into_iter().filter_map(|row| {
            row[1].parse::<u32>().ok()?;
            Some([row[1], row[2], row[0]].join(" "))
        });
        assert_eq!(documented.collect::<Vec<_>>(), coded.collect::<Vec<_>>(), "{heading}");
    }
    check("Command block", "crates/cha/src/command_block.rs");
    check("Answer block", "crates/cha/src/outcome_block.rs");
    check("Pair block", "crates/cha/src/pair_block.rs");

    let mut coded = String::new();
    for line in read("crates/cha/src/outcome_block.rs").lines() {
        let row = line.strip_prefix("//! | ").and_then(|row| row.split_once(" | [`Refusal::"));
        if let Some((reason, rest)) = row {
            let _ = writeln!(coded, "| {reason} | {}", rest.replace("`]", ""));
        }
    }
    assert!(!coded.is_empty(), "the answer block has reasons");
    assert!(read("docs/format.md").contains(&coded), "docs/format.md: the reasons are\n{coded}");
}

#[test]
fn these_tests_can_fail() {
    let names: Vec<_> = links("see [`a`](b.rs), [c](d.md#e)").map(|l| (l.text, l.target)).collect();
    assert_eq!(names, [("`a`", "b.rs"), ("c", "d.md#e")]);
    let source = "pub(crate) async fn f() {}\n    Variant,\nfn longer() {}\n    call()\n";
    for (name, defined) in [("f", true), ("Variant", true), ("long", false), ("call", false)] {
        assert_eq!(defines(source, name), defined, "{name}");
    }
    let source = "let x = 601; // 603, 904\n/// Steps 606 to 607, or 901-903.\n";
    for (step, named) in [(601, false), (603, true), (607, true), (902, true), (905, false)] {
        assert_eq!(mentions(source, step), named, "{step}");
    }
    let text = "in `crates/a/b.rs`, crates/*/c.rs, my-crates/d and ../crates/e.";
    assert_eq!(paths(text, "crates/").collect::<Vec<_>>(), ["crates/a/b.rs", "crates/e"]);
    assert_eq!(anchors("# A\n## Fig. 1: the b_c\n"), ["a", "fig-1-the-b_c"]);
}
