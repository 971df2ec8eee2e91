//! Requests that wait for a status: answered when it is there, or when the time is over.
//!
//! Invariants: a request that waits holds no thread, and there are only so many of them; whoever changes a
//! status rings a bell and waits for nobody.

use crate::management::{App, waiting};
use crate::problem::Failure;
use diptych_sync::Arc;
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

/// A look without a ring, in case another server of the unit has the bell.
const LOOK: Duration = Duration::from_secs(1);
/// How long a request waits if it does not say, and at most.
const USUAL_S: f64 = 30.0;
const MOST_S: f64 = 60.0;

/// What stands behind the question mark of a request that may wait.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WaitFor {
    /// The status that is waited for; without it, nothing is.
    wait: Option<String>,
    /// How long at most, in seconds.
    timeout: Option<f64>,
}

impl WaitFor {
    /// Whether the answer is due with this status: it is the one that is waited for, or one from which
    /// nothing comes by itself.
    pub(crate) fn is_over(&self, status: &str) -> bool {
        self.wait.as_deref().is_none_or(|wanted| status == wanted) || self.is_in_vain(status)
    }

    /// Whether nothing that is waited for comes from this status by itself.
    pub(crate) fn is_in_vain(&self, status: &str) -> bool {
        let wanted = self.wait.as_deref();
        let is_end = matches!(status, "suspend" | "simplex");
        is_end && wanted.is_some_and(|wanted| wanted != "simplex" && wanted != status)
    }

    fn check(&self) -> Result<Duration, Failure> {
        const STATUSES: [&str; 9] = [
            "idle",
            "pending",
            "re-sync",
            "duplex",
            "sp-pending",
            "split",
            "resync-reverse",
            "suspend",
            "simplex",
        ];
        if let Some(wanted) = self.wait.as_deref().filter(|wanted| !STATUSES.contains(wanted)) {
            let all = STATUSES.join(", ");
            return Err(Failure::bad(format_args!("{wanted:?} is no status: {all}")));
        }
        let timeout = self.timeout.unwrap_or(USUAL_S);
        match (0.0..=MOST_S).contains(&timeout) {
            true => Ok(Duration::from_secs_f64(timeout)),
            false => Err(Failure::bad(format_args!("a request waits 0 to {MOST_S} seconds"))),
        }
    }
}

/// What requests that wait share.
#[derive(Debug, Clone)]
pub(crate) struct Waits {
    /// Something was recorded in the history.
    rung: watch::Receiver<()>,
    stopped: watch::Receiver<bool>,
    places: Arc<Semaphore>,
}

impl Waits {
    /// So many of them; the end of the server ends them.
    pub(crate) fn new(
        places: usize,
        rung: watch::Receiver<()>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Self { rung, stopped, places: Arc::new(Semaphore::new(places)) }
    }
}

/// Looks until what is found is waited for no more; then it is the answer. So it is when the time is over.
pub(crate) async fn until<T: Send + 'static>(
    app: &App,
    asked: WaitFor,
    look: impl Fn(&App) -> Result<T, Failure> + Clone + Send + 'static,
    is_over: impl Fn(&T) -> bool,
) -> Result<T, Failure> {
    let until = Instant::now() + asked.check()?;
    let Waits { mut rung, mut stopped, places } = app.waits.clone();
    let mut place = None;
    loop {
        rung.mark_unchanged();
        let found = waiting(app, look.clone()).await?;
        if asked.wait.is_none() || is_over(&found) || *stopped.borrow() || Instant::now() >= until {
            return Ok(found);
        }
        if place.is_none() {
            let too_many =
                |_| Failure::unavailable("busy", "too many requests wait").or("ask again");
            place = Some(places.clone().try_acquire_owned().map_err(too_many)?);
        }
        let next = until.min(Instant::now() + LOOK);
        tokio::select! {
            // Late, rung, or nobody is left who would ring: it is time to look.
            _ = timeout_at(next, ring(&mut rung)) => {}
            _ = stopped.changed() => {}
        }
    }
}

async fn ring(rung: &mut watch::Receiver<()>) {
    if rung.changed().await.is_err() {
        // The unit is gone, and the time is over soon.
        std::future::pending::<()>().await;
    }
}
