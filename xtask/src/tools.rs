//! Programs of others that the tests run: which are missing, and where a Debian-like system has them.
//!
//! A test whose tool is missing is counted as skipped; the tests look for themselves.

use crate::block_driver;
use crate::report::Report;
use std::collections::BTreeSet;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program, and the package that has it.
const TOOLS: &[(&str, &str)] = &[
    ("qemu-img", "qemu-utils"),
    ("qemu-io", "qemu-utils"),
    ("nbdinfo", "libnbd-bin"),
    ("nbdcopy", "libnbd-bin"),
    ("nbdsh", "python3-libnbd"),
    ("nbdkit", "nbdkit"),
    ("iscsi-test-cu", "libiscsi-bin"),
    ("fio", "fio"),
    ("openssl", "openssl"),
    ("mke2fs", "e2fsprogs"),
    ("e2fsck", "e2fsprogs"),
    ("debugfs", "e2fsprogs"),
];
/// Where programs are that only an administrator's path names.
const SYSTEM: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Packages that are missing, in the order of their names.
fn missing() -> BTreeSet<&'static str> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = env::split_paths(&path).chain(SYSTEM.map(PathBuf::from)).collect();
    let is_there = |tool: &str| dirs.iter().any(|dir: &PathBuf| dir.join(tool).is_file());
    TOOLS.iter().filter(|(tool, _)| !is_there(tool)).map(|(_, package)| *package).collect()
}

/// Says which packages are missing; the tests that want them are skipped.
pub(crate) fn name_missing(target_dir: &Path) {
    let mut missing = missing();
    if !block_driver::is_there(target_dir) {
        missing.insert(block_driver::PACKAGE);
    }
    if !missing.is_empty() {
        println!(
            "==> tests with tools of others are skipped; for all of them: cargo xtask test --install"
        );
        println!("    or install {}", missing.into_iter().collect::<Vec<_>>().join(" "));
    }
}

/// Installs what is missing. Where that cannot be done the tests that want it are skipped, and so is
/// this.
pub(crate) fn install(target_dir: &Path, report: &mut Report) {
    let missing = missing();
    let has_driver = block_driver::is_there(target_dir);
    if missing.is_empty() && has_driver {
        return;
    }
    let apt = match Apt::new() {
        Ok(apt) => apt,
        Err(why) => return report.skip("install", why),
    };
    let names: Vec<_> = missing.into_iter().collect();
    if !names.is_empty() {
        println!("==> installing {}", names.join(" "));
    }
    // An old list of packages may do; a package that is not there is told below.
    let _ = apt.run(&["update"]);
    if !names.is_empty() && !apt.install(&names) {
        report.skip("install", "apt-get could not do it");
    }
    if has_driver || block_driver::is_there(target_dir) {
        return;
    }
    let installed = block_driver::install(target_dir, &apt).unwrap_or_else(|error| {
        println!("{error}");
        false
    });
    if !installed {
        let why = "no driver fits qemu-img (package qemu-block-extra)";
        report.skip("install qemu-block-extra", why);
    }
}

/// apt-get, with the rights that it needs.
pub(crate) struct Apt {
    is_root: bool,
}

impl Apt {
    fn new() -> Result<Self, &'static str> {
        let has = |program: &str| {
            let mut dirs = SYSTEM.iter().chain(&["/usr/bin", "/bin"]);
            dirs.any(|dir| Path::new(dir).join(program).is_file())
        };
        if !has("apt-get") {
            return Err("there is no apt-get here");
        }
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        if !is_root && !has("sudo") {
            return Err("it needs root");
        }
        Ok(Self { is_root })
    }

    fn run(&self, args: &[&str]) -> bool {
        let mut command = match self.is_root {
            true => Command::new("env"),
            false => Command::new("sudo"),
        };
        if !self.is_root {
            command.arg("env");
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]).args(args);
        command.status().is_ok_and(|status| status.success())
    }

    /// Installs packages, and removes none for them.
    pub(crate) fn install(&self, packages: &[&str]) -> bool {
        let install = ["install", "-y", "--no-install-recommends", "--no-remove"];
        self.run(&[&install[..], packages].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_package() {
        for (tool, package) in TOOLS {
            assert!(!tool.is_empty() && !package.contains(' '), "{tool}");
        }
        assert!(missing().iter().all(|package| TOOLS.iter().any(|(_, known)| known == package)));
    }
}
