//! Settings of a control unit.

use crate::scheduler::GovernorSettings;
use crate::{UnitError, Utc};
use diptych_cache::CacheConfig;
use diptych_shared::Limits;

/// What an answer to a host promises, where the unit has a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The data survives the death of the process, and a loss of power once it was flushed: hosts are
    /// told of a volatile write cache.
    #[default]
    WriteBack,
    /// The data survives a loss of power: each answer waits for the log's drive, many share a flush.
    Battery,
}

/// Settings of a control unit. All limits are here: no queue, buffer or table grows past them.
#[derive(Debug, Clone)]
pub struct UnitConfig {
    /// Cache memory.
    pub cache: CacheConfig,
    /// Shared memory.
    pub limits: Limits,
    /// The most secondaries of one primary, at most [`UnitConfig::SECONDARIES`].
    pub secondaries_max: usize,
    /// Whether a secondary must be reserved before it is paired.
    pub needs_reserve: bool,
    /// A volume that a host wrote so short a time ago is in use: it does not become a secondary, and a
    /// schedule does not replace its image. 0: none ever is.
    pub in_use_ns: u64,
    /// Entries of the history; the oldest go first.
    pub history_max: usize,
    /// Rest after an elemental copy of `n` tracks: 15 - n times this many nanoseconds. Fast (15)
    /// never rests.
    pub copy_rest_ns: u64,
    /// A copy with a limit that is held back as far as can be starts a track every so many
    /// nanoseconds. It is never held back longer.
    pub copy_floor_ns: u64,
    /// Percent of the cache's write-pending limit from which on copies with a limit slow down. Above
    /// the low watermark, where destaging begins in earnest.
    pub copy_slows_at_percent: u8,
    /// Percent of it from which on they go at the floor.
    pub copy_floor_at_percent: u8,
    /// Destage jobs at once for one drive.
    pub destage_jobs: usize,
    /// Tracks that one destage job writes. With a log they share a flush of the drive.
    pub destage_batch_tracks: usize,
    /// A drive that has answered none of its destage jobs for so long is late: no checkpoint waits for
    /// it. Only with a log.
    pub drive_late_ns: u64,
    /// How long a track may stay dirty when nothing else asks for its destage.
    pub destage_delay_ns: u64,
    /// The atomic unit of a host change, in blocks, at most [`UnitConfig::CHUNK_BLOCKS`]; longer
    /// requests are chunks done in order.
    pub chunk_blocks: u64,
    /// The largest read or write, in blocks; it takes as much memory. What is given up may be more.
    pub request_blocks_max: u64,
    /// The most consistency groups.
    pub groups_max: usize,
    /// The most pairs of a group command.
    pub group_pairs_max: usize,
    /// How long a group command may hold hosts up, if it does not say itself: then it is refused.
    pub drain_limit_ns: u64,
    /// The most lanes of one pair.
    pub lanes_max: u8,
    /// The most schedules.
    pub schedules_max: usize,
    /// How long a track that was copied to a drive waits for others before the drive is flushed for
    /// all of them. Only with a log.
    pub settle_delay_ns: u64,
    /// What an answer promises. Only with a log.
    pub durability: Durability,
    /// Percent of the log in use at which a checkpoint is made. Only with a log.
    pub checkpoint_at_percent: u8,
    /// The civil time at [`Time::ZERO`](diptych_format::Time::ZERO): the unit reads no clock, and
    /// schedules go by the calendar.
    pub utc_at_start: Utc,
}

impl UnitConfig {
    /// 1 MiB: what is advertised to hosts as the transfer limit.
    pub const CHUNK_BLOCKS: u64 = 2048;
    /// Secondaries that one primary can have: a host's write that needs its old track for all of them
    /// asks for so much room in the log.
    pub const SECONDARIES: usize = 16;

    /// A unit with `slots` cache slots of `track_bytes` bytes, everything else as usual.
    pub fn with_cache(slots: usize, track_bytes: usize) -> Self {
        Self {
            cache: CacheConfig::new(slots, track_bytes),
            limits: Limits::default(),
            secondaries_max: Self::SECONDARIES,
            needs_reserve: true,
            in_use_ns: 30_000_000_000,
            history_max: 100_000,
            copy_rest_ns: 100_000,
            copy_floor_ns: 100_000_000,
            copy_slows_at_percent: 60,
            copy_floor_at_percent: 80,
            destage_jobs: 2,
            destage_batch_tracks: 16,
            drive_late_ns: 1_000_000_000,
            destage_delay_ns: 1_000_000_000,
            chunk_blocks: Self::CHUNK_BLOCKS,
            request_blocks_max: 1 << 16,
            groups_max: 1_024,
            group_pairs_max: 4_096,
            drain_limit_ns: 1_000_000_000,
            lanes_max: 16,
            schedules_max: 256,
            settle_delay_ns: 20_000_000,
            durability: Durability::default(),
            checkpoint_at_percent: 40,
            utc_at_start: Utc::EPOCH,
        }
    }

    /// Checks what the unit itself depends on; the cache checks its own settings.
    pub(crate) fn check(&self) -> Result<(), UnitError> {
        let at_least_one = [
            ("secondaries_max", self.secondaries_max as u64),
            ("copy_floor_ns", self.copy_floor_ns),
            ("destage_jobs", self.destage_jobs as u64),
            ("destage_batch_tracks", self.destage_batch_tracks as u64),
            ("chunk_blocks", self.chunk_blocks),
            ("request_blocks_max", self.request_blocks_max),
            ("groups_max", self.groups_max as u64),
            ("group_pairs_max", self.group_pairs_max as u64),
            ("lanes_max", self.lanes_max.into()),
            ("limits.pairs", self.limits.pairs as u64),
            ("limits.volumes", self.limits.volumes as u64),
            ("limits.queued_claims", self.limits.queued_claims as u64),
            ("cache.waiters_max", self.cache.waiters_max as u64),
        ];
        if let Some((setting, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(UnitError::Zero { setting });
        }
        let at_most = [
            ("chunk_blocks", self.chunk_blocks, Self::CHUNK_BLOCKS),
            ("secondaries_max", self.secondaries_max as u64, Self::SECONDARIES as u64),
        ];
        if let Some((setting, asked, most)) = at_most.into_iter().find(|(_, is, most)| is > most) {
            return Err(UnitError::TooMuch { setting, asked, most });
        }
        let (slows_at_percent, floor_at_percent) =
            (self.copy_slows_at_percent, self.copy_floor_at_percent);
        if slows_at_percent >= floor_at_percent || floor_at_percent > 100 {
            return Err(UnitError::WritePendingMarks { slows_at_percent, floor_at_percent });
        }
        let (asked, most) = (self.limits.pairs, 1 << 16);
        if asked > most { Err(UnitError::TooManyPairs { asked, most }) } else { Ok(()) }
    }

    pub(crate) fn governor(&self) -> GovernorSettings {
        GovernorSettings {
            floor_ns: self.copy_floor_ns,
            slows_at_percent: self.copy_slows_at_percent,
            floor_at_percent: self.copy_floor_at_percent,
        }
    }
}
