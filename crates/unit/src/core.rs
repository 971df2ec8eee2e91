//! The parts that every job of a control unit shares.

use crate::UnitConfig;
use crate::access::AccessWatcher;
use crate::drain::Drains;
use crate::effect::UnitLog;
use crate::history::{History, HistoryEntry, Message};
use crate::host_waits::HostWaits;
use crate::journal::{Journal, LogRecorder};
use crate::kept::Kept;
use crate::ledger::Ledger;
use crate::record::Kind;
use crate::schedule::Schedules;
use crate::scheduler::Scheduler;
use crate::writers::Writers;
use diptych_cache::{Cache, QueueNo, SlotKey};
use diptych_cha::{AccessBoard, GroupName, HostError};
use diptych_dka::{Groups, Home};
use diptych_format::{BackingId, Generation, Geometry, LdevId, Time, TrackNo};
use diptych_shared::{Pair, PairStatus, SharedMemory, Transition};
use diptych_sync::atomic::{AtomicBool, AtomicU64, Ordering};
use diptych_sync::{Arc, Mutex, RwLock, Unseen};
use std::collections::BTreeMap;

/// What a request takes for granted of its volume: if the volume is removed and another made in its
/// place meanwhile, the first backing tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) first_backing: BackingId,
    pub(crate) geometry: Geometry,
    pub(crate) metadata_only: bool,
}

/// Called by whoever records in the history: it waits for nothing.
pub(crate) type Bell = Box<dyn Fn() + Send + Sync>;

/// The parts of a control unit.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: UnitConfig,
    pub(crate) shared: SharedMemory,
    /// Whose access has changed, for the channel adapters. Taken under a family.
    pub(crate) access_board: Arc<AccessBoard>,
    /// Who has which volume open for writing.
    pub(crate) writers: Writers,
    pub(crate) cache: Cache,
    pub(crate) groups: Arc<Groups>,
    /// The durable log.
    pub(crate) journal: Journal,
    /// How large the control state may get.
    pub(crate) ledger: Ledger,
    pub(crate) scheduler: Mutex<Scheduler>,
    /// How long hosts wait for lanes.
    pub(crate) waits: Arc<HostWaits>,
    /// The pairs of each consistency group. Taken with no other lock.
    pub(crate) consistency_groups: Mutex<BTreeMap<GroupName, Vec<(LdevId, LdevId)>>>,
    /// Group commands that wait for their families. Taken with no other lock.
    pub(crate) drains: Mutex<Drains>,
    pub(crate) history: Mutex<History>,
    /// Rung when something was recorded there.
    pub(crate) bells: Unseen<Vec<Bell>>,
    /// Small values that are kept for others. Only the log's queue is locked under it.
    pub(crate) kept: Mutex<Kept>,
    /// Which volume a backing is under: destages know only the backing.
    pub(crate) backings: Mutex<BTreeMap<BackingId, LdevId>>,
    /// What a request has to know of its volume before it claims anything. It stays as long as the
    /// volume is there.
    pub(crate) shapes: RwLock<BTreeMap<LdevId, Shape>>,
    /// Something became dirty since the scheduler last looked.
    pub(crate) dirtied: AtomicBool,
    /// Somebody saw that a checkpoint is needed, and kicked for it.
    pub(crate) checkpoint_asked: AtomicBool,
    /// The unit's one sequence: generations of blocks and numbers of images.
    sequence: AtomicU64,
    next_backing: AtomicU64,
}

impl Core {
    pub(crate) fn new(
        config: UnitConfig,
        cache: Cache,
        groups: Groups,
        log: Option<Arc<UnitLog>>,
    ) -> Self {
        let groups = Arc::new(groups);
        let waits = Arc::new(HostWaits::default());
        let schedules = Schedules::new(config.schedules_max, config.utc_at_start);
        let ledger = Ledger::of_log(log.as_deref());
        let (shared, journal) = match log {
            None => (SharedMemory::new(config.limits), Journal::off()),
            Some(log) => {
                let recorder = LogRecorder { log: log.clone(), groups: groups.clone() };
                let journal = Journal::new(log, config.durability, config.cache.track_bytes);
                (SharedMemory::recorded(config.limits, Arc::new(recorder)), journal)
            }
        };
        let access_board = Arc::new(AccessBoard::new());
        let shared = shared.watched(AccessWatcher { board: access_board.clone() });
        Self {
            shared,
            access_board,
            writers: Writers::default(),
            journal,
            ledger,
            cache,
            groups,
            consistency_groups: Mutex::new(BTreeMap::new()),
            drains: Mutex::new(Drains::default()),
            scheduler: Mutex::new(Scheduler::new(config.governor(), waits.clone(), schedules)),
            waits,
            kept: Mutex::new(Kept::default()),
            history: Mutex::new(History::new(config.history_max)),
            bells: Unseen::new(Vec::new()),
            backings: Mutex::new(BTreeMap::new()),
            shapes: RwLock::new(BTreeMap::new()),
            dirtied: AtomicBool::new(false),
            checkpoint_asked: AtomicBool::new(false),
            sequence: AtomicU64::new(1),
            next_backing: AtomicU64::new(1),
            config,
        }
    }

    /// The next number of the unit's sequence.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// The generation of a host write made now.
    pub(crate) fn next_generation(&self) -> Generation {
        Generation(self.next_sequence())
    }

    /// A backing id that was never used; `None` once all are used up.
    pub(crate) fn next_backing(&self) -> Option<BackingId> {
        let id = self.next_backing.fetch_add(1, Ordering::Relaxed);
        u32::try_from(id).ok().map(BackingId)
    }

    /// The numbers that the sequence and the backings go on with.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        (self.sequence.load(Ordering::Relaxed), self.next_backing.load(Ordering::Relaxed))
    }

    /// Goes on with these numbers, or higher ones.
    pub(crate) fn numbers_from(&self, sequence: u64, next_backing: u64) {
        self.sequence.fetch_max(sequence, Ordering::Relaxed);
        self.next_backing.fetch_max(next_backing, Ordering::Relaxed);
    }

    /// Puts the schedules into the log, as they are now.
    pub(crate) fn put_schedules(&self) {
        if self.journal.is_on() {
            let scheduler = self.scheduler.lock();
            self.journal.put_control(Kind::Schedules, &scheduler.schedules.keep());
        }
    }

    /// Where a backing lies.
    pub(crate) fn home(&self, backing: BackingId) -> Home {
        self.groups.home(backing).expect("a volume's backing has a place until the volume is gone")
    }

    /// The backing has this place: its dirty tracks are destaged with those of the same drive.
    pub(crate) fn placed(&self, home: &Home) {
        self.cache.set_queue(home.backing(), QueueNo(home.drive().0));
    }

    /// Gives back the place of a volume that is gone, unless a destage of it is still in flight: the
    /// last one does it then.
    pub(crate) fn free_backing(&self, backing: BackingId) {
        if !self.cache.is_destaging(backing) {
            self.cache.forget_queue(backing);
            self.groups.free(backing);
        }
    }

    /// Records something that happened to a pair.
    pub(crate) fn record(&self, entry: HistoryEntry) {
        self.history.lock().record(entry);
        self.bells.with(|bells| bells.iter().for_each(|bell| bell()));
    }

    /// Records something that happened to one pair. The end of a copy says what was copied.
    pub(crate) fn record_of(
        &self,
        at: Time,
        pair: &Pair,
        message: Message,
        from: Option<PairStatus>,
        to: Option<PairStatus>,
    ) {
        let entry = HistoryEntry::new(at, message).of_pair(pair).statuses(from, to);
        let ends_copy =
            message == Message::CaughtUp || from != to && from.is_some_and(PairStatus::is_copying);
        let duration_ns = at.ns_since(pair.begun_at);
        self.record(if ends_copy { entry.of_copy(pair).took(duration_ns) } else { entry });
    }

    /// A change of the maps was one of status (step 504): it is recorded, and hosts wait no more
    /// for a pair that is split by it.
    pub(crate) fn copy_ended(&self, at: Time, pair: &Pair, transition: Transition) {
        if transition.to == PairStatus::Copied {
            self.scheduler.lock().rest(pair.id);
        }
        let (from, to) = (Some(transition.from), Some(transition.to));
        self.record_of(at, pair, Message::CopyEnded, from, to);
    }

    /// The shape of a volume.
    pub(crate) fn shape(&self, ldev: LdevId) -> Result<Shape, HostError> {
        self.shapes.read().get(&ldev).copied().ok_or(HostError::NoVolume { ldev })
    }
}

/// The slot of a track.
pub(crate) fn slot(backing: BackingId, track: TrackNo) -> SlotKey {
    SlotKey { backing, track }
}
