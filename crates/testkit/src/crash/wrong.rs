//! What a storm of crashes finds wrong.

use crate::{Tag, Violation};
use diptych_cha::HostReply;
use diptych_format::{BlockNo, LdevId};
use diptych_shared::PairStatus;
use diptych_unit::UnitError;

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrashWrong {
    /// A block that holds what nobody can have left there.
    #[error("invariant I5: block {block} of volume {ldev} is {}", shown(*found))]
    Block {
        /// The volume.
        ldev: LdevId,
        /// The block.
        block: BlockNo,
        /// What it holds; `None`: the data of no write.
        found: Option<Tag>,
    },
    /// A block that is older than what was found elsewhere: no one instant holds both.
    #[error(
        "invariant {invariant}: block {block} of volume {ldev} is tag {found}, older than tag \
         {missing}, but tag {seen} is there"
    )]
    TooOld {
        /// I1: of an image; I5: of the unit after a crash.
        invariant: &'static str,
        /// The volume, of an image its primary.
        ldev: LdevId,
        /// The block.
        block: BlockNo,
        /// What it holds.
        found: Tag,
        /// What it lacks.
        missing: Tag,
        /// What shows that.
        seen: Tag,
    },
    /// A pair that is not what was answered.
    #[error("invariant I5: pair {primary} -> {secondary} is {found:?}, answered was {answered:?}")]
    Pair {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// The status; `None`: there is no such pair.
        found: Option<PairStatus>,
        /// The status that was last answered.
        answered: Option<PairStatus>,
    },
    /// A group command that was carried out for some of its pairs only.
    #[error("of a group command {one:?} and {other:?} one was carried out and one was not")]
    GroupInPart {
        /// The volumes of a pair.
        one: (LdevId, LdevId),
        /// Those of another.
        other: (LdevId, LdevId),
    },
    /// An answer that must not be.
    #[error("{what} at volume {ldev} was answered {reply:?}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// The volume.
        ldev: LdevId,
        /// The answer.
        reply: Box<HostReply>,
    },
    /// The unit does not come back.
    #[error("invariant I5: the unit does not come back: {0}")]
    NotBack(UnitError),
    /// What lies on the drives breaks an invariant.
    #[error(transparent)]
    Stored(#[from] Violation),
    /// Nothing happens any more, and not all is answered, copied or destaged.
    #[error(
        "invariant I6: {open} requests are not answered, {waiting} jobs wait, {dirty} slots are dirty"
    )]
    Stuck {
        /// Requests without an answer.
        open: usize,
        /// Jobs that wait.
        waiting: usize,
        /// Slots that are dirty.
        dirty: usize,
    },
    /// The unit, or its driver, found one of its own invariants broken.
    #[error("panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
}

fn shown(found: Option<Tag>) -> String {
    found.map_or("the data of no write".to_owned(), |tag| format!("tag {tag}"))
}
