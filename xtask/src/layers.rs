//! `cargo xtask layers`: every edge of the dependency graph against the order of the layers.
//!
//! The order is the table `[workspace.metadata.layers]`; what may use what besides is below, as
//! data. The rule is a function of a table and a graph, so its tests need no real workspace, and
//! one of them runs it on the real one.

use crate::Error;
use crate::report::Outcome;
use crate::workspace::{Dependency, Kind, Member, Workspace};
use std::collections::BTreeMap;
use thiserror::Error;

/// The integration tests: above everything, they may use all.
const TESTS: &str = "diptych-tests";
/// This program: beside everything, it uses and serves nobody.
const XTASK: &str = "xtask";
/// Stands above all, but serves the tests of these.
const TESTKIT: &str = "testkit";
const TESTKIT_SERVES: &[&str] = &["unit", "rt", "sim", "diptych"];
/// Peers that may meet in each other's tests: one scenario, two drivers.
const DEV_PEERS: &[(&str, &str)] = &[("rt", "sim"), ("sim", "rt")];

/// Keys of `[package]` that every member takes from the workspace.
const INHERITED: &[&str] = &["version", "edition", "rust-version", "license"];

/// Levels up to this one are passive: a driver above them turns the crank.
const PASSIVE_MAX: u8 = 4;

/// Third-party crates that some crates must not depend on.
struct Ban {
    crates: &'static [&'static str],
    /// Up to this level; at every level, and in tests too, when `None`.
    level_max: Option<u8>,
    but_in: &'static [&'static str],
    why: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        crates: &["loom", "shuttle"],
        level_max: None,
        but_in: &["sync"],
        why: "the switch is in diptych-sync alone; use its types and diptych_sync::model",
    },
    Ban {
        crates: &[
            "parking_lot",
            "crossbeam",
            "crossbeam-channel",
            "crossbeam-utils",
            "crossbeam-queue",
            "crossbeam-epoch",
            "dashmap",
            "flume",
            "arc-swap",
            "once_cell",
        ],
        level_max: Some(PASSIVE_MAX),
        but_in: &[],
        why: "the model checkers do not see its locks; take them from diptych-sync",
    },
    Ban {
        crates: &["rayon", "rayon-core"],
        level_max: Some(PASSIVE_MAX),
        but_in: &["drr"],
        why: "passive layers start no threads; only the DRR's kernels split disjoint slices",
    },
    Ban {
        crates: &[
            "tokio",
            "async-std",
            "smol",
            "futures",
            "futures-util",
            "mio",
            "polling",
            "async-io",
        ],
        level_max: Some(PASSIVE_MAX),
        but_in: &[],
        why: "jobs are driven by rt or sim; a passive layer has no runtime",
    },
    Ban {
        crates: &["rand", "rand_core", "rand_chacha", "fastrand", "getrandom", "uuid"],
        level_max: Some(PASSIVE_MAX),
        but_in: &[],
        why: "passive layers draw no random numbers; let the driver pass a plan in",
    },
    Ban {
        crates: &["chrono", "time", "quanta", "coarsetime", "web-time"],
        level_max: Some(PASSIVE_MAX),
        but_in: &[],
        why: "passive layers read no clock; let the driver pass a Time in",
    },
    Ban {
        crates: &["jiff", "croner"],
        level_max: Some(PASSIVE_MAX),
        but_in: &["unit"],
        why: "the calendar is the unit's, without jiff's std feature, which reads clocks and files",
    },
    Ban {
        crates: &["socket2", "hyper", "axum", "reqwest", "tonic", "rusqlite", "object_store"],
        level_max: Some(PASSIVE_MAX),
        but_in: &[],
        why: "passive layers open nothing; it belongs to level 5 or above",
    },
    Ban {
        crates: &["rustix", "libc", "nix", "tempfile", "memmap2"],
        level_max: Some(PASSIVE_MAX),
        but_in: &["device"],
        why: "only the file drive of diptych-device touches files",
    },
];

/// A crate's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layer {
    level: u8,
    order: Option<u8>,
    never: Vec<String>,
}

/// The order of the layers, by short name (`drr` for `diptych-drr`).
pub(crate) type Table = BTreeMap<String, Layer>;

/// What is wrong, and what to do.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Problem {
    #[error("{name} has no layer: give it a line in [workspace.metadata.layers]")]
    NoLayer { name: String },
    #[error("the layer {name} has no crate: take it out of [workspace.metadata.layers]")]
    NoCrate { name: String },
    #[error("the layer {name} must never use {other}, which is no layer: mend the name")]
    UnknownNever { name: String, other: String },
    #[error(
        "{from} (level {from_level}) uses {to} (level {to_level}): only lower levels may be used, \
         or the same level with a lower `order`; move what is needed down, or pass it in from above"
    )]
    Upward { from: String, from_level: u8, to: String, to_level: u8 },
    #[error("{from} uses {to}, which its layer must never know: pass in what it needs")]
    Never { from: String, to: String },
    #[error("{from} uses testkit: only tests of {}, and the tests package, may", TESTKIT_SERVES.join(", "))]
    Testkit { from: String },
    #[error("{from} uses {to}: xtask stands alone, so that it builds when nothing else does")]
    Xtask { from: String, to: String },
    #[error("{from} uses {to}: {why}")]
    Banned { from: String, to: String, why: &'static str },
    #[error("{name} does not inherit {what}: write `{what}.workspace = true`")]
    NotInherited { name: String, what: String },
    #[error(
        "{name} asks for {dependency} by itself: put it into [workspace.dependencies], with its \
         reason in docs/decisions, and write `{dependency}.workspace = true`"
    )]
    OwnVersion { name: String, dependency: String },
}

/// Checks the real workspace and prints every problem.
pub(crate) fn outcome(workspace: &Workspace) -> Result<Outcome, Error> {
    let found = problems(&table(&workspace.manifest)?, &workspace.members);
    for problem in &found {
        println!("{problem}");
    }
    Ok(Outcome::of_check(found.is_empty()))
}

/// Reads the table from the workspace's manifest.
pub(crate) fn table(manifest: &toml::Table) -> Result<Table, Error> {
    let layers = ["workspace", "metadata", "layers"]
        .iter()
        .try_fold(manifest, |table, key| table.get(*key)?.as_table())
        .ok_or(Error::NoLayers)?;
    let read = |(name, value): (&String, &toml::Value)| {
        let layer = value.as_table().and_then(layer);
        let layer = layer.ok_or_else(|| Error::BadLayer { crate_name: name.clone() })?;
        Ok((name.clone(), layer))
    };
    layers.iter().map(read).collect()
}

fn layer(table: &toml::Table) -> Option<Layer> {
    let number = |value: &toml::Value| value.as_integer().and_then(|n| u8::try_from(n).ok());
    let mut layer = Layer { level: number(table.get("level")?)?, ..Layer::default() };
    for (key, value) in table {
        match key.as_str() {
            "level" => {}
            "order" => layer.order = Some(number(value)?),
            "never" => {
                let name = |value: &toml::Value| value.as_str().map(str::to_owned);
                layer.never = value.as_array()?.iter().map(name).collect::<Option<_>>()?;
            }
            _ => return None,
        }
    }
    Some(layer)
}

/// The rule: everything that is wrong with `members` by `table`.
pub(crate) fn problems(table: &Table, members: &[Member]) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, layer) in table {
        if !members.iter().any(|member| short(&member.name) == name) {
            found.push(Problem::NoCrate { name: name.clone() });
        }
        for other in layer.never.iter().filter(|other| !table.contains_key(*other)) {
            found.push(Problem::UnknownNever { name: name.clone(), other: other.clone() });
        }
    }
    let is_member = |name: &str| members.iter().any(|member| member.name == name);
    for member in members {
        let free = [TESTS, XTASK].contains(&member.name.as_str());
        if !free && !table.contains_key(short(&member.name)) {
            found.push(Problem::NoLayer { name: member.name.clone() });
        }
        for edge in &member.dependencies {
            found.extend(if is_member(&edge.name) {
                inner(table, &member.name, edge)
            } else {
                third_party(table, &member.name, edge)
            });
        }
        found.extend(not_inherited(member, is_member));
    }
    found
}

/// `drr` for `diptych-drr`; the facade is `diptych` in both.
fn short(name: &str) -> &str {
    name.strip_prefix("diptych-").unwrap_or(name)
}

/// An edge between two members.
fn inner(table: &Table, from: &str, edge: &Dependency) -> Option<Problem> {
    let to = edge.name.as_str();
    if from == XTASK || to == XTASK {
        return Some(Problem::Xtask { from: from.to_owned(), to: to.to_owned() });
    }
    if from == TESTS {
        return None;
    }
    let dev = edge.kind == Kind::Dev;
    if short(to) == TESTKIT {
        let served = dev && TESTKIT_SERVES.contains(&short(from));
        return (!served).then(|| Problem::Testkit { from: from.to_owned() });
    }
    if dev && DEV_PEERS.contains(&(short(from), short(to))) {
        return None;
    }
    // Without a layer, the crate is a problem already.
    let (upper, lower) = (table.get(short(from))?, table.get(short(to))?);
    if upper.never.iter().any(|name| name == short(to)) {
        return Some(Problem::Never { from: from.to_owned(), to: to.to_owned() });
    }
    let within = || matches!((upper.order, lower.order), (Some(a), Some(b)) if b < a);
    let down = lower.level < upper.level || (lower.level == upper.level && within());
    (!down).then(|| Problem::Upward {
        from: from.to_owned(),
        from_level: upper.level,
        to: to.to_owned(),
        to_level: lower.level,
    })
}

/// An edge to a third-party crate.
fn third_party(table: &Table, from: &str, edge: &Dependency) -> Option<Problem> {
    let level = table.get(short(from)).map(|layer| layer.level);
    let ban = BANS.iter().find(|ban| {
        let here = match (ban.level_max, level) {
            (None, _) => true,
            (Some(max), Some(level)) => level <= max && edge.kind != Kind::Dev,
            (Some(_), None) => false,
        };
        here && ban.crates.contains(&edge.name.as_str()) && !ban.but_in.contains(&short(from))
    })?;
    Some(Problem::Banned { from: from.to_owned(), to: edge.name.clone(), why: ban.why })
}

/// What a member says for itself that the workspace should say for all.
fn not_inherited(member: &Member, is_member: impl Fn(&str) -> bool) -> Vec<Problem> {
    let from_workspace = |value: Option<&toml::Value>| {
        value.and_then(|value| value.get("workspace")?.as_bool()) == Some(true)
    };
    let mut found = Vec::new();
    let mut want = |what: String, value: Option<&toml::Value>| {
        if !from_workspace(value) {
            found.push(Problem::NotInherited { name: member.name.clone(), what });
        }
    };
    want("lints".to_owned(), member.manifest.get("lints"));
    let package = member.manifest.get("package");
    for key in INHERITED {
        want(format!("package.{key}"), package.and_then(|package| package.get(key)));
    }
    for (key, value) in declared(&member.manifest) {
        let name = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
        if !is_member(name) && !from_workspace(Some(value)) {
            let (name, dependency) = (member.name.clone(), key.to_owned());
            found.push(Problem::OwnVersion { name, dependency });
        }
    }
    found
}

/// Every entry of every dependency section, those for one target or cfg too.
fn declared(manifest: &toml::Table) -> impl Iterator<Item = (&str, &toml::Value)> {
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let targets =
        targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    std::iter::once(manifest)
        .chain(targets)
        .flat_map(|place| {
            ["dependencies", "dev-dependencies", "build-dependencies"]
                .into_iter()
                .filter_map(|section| place.get(section)?.as_table())
        })
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
        [workspace.metadata.layers]
        sync = { level = 0, order = 0 }
        format = { level = 0, order = 1 }
        cache = { level = 1 }
        drr = { level = 2, never = ["cache"] }
        unit = { level = 4 }
        rt = { level = 5 }
        sim = { level = 5 }
        diptych = { level = 7 }
        testkit = { level = 8 }
    "#;

    const GOOD: &str = "
        [package]
        version.workspace = true
        edition.workspace = true
        rust-version.workspace = true
        license.workspace = true
        [lints]
        workspace = true
    ";

    fn full(short: &str) -> String {
        let bare = [XTASK, "diptych"].contains(&short) || !TABLE.contains(&format!("{short} ="));
        if bare && short != "tests" { short.to_owned() } else { format!("diptych-{short}") }
    }

    /// All crates of `TABLE`, with these edges: `from kind to` on each line.
    fn graph(edges: &str) -> Vec<Member> {
        let table = table(&TABLE.parse().unwrap()).unwrap();
        let names = table.keys().map(String::as_str).chain(["tests", XTASK]);
        let mut members: Vec<_> = names
            .map(|name| Member {
                name: full(name),
                manifest: GOOD.parse().unwrap(),
                ..Member::default()
            })
            .collect();
        for edge in edges.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<_> = edge.split_whitespace().collect();
            let kind = match words[1] {
                "uses" => Kind::Normal,
                "tests-with" => Kind::Dev,
                "builds-with" => Kind::Build,
                other => panic!("{other}: no kind of edge"),
            };
            let from = members.iter_mut().find(|member| member.name == full(words[0]));
            from.expect("a member").dependencies.push(Dependency { name: full(words[2]), kind });
        }
        members
    }

    #[track_caller]
    fn check(edges: &str, expected: &[Problem]) {
        let table = table(&TABLE.parse().unwrap()).unwrap();
        assert_eq!(problems(&table, &graph(edges)), expected, "{edges}");
    }

    fn upward(from: &str, from_level: u8, to: &str, to_level: u8) -> Problem {
        let (from, to) = (full(from), full(to));
        Problem::Upward { from, from_level, to, to_level }
    }

    #[test]
    fn down_is_allowed() {
        check(
            "format uses sync
             cache uses sync
             drr uses format
             unit uses drr
             unit builds-with cache
             rt uses unit
             cache tests-with format
             diptych uses sim
             diptych uses rt
             tests uses testkit
             tests uses diptych",
            &[],
        );
    }

    #[test]
    fn up_and_sideways_are_not_in_any_kind() {
        check("cache uses unit", &[upward("cache", 1, "unit", 4)]);
        check("cache tests-with unit", &[upward("cache", 1, "unit", 4)]);
        check("cache builds-with drr", &[upward("cache", 1, "drr", 2)]);
        check("sync uses format", &[upward("sync", 0, "format", 0)]);
        check("rt uses sim", &[upward("rt", 5, "sim", 5)]);
        check("sim builds-with rt", &[upward("sim", 5, "rt", 5)]);
    }

    #[test]
    fn the_drivers_meet_in_tests() {
        check("rt tests-with sim\nsim tests-with rt", &[]);
    }

    #[test]
    fn never_holds_for_lower_levels_and_tests() {
        let never = || Problem::Never { from: full("drr"), to: full("cache") };
        check("drr uses cache\ndrr tests-with cache", &[never(), never()]);
    }

    #[test]
    fn testkit_serves_few() {
        check("unit tests-with testkit\nrt tests-with testkit\ndiptych tests-with testkit", &[]);
        check("cache tests-with testkit", &[Problem::Testkit { from: full("cache") }]);
        check("diptych uses testkit", &[Problem::Testkit { from: full("diptych") }]);
    }

    #[test]
    fn xtask_stands_alone() {
        let xtask = |from: &str, to: &str| Problem::Xtask { from: full(from), to: full(to) };
        check("xtask uses sync", &[xtask("xtask", "sync")]);
        check("tests uses xtask", &[xtask("tests", "xtask")]);
    }

    #[test]
    fn bans() {
        #[track_caller]
        fn banned(edge: &str) {
            let table = table(&TABLE.parse().unwrap()).unwrap();
            let found = problems(&table, &graph(edge));
            assert!(matches!(found[..], [Problem::Banned { .. }]), "{edge}: {found:?}");
        }
        banned("unit uses tokio");
        banned("sync uses rand");
        banned("cache uses parking_lot");
        banned("drr uses chrono");
        banned("cache uses rayon");
        banned("cache uses rustix");
        banned("rt tests-with loom");
        banned("tests uses shuttle");
        check("sync uses loom\ndrr uses rayon\nrt uses tokio\ncache tests-with fastrand", &[]);
    }

    #[test]
    fn table_and_members_agree() {
        let mut members = graph("");
        members.retain(|member| member.name != "diptych-sim");
        members.push(Member {
            name: "diptych-extra".to_owned(),
            manifest: GOOD.parse().unwrap(),
            ..Member::default()
        });
        let mut table = table(&TABLE.parse().unwrap()).unwrap();
        table.get_mut("drr").unwrap().never.push("cahce".to_owned());
        assert_eq!(
            problems(&table, &members),
            [
                Problem::UnknownNever { name: "drr".to_owned(), other: "cahce".to_owned() },
                Problem::NoCrate { name: "sim".to_owned() },
                Problem::NoLayer { name: "diptych-extra".to_owned() },
            ]
        );
    }

    #[test]
    fn manifests_inherit() {
        let manifest = r#"
            [package]
            version = "0.2.0"
            edition.workspace = true
            rust-version.workspace = true
            license.workspace = true
            [dependencies]
            bytes = "1"
            diptych-sync = { path = "../sync" }
            thiserror.workspace = true
            [target.'cfg(unix)'.dev-dependencies]
            short = { package = "tempfile", version = "3" }
        "#;
        let mut members = graph("");
        let cache = members.iter_mut().find(|member| member.name == "diptych-cache").unwrap();
        cache.manifest = manifest.parse().unwrap();
        let table = table(&TABLE.parse().unwrap()).unwrap();
        let found: Vec<_> = problems(&table, &members).iter().map(Problem::to_string).collect();
        assert_eq!(
            found,
            [
                "diptych-cache does not inherit lints: write `lints.workspace = true`",
                "diptych-cache does not inherit package.version: write \
                 `package.version.workspace = true`",
                "diptych-cache asks for bytes by itself: put it into [workspace.dependencies], with \
                 its reason in docs/decisions, and write `bytes.workspace = true`",
                "diptych-cache asks for short by itself: put it into [workspace.dependencies], with \
                 its reason in docs/decisions, and write `short.workspace = true`",
            ]
        );
    }

    #[test]
    fn a_table_with_mistakes_is_refused() {
        #[track_caller]
        fn check(line: &str) {
            let text = format!("[workspace.metadata.layers]\n{line}");
            let found = table(&text.parse().unwrap());
            assert!(matches!(found, Err(Error::BadLayer { .. })), "{line}: {found:?}");
        }
        check("sync = 0");
        check("sync = { order = 1 }");
        check("sync = { level = -1 }");
        check("sync = { level = 0, nevr = [] }");
        check("sync = { level = 0, never = [1] }");
        assert!(matches!(table(&toml::Table::new()), Err(Error::NoLayers)));
    }

    #[test]
    fn this_workspace_keeps_its_layers() {
        let workspace = Workspace::load().unwrap();
        let found = problems(&table(&workspace.manifest).unwrap(), &workspace.members);
        let text: Vec<_> = found.iter().map(Problem::to_string).collect();
        assert!(found.is_empty(), "{}", text.join("\n"));
    }
}
