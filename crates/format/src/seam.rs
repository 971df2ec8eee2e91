//! What a job asks of the driver that turns its crank.

use crate::{DriveNo, OwnerId, SectorNo};

/// What a job does next. `E` is the unit's effect, `O` what the job is for.
#[derive(Debug)]
pub enum Step<E, O> {
    /// Perform these effects, in any order or at once, and hand back an event each, in this order.
    Do(Vec<E>),
    /// Come back when the wait is over.
    Wait(Wait),
    /// Device end.
    Done(O),
}

/// The only two things a job waits for. Either may end cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Room in the cache or the log, waited for while holding nothing.
    Admit(Need),
    /// A range of tracks of a family.
    Claim,
}

/// What a job wants from the cache, or from the log, before it claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Track buffers, and slots that may become dirty.
    Room {
        /// Track buffers.
        buffers: usize,
        /// Slots that may become dirty.
        dirty: usize,
    },
    /// Room in the log.
    Log {
        /// Sectors.
        sectors: u64,
    },
    /// All slots that were dirty at this mark of the dirty queue are clean.
    Clean {
        /// The mark.
        upto: u64,
    },
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What was asked for is there.
    Granted,
    /// The family was merged or split while the claim was queued: ask again.
    Moved,
    /// It never will be: the unit stops, or what was waited for failed.
    Cancelled,
}

/// Owners whose wait is over, and how it ended: for the driver to deliver, no lock held.
pub type Wakes = Vec<(OwnerId, Answer)>;

/// A thing that one effect at a time uses, for timing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A drive.
    Drive(DriveNo),
    /// The address change unit of a disk adapter.
    Drr(u16),
    /// The durable log.
    Log,
}

/// What an effect costs, as the timing model sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Where it is done.
    pub resource: Resource,
    /// Bytes moved.
    pub bytes: u64,
    /// Where on the drive, for seek and rotation.
    pub at: Option<SectorNo>,
    /// Whether it changes the drive.
    pub is_write: bool,
}
