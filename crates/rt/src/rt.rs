//! The driver as its users see it.

use crate::task::Task;
use crate::traffic::{Carried, Counting, TrafficKind};
use crate::worker::{Engine, Upto};
use crate::{Clock, RtError, completion};
use diptych_cha::{HostOp, HostReply};
use diptych_format::{DriveNo, LdevId, Time, Wakes};
use diptych_sync::{Arc, Mutex, Tally, thread};
use diptych_unit::Unit;
use std::fmt;

/// Settings of the driver.
#[derive(Debug)]
pub struct RtConfig {
    /// Worker threads. So many of them are with one drive at most that those of each drive, and one more,
    /// are fewer than all, if there are enough: a drive that does not answer stops no other.
    pub workers: usize,
    /// The most requests under way by [`Rt::submit`].
    pub requests_max: usize,
    /// The clock.
    pub clock: Clock,
}

impl RtConfig {
    /// The most workers that [`of_drives`](Self::of_drives) starts.
    const WORKERS_MAX: usize = 130;

    /// Two workers for each drive, and two more.
    pub fn of_drives(count: usize) -> Self {
        Self { workers: (2 + 2 * count).min(Self::WORKERS_MAX), ..Self::default() }
    }
}

impl Default for RtConfig {
    /// Two workers, 65,536 requests, wall time.
    fn default() -> Self {
        Self { workers: 2, requests_max: 1 << 16, clock: Clock::wall() }
    }
}

/// The real-time driver of one control unit. A handle: clones are the same driver.
#[derive(Clone)]
pub struct Rt {
    engine: Arc<Engine>,
    workers: Arc<Mutex<Vec<thread::JoinHandle<()>>>>,
    requests_max: usize,
}

impl fmt::Debug for Rt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rt")
    }
}

impl Rt {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started; none is left then.
    pub fn start(
        unit: Unit,
        plant: diptych_unit::Plant,
        config: RtConfig,
    ) -> Result<Self, RtError> {
        let engine = Arc::new(Engine::new(unit, plant, config.clock, config.workers));
        let rt = Self {
            engine,
            workers: Arc::new(Mutex::new(Vec::new())),
            requests_max: config.requests_max,
        };
        for _ in 0..config.workers {
            let engine = rt.engine.clone();
            let started = thread::Builder::new()
                .name("diptych-worker".to_owned())
                .spawn(move || engine.work());
            match started {
                Ok(worker) => rt.workers.lock().push(worker),
                Err(error) => {
                    rt.stop();
                    return Err(RtError::Thread(error));
                }
            }
        }
        rt.engine.start_due();
        Ok(rt)
    }

    /// The unit that is driven.
    pub fn unit(&self) -> &Unit {
        &self.engine.unit
    }

    /// The hardware below it.
    pub fn plant(&self) -> &diptych_unit::Plant {
        &self.engine.plant
    }

    /// The driver's time.
    pub fn now(&self) -> Time {
        self.engine.clock.now()
    }

    /// What hosts did with a volume so far, whatever they came by.
    pub fn carried(&self, ldev: LdevId, kind: TrafficKind) -> Carried {
        self.engine.traffic.of(ldev, kind)
    }

    /// How long the requests to a drive took together, in nanoseconds; of several at once, each counts.
    pub fn drive_time_ns(&self, drive: DriveNo) -> u64 {
        self.engine.drive_ns.get(usize::from(drive.0)).map_or(0, Tally::get)
    }

    /// Carries out a host operation on this thread and returns with device end. Once the driver has
    /// stopped, and if it stops while this waits, the answer is [`HostError::Stopping`].
    ///
    /// # Panics
    ///
    /// If a drive or the unit panics. The driver stops then, as after any panic in it.
    ///
    /// [`HostError::Stopping`]: diptych_cha::HostError::Stopping
    pub fn execute(&self, op: HostOp) -> HostReply {
        self.engine.execute(op)
    }

    /// Starts a host operation; `done` gets the answer, on this thread if the cache serves it, else
    /// on a worker. If the driver stops before, the answer is [`HostError::Stopping`].
    ///
    /// `done` must not block, nor call [`Rt::stop`]. It may submit the next operation: that one is
    /// left to the workers, also if the cache serves it, so hosts go from hit to hit without end.
    ///
    /// # Errors
    ///
    /// If too many requests are under way, or the driver has stopped; `done` is dropped then.
    ///
    /// # Panics
    ///
    /// If a drive, the unit or `done` panics on this thread. The driver stops then, as after any
    /// panic in it.
    ///
    /// [`HostError::Stopping`]: diptych_cha::HostError::Stopping
    pub fn submit(
        &self,
        op: HostOp,
        done: impl FnOnce(HostReply) + Send + 'static,
    ) -> Result<(), RtError> {
        let engine = &*self.engine;
        engine.count_request(self.requests_max)?;
        let counting = Counting::of(&op);
        let job = engine.unit.job(engine.next_owner(), op);
        let mut task = Task::host(job, Box::new(done), counting);
        if completion::is_under_way() {
            task.begun = Some(self.now());
            engine.push(task);
        } else {
            engine.run(task, Upto::Slow);
        }
        Ok(())
    }

    /// Does background work on this thread: goes on with what is queued and starts what is due, until
    /// neither is left. A wall clock is not waited for; a jumping clock jumps from deadline to
    /// deadline, at most to `upto`. Jobs that wait for somebody else stay where they are.
    ///
    /// With no workers this is the only way in which lanes and destages run: for programs that have
    /// a thread of their own for it, and for model checking.
    pub fn run_background(&self, upto: Time) {
        self.engine.run_background(upto);
    }

    /// Asks the unit what is due. For those who have changed something in it by hand, as
    /// [`Unit::add_schedule`] does: nobody else tells the driver.
    pub fn ask_due(&self) {
        self.engine.start_due();
    }

    /// Wakes the jobs that a call of the unit has named, as [`Unit::remove_volume`] does, and asks what is
    /// due.
    pub fn wake(&self, wakes: Wakes) {
        self.engine.pass_on(wakes, true);
    }

    /// Waits until the workers have nothing to do and nothing is due, or the driver has stopped. With
    /// a schedule that goes on there is always something due.
    pub fn wait_idle(&self) {
        self.engine.wait_idle();
    }

    /// Whether the driver has stopped: it was asked to, the log has failed, or something has panicked.
    pub fn is_stopped(&self) -> bool {
        self.engine.is_stopped()
    }

    /// Stops the driver: requests that wait are answered that the unit stops, and so are all that
    /// come later; what a worker is at it brings to its next wait or its end. Returns when the
    /// workers have ended. What is dirty in the cache stays there: flush before.
    pub fn stop(&self) {
        self.engine.stop();
        let workers = std::mem::take(&mut *self.workers.lock());
        for worker in workers {
            if worker.join().is_err() {
                // It has panicked, said so, and stopped the driver; the others are still to end.
                continue;
            }
        }
    }
}
