//! The options of `diptych demo`.

use crate::size::parse_size;
use diptych::format::Emulation;
use diptych::shared::{Pace, PaceLimit};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  diptych demo                              pack the checkout around here and copy it
  diptych demo --from docs                  pack another directory
  diptych demo --image disk.img --pace slow --writers 4
  diptych demo --image disk.img --emulation OPEN-3 --dir /var/tmp --keep
  diptych demo --json --export copy.img     one JSON object on stdout

Exit codes:
  0  every block of every image is right
  1  a block is wrong, or the control unit failed
  2  bad input, or the environment did not allow it; nothing half-made is left behind";

/// Copy a volume under writers, and check every block of what the secondary got.
///
/// An image is imported as a primary volume. While writers overwrite it, a pair is created and the
/// copy command is given; its secondary must be the primary at that instant. Then the writers'
/// changes, and after them a known number of tracks, are copied by re-synchronization. Every
/// secondary is checked behind the control unit's back, on its drive: LA, CD and content.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// The image to import. Without it a directory is packed into a tar image
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub(crate) image: Option<PathBuf>,

    /// The directory to pack. Hidden files and caches (CACHEDIR.TAG) are left out. Default: the
    /// checkout around the current directory
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,

    /// Emulation type of the volumes: OPEN-3, OPEN-8, OPEN-9, OPEN-E, OPEN-L, or OPEN-V, which is as
    /// large as the image
    #[arg(long, value_name = "TYPE", default_value = "OPEN-V", hide_default_value = false)]
    pub(crate) emulation: Emulation,

    /// Pace of the copying: slow, medium, fast, or 1 to 15 tracks an elemental copy
    #[arg(long, default_value = "fast")]
    pub(crate) pace: Pace,

    /// Limit of the copying: tracks a second, as 200/s, or how much longer hosts may wait, as 500us
    #[arg(long, value_name = "LIMIT")]
    pub(crate) limit: Option<PaceLimit>,

    /// Jobs that copy for the pair at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) lanes: u8,

    /// Threads that overwrite random blocks of the primary
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) writers: u16,

    /// Seed of the random numbers. Default: a new one each time; it is reported
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Tracks to rewrite before the last re-synchronization. Default: 10, or all if there are fewer
    #[arg(long, value_name = "TRACKS")]
    pub(crate) rewrite: Option<u64>,

    /// Cache memory, in bytes or with KiB, MiB or GiB; at least 16MiB
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    pub(crate) cache: u64,

    /// Where the drives are made, in a directory of their own. Default: the temporary directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Leave the drives where they are if all went well
    #[arg(long)]
    pub(crate) keep: bool,

    /// Write the last secondary to a file, read as a host reads it
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,

    /// Print the report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
