//! `diptych serve`: a control unit that hosts use.
//!
//! What is printed on stdout is for programs as well: one address a line, each a URL, then `ready`.
//! Everything else goes to stderr.

mod addresses;
mod control;
mod iscsi;
mod signals;
mod tracing_to;

use crate::config::{Config, ConfigError};
use crate::lu_map::LuMapError;
use crate::offline::is_damage;
use addresses::{AddressArgs, Ready};
pub(crate) use control::socket as control_socket;
use diptych::cha::{HostOp, HostReply};
use diptych::nbd::NbdService;
use diptych::rest::{RestError, Servers};
use diptych::rt::net::{Budget, NetError, Server};
use diptych::rt::{OpenedUnit, Rt, RtConfig, RtError, UnitDir, UnitDirError};
use diptych::unit::{Recovered, Utc};
use signals::Signals;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use tracing::{error, info, warn};
use tracing_to::LogLevel;

const EXAMPLES: &str = "\
Examples:
  diptych init array && diptych serve array
  diptych serve array --free-ports --ready-file ready
  qemu-img info nbd://127.0.0.1:10809/00:00

Exit codes:
  0  stopped by SIGTERM or SIGINT: what was received is answered, and what was answered is durable
  1  the unit does not come back, or its log has failed
  2  no unit, in use, an address that cannot be had, a mistake in diptych.toml";

/// How often to look whether the unit is still sound.
const LOOK: Duration = Duration::from_millis(200);

/// Run a control unit that hosts use.
///
/// It says where to attach, one address a line, then `ready`. SIGTERM or SIGINT stops it: what was
/// received is answered, and what was answered is flushed; a second one ends it at once, and nothing
/// that was answered is lost by that either.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The unit directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    #[command(flatten)]
    addresses: AddressArgs,

    /// What to tell on stderr: error, warn, info, debug or trace; also a filter as RUST_LOG has it
    #[arg(long, value_name = "LEVEL", env = "RUST_LOG", default_value = "info")]
    log_level: LogLevel,
}

/// Why serving ends early, or not well. Each is one line for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ServeError {
    #[error(transparent)]
    Dir(#[from] UnitDirError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Rt(#[from] RtError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    Rest(#[from] RestError),
    #[error(transparent)]
    LuMap(#[from] LuMapError),
    #[error("the users that were kept make no sense")]
    Users,
    #[error("cannot handle signals: {0}")]
    Signals(#[source] io::Error),
    #[error("cannot say where to attach: {0}")]
    Report(#[source] io::Error),
    #[error("cannot write {}: {source}", path.display())]
    ReadyFile { path: PathBuf, source: io::Error },
    #[error(
        "the log has failed, nothing is answered any more: {0}. What was answered is in the log"
    )]
    LogFailed(#[source] diptych::log::LogError),
    #[error("the unit has stopped after a panic. What was answered is in the log")]
    Panicked,
    #[error("the unit could not be flushed: {0}. What was answered is in the log")]
    NotFlushed(#[source] diptych::cha::HostError),
}

impl ServeError {
    /// 1 where a unit is and is not what it was, 2 for what the user can put right.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Dir(error) if is_damage(error) => 1,
            Self::LogFailed(_) | Self::Panicked | Self::NotFlushed(_) => 1,
            _ => 2,
        }
    }
}

/// Serves until a signal comes, and says with which code to exit.
pub(crate) fn run(args: &ServeArgs) -> Result<ExitCode, ServeError> {
    args.log_level.start();
    let signals = Signals::install().map_err(ServeError::Signals)?;
    let dir = UnitDir::lock(&args.dir)?;
    let config = Config::load(dir.path())?;
    let mut unit_config = config.unit();
    unit_config.utc_at_start = now();
    let OpenedUnit { dir, unit, plant, recovered } = dir.recover(unit_config)?;
    tell_recovered(&dir, &recovered);
    let drives = plant.drives().list().count();
    let rt = Rt::start(unit, plant, RtConfig::of_drives(drives))?;
    let served = serve(args, &config, &dir, &rt, &signals);
    rt.stop();
    // Only now may another process have it.
    drop(dir);
    served.map(|()| ExitCode::SUCCESS)
}

fn now() -> Utc {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Utc::from_seconds(since.as_secs().try_into().unwrap_or(0))
}

fn tell_recovered(dir: &UnitDir, recovered: &Recovered) {
    let Recovered { records, torn, volumes, pairs, tracks, lost, .. } = recovered;
    let (path, id) = (dir.path().display(), format!("{:016x}", dir.shape().id));
    info!(%path, %id, volumes, pairs, records, tracks, torn, "the unit is back from its log");
    if let Some(first) = lost {
        error!(
            %first,
            "the log is damaged: this record and all behind it are missing. Pairs are suspended and \
             volumes blocked until you release them: see diptych verify"
        );
    }
}

fn serve(
    args: &ServeArgs,
    config: &Config,
    dir: &UnitDir,
    rt: &Rt,
    signals: &Signals,
) -> Result<(), ServeError> {
    let addresses = args.addresses.nbd(config);
    let mut service = NbdService::new(rt.clone());
    let is_open = !matches!(config.nbd_tls, Some((_, true)));
    if let Some((tls, required)) = &config.nbd_tls {
        service = service.with_tls(tls.clone(), *required);
    }
    for address in addresses.iter().filter(|address| is_open && !address.is_local()) {
        warn!(%address, "NBD has no passwords: whoever reaches this address has the volumes");
    }
    let budget = Budget::new(config.all_bytes);
    let within = Some(budget.clone());
    let mut nbd = Server::listen_within(&addresses, config.limits, within.clone(), service)?;
    let addresses = args.addresses.iscsi(config);
    let mut iscsi = iscsi::Iscsi::listen(addresses, config, within, rt, dir.shape().id)?;
    let (scsi, servers) = (
        Some(iscsi.scsi()),
        Servers { watched: vec![nbd.watch(), iscsi.watch()], budget: Some(budget) },
    );
    let mut http = control::listen(args.addresses.http(config), dir, rt, scsi, servers)?;
    let mut ready = Ready::default();
    ready.extend(http.urls());
    for volume in rt.unit().volumes() {
        ready.extend(nbd.addresses().map(|at| diptych::nbd::export_uri(at, volume.ldev)));
    }
    ready.extend(iscsi.urls());
    ready.say(args.addresses.ready_file.as_deref())?;
    let ended = wait(rt, signals);
    // From here on nothing new comes, and what has come is answered.
    http.stop();
    nbd.stop();
    iscsi.stop();
    ended?;
    flush(rt)?;
    info!("stopped: everything is flushed");
    Ok(())
}

/// Waits for a signal, or for the end of the unit.
fn wait(rt: &Rt, signals: &Signals) -> Result<(), ServeError> {
    loop {
        if let Some(signal) = signals.wait(LOOK) {
            info!(signal, "stopping");
            return Ok(());
        }
        if let Some(failure) = rt.unit().log_failure() {
            return Err(ServeError::LogFailed(failure));
        }
        if rt.is_stopped() {
            return Err(ServeError::Panicked);
        }
    }
}

fn flush(rt: &Rt) -> Result<(), ServeError> {
    for volume in rt.unit().volumes() {
        if let HostReply::Failed(error) = rt.execute(HostOp::Flush { ldev: volume.ldev }) {
            return Err(match rt.unit().log_failure() {
                Some(failure) => ServeError::LogFailed(failure),
                None => ServeError::NotFlushed(error),
            });
        }
    }
    Ok(())
}
