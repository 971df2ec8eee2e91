//! A child's life: hosts and commands, until it is killed.

use super::line::{Asked, Line};
use super::rig::{self, PRIMARY, REQUEST_BLOCKS_MAX, Rig, SCHEDULED, SECONDARIES};
use super::{KillError, rig::geometry};
use diptych_cha::{Command, CommandCode, HostError, HostReply};
use diptych_format::{BlockNo, BlockRange, LdevId};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::{Arc, thread};
use diptych_unit::Durability;
use fastrand::Rng;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

const HOSTS: u64 = 3;
/// One that nobody kills ends by itself: its parent is gone.
const LIFE_MAX: Duration = Duration::from_secs(30);

/// What a child is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// The unit directory.
    pub dir: PathBuf,
    /// The seed of its hosts.
    pub seed: u64,
    /// The number of its first request.
    pub first: u64,
    /// What answers promise.
    pub durability: Durability,
}

impl Life {
    /// As arguments of a process.
    pub fn args(&self) -> [String; 4] {
        let mode = if self.durability == Durability::Battery { "battery" } else { "write-back" };
        let dir = self.dir.to_string_lossy().into_owned();
        [dir, self.seed.to_string(), self.first.to_string(), mode.to_owned()]
    }

    /// From arguments of a process; `None` if they are none.
    pub fn from_args(args: &[String]) -> Option<Self> {
        let [dir, seed, first, mode] = args else { return None };
        let durability = match mode.as_str() {
            "battery" => Durability::Battery,
            "write-back" => Durability::WriteBack,
            _ => return None,
        };
        let (seed, first) = (seed.parse().ok()?, first.parse().ok()?);
        Some(Self { dir: dir.into(), seed, first, durability })
    }
}

/// Lives it. It should not end.
///
/// # Errors
///
/// If the unit does not come back.
pub fn live(life: &Life) -> Result<(), KillError> {
    let rig = rig::open(&life.dir, life.durability)?;
    say(&Line::Up);
    let (next, seed) = (AtomicU64::new(life.first), life.seed);
    let hosts = Arc::new(Hosts { rig, next });
    for no in 0..HOSTS {
        let hosts = hosts.clone();
        thread::spawn(move || hosts.write(Rng::with_seed(seed.wrapping_add(no))));
    }
    let copies = hosts.clone();
    thread::spawn(move || copies.command(Rng::with_seed(!seed)));
    thread::sleep(LIFE_MAX);
    Ok(())
}

/// One line, at once. Who cannot say anything has no parent any more.
fn say(line: &Line) {
    let said = io::stdout().lock().write_all(format!("{line}\n").as_bytes());
    if said.is_err() {
        std::process::exit(3);
    }
}

struct Hosts {
    rig: Rig,
    next: AtomicU64,
}

impl Hosts {
    fn request(&self, asked: Asked) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        say(&Line::Asked(number, asked));
        let reply = self.rig.rt.execute(asked.op(number));
        if reply == HostReply::Failed(HostError::Stopping) {
            // A panic elsewhere: its message is out. The parent has to hear of it.
            std::process::exit(4);
        }
        say(&Line::Answered(number, asked.answer(&reply)));
    }

    /// A host that writes, mostly.
    fn write(&self, mut rng: Rng) {
        loop {
            let ldev = match rng.u8(..10) {
                0..5 => PRIMARY,
                5..8 => SCHEDULED,
                _ => SECONDARIES[rng.usize(..2)],
            };
            let blocks = any_blocks(&mut rng);
            self.request(match rng.u8(..20) {
                0 => Asked::Flush(ldev),
                1 => Asked::Unmap(ldev, blocks),
                2 | 3 => Asked::Read(ldev, blocks),
                _ => Asked::Write(ldev, blocks),
            });
            thread::sleep(Duration::from_micros(rng.u64(..2_000)));
        }
    }

    /// An operator.
    fn command(&self, mut rng: Rng) {
        loop {
            let secondary = SECONDARIES[rng.usize(..2)];
            if let Some(command) = self.any_command(secondary, &mut rng) {
                self.request(Asked::Command(command));
            }
            thread::sleep(Duration::from_micros(rng.u64(..20_000)));
        }
    }

    fn any_command(&self, secondary: LdevId, rng: &mut Rng) -> Option<Command> {
        let status = self.rig.rt.unit().pair(PRIMARY, secondary).map(|pair| pair.status);
        let new = |code| Command::new(code, PRIMARY, secondary);
        let command = match (status, rng.u8(..10)) {
            (None, 0..5) => new(CommandCode::Create),
            (None, _) => new(CommandCode::Create).and_copy(),
            (Some(PairStatus::PairedNotCopied), 0..8) => new(CommandCode::Copy),
            (Some(PairStatus::Copied), 0..5) => new(CommandCode::Resync),
            (Some(PairStatus::Copied), 5 | 6) => new(CommandCode::Restore),
            (Some(PairStatus::Copied), 7) => new(CommandCode::QuickRestore),
            (Some(PairStatus::Copied), 8) => new(CommandCode::QuickRestore).frozen(),
            (Some(PairStatus::Suspended), 0..8) => new(CommandCode::Resync),
            (Some(PairStatus::PairedNotCopied), 8) => new(CommandCode::Suspend),
            (Some(PairStatus::CopyInProgress), 0) => new(CommandCode::Suspend),
            (Some(PairStatus::CopyInProgress | PairStatus::Restoring), 1..) => return None,
            (Some(_), _) => new(CommandCode::Delete),
        };
        let takes_options = !matches!(command.code, CommandCode::Delete | CommandCode::Suspend);
        Some(if takes_options { command.with_options(any_options(rng)) } else { command })
    }
}

fn any_options(rng: &mut Rng) -> PairOptions {
    let pace = [Pace::SLOW, Pace::MEDIUM, Pace::FAST][rng.usize(..3)];
    PairOptions { pace, lanes: rng.u8(1..=3), quick: rng.bool(), limit: None }
}

fn any_blocks(rng: &mut Rng) -> BlockRange {
    let all = geometry().all_blocks().count();
    let count = rng.u64(1..=REQUEST_BLOCKS_MAX);
    BlockRange::new(BlockNo(rng.u64(..=all - count)), count)
}
