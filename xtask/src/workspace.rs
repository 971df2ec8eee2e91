//! The workspace as cargo sees it: members, their edges and targets, and their manifests as text.

use crate::Error;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target_dir: PathBuf,
    pub(crate) manifest: toml::Table,
    pub(crate) members: Vec<Member>,
}

/// A package of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
    /// All but `default`.
    pub(crate) features: Vec<String>,
    pub(crate) manifest: toml::Table,
}

/// An edge to another package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// Which code an edge serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
}

/// Something cargo builds: a library, program, test, example or bench.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) src_path: PathBuf,
}

impl Workspace {
    /// Asks cargo, and reads the manifests.
    pub(crate) fn load() -> Result<Self, Error> {
        let root = root();
        let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(program)
            .current_dir(&root)
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| Error::Start { source })?;
        if !output.status.success() {
            return Err(Error::Metadata);
        }
        let json: Value = serde_json::from_slice(&output.stdout)
            .map_err(|source| Error::MetadataJson { source })?;
        let mut members = Vec::new();
        for package in list(&json, "packages")? {
            members.push(member(package)?);
        }
        Ok(Self {
            manifest: manifest(&root.join("Cargo.toml"))?,
            target_dir: text(&json, "target_directory")?.into(),
            members,
            root,
        })
    }

    /// The members that have a test program of this name.
    pub(crate) fn with_test<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Member> {
        self.members.iter().filter(move |member| {
            member.targets.iter().any(|target| target.kind == "test" && target.name == name)
        })
    }

    /// Every feature of every member, once: what a build without features leaves out.
    pub(crate) fn features(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().flat_map(|member| {
            member.features.iter().map(|feature| (member.name.as_str(), feature.as_str()))
        })
    }
}

/// The workspace's root: this program's manifest lies one level below.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn member(package: &Value) -> Result<Member, Error> {
    let mut dependencies = Vec::new();
    for dependency in list(package, "dependencies")? {
        let kind = match dependency.get("kind").and_then(Value::as_str) {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        };
        dependencies.push(Dependency { name: text(dependency, "name")?, kind });
    }
    let mut targets = Vec::new();
    for target in list(package, "targets")? {
        let kind = list(target, "kind")?.first().and_then(Value::as_str).unwrap_or_default();
        targets.push(Target {
            name: text(target, "name")?,
            kind: kind.to_owned(),
            src_path: text(target, "src_path")?.into(),
        });
    }
    let features = package.get("features").and_then(Value::as_object);
    let features = features.into_iter().flat_map(|all| all.keys());
    Ok(Member {
        name: text(package, "name")?,
        dependencies,
        targets,
        features: features.filter(|name| *name != "default").cloned().collect(),
        manifest: manifest(Path::new(&text(package, "manifest_path")?))?,
    })
}

fn manifest(path: &Path) -> Result<toml::Table, Error> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Error::Read { path: path.to_owned(), source })?;
    text.parse().map_err(|source| Error::Manifest { path: path.to_owned(), source })
}

fn list<'a>(value: &'a Value, field: &'static str) -> Result<&'a [Value], Error> {
    let found = value.get(field).and_then(Value::as_array);
    found.map(Vec::as_slice).ok_or(Error::MetadataField { field })
}

fn text(value: &Value, field: &'static str) -> Result<String, Error> {
    let found = value.get(field).and_then(Value::as_str);
    found.map(str::to_owned).ok_or(Error::MetadataField { field })
}
