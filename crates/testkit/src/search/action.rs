//! What can happen next, as a trace shows it.

use std::fmt;

/// One step of somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// A copy before a write or a read, for these pairs (a bit each): its record and its slots.
    Copy {
        from: usize,
        track: usize,
        pairs: u8,
    },
    CopyFails {
        from: usize,
        track: usize,
    },
    /// The pairs of a volume are marked.
    Mark {
        volume: usize,
        track: usize,
    },
    Record {
        volume: usize,
        track: usize,
    },
    /// The data is in its slot and the host is answered.
    Show {
        volume: usize,
        track: usize,
    },
    /// A read that waited for its track ends.
    Read {
        volume: usize,
        track: usize,
    },
    LaneReads {
        pair: usize,
        track: usize,
    },
    LaneReadFails {
        pair: usize,
        track: usize,
    },
    LaneWrites {
        pair: usize,
        track: usize,
    },
    LaneWriteFails {
        pair: usize,
        track: usize,
    },
    Destage {
        volume: usize,
        track: usize,
    },
    DestageWrites {
        volume: usize,
        track: usize,
    },
    DestageFails {
        volume: usize,
        track: usize,
    },
    SettleFlush {
        pair: usize,
    },
    Settled {
        pair: usize,
    },
    Trim {
        volume: usize,
    },
    Command {
        command: Command,
        pair: usize,
    },
    Accept {
        volume: usize,
    },
    Cut,
    Crash(Loss),
}

/// A command on a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Create,
    Copy,
    QuickCopy,
    Resync,
    Restore,
    QuickRestore,
    Freeze,
    Suspend,
    Delete,
}

/// What a crash loses besides memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Nothing,
    /// The maps of all pairs.
    Maps,
    /// The maps, and which status is the last.
    Statuses,
}

impl Action {
    /// Whether the unit does it of itself, nothing having gone wrong.
    pub(super) fn is_progress(self) -> bool {
        match self {
            Self::Copy { .. }
            | Self::Mark { .. }
            | Self::Record { .. }
            | Self::Show { .. }
            | Self::Read { .. }
            | Self::LaneReads { .. }
            | Self::LaneWrites { .. }
            | Self::Destage { .. }
            | Self::DestageWrites { .. }
            | Self::SettleFlush { .. }
            | Self::Settled { .. } => true,
            Self::CopyFails { .. }
            | Self::LaneReadFails { .. }
            | Self::LaneWriteFails { .. }
            | Self::DestageFails { .. }
            | Self::Trim { .. }
            | Self::Command { .. }
            | Self::Accept { .. }
            | Self::Cut
            | Self::Crash(_) => false,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Copy { from, track, pairs } => {
                let served = (0..8).filter(|pair| pairs >> pair & 1 == 1);
                let served: Vec<String> = served.map(|pair: u8| pair.to_string()).collect();
                let served = served.join(" and ");
                write!(f, "track {track} of volume {from} is copied for pair {served}, first")
            }
            Self::CopyFails { from, track } => {
                write!(f, "track {track} of volume {from} cannot be copied first")
            }
            Self::Mark { volume, track } => {
                write!(f, "the pairs of volume {volume} are marked at track {track}")
            }
            Self::Record { volume, track } => {
                write!(f, "a write to volume {volume}, track {track}, is recorded")
            }
            Self::Show { volume, track } => {
                write!(f, "a write to volume {volume}, track {track}, is in its slot and answered")
            }
            Self::Read { volume, track } => write!(f, "track {track} of volume {volume} is read"),
            Self::LaneReads { pair, track } => {
                write!(f, "a lane of pair {pair} reads track {track}")
            }
            Self::LaneReadFails { pair, track } => {
                write!(f, "a lane of pair {pair} cannot read track {track}")
            }
            Self::LaneWrites { pair, track } => {
                write!(f, "a lane of pair {pair} writes track {track} to the drive")
            }
            Self::LaneWriteFails { pair, track } => {
                write!(f, "a lane of pair {pair} cannot write track {track} to the drive")
            }
            Self::Destage { volume, track } => {
                write!(f, "a destage of volume {volume}, track {track}, begins")
            }
            Self::DestageWrites { volume, track } => {
                write!(f, "a destage of volume {volume}, track {track}, is written")
            }
            Self::DestageFails { volume, track } => {
                write!(f, "a destage of volume {volume}, track {track}, cannot be written")
            }
            Self::SettleFlush { pair } => write!(f, "the target's drive of pair {pair} is flushed"),
            Self::Settled { pair } => write!(f, "pair {pair} records what has settled"),
            Self::Trim { volume } => {
                write!(f, "the drive of volume {volume} is flushed, the log is trimmed of its data")
            }
            Self::Command { command, pair } => write!(f, "{command:?} of pair {pair} is answered"),
            Self::Accept { volume } => write!(f, "the contents of volume {volume} are accepted"),
            Self::Cut => write!(f, "the log's last durable record"),
            Self::Crash(Loss::Nothing) => write!(f, "crash, and recovery"),
            Self::Crash(Loss::Maps) => write!(f, "crash that loses the maps, and recovery"),
            Self::Crash(Loss::Statuses) => write!(f, "crash that loses the statuses, and recovery"),
        }
    }
}
