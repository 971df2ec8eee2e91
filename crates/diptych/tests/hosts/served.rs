//! A unit in a directory, served by the real program.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_diptych");

/// A unit directory, gone when this is.
pub(crate) struct Array {
    temp: TempDir,
}

impl Array {
    /// Two primaries and two reserved volumes of so many MiB.
    pub(crate) fn new(mib: u32) -> Self {
        let array = Self { temp: tempfile::tempdir().expect("a directory") };
        let size = format!("{mib}MiB");
        let args = ["init", "--volume-size", &size, "--log", "32MiB"];
        let done = Command::new(PROGRAM).args(args).arg(array.dir()).output().expect("the program");
        assert!(done.status.success(), "{done:?}");
        array
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.temp.path().join("array")
    }

    /// A place for files beside it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// Serves it on free ports, and on a Unix socket.
    pub(crate) fn serve(&self) -> Served {
        let socket = format!("unix:{}", self.file("nbd.sock").display());
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(self.dir());
        command.args(["--nbd", "127.0.0.1:0", "--nbd", &socket, "--free-ports"]);
        Served::start(command, &self.file("serve.log"))
    }

    /// Serves it so that a file's limit of size is an error, and not the end of the process.
    pub(crate) fn serve_without_signal_of_size(&self) -> Served {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, PROGRAM, "serve"]).arg(self.dir());
        command.args(["--nbd", "127.0.0.1:0", "--free-ports"]);
        Served::start(command, &self.file("serve.log"))
    }
}

/// A process that serves. Killed when this is dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) uris: Vec<String>,
    log: PathBuf,
}

impl Served {
    fn start(mut command: Command, log: &Path) -> Self {
        let stderr = std::fs::File::create(log).expect("a file");
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut uris = Vec::new();
        let mut ready = false;
        for line in out.lines() {
            match line.expect("a line") {
                line if line == "ready" => {
                    ready = true;
                    break;
                }
                line => uris.push(line),
            }
        }
        let served = Self { child, uris, log: log.to_owned() };
        assert!(ready, "{}", served.log());
        served
    }

    /// The volume's address by TCP.
    pub(crate) fn tcp(&self, volume: &str) -> &str {
        self.uri("nbd://", volume)
    }

    /// The volume's address by the Unix socket.
    pub(crate) fn unix(&self, volume: &str) -> &str {
        self.uri("nbd+unix://", volume)
    }

    /// The logical unit's address. Volumes are logical units in their order.
    pub(crate) fn iscsi(&self, lun: u16) -> &str {
        let end = format!("/{lun}");
        let is_it = |uri: &&String| uri.starts_with("iscsi://") && uri.ends_with(&end);
        self.uris.iter().find(is_it).expect("the unit is served")
    }

    fn uri(&self, scheme: &str, volume: &str) -> &str {
        let volume = format!("/{volume}");
        let is_it = |uri: &&String| uri.starts_with(scheme) && uri.contains(&volume);
        self.uris.iter().find(is_it).expect("the volume is served")
    }

    /// What it has said on stderr.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Asks it to stop; its exit code.
    pub(crate) fn stop(self) -> i32 {
        kill_process(self.pid(), Signal::TERM).expect("it runs");
        self.wait()
    }

    /// Waits for its end; its exit code.
    pub(crate) fn wait(mut self) -> i32 {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "it does not end\n{}", self.log());
            diptych::sync::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
