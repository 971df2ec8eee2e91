//! `cargo xtask conformance`: libiscsi's suite of tests, `iscsi-test-cu`, against a real `diptych serve`.
//!
//! The server runs on a temporary directory, with a logical unit of each kind (thin, thin with large
//! physical blocks, removable, write-protected) and two portals. Every test runs in a process of its own
//! with a time limit, so that one that hangs or dies hides no other. A test counts as it ends on the kind
//! that it is for: the first on which it passes. Where it fails on another, the document says so, and why; if
//! nobody knows why, it has failed.
//!
//! Tests reset targets and wait for timers, so some servers share them out: each takes the next test when
//! it is done with one, and none meets another's reservations and resets.
//!
//! Invariants: what a test skips is never counted as passed, though the suite itself does so; the servers
//! are ended and their directories removed, whatever happens.

use crate::Error;
use crate::cargo::Cargo;
use crate::conformance_table::{Run, Verdict, document};
use crate::flags::ConformanceOptions;
use crate::report::{Outcome, Report, Tally};
use crate::workspace::Workspace;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SUITE: &str = "iscsi-test-cu";
/// Servers, each with a test at a time.
const SERVERS: usize = 2;
const TEST_LIMIT: Duration = Duration::from_secs(180);
const START_LIMIT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);
/// A volume of each kind, and what `diptych init` is told of it.
const KINDS: [(&str, Option<&str>); 4] = [
    ("thin", None),
    ("thin, 4 KiB", Some("--physical-4k")),
    ("removable", Some("--removable")),
    ("write-protected", Some("--write-protected")),
];
/// The tests that write whole volumes.
const LONGEST: &str = "Sanitize.";
/// Large enough for a SANITIZE that is still under way after some seconds.
const VOLUME_SIZE: &str = "2GiB";
const DOCUMENT: &str = "docs/conformance.md";

/// Runs the suite, or the tests whose name contains the filter.
pub(crate) fn run(workspace: &Workspace, options: &ConformanceOptions, report: &mut Report) {
    let Some(tests) = tests() else {
        return report.skip("conformance", "there is no iscsi-test-cu (package libiscsi-bin)");
    };
    let wanted = |test: &String| options.filter.as_ref().is_none_or(|part| test.contains(part));
    let tests: Vec<String> = tests.into_iter().filter(wanted).collect();
    report.step("conformance", || conform(workspace, options, &tests));
}

/// The names of all tests, as `Suite.Test`.
fn tests() -> Option<Vec<String>> {
    let listed = Command::new(SUITE).arg("-l").output().ok()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let name = |line: &str| {
        let name = line.trim().strip_prefix("ALL.")?;
        name.contains('.').then(|| name.to_owned())
    };
    Some(text.lines().filter_map(name).collect())
}

fn conform(
    workspace: &Workspace,
    options: &ConformanceOptions,
    tests: &[String],
) -> Result<Outcome, Error> {
    if !Cargo::new(&workspace.root, &["build", "-p", "diptych"]).run()? {
        return Ok(Outcome::of_check(false));
    }
    let program = workspace.target_dir.join("debug/diptych");
    let runs = run_all(&program, tests)?;
    if options.write {
        let text = document(&version(), &runs);
        let path = workspace.root.join(DOCUMENT);
        fs::write(&path, &text).map_err(|source| Error::Write { path, source })?;
    }
    let count = |is: fn(&Run) -> bool| runs.iter().filter(|run| is(run)).count();
    let tally = Tally {
        passed: count(|run| run.verdict == Verdict::Pass && !run.is_failure()),
        failed: count(Run::is_failure),
        skipped: count(|run| run.verdict == Verdict::Skip || run.is_excepted()),
    };
    let is_skipped = runs.iter().any(|run| run.verdict == Verdict::Skip);
    Ok(Outcome::of_tests(tally.failed == 0 && !is_skipped, tally))
}

/// Runs the tests, shared out among the servers; in their order.
fn run_all(program: &Path, tests: &[String]) -> Result<Vec<Run>, Error> {
    // The longest come first, so that none is left for the end.
    let mut order: Vec<usize> = (0..tests.len()).collect();
    order.sort_by_key(|no| !tests[*no].starts_with(LONGEST));
    let next = AtomicUsize::new(0);
    let serve = |no: usize| {
        let dir = TempDir::new(no)?;
        let server = Server::start(program, &dir.0)?;
        let mut runs = Vec::new();
        loop {
            let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return Ok(runs);
            };
            let run = server.run(&tests[at], &dir.0.join("log"))?;
            if run.verdict != Verdict::Pass || run.is_failure() {
                println!("    {run}");
            }
            runs.push((at, run));
        }
    };
    let mut runs = thread::scope(|scope| {
        let servers: Vec<_> = (0..SERVERS).map(|no| scope.spawn(move || serve(no))).collect();
        let ended = servers.into_iter().map(|server| server.join().expect("no server panics"));
        ended.collect::<Result<Vec<_>, Error>>()
    })?;
    let mut runs: Vec<(usize, Run)> = runs.drain(..).flatten().collect();
    runs.sort_by_key(|(at, _)| *at);
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// The version of the package that has the suite.
fn version() -> String {
    let asked = Command::new("dpkg-query").args(["-W", "-f=${Version}", "libiscsi-bin"]).output();
    let text = asked.ok().filter(|out| out.status.success()).map(|out| out.stdout);
    text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_else(|| "unknown".to_owned())
}

/// A directory that goes when this does.
struct TempDir(PathBuf);

impl TempDir {
    fn new(no: usize) -> Result<Self, Error> {
        let name = format!("diptych-conformance-{}-{no}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(Error::Write { path, source }),
        }
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A directory that stays in the temporary one is no failure.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The served unit. It ends when this does.
struct Server {
    child: Child,
    /// For each kind the URL by each portal.
    urls: Vec<Vec<String>>,
}

impl Server {
    fn start(program: &Path, dir: &Path) -> Result<Self, Error> {
        let spawn = |source| Error::Spawn { program: program.to_owned(), source };
        let array = dir.join("array");
        let mut init = Command::new(program);
        init.arg("init").arg(&array).args(["--volumes", "4", "--reserved", "0"]);
        init.args(["--drives", "1", "--volume-size", VOLUME_SIZE]);
        for (no, (_, option)) in KINDS.iter().enumerate() {
            if let Some(option) = option {
                init.args([(*option).to_owned(), format!("00:{no:02X}")]);
            }
        }
        let made = init.stdout(Stdio::null()).status().map_err(spawn)?;
        let (ready, log) = (dir.join("ready"), dir.join("server.log"));
        let log = File::create(&log).map_err(|source| Error::Write { path: log, source })?;
        let mut serve = Command::new(program);
        serve.arg("serve").arg(&array).args(["--free-ports", "--log-level", "warn"]);
        serve
            .args(["--iscsi", "127.0.0.1:0", "--iscsi", "127.0.0.1:0", "--ready-file"])
            .arg(&ready);
        let child = serve.stdout(Stdio::null()).stderr(log).spawn().map_err(spawn)?;
        let mut server = Self { child, urls: vec![Vec::new(); KINDS.len()] };
        let until = Instant::now() + START_LIMIT;
        while !ready.exists() {
            let is_over = !matches!(server.child.try_wait(), Ok(None));
            if !made.success() || is_over || Instant::now() > until {
                return Err(Error::NotServed);
            }
            thread::sleep(LOOK);
        }
        let text =
            fs::read_to_string(&ready).map_err(|source| Error::Read { path: ready, source })?;
        for url in text.lines().filter(|line| line.starts_with("iscsi://")) {
            let lun = url.rsplit('/').next().and_then(|lun| lun.parse::<usize>().ok());
            if let Some(urls) = lun.and_then(|lun| server.urls.get_mut(lun)) {
                urls.push(url.to_owned());
            }
        }
        if server.urls.iter().any(|urls| urls.len() < 2) {
            return Err(Error::NotServed);
        }
        Ok(server)
    }

    /// Runs a test on one kind after the other, until it passes.
    fn run(&self, test: &str, log: &Path) -> Result<Run, Error> {
        let mut all = Vec::new();
        for ((kind, _), urls) in KINDS.iter().zip(&self.urls) {
            all.push(run_once(test, kind, urls, log)?);
            if all.last().is_some_and(|run| run.verdict == Verdict::Pass) {
                break;
            }
        }
        Ok(Run::of_all(all).expect("there is a kind"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then its log says why.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let until = Instant::now() + START_LIMIT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = self.child.kill();
            }
            thread::sleep(LOOK);
        }
    }
}

/// One process of the suite.
fn run_once(test: &str, kind: &'static str, urls: &[String], log: &Path) -> Result<Run, Error> {
    let write = |source| Error::Write { path: log.to_owned(), source };
    let out = File::create(log).map_err(write)?;
    let err = out.try_clone().map_err(write)?;
    let mut command = Command::new(SUITE);
    // The data on the logical unit may go, and SANITIZE may be tried.
    command.args(["-d", "-S", "-v", "-t", &format!("ALL.{test}")]).args(urls.iter().take(2));
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let started = Instant::now();
    let mut child =
        command.spawn().map_err(|source| Error::Spawn { program: SUITE.into(), source })?;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Some(status),
            _ if started.elapsed() > TEST_LIMIT => {
                // It may end just now.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            _ => thread::sleep(LOOK),
        }
    };
    let said = fs::read(log).map_err(|source| Error::Read { path: log.to_owned(), source })?;
    let said = String::from_utf8_lossy(&said);
    let seconds = started.elapsed().as_secs_f64();
    Ok(Run::new(test, kind, seconds, status.map(|status| status.code()), &said))
}
