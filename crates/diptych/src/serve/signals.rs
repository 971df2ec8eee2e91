//! The signals that stop a unit.

use diptych::sync::atomic::AtomicBool;
use diptych::sync::{Arc, Condvar, Mutex, thread};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals as Arrivals;
use std::io;
use std::time::Duration;

/// Exit code of a second signal.
const KILLED: i32 = 130;

/// SIGTERM and SIGINT: the first is told, the second ends the process.
pub(crate) struct Signals {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    first: Mutex<Option<&'static str>>,
    came: Condvar,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn install() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag unset, and sets it.
            flag::register_conditional_shutdown(signal, KILLED, came.clone())?;
            flag::register(signal, came.clone())?;
        }
        let mut arrivals = Arrivals::new([SIGTERM, SIGINT])?;
        let shared = Arc::new(Shared::default());
        let listening = shared.clone();
        thread::Builder::new().name("diptych-signals".to_owned()).spawn(move || {
            for signal in arrivals.forever() {
                let name = if signal == SIGINT { "SIGINT" } else { "SIGTERM" };
                listening.first.lock().get_or_insert(name);
                listening.came.notify_all();
            }
        })?;
        Ok(Self { shared })
    }

    /// Waits for a signal, at most for so long; its name.
    pub(crate) fn wait(&self, patience: Duration) -> Option<&'static str> {
        let first = self.shared.first.lock();
        if first.is_some() {
            return *first;
        }
        *self.shared.came.wait_for(first, patience)
    }
}
