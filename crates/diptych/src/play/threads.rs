//! The real-time driver, as a player sees it.

use super::load::Load;
use diptych::cha::{HostOp, HostReply};
use diptych::format::Time;
use diptych::rt::{Rt, RtConfig, RtError};
use diptych::sim::{Driver, RequestNo, SimError};
use diptych::sync::{Arc, Condvar, Mutex, thread};
use diptych::unit::{Plant, Unit};
use std::collections::BTreeMap;
use std::time::Duration;

/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_micros(200);
/// An answer that takes longer never comes.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Answers that came and were not asked for yet.
#[derive(Debug, Default)]
struct Answers {
    replies: Mutex<BTreeMap<RequestNo, HostReply>>,
    came: Condvar,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Threads {
    rt: Rt,
    answers: Arc<Answers>,
    next: u64,
    resting: Mutex<()>,
    rested: Condvar,
    hosts: Vec<thread::JoinHandle<()>>,
}

impl Threads {
    pub(crate) fn start(unit: Unit, plant: Plant) -> Result<Self, RtError> {
        let rt = Rt::start(unit, plant, RtConfig::default())?;
        let (resting, rested) = (Mutex::new(()), Condvar::new());
        Ok(Self {
            rt,
            answers: Arc::new(Answers::default()),
            next: 0,
            resting,
            rested,
            hosts: Vec::new(),
        })
    }

    /// Tells the driver that something was changed in the unit by hand.
    pub(crate) fn ask_due(&self) {
        self.rt.ask_due();
    }

    /// A host of its own, on a thread of its own.
    pub(crate) fn add_host(&mut self, load: Load) -> Result<(), RtError> {
        let rt = self.rt.clone();
        let host = move || {
            let (nobody, never) = (Mutex::new(()), Condvar::new());
            let mut last = None;
            while let Some((at, op)) = load.next(rt.now(), last.as_ref()) {
                while rt.now() < at {
                    drop(never.wait_for(nobody.lock(), at - rt.now()));
                }
                last = Some(rt.execute(op));
            }
        };
        let started = thread::Builder::new().name("diptych-host".to_owned()).spawn(host);
        self.hosts.push(started.map_err(RtError::Thread)?);
        Ok(())
    }

    fn rest(&self, time: Duration) {
        drop(self.rested.wait_for(self.resting.lock(), time));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Hosts are answered that the unit stops, and end.
        self.rt.stop();
        for host in self.hosts.drain(..) {
            // A host that panicked has said so, and the scenario has waited for it in vain.
            let _ended = host.join();
        }
    }
}

impl Driver for Threads {
    fn unit(&self) -> &Unit {
        self.rt.unit()
    }

    fn plant(&self) -> &Plant {
        self.rt.plant()
    }

    fn now(&self) -> Time {
        self.rt.now()
    }

    fn start(&mut self, op: HostOp) -> Result<RequestNo, SimError> {
        let request = RequestNo(self.next);
        self.next += 1;
        let answers = self.answers.clone();
        let done = move |reply| {
            answers.replies.lock().insert(request, reply);
            answers.came.notify_all();
        };
        match self.rt.submit(op, done) {
            Ok(()) => Ok(request),
            Err(RtError::TooManyRequests { limit }) => Err(SimError::TooManyRequests { limit }),
            // It has stopped: nobody will answer.
            Err(_) => Err(SimError::NeverAnswered { request }),
        }
    }

    fn finish(&mut self, request: RequestNo) -> Result<HostReply, SimError> {
        let asked = self.now();
        let mut replies = self.answers.replies.lock();
        loop {
            if let Some(reply) = replies.remove(&request) {
                return Ok(reply);
            }
            let waited = self.rt.now() - asked;
            if waited >= ANSWER_MAX {
                return Err(SimError::NeverAnswered { request });
            }
            replies = self.answers.came.wait_for(replies, ANSWER_MAX - waited);
        }
    }

    fn settle(&mut self) {
        self.rt.wait_idle();
    }

    fn wait_until(&mut self, deadline: Time, is_so: &mut dyn FnMut(&Unit) -> bool) -> bool {
        loop {
            if is_so(self.rt.unit()) {
                return true;
            }
            if self.now() >= deadline {
                return false;
            }
            self.rest(LOOK);
        }
    }

    fn pass(&mut self, ns: u64) {
        let until = self.now() + ns;
        while self.now() < until {
            self.rest(until - self.now());
        }
    }
}
