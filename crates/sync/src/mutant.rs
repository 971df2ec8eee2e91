//! The mutant switch: one named line of a protocol, removed on purpose.
//!
//! A model that passes proves little unless the same model fails once the protection it is about is
//! taken away. The code that ships asks [`removed`] at that line. In an ordinary build the answer is
//! a constant `false` and costs nothing; under loom or shuttle the model chooses at run time.

/// Whether the protection called `name` is removed in this run.
///
/// ```
/// if !diptych_sync::mutant::removed("example-check") {
///     // the protection
/// }
/// ```
#[cfg(not(any(diptych_loom, diptych_shuttle)))]
#[inline(always)]
pub const fn removed(_name: &str) -> bool {
    false
}

#[cfg(any(diptych_loom, diptych_shuttle))]
mod chosen {
    use std::cell::Cell;

    thread_local! {
        // Both checkers run all threads of a model on the OS thread that started the model.
        static CHOSEN: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// Whether the protection called `name` is removed in this run.
    pub fn removed(name: &str) -> bool {
        CHOSEN.with(|chosen| chosen.get() == Some(name))
    }

    /// Chooses the protection to remove on this OS thread.
    pub(crate) fn choose(name: Option<&'static str>) {
        CHOSEN.with(|chosen| chosen.set(name));
    }
}

#[cfg(any(diptych_loom, diptych_shuttle))]
pub(crate) use chosen::choose;
#[cfg(any(diptych_loom, diptych_shuttle))]
pub use chosen::removed;
