//! `diptych init`: drives, log and volumes, and the file of what must be known before a start.

use crate::config;
use crate::lu_map;
use crate::offline::{self, OfflineError};
use crate::size::parse_size;
use diptych::cha::LuOptions;
use diptych::dka::Groups;
use diptych::format::{BLOCK_BYTES, Emulation, Geometry, LdevId, Time};
use diptych::rt::{DriveShape, OpenedUnit, UnitDir, UnitShape};
use diptych::unit::Unit;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The least log: a few requests of 1 MiB and the checkpoints that make room for them.
const LOG_MIN_BYTES: u64 = 16 << 20;

/// Most room on a drive for volumes that are made later: 1 TiB. What is not written takes none.
const SPARE_SECTORS_MAX: u64 = (1 << 40) / BLOCK_BYTES as u64;

const EXAMPLES: &str = "\
Examples:
  diptych init array                 two primaries and two secondaries of 1 GiB, each on its own drive
  diptych init array --volumes 8 --drives 4 --volume-size 8GiB --log 256MiB
  diptych serve array

Exit codes:
  0  done
  2  bad input, or the environment did not allow it; nothing half-made is left behind";

/// Make a unit directory: drives, a log, volumes that read zero, and diptych.toml.
///
/// A unit directory holds a control unit that outlives its process: a log with everything that was
/// answered, and drives in files. Volumes are 00:00, 00:01 and so on, on the drives in turn; the second
/// half of them is reserved, to become secondaries. The drives have room for as many volumes again, up to
/// 1 TiB each. The log's file is written as a whole, the drives' files take room as they are used.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InitArgs {
    /// The directory: a new one, or an empty one
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Volumes
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    volumes: u16,

    /// How many of them, the last ones, are reserved [default: half of them]
    #[arg(long, value_name = "N")]
    reserved: Option<u16>,

    /// Emulation type of the volumes: OPEN-3, OPEN-8, OPEN-9, OPEN-E, OPEN-L or OPEN-V
    #[arg(long, value_name = "TYPE", default_value = "OPEN-V")]
    emulation: Emulation,

    /// Size of each volume, in bytes or with KiB, MiB or GiB; only for OPEN-V
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_size)]
    volume_size: u64,

    /// Drives, each under a disk adapter of its own [default: one a volume, at most 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    drives: Option<u16>,

    /// Show this volume to SCSI hosts as one whose medium can be removed; again for more
    #[arg(long, value_name = "VOLUME")]
    removable: Vec<LdevId>,

    /// Keep SCSI hosts from changing this volume; again for more
    #[arg(long, value_name = "VOLUME")]
    write_protected: Vec<LdevId>,

    /// Show this volume to SCSI hosts with physical blocks of 4 KiB; again for more
    #[arg(long, value_name = "VOLUME")]
    physical_4k: Vec<LdevId>,

    /// Size of the log; at least 16MiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    log: u64,
}

/// Carries it out, and says with which code to exit.
pub(crate) fn run(args: &InitArgs) -> Result<ExitCode, OfflineError> {
    let geometry = match Geometry::of(args.emulation) {
        Some(geometry) => geometry,
        None => Geometry::new(Emulation::OpenV, args.volume_size.div_ceil(BLOCK_BYTES as u64))?,
    };
    let volumes = args.volumes;
    let asked = args.drives.unwrap_or(volumes.min(4));
    if asked > volumes {
        return Err(OfflineError::Drives { asked, volumes });
    }
    let reserved = args.reserved.unwrap_or(volumes / 2);
    if reserved > volumes {
        return Err(OfflineError::Reserved { asked: reserved, volumes });
    }
    let (bytes, least_bytes) = (args.log, LOG_MIN_BYTES);
    if bytes < least_bytes {
        return Err(OfflineError::LogTooSmall { bytes, least_bytes });
    }
    let volumes_a_drive = u64::from(volumes.div_ceil(asked));
    let needed = Groups::sectors_for(geometry).saturating_mul(volumes_a_drive);
    let sectors = needed.saturating_add(needed.min(SPARE_SECTORS_MAX));
    let drive = |dka_no| DriveShape { dka_no, sectors };
    let shape = UnitShape {
        id: fastrand::u64(..),
        log_sectors: bytes / BLOCK_BYTES as u64,
        drives: (0..asked).map(drive).collect(),
    };
    let dir = UnitDir::create(&args.dir, &shape)?;
    args.fill(dir, geometry, reserved).inspect_err(|_| args.clear())?;
    let report = writeln!(
        io::stdout(),
        "made {}: {volumes} volumes of {} blocks ({}), {reserved} of them reserved, {asked} drives, \
         a log of {bytes} bytes",
        args.dir.display(),
        geometry.block_count(),
        geometry.emulation(),
    );
    report.map_err(OfflineError::Report)?;
    Ok(ExitCode::SUCCESS)
}

impl InitArgs {
    /// Makes the volumes and the file of settings.
    fn fill(&self, dir: UnitDir, geometry: Geometry, reserved: u16) -> Result<(), OfflineError> {
        let drives = dir.shape().drives.len();
        let OpenedUnit { dir: _dir, unit, .. } = dir.recover(offline::config())?;
        for (no, drive_no) in (0..self.volumes).zip((0..drives).cycle()) {
            let ldev = LdevId::new(0, no as u8);
            unit.add_volume(ldev, geometry, drive_no)?;
            unit.set_reserved(ldev, no >= self.volumes - reserved, Time::ZERO)?;
        }
        self.set_up_units(&unit)?;
        let path = self.dir.join(config::FILE);
        fs::write(&path, config::TEXT).map_err(|source| OfflineError::Write { path, source })
    }

    /// Nothing half-made is left: the directory was new or empty, so all in it is ours. The error to
    /// report is the one before.
    fn clear(&self) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for entry in entries {
            let (Ok(()) | Err(_)) = fs::remove_file(entry.path());
        }
        let (Ok(()) | Err(_)) = fs::remove_dir(&self.dir);
    }

    /// How volumes show themselves to SCSI hosts.
    fn set_up_units(&self, unit: &Unit) -> Result<(), OfflineError> {
        let mut map = lu_map::load(unit)?;
        let mut set = |ldevs: &[LdevId], change: fn(&mut LuOptions)| {
            for &ldev in ldevs {
                if unit.volume(ldev).is_none() {
                    return Err(OfflineError::NoVolume { ldev });
                }
                let mut options = map.options(ldev);
                change(&mut options);
                map.set_options(ldev, options);
            }
            Ok(())
        };
        set(&self.removable, |options| options.removable = true)?;
        set(&self.write_protected, |options| options.write_protected = true)?;
        set(&self.physical_4k, |options| options.physical_4k = true)?;
        Ok(lu_map::keep(unit, &map)?)
    }
}
