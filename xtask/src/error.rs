//! What stops a command altogether; what a check finds is a problem, not one of these.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A command that could not do its work.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot start cargo: {source}")]
    Start { source: io::Error },
    #[error("cannot start {}: {source}", program.display())]
    Spawn { program: PathBuf, source: io::Error },
    #[error("diptych serve does not come up, or does not serve what it is asked to")]
    NotServed,
    #[error("cannot read what cargo prints: {source}")]
    Output { source: io::Error },
    #[error("cargo metadata fails; its own message stands above")]
    Metadata,
    #[error("cargo metadata is not what this program reads: {source}")]
    MetadataJson { source: serde_json::Error },
    #[error("cargo metadata has no {field}")]
    MetadataField { field: &'static str },
    #[error("{} is not a manifest: {source}", path.display())]
    Manifest { path: PathBuf, source: toml::de::Error },
    #[error("[workspace.metadata.layers] is missing in the workspace's Cargo.toml")]
    NoLayers,
    #[error(
        "[workspace.metadata.layers] {crate_name}: want {{ level = 0-255, order = 0-255 (may be \
         left out), never = [names] (may be left out) }} and no other key"
    )]
    BadLayer { crate_name: String },
    #[error("{} has no lines {begin} and {end} to put the table between", path.display())]
    NoMarkers { path: PathBuf, begin: &'static str, end: &'static str },
}
