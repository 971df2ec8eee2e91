//! Programs of others: whether they are there, and how they are run.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// qemu's driver for iSCSI, as if it were a program. Its package is of exactly the version of qemu's tools.
pub(crate) const QEMU_ISCSI: &str = "qemu-block-extra";

/// The system's own programs come first, and an administrator's are found too.
const SYSTEM: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// No tool may take longer.
const PATIENCE: Duration = Duration::from_secs(120);

fn path() -> OsString {
    let own = env::var_os("PATH").unwrap_or_default();
    let dirs = SYSTEM.iter().map(Into::into).chain(env::split_paths(&own));
    env::join_paths(dirs).expect("a path of directories")
}

/// Whether there is such a program. Of `fio`, one that speaks NBD is meant.
pub(crate) fn is_there(tool: &str) -> bool {
    if tool == QEMU_ISCSI {
        // Of an URL without anything the driver itself complains.
        return is_there("qemu-img")
            && ran("qemu-img", ["info", "iscsi://"]).2.contains("parse URL");
    }
    let is_file = env::split_paths(&path()).any(|dir| dir.join(tool).is_file());
    is_file
        && match tool {
            "fio" => ran("fio", ["--enghelp"]).1.lines().any(|line| line.trim() == "nbd"),
            // It is only a way into a Python module.
            "nbdsh" => ran("nbdsh", ["-c", "0"]).0.success(),
            _ => true,
        }
}

/// Where `cargo xtask test --install` puts qemu's modules if those of the system are of another version.
fn qemu_modules() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
    Some(target.join("tools/qemu-modules")).filter(|path| path.exists())
}

/// A program of others, in an environment that is the same on every machine.
pub(crate) fn command(tool: &str) -> Command {
    let mut command = Command::new(tool);
    command.env("PATH", path()).env("LC_ALL", "C").stdin(Stdio::null());
    if let (Some(modules), None) = (qemu_modules(), env::var_os("QEMU_MODULE_DIR")) {
        command.env("QEMU_MODULE_DIR", modules);
    }
    command
}

/// What a program came to: its status, its output, its errors.
pub(crate) fn ran(
    tool: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> (ExitStatus, String, String) {
    ran_with(tool, args, &[])
}

/// The same with more in its environment.
pub(crate) fn ran_with(
    tool: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    environment: &[(String, &str)],
) -> (ExitStatus, String, String) {
    let mut command = command(tool);
    command.args(args).envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect(tool);
    // Read on threads of their own, so that it never waits for us.
    let read = |mut from: Box<dyn Read + Send>| {
        diptych::sync::thread::spawn(move || {
            let mut text = Vec::new();
            from.read_to_end(&mut text).expect("output");
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let out = read(Box::new(child.stdout.take().expect("a pipe")));
    let err = read(Box::new(child.stderr.take().expect("a pipe")));
    let until = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect(tool) {
            break status;
        }
        if Instant::now() > until {
            child.kill().expect(tool);
        }
        diptych::sync::thread::sleep(Duration::from_millis(5));
    };
    (status, out.join().expect("output"), err.join().expect("errors"))
}

/// Runs a program that has to succeed; its output.
#[track_caller]
pub(crate) fn run(tool: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
    let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    let (status, out, err) = ran(tool, &args);
    assert!(status.success(), "{tool} {args:?}: {status}\n{out}\n{err}");
    out
}

/// Writes pseudo-random bytes into a file: the same for the same seed.
pub(crate) fn random_file(path: &Path, bytes: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut data = vec![0; bytes];
    random.fill(&mut data);
    std::fs::write(path, data).expect("a file");
}
