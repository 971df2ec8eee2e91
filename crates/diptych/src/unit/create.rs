//! `diptych unit create`: drives, log and volumes.

use super::{Time, UnitCommandError, UnitDir, config};
use crate::size::parse_size;
use diptych::dka::Groups;
use diptych::format::{BLOCK_BYTES, Emulation, Geometry, LdevId};
use diptych::rt::{DriveShape, OpenedUnit, UnitShape};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// The least log: a few requests of 1 MiB and the checkpoints that make room for them.
const LOG_MIN_BYTES: u64 = 16 << 20;

/// Make a unit directory: drives, a log, and volumes that read zero.
///
/// Volumes are 00:00, 00:01 and so on, on the drives in turn; all but the first are reserved, to become
/// secondaries. The log's file is written as a whole, the drives' files take room as they are used.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The directory: a new one, or an empty one
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Volumes
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    volumes: u16,

    /// Emulation type of the volumes: OPEN-3, OPEN-8, OPEN-9, OPEN-E, OPEN-L or OPEN-V
    #[arg(long, value_name = "TYPE", default_value = "OPEN-V")]
    emulation: Emulation,

    /// Size of each volume, in bytes or with KiB, MiB or GiB; only for OPEN-V
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    volume_size: u64,

    /// Drives, each under a disk adapter of its own; at most as many as volumes
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    drives: u16,

    /// Size of the log; at least 16MiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    log: u64,
}

pub(super) fn run(args: &CreateArgs) -> Result<ExitCode, UnitCommandError> {
    let geometry = match Geometry::of(args.emulation) {
        Some(geometry) => geometry,
        None => Geometry::new(Emulation::OpenV, args.volume_size.div_ceil(BLOCK_BYTES as u64))?,
    };
    let (asked, volumes) = (args.drives, args.volumes);
    if asked > volumes {
        return Err(UnitCommandError::Drives { asked, volumes });
    }
    let (bytes, least_bytes) = (args.log, LOG_MIN_BYTES);
    if bytes < least_bytes {
        return Err(UnitCommandError::LogTooSmall { bytes, least_bytes });
    }
    let volumes_a_drive = u64::from(volumes.div_ceil(asked));
    let sectors = Groups::sectors_for(geometry).saturating_mul(volumes_a_drive);
    let drive = |dka_no| DriveShape { dka_no, sectors };
    let shape = UnitShape {
        id: fastrand::u64(..),
        log_sectors: bytes / BLOCK_BYTES as u64,
        drives: (0..asked).map(drive).collect(),
    };
    let OpenedUnit { unit, .. } = UnitDir::create(&args.dir, &shape)?.recover(config())?;
    for (no, drive_no) in (0..volumes).zip((0..usize::from(asked)).cycle()) {
        let ldev = LdevId::new(0, no as u8);
        unit.add_volume(ldev, geometry, drive_no)?;
        unit.set_reserved(ldev, no > 0, Time::ZERO)?;
    }
    let report = writeln!(
        io::stdout(),
        "made {}: {volumes} volumes of {} blocks ({}), {asked} drives, a log of {bytes} bytes",
        args.dir.display(),
        geometry.block_count(),
        geometry.emulation(),
    );
    report.map_err(UnitCommandError::Report)?;
    Ok(ExitCode::SUCCESS)
}
