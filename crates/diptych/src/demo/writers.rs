//! Hosts that overwrite the primary while it is copied, and write down when.

use super::ledger::{HostWrite, Ledger, Stamps};
use super::marked::{self, WriteId};
use super::{DemoError, Rig};
use diptych::format::{BLOCK_BYTES, BlockNo, BlockRange};
use diptych::sync::atomic::{AtomicBool, Ordering};
use diptych::sync::{Arc, Condvar, Mutex, thread};
use fastrand::Rng;
use std::time::Duration;

/// The most writes of one writer: it rests then.
const WRITES_MAX: usize = 1 << 20;
/// Most writes are small; one in so many is up to [`LARGE_BLOCKS`].
const LARGE_EVERY: u32 = 64;
const SMALL_BLOCKS: u64 = 8;
const LARGE_BLOCKS: u64 = 200;

/// What all writers write to, and by which clock.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) rig: Arc<Rig>,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) seed: u64,
    /// Blocks of the image; nothing else is written.
    pub(crate) block_count: u64,
}

impl Target {
    /// Writes `blocks`, marked as write `id`.
    pub(crate) fn write(&self, id: WriteId, blocks: BlockRange) -> Result<HostWrite, DemoError> {
        let mut data = vec![0; blocks.count() as usize * BLOCK_BYTES];
        for (no, block) in blocks.iter().zip(data.chunks_exact_mut(BLOCK_BYTES)) {
            marked::fill(block, self.seed, id, no);
        }
        let submitted = self.stamps.next();
        self.rig.write(blocks.start, data.into())?;
        Ok(HostWrite { blocks, submitted, acknowledged: self.stamps.next() })
    }
}

#[derive(Default)]
struct State {
    /// Writers that have written at least once.
    started: usize,
    /// The logs of those that have ended.
    ended: Vec<(u16, Result<Vec<HostWrite>, DemoError>)>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

/// Tells the end of a writer, also of one that panics.
struct End {
    shared: Arc<Shared>,
    no: u16,
    log: Result<Vec<HostWrite>, DemoError>,
}

impl Drop for End {
    fn drop(&mut self) {
        let log = std::mem::replace(&mut self.log, Err(DemoError::Writer));
        self.shared.state.lock().ended.push((self.no, log));
        self.shared.changed.notify_all();
    }
}

/// Writers under way. Dropped, they are told to stop and not waited for.
pub(crate) struct Writers {
    shared: Arc<Shared>,
    rig: Arc<Rig>,
    count: usize,
}

impl Writers {
    /// Starts writers `first_no..first_no + count`, and waits until each has written once.
    pub(crate) fn start(target: &Target, first_no: u16, count: u16) -> Result<Self, DemoError> {
        let shared = Arc::new(Shared::default());
        for no in first_no..first_no + count {
            let (target, shared) = (target.clone(), shared.clone());
            // Its end is told by the shared state, so that nobody has to wait for a writer that
            // waits for a drive that failed.
            let _detached = thread::spawn(move || {
                let mut end = End { shared, no, log: Err(DemoError::Writer) };
                end.log = write_on(&target, &end.shared, no);
            });
        }
        let writers = Self { shared, rig: target.rig.clone(), count: usize::from(count) };
        writers.wait(|state, count| state.started + state.ended.len() >= count)?;
        Ok(writers)
    }

    /// Stops them, and adds what they wrote to the ledger in the order of their numbers.
    pub(crate) fn finish(self, ledger: &mut Ledger) -> Result<(), DemoError> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.wait(|state, count| state.ended.len() == count)?;
        let mut ended = std::mem::take(&mut self.shared.state.lock().ended);
        ended.sort_by_key(|(no, _)| *no);
        for (_, log) in ended {
            ledger.add(log?);
        }
        Ok(())
    }

    fn wait(&self, until: impl Fn(&State, usize) -> bool) -> Result<(), DemoError> {
        let mut state = self.shared.state.lock();
        while !until(&state, self.count) {
            state = self.shared.changed.wait_for(state, Duration::from_millis(50));
            self.rig.check_drives()?;
        }
        Ok(())
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn write_on(target: &Target, shared: &Shared, writer: u16) -> Result<Vec<HostWrite>, DemoError> {
    let mut rng = Rng::with_seed(target.seed ^ (u64::from(writer) + 1).rotate_left(32));
    let mut log = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        if log.len() == WRITES_MAX {
            target.rig.rest(Duration::from_millis(1));
            continue;
        }
        let id = WriteId { writer, no: log.len() as u32 };
        log.push(target.write(id, pick(&mut rng, target.block_count))?);
        if log.len() == 1 {
            shared.state.lock().started += 1;
            shared.changed.notify_all();
        }
    }
    Ok(log)
}

fn pick(rng: &mut Rng, block_count: u64) -> BlockRange {
    let most = if rng.u32(..LARGE_EVERY) == 0 { LARGE_BLOCKS } else { SMALL_BLOCKS };
    let count = rng.u64(1..=most.min(block_count));
    BlockRange::new(BlockNo(rng.u64(..=block_count - count)), count)
}
