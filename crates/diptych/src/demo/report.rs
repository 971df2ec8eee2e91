//! The report, as data.

use super::check::CheckReport;
use super::export::ReadReport;
use super::import::ImportReport;
use super::{DemoArgs, DemoError, Image, Rig};
use diptych::cha::{ChannelSnapshot, OpKind};
use diptych::format::Time;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// All of it. Sizes are in bytes, times in seconds, GB are 10^9 bytes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Seed of the random numbers.
    pub(crate) seed: u64,
    pub(crate) volume: VolumeReport,
    pub(crate) import: ImportReport,
    /// Full copies with nobody else there.
    pub(crate) alone: AloneReport,
    /// The copy under writers.
    pub(crate) first: FirstReport,
    pub(crate) first_check: CheckReport,
    /// The copies after re-synchronization: of the writers' changes, and of the tracks rewritten.
    pub(crate) again: [AgainReport; 2],
    /// The secondary after the last of them.
    pub(crate) last_check: CheckReport,
    /// The primary at the end.
    pub(crate) primary_check: CheckReport,
    /// The secondary at the end, as a host reads it.
    pub(crate) read: ReadReport,
    /// Everything the host channels carried.
    pub(crate) channel: ChannelReport,
    pub(crate) drives_kept_in: Option<PathBuf>,
    /// No block is wrong, re-synchronization copied the unequal tracks and no others, and a host
    /// reads what lies on the drive.
    pub(crate) all_right: bool,
}

impl Report {
    /// One JSON object, and a line end.
    pub(crate) fn json(&self) -> Result<String, DemoError> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|error| DemoError::Report(error.into()))
    }
}

/// What was copied, and how it was asked for.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VolumeReport {
    pub(crate) image: PathBuf,
    /// Whether the image is a directory packed into a tar image.
    pub(crate) is_packed: bool,
    pub(crate) image_bytes: u64,
    pub(crate) image_tracks: u64,
    pub(crate) emulation: String,
    pub(crate) tracks: u64,
    pub(crate) track_bytes: u64,
    pub(crate) pace: String,
    pub(crate) lanes: u8,
    pub(crate) limit: Option<String>,
    pub(crate) writers: u16,
    pub(crate) cache_bytes: u64,
}

impl VolumeReport {
    pub(crate) fn of(args: &DemoArgs, rig: &Rig, image: &Image) -> Self {
        let geometry = rig.geometry();
        Self {
            image: image.path().to_owned(),
            is_packed: image.is_packed(),
            image_bytes: image.bytes(),
            image_tracks: image.track_count(geometry),
            emulation: geometry.emulation().to_string(),
            tracks: geometry.track_count(),
            track_bytes: geometry.track_bytes() as u64,
            pace: args.pace.to_string(),
            lanes: args.lanes,
            limit: args.limit.map(|limit| limit.to_string()),
            writers: args.writers,
            cache_bytes: args.cache,
        }
    }
}

/// Tracks moved in a time.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Throughput {
    pub(crate) tracks: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) gb_per_second: f64,
}

impl Throughput {
    pub(crate) fn new(tracks: u64, bytes: u64, start: Time, end: Time) -> Self {
        Self::of_ns(tracks, bytes, end.ns_since(start))
    }

    pub(crate) fn of_ns(tracks: u64, bytes: u64, taken_ns: u64) -> Self {
        // A byte a nanosecond is a GB a second.
        let gb_per_second = if taken_ns == 0 { 0.0 } else { bytes as f64 / taken_ns as f64 };
        Self { tracks, bytes, seconds: taken_ns as f64 / 1e9, gb_per_second }
    }
}

impl fmt::Display for Throughput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tracks, seconds, gb_per_second, .. } = self;
        write!(f, "{tracks} tracks in {seconds:.4} s, {gb_per_second:.3} GB/s")
    }
}

/// What a copy put on the host channels, read from the channel adapter's counters.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ChannelUse {
    /// Command blocks and answer blocks.
    pub(crate) copying_bytes: u64,
    /// What the same copying by a host would have moved: every track out and in again.
    pub(crate) host_driven_bytes: u64,
    /// What the writers wrote meanwhile.
    pub(crate) written_bytes: u64,
    /// What hosts read meanwhile.
    pub(crate) read_bytes: u64,
}

impl ChannelUse {
    pub(crate) fn since(rig: &Rig, before: &ChannelSnapshot, copied_bytes: u64) -> Self {
        let carried = rig.counters().since(before);
        let commands = carried.of(OpKind::Command);
        Self {
            copying_bytes: commands.bytes_in + commands.bytes_out,
            host_driven_bytes: 2 * copied_bytes,
            written_bytes: carried.of(OpKind::Write).bytes_in,
            read_bytes: carried.of(OpKind::Read).bytes_out,
        }
    }
}

/// Full copies alone: to the secondary's drive file, which is not flushed meanwhile.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct AloneReport {
    /// How often the whole primary was copied.
    pub(crate) rounds: u64,
    /// All rounds together, from each copy command to the end of that copy.
    #[serde(flatten)]
    pub(crate) copied: Throughput,
    pub(crate) channel: ChannelUse,
}

/// The copy under writers.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct FirstReport {
    /// Tracks copied with data, some of them several times as writers changed them before the
    /// instant; from the create command to the end of the copy. Exact if no track was without
    /// storage, else the least it can have been.
    #[serde(flatten)]
    pub(crate) copied: Throughput,
    /// Tracks copied, by their bit alone or with data.
    pub(crate) all_copied_tracks: u64,
    /// Tracks without storage before the first writer came.
    pub(crate) empty_tracks: u64,
    /// Of these, tracks copied before a write that would have overwritten them.
    pub(crate) protected_tracks: u64,
    /// Tracks still to be copied just before the copy command.
    pub(crate) left_at_instant: u64,
    /// From the copy command to its answer.
    pub(crate) command_seconds: f64,
    /// Writes acknowledged before the copy command was submitted.
    pub(crate) writes_before: u64,
    /// Writes submitted after the copy command was answered.
    pub(crate) writes_after: u64,
    pub(crate) channel: ChannelUse,
}

/// A copy after re-synchronization.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct AgainReport {
    /// Tracks rewritten since the copy before.
    pub(crate) rewritten_tracks: u64,
    /// Tracks that the pair's maps say are unequal.
    pub(crate) unequal_tracks: u64,
    /// Tracks that were copied.
    #[serde(flatten)]
    pub(crate) copied: Throughput,
    pub(crate) channel: ChannelUse,
}

impl AgainReport {
    /// Whether each unequal track was copied once, and nothing else.
    pub(crate) fn is_exact(&self) -> bool {
        self.copied.tracks == self.unequal_tracks
    }
}

/// Everything the host channels carried.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ChannelReport {
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
    /// Command blocks and answer blocks.
    pub(crate) command_bytes: u64,
    pub(crate) commands: u64,
    pub(crate) failed: u64,
}

impl ChannelReport {
    pub(crate) fn of(snapshot: &ChannelSnapshot) -> Self {
        let commands = snapshot.of(OpKind::Command);
        Self {
            read_bytes: snapshot.of(OpKind::Read).bytes_out,
            written_bytes: snapshot.of(OpKind::Write).bytes_in,
            command_bytes: commands.bytes_in + commands.bytes_out,
            commands: commands.operations,
            failed: snapshot.failed,
        }
    }
}
