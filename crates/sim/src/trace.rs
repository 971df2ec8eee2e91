//! What the driver did, step by step.

use diptych_cha::OpKind;
use diptych_format::{Answer, LdevId, Need, OwnerId, Resource, Time, Wait};
use std::collections::VecDeque;
use std::fmt;

/// One step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceEntry {
    /// When.
    pub at: Time,
    /// Whose.
    pub owner: OwnerId,
    /// What.
    pub what: Traced,
}

/// What a job did, or what was done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Traced {
    /// A host operation begins; a command has no volume of its own.
    Begins(OpKind, Option<LdevId>),
    /// A lane or a destage begins.
    BeginsBackground,
    /// It asks for an effect, which its resource does from `start` to `end`.
    Asks {
        /// Where.
        resource: Resource,
        /// Bytes moved.
        bytes: u64,
        /// Whether it changes a drive.
        is_write: bool,
        /// When the resource turns to it.
        start: Time,
        /// When it is done.
        end: Time,
    },
    /// An effect is performed.
    Performed(Resource),
    /// It waits.
    Waits(Wait),
    /// Its wait is over.
    Woken(Answer),
    /// Device end.
    Ends,
}

struct Name(Resource);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Resource::Drive(drive) => write!(f, "drive {drive}"),
            Resource::Drr(no) => write!(f, "drr {no}"),
            Resource::Log => f.write_str("log"),
        }
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Begins(kind, Some(ldev)) => write!(f, "begins: {kind} {ldev}"),
            Self::Begins(kind, None) => write!(f, "begins: {kind}"),
            Self::BeginsBackground => f.write_str("begins: background"),
            Self::Asks { resource, bytes, is_write, start, end } => {
                let what = match (resource, is_write) {
                    (Resource::Drr(_), _) => "transfer",
                    (Resource::Log, _) => "records",
                    (Resource::Drive(_), true) => "write",
                    (Resource::Drive(_), false) if bytes == 0 => "flush",
                    (Resource::Drive(_), false) => "read",
                };
                write!(f, "asks {}: {what} {bytes} bytes, {start}..{end}", Name(resource))
            }
            Self::Performed(resource) => write!(f, "performed by {}", Name(resource)),
            Self::Waits(Wait::Claim) => f.write_str("waits for a claim"),
            Self::Waits(Wait::Admit(Need::Room { buffers, dirty })) => {
                write!(f, "waits for room: {buffers} buffers, {dirty} dirty")
            }
            Self::Waits(Wait::Admit(Need::Log { sectors })) => {
                write!(f, "waits for room in the log: {sectors} sectors")
            }
            Self::Waits(Wait::Admit(Need::Clean { upto })) => {
                write!(f, "waits until all is clean up to {upto}")
            }
            Self::Woken(Answer::Granted) => f.write_str("woken: granted"),
            Self::Woken(Answer::Moved) => f.write_str("woken: moved"),
            Self::Woken(Answer::Cancelled) => f.write_str("woken: cancelled"),
            Self::Ends => f.write_str("ends"),
        }
    }
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} job {} {}", self.at, self.owner, self.what)
    }
}

/// The latest steps, the oldest first.
#[derive(Debug)]
pub(crate) struct Trace {
    entries: VecDeque<TraceEntry>,
    most: usize,
}

impl Trace {
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), most }
    }

    #[inline]
    pub(crate) fn record(&mut self, at: Time, owner: OwnerId, what: impl FnOnce() -> Traced) {
        if self.most == 0 {
            return;
        }
        if self.entries.len() == self.most {
            self.entries.pop_front();
        }
        self.entries.push_back(TraceEntry { at, owner, what: what() });
    }

    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = &TraceEntry> {
        self.entries.iter()
    }
}
