//! Programs of others that the tests run: which are missing, and where a Debian-like system has them.
//!
//! A test whose tool is missing is counted as skipped; the tests look for themselves.

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
pub(crate) fn name_missing() {
    let missing: Vec<_> = missing().into_iter().collect();
    if !missing.is_empty() {
        println!(
            "==> tests with tools of others are skipped; for all of them: cargo xtask test --install"
        );
        println!("    or install {}", missing.join(" "));
    }
}

/// Installs what is missing. Where that cannot be done the tests that want it are skipped, and so is
/// this.
pub(crate) fn install(report: &mut Report) {
    let missing = missing();
    if missing.is_empty() {
        return;
    }
    let has = |program: &str| {
        SYSTEM.iter().chain(&["/usr/bin", "/bin"]).any(|dir| Path::new(dir).join(program).is_file())
    };
    if !has("apt-get") {
        return report.skip("install", "there is no apt-get here");
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root && !has("sudo") {
        return report.skip("install", "it needs root");
    }
    println!("==> installing {}", missing.iter().copied().collect::<Vec<_>>().join(" "));
    let apt = |args: &[&str]| {
        let mut command = match is_root {
            true => Command::new("env"),
            false => Command::new("sudo"),
        };
        if !is_root {
            command.arg("env");
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]).args(args);
        command.status().is_ok_and(|status| status.success())
    };
    // An old list of packages may do; a package that is not there is told below.
    let _ = apt(&["update"]);
    let mut install = vec!["install", "-y", "--no-install-recommends", "--no-remove"];
    install.extend(&missing);
    if !apt(&install) {
        report.skip("install", "apt-get could not do it");
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
