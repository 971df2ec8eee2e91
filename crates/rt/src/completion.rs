//! What is done with the answer to a host operation.

use diptych_cha::HostReply;
use diptych_sync::thread_local;
use std::cell::Cell;

/// What to do with the answer to a host operation.
pub(crate) type Completion = Box<dyn FnOnce(HostReply) + Send>;

thread_local! {
    /// This thread is in a completion.
    #[allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no const block")]
    static UNDER_WAY: Cell<bool> = Cell::new(false);
}

/// An answer on its way to the host. The job that made it has ended, its wakes are passed on and the
/// request is counted out, so the completion may start the next one.
pub(crate) struct Answered {
    done: Completion,
    reply: HostReply,
}

impl Answered {
    pub(crate) fn new(done: Completion, reply: HostReply) -> Self {
        Self { done, reply }
    }

    pub(crate) fn reply(&self) -> &HostReply {
        &self.reply
    }

    /// Hands it over.
    pub(crate) fn deliver(self) {
        let _nesting = Nesting { outer: UNDER_WAY.with(|under_way| under_way.replace(true)) };
        (self.done)(self.reply);
    }
}

/// Whether a completion runs on this thread now. What it starts is left to the workers: run right
/// here, a host that goes from hit to hit would need stack for every one of them.
pub(crate) fn is_under_way() -> bool {
    UNDER_WAY.with(Cell::get)
}

/// Ends the completion on this thread, also if it panics.
struct Nesting {
    outer: bool,
}

impl Drop for Nesting {
    fn drop(&mut self) {
        UNDER_WAY.with(|under_way| under_way.set(self.outer));
    }
}
