//! What every request is carried out with: the driver, and the manners of management calls.

use crate::problem::Failure;
use crate::server::{Scsi, Served, Servers};
use crate::waits::Waits;
use axum::Json;
use diptych_cha::{HostOp, HostReply};
use diptych_rt::Rt;
use diptych_sync::{Arc, Mutex, thread};
use diptych_unit::{ScheduleError, Unit, UnitError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Where the log has no room just now, it is asked again so often, after so long.
const LOG_BUSY_RETRIES: usize = 100;
const LOG_BUSY_PAUSE: Duration = Duration::from_millis(20);

/// What the routes share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) rt: Rt,
    pub(crate) id: u64,
    pub(crate) scsi: Option<Scsi>,
    pub(crate) servers: Servers,
    /// Held while names are looked at and changed, or volumes made and removed.
    pub(crate) names_lock: Arc<Mutex<()>>,
    /// Transfers of contents that may be under way.
    pub(crate) transfers: Arc<Semaphore>,
    pub(crate) waits: Waits,
}

/// An error that may be over soon.
pub(crate) trait MayBeBusy: Into<Failure> {
    fn is_busy(&self) -> bool;
}

impl MayBeBusy for UnitError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::LogBusy(_))
    }
}

impl MayBeBusy for ScheduleError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::LogBusy(_))
    }
}

impl App {
    pub(crate) fn new(served: Served, transfers: usize, waits: Waits) -> Self {
        let Served { rt, id, scsi, servers } = served;
        let transfers = Arc::new(Semaphore::new(transfers));
        Self { rt, id, scsi, servers, names_lock: Arc::new(Mutex::new(())), transfers, waits }
    }

    /// A call of the unit that changes something by hand, again while the log has no room. The driver
    /// asks what is due afterwards.
    pub(crate) fn managed<T, E: MayBeBusy>(
        &self,
        call: impl Fn(&Unit) -> Result<T, E>,
    ) -> Result<T, Failure> {
        let mut retries = LOG_BUSY_RETRIES;
        loop {
            let done = call(self.rt.unit());
            self.rt.ask_due();
            match done {
                Err(error) if error.is_busy() && retries > 0 && !self.rt.is_stopped() => {
                    retries -= 1;
                    thread::sleep(LOG_BUSY_PAUSE);
                }
                done => return done.map_err(Into::into),
            }
        }
    }

    /// A host operation that answers that it is done.
    pub(crate) fn carry_out(&self, op: HostOp) -> Result<(), Failure> {
        match self.rt.execute(op) {
            HostReply::Failed(error) => Err(self.failed(error)),
            _ => Ok(()),
        }
    }

    /// Why a host operation was not carried out: the log says more than that the unit stops.
    pub(crate) fn failed(&self, error: impl Into<Failure>) -> Failure {
        self.rt.unit().log_failure().map_or_else(|| error.into(), Failure::log_failed)
    }
}

/// Carries out a request on a thread that may wait.
pub(crate) async fn waiting<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let app = app.clone();
    let done = tokio::task::spawn_blocking(move || work(&app)).await;
    // It has panicked, or the server ends.
    done.unwrap_or_else(|_| Err(Failure::stopping()))
}

/// The same, answered as JSON.
pub(crate) async fn answer<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<Json<T>, Failure> {
    waiting(app, work).await.map(Json)
}
