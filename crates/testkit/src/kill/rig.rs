//! The unit of the kill test, and its directory.

use super::{Found, KillError, KillReport, Ledger};
use crate::ldev;
use diptych_cha::{Command, CommandCode, HostOp};
use diptych_format::{Geometry, LdevId};
use diptych_rt::{DriveShape, OpenedUnit, Rt, RtConfig, UnitDir, UnitShape};
use diptych_shared::PairOptions;
use diptych_unit::{Durability, Recovered, Rotation, Schedule, Scope, UnitConfig, Utc, When};
use std::num::NonZeroU32;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Volume n is on drive n.
const VOLUMES: u8 = 6;
/// Hosts write to these; the secondaries follow them.
pub(super) const PRIMARY: LdevId = ldev(0);
pub(super) const SECONDARIES: [LdevId; 2] = [ldev(1), ldev(2)];
/// Hosts write to this one; the schedule makes images of it by turns.
pub(super) const SCHEDULED: LdevId = ldev(3);
pub(super) const TURNS: [LdevId; 2] = [ldev(4), ldev(5)];
/// The most blocks of a request: more than a track.
pub(super) const REQUEST_BLOCKS_MAX: u64 = 12;

const TRACK_BLOCKS: u64 = 8;
const TRACKS: u64 = 24;
const DRIVE_SECTORS: u64 = 2_048;
/// Small, so that it is written round and round, checkpoint after checkpoint.
const LOG_SECTORS: u64 = 4_096;
/// Fewer than there are tracks.
const CACHE_SLOTS: usize = 64;

pub(super) fn geometry() -> Geometry {
    Geometry::with_tracks(TRACK_BLOCKS, TRACKS)
}

/// All volumes.
pub(super) fn volumes() -> impl Iterator<Item = LdevId> {
    (0..VOLUMES).map(ldev)
}

fn config(durability: Durability) -> UnitConfig {
    let mut config = UnitConfig::with_cache(CACHE_SLOTS, geometry().track_bytes());
    config.needs_reserve = false;
    config.in_use_ns = 0; // hosts write to secondaries all the time
    config.durability = durability;
    // What happens between two kills is to be more than one destage.
    config.destage_delay_ns = 20_000_000;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    config.utc_at_start = Utc::from_seconds(since.as_secs().try_into().unwrap_or(0));
    config
}

/// A unit that is open.
pub(super) struct Rig {
    pub(super) rt: Rt,
    pub(super) recovered: Recovered,
    /// The lock.
    _dir: UnitDir,
}

impl Rig {
    fn start(opened: OpenedUnit) -> Result<Self, KillError> {
        let OpenedUnit { dir, unit, plant, recovered } = opened;
        Ok(Self { rt: Rt::start(unit, plant, RtConfig::default())?, recovered, _dir: dir })
    }

    /// Compares, and closes without a flush, as if it had been killed.
    pub(super) fn look(
        &self,
        ledger: &mut Ledger,
        report: &mut KillReport,
        to_the_end: bool,
    ) -> Result<(), Found> {
        ledger.look(self, report, to_the_end)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.rt.stop();
    }
}

/// Makes the unit: volumes, the schedule and its pairs.
pub(super) fn create(path: &Path, durability: Durability, id: u64) -> Result<(), KillError> {
    let drive = |no: u8| DriveShape { dka_no: u16::from(no % 2), sectors: DRIVE_SECTORS };
    let drives = (0..VOLUMES).map(drive).collect();
    let shape = UnitShape { id, log_sectors: LOG_SECTORS, drives };
    let rig = Rig::start(UnitDir::create(path, &shape)?.recover(config(durability))?)?;
    let (rt, unit) = (&rig.rt, rig.rt.unit());
    for (no, volume) in volumes().enumerate() {
        unit.add_volume(volume, geometry(), no)?;
    }
    for secondary in TURNS {
        let create = Command::new(CommandCode::Create, SCHEDULED, secondary);
        rt.execute(HostOp::Command(create));
    }
    let secondaries = TURNS.to_vec();
    let rotation = Rotation { primary: SCHEDULED, secondaries, images: 1 };
    let seconds = NonZeroU32::MIN;
    let when = When::Every { from: unit.utc(rt.now()), seconds };
    let options = Some(PairOptions { lanes: 2, ..PairOptions::default() });
    unit.add_schedule(Schedule { scope: Scope::Rotation(rotation), when, options }, rt.now())?;
    Ok(())
}

/// The unit comes back.
pub(super) fn open(path: &Path, durability: Durability) -> Result<Rig, KillError> {
    Rig::start(UnitDir::open(path, config(durability))?)
}
