//! qemu's driver for iSCSI: a package of its own, of exactly the version of qemu's tools.
//!
//! Where the machine's tools are newer than its sources, as from its distribution's backports, the package
//! is taken from there and unpacked under `target/tools`. The tests look there (`QEMU_MODULE_DIR`).
//!
//! Invariants: no package of the machine is removed or replaced, and none of its lists of sources is
//! touched; nothing is unpacked that apt has not verified.

use crate::Error;
use crate::tools::Apt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const PACKAGE: &str = "qemu-block-extra";
/// What the tests' `QEMU_MODULE_DIR` is, below the target directory.
const MODULES: &str = "tools/qemu-modules";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Whether `qemu-img` can open iSCSI URLs. Of an URL without anything the driver itself complains.
pub(crate) fn is_there(target_dir: &Path) -> bool {
    let mut ask = Command::new("qemu-img");
    ask.args(["info", "iscsi://"]).env("LC_ALL", "C");
    let modules = target_dir.join(MODULES);
    if modules.exists() {
        ask.env("QEMU_MODULE_DIR", modules);
    }
    let asked = ask.output();
    asked.is_ok_and(|said| String::from_utf8_lossy(&said.stderr).contains("parse URL"))
}

/// Has it installed, or unpacked; whether it is there then.
pub(crate) fn install(target_dir: &Path, apt: &Apt) -> Result<bool, Error> {
    let modules = target_dir.join(MODULES);
    // It may be of tools that are no more.
    if fs::remove_file(&modules).is_ok() && is_there(target_dir) {
        return Ok(true);
    }
    let Some(version) = printed("dpkg-query", &["-W", "-f=${Version}", "qemu-utils"]) else {
        return Ok(false);
    };
    let package = format!("{PACKAGE}={version}");
    println!("==> installing {package}");
    if apt.install(&[&package]) && is_there(target_dir) {
        return Ok(true);
    }
    let Some((mirror, release)) = mirror() else { return Ok(false) };
    println!("    it is not in this machine's sources: asking {release}-backports");
    let plain = version.replace(':', "_");
    let dir = target_dir.join("tools").join(format!("{PACKAGE}-{plain}"));
    let Some(unpacked) = unpack(&dir, &package, &mirror, &release)? else { return Ok(false) };
    std::os::unix::fs::symlink(unpacked, &modules)
        .map_err(|source| Error::Write { path: modules, source })?;
    Ok(is_there(target_dir))
}

/// What a program prints, if it ends well.
fn printed(program: &str, args: &[&str]) -> Option<String> {
    let said = Command::new(program).args(args).output().ok()?;
    let text = said.status.success().then(|| String::from_utf8(said.stdout).ok())??;
    (!text.is_empty()).then_some(text)
}

/// The mirror of Debian that this machine uses, and the release.
fn mirror() -> Option<(String, String)> {
    let format = "$(REPO_URI) $(CODENAME) $(ORIGIN) $(LABEL)";
    let targets =
        printed("apt-get", &["indextargets", "--format", format, "Created-By: Packages"])?;
    targets.lines().find_map(of_target)
}

fn of_target(line: &str) -> Option<(String, String)> {
    let mut words = line.split(' ');
    let (mirror, release) = (words.next()?, words.next()?);
    let is_release = !release.contains('-') && words.eq(["Debian", "Debian"]);
    is_release.then(|| (mirror.to_owned(), release.to_owned()))
}

/// Takes the package from the backports of the release, by lists of our own, and unpacks it; where its
/// modules are.
fn unpack(
    dir: &Path,
    package: &str,
    mirror: &str,
    release: &str,
) -> Result<Option<PathBuf>, Error> {
    // What an earlier run left may be a part.
    let _ = fs::remove_dir_all(dir);
    for part in ["lists/partial", "cache/archives/partial"] {
        let path = dir.join(part);
        fs::create_dir_all(&path).map_err(|source| Error::Write { path, source })?;
    }
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        fs::write(&path, text).map_err(|source| Error::Write { path, source })
    };
    let signed =
        if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
    write("sources.list", format!("deb {signed}{mirror} {release}-backports main\n"))?;
    write("apt.conf", settings(dir))?;
    let config = dir.join("apt.conf");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(dir).arg("-qq").arg("-c").arg(&config).args(args);
        command.status().is_ok_and(|status| status.success())
    };
    if !apt(&["update"]) || !apt(&["download", package]) {
        return Ok(None);
    }
    let entries = |of: &Path| {
        let entries = fs::read_dir(of).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let is_package = |path: &PathBuf| path.extension().is_some_and(|end| end == "deb");
    let Some(archive) = entries(dir).into_iter().find(is_package) else { return Ok(None) };
    let mut open = Command::new("dpkg-deb");
    open.arg("-x").arg(archive).arg(dir);
    if !open.status().is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let modules = entries(&dir.join("usr/lib")).into_iter().map(|path| path.join("qemu"));
    Ok(modules.into_iter().find(|path| path.join("block-iscsi.so").exists()))
}

/// apt's settings, so that it reads and writes below the directory alone, and runs nothing of the
/// machine's when it is done.
fn settings(dir: &Path) -> String {
    let at = |name: &str| dir.join(name).display().to_string();
    format!(
        "#clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::http::Timeout \"30\";\n\
         Acquire::Languages \"none\";\n\
         Dir::Etc::SourceList \"{}\";\n\
         Dir::Etc::SourceParts \"-\";\n\
         Dir::State::Lists \"{}\";\n\
         Dir::Cache \"{}\";\n",
        at("sources.list"),
        at("lists"),
        at("cache"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_apt() {
        #[track_caller]
        fn check(line: &str, expected: Option<(&str, &str)>) {
            let expected =
                expected.map(|(mirror, release)| (mirror.to_owned(), release.to_owned()));
            assert_eq!(of_target(line), expected, "{line}");
        }
        let mirror = "http://mirror.example/debian/";
        check(&format!("{mirror} bookworm Debian Debian"), Some((mirror, "bookworm")));
        check(&format!("{mirror} bookworm-updates Debian Debian"), None);
        check("http://mirror.example/security/ bookworm Debian Debian-Security", None);
        check("http://other.example/ nodistro . .", None);
        check("", None);
    }
}
