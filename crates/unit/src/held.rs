//! What a job holds, as guards: a job that ends anywhere, or is dropped, gives it all back.

use crate::Mailbox;
use crate::core::Core;
use crate::host_waits::UnderWay;
use crate::journal::Put;
use diptych_cache::{Admission, Admit, Cache, CacheError, Pin, SlotKey};
use diptych_cha::{HostError, Refusal};
use diptych_format::{Answer, BLOCK_BYTES, FamilyId, LdevId, Need, TrackBuf, TrackRange, Wait};
use diptych_log::LogRoom;
use diptych_shared::{Claim, Claimed, FamilyState, QueuedClaim, SharedError};
use diptych_sync::atomic::Ordering;
use diptych_sync::mutant;

/// Bytes of the log that the records of a command for one pair take at most.
const COMMAND_BYTES: usize = 4 * BLOCK_BYTES;

/// Why a claim, or room, was not had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotHeld {
    /// No such volume.
    NoVolume,
    /// There is no room for a need of this size, and there never will be.
    NoRoom,
    /// The queues are full: ask again later.
    Busy,
    /// The unit stops.
    Stopping,
    /// Who asks may not do what it is for.
    Refused(HostError),
}

impl NotHeld {
    pub(crate) fn host_error(self, ldev: LdevId) -> HostError {
        match self {
            Self::NoVolume => HostError::NoVolume { ldev },
            Self::NoRoom => HostError::NoRoom,
            Self::Busy => HostError::Busy,
            Self::Stopping => HostError::Stopping,
            Self::Refused(error) => error,
        }
    }
}

impl NotHeld {
    pub(crate) fn refusal(self, ldev: LdevId) -> Refusal {
        match self {
            Self::NoVolume => Refusal::NoVolume { ldev },
            Self::Busy => Refusal::Busy,
            Self::NoRoom | Self::Stopping | Self::Refused(_) => Refusal::Stopping,
        }
    }
}

impl From<SharedError> for NotHeld {
    fn from(error: SharedError) -> Self {
        match error {
            // Tracks that a volume does not have are those of the one that was there before.
            SharedError::UnknownVolume { .. } | SharedError::TracksOutOfRange { .. } => {
                Self::NoVolume
            }
            _ => Self::Busy,
        }
    }
}

/// A claim: (family, range of tracks).
#[derive(Debug)]
pub(crate) struct Held<'m> {
    claim: Option<Claim>,
    m: &'m Mailbox,
}

impl<'m> Held<'m> {
    pub(crate) fn new(m: &'m Mailbox, claim: Claim) -> Self {
        Self { claim: Some(claim), m }
    }

    /// Waits for `tracks` of the family of `ldev`; `view` looks at the family as it is granted.
    pub(crate) async fn claim<R>(
        m: &'m Mailbox,
        core: &Core,
        ldev: LdevId,
        tracks: Option<TrackRange>,
        mut view: impl FnMut(&mut FamilyState) -> R,
    ) -> Result<(Self, R), NotHeld> {
        loop {
            let claimed = match tracks {
                Some(tracks) => core.shared.claim(m.owner(), ldev, tracks, &mut view)?,
                None => core.shared.claim_family(m.owner(), ldev, &mut view)?,
            };
            let queued = match claimed {
                Claimed::Granted(claim, view) => return Ok((Self::new(m, claim), view)),
                Claimed::Queued(queued) => queued,
            };
            let waits = tracks.and_then(|t| core.waits.host_queues(m, queued.family_id(), t));
            if let Some(queued) =
                Box::pin(Queued { claim: Some(queued), m, waits }.granted()).await?
            {
                let (claim, view) = queued.granted(&mut view);
                return Ok((Self::new(m, claim), view));
            }
        }
    }

    /// Claims the whole family of `ldev` while holding that of `above`, which has a lower id. It
    /// waits only in ascending order of ids; where the order was changed meanwhile, the caller gives
    /// back what it holds and starts again.
    pub(crate) async fn claim_above(
        m: &'m Mailbox,
        core: &Core,
        ldev: LdevId,
        above: FamilyId,
    ) -> Result<Once<'m>, NotHeld> {
        let queued = match core.shared.claim_family(m.owner(), ldev, |_| ())? {
            Claimed::Granted(claim, ()) => return Ok(Once::Held(Self::new(m, claim))),
            Claimed::Queued(queued) => queued,
        };
        let ascending = above < queued.family_id();
        let mut queued = Queued { claim: Some(queued), m, waits: None };
        if !ascending {
            let given_up = queued.claim.take().expect("a queued claim is taken once").give_up();
            let on_its_way = given_up.is_err() && !mutant::removed("absorb-answer");
            let (Ok(wakes) | Err(wakes)) = given_up;
            m.wake(wakes);
            // An answer to this claim must not be taken for one to the next.
            if on_its_way && m.wait(Wait::Claim).await == Answer::Cancelled {
                return Err(NotHeld::Stopping);
            }
            return Ok(Once::Again);
        }
        Ok(match queued.granted().await? {
            Some(queued) => Once::Held(Self::new(m, queued.granted(|_| ()).0)),
            None => Once::Again,
        })
    }

    /// Looks at, or changes, the family.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut FamilyState) -> R) -> R {
        self.claim.as_ref().expect("held until dropped").with(body)
    }

    /// The bare claim.
    pub(crate) fn into_claim(mut self) -> Claim {
        self.claim.take().expect("held until dropped")
    }

    /// The bare claim, to look at.
    pub(crate) fn as_claim(&self) -> &Claim {
        self.claim.as_ref().expect("held until dropped")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.m.wake(claim.release());
        }
    }
}

/// A claim that is waited for at most once.
pub(crate) enum Once<'m> {
    /// Held.
    Held(Held<'m>),
    /// Families were merged or split meanwhile: start again.
    Again,
}

/// A place in the queue for a claim.
struct Queued<'a> {
    claim: Option<QueuedClaim>,
    m: &'a Mailbox,
    /// Ends with the wait.
    #[expect(dead_code, reason = "a guard")]
    waits: Option<UnderWay<'a>>,
}

impl Queued<'_> {
    /// Waits; `None` if the family was merged or split meanwhile.
    async fn granted(mut self) -> Result<Option<QueuedClaim>, NotHeld> {
        match self.m.wait(Wait::Claim).await {
            Answer::Granted => Ok(self.claim.take()),
            Answer::Moved => Ok(None),
            Answer::Cancelled => Err(NotHeld::Stopping),
        }
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.m.wake(claim.cancel());
        }
    }
}

/// What a job needs of the cache and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    pub(crate) buffers: usize,
    pub(crate) dirty: usize,
    /// Tracks whose old content is copied before they change: each is in the log.
    pub(crate) copies: usize,
    /// Other records for the log, and the bytes of data in them.
    pub(crate) records: usize,
    pub(crate) data_bytes: usize,
}

impl Wanted {
    /// What copying so many tracks before a write takes, for one secondary.
    pub(crate) fn copies(count: usize) -> Self {
        Self { buffers: count, dirty: count, copies: count, ..Self::default() }
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        self.buffers >= other.buffers
            && self.dirty >= other.dirty
            && self.copies >= other.copies
            && self.records >= other.records
            && self.data_bytes >= other.data_bytes
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            buffers: self.buffers + other.buffers,
            dirty: self.dirty + other.dirty,
            copies: self.copies + other.copies,
            records: self.records + other.records,
            data_bytes: self.data_bytes + other.data_bytes,
        }
    }
}

/// Room in the cache, and in the log.
#[derive(Debug)]
pub(crate) struct Room<'a> {
    admission: Option<Admission>,
    log: Option<LogRoom>,
    core: &'a Core,
    m: &'a Mailbox,
}

impl<'a> Room<'a> {
    /// Waits for room, holding nothing.
    pub(crate) async fn admit(
        m: &'a Mailbox,
        core: &'a Core,
        wanted: Wanted,
    ) -> Result<Self, NotHeld> {
        Self::admit_if(m, core, wanted, || Ok(())).await
    }

    /// As [`admit`](Self::admit), but waits only if it is `allowed`: who may not use the room does
    /// not take it from others, nor wait for what may never come.
    pub(crate) async fn admit_if(
        m: &'a Mailbox,
        core: &'a Core,
        wanted: Wanted,
        allowed: impl FnOnce() -> Result<(), HostError>,
    ) -> Result<Self, NotHeld> {
        let cache = &core.cache;
        let Wanted { buffers, dirty, .. } = wanted;
        let log = match core.journal.is_on() {
            true => Box::pin(core.journal.admit(m, &wanted, core.ledger.sectors())).await?,
            false => None,
        };
        let mut room = Self { admission: None, log, core, m };
        room.admission = Some(match cache.admit(m.owner(), buffers, dirty) {
            Ok(Admit::Granted(admission)) => admission,
            Ok(Admit::Queued) => {
                m.kick(); // destaging makes room
                let waiting = Waiting::new(m, core);
                allowed().map_err(NotHeld::Refused)?;
                Box::pin(waiting.admitted(Need::Room { buffers, dirty })).await?
            }
            Err(CacheError::NeverFits { .. }) => return Err(NotHeld::NoRoom),
            Err(_) => return Err(NotHeld::Busy),
        });
        Ok(room)
    }

    /// Waits for room in the log alone, holding nothing. What is put meanwhile takes none of it: commands
    /// put their few records into what is kept free for them, and by holding as much of the hosts' room
    /// they wait where the log is full, so that one after another does not use that up between two
    /// checkpoints.
    pub(crate) async fn for_command(
        m: &'a Mailbox,
        core: &'a Core,
        primaries: &[LdevId],
    ) -> Result<Self, Refusal> {
        let pairs = primaries.len();
        Self::for_heads(m, core, COMMAND_BYTES * pairs).await.map_err(|error| match error {
            NotHeld::NoRoom => {
                let most = core.journal.data_bytes_at_once(core.ledger.sectors()) / COMMAND_BYTES;
                Refusal::GroupSize { asked: pairs, most }
            }
            error => error.refusal(primaries[0]),
        })
    }

    /// The same for records with so many bytes of heads.
    pub(crate) async fn for_heads(
        m: &'a Mailbox,
        core: &'a Core,
        bytes: usize,
    ) -> Result<Self, NotHeld> {
        let wanted = Wanted { records: 1, data_bytes: bytes, ..Wanted::default() };
        let log = core.journal.admit(m, &wanted, core.ledger.sectors()).await?;
        Ok(Self { admission: None, log, core, m })
    }

    pub(crate) fn admission(&mut self) -> &mut Admission {
        self.admission.as_mut().expect("held until dropped")
    }

    /// A buffer, of those admitted.
    pub(crate) fn buffer(&mut self) -> TrackBuf {
        let admission = self.admission.as_mut().expect("held until dropped");
        self.core.cache.buffer(admission)
    }

    /// Room in the log, if there is one.
    pub(crate) fn log(&mut self) -> Option<&mut LogRoom> {
        self.log.as_mut()
    }

    /// What was put into the log so far is in slots: who waits for a drive from here on does not hold the
    /// log's beginning by it.
    pub(crate) fn placed(&mut self) {
        if let Some(log) = &mut self.log {
            self.core.journal.placed(log);
        }
    }

    /// What is written into slots from here on has this record.
    pub(crate) fn logged_as(&mut self, put: Option<&Put>) {
        if let Some(put) = put {
            self.admission().logged_as(put.last());
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            self.m.wake(self.core.cache.return_room(admission));
        }
        if let Some(log) = self.log.take() {
            self.m.wake(self.core.journal.return_room(log));
            let needed = || self.core.journal.needs_checkpoint(&self.core.config);
            if !self.core.checkpoint_asked.load(Ordering::Relaxed)
                && needed()
                && !self.core.checkpoint_asked.swap(true, Ordering::AcqRel)
            {
                self.m.kick();
            }
        }
    }
}

/// What a job works with under its claim. The claim goes first, then the room.
#[derive(Debug)]
pub(crate) struct Under<'a> {
    pub(crate) m: &'a Mailbox,
    pub(crate) core: &'a Core,
    pub(crate) held: Held<'a>,
    pub(crate) room: Room<'a>,
}

impl Under<'_> {
    /// Looks at, or changes, the family.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut FamilyState) -> R) -> R {
        self.held.with(body)
    }

    /// Something became dirty: sees to its destage.
    pub(crate) fn note_dirty(&mut self) {
        let first = !self.core.dirtied.swap(true, Ordering::AcqRel);
        if first || self.room.admission().is_pressing() {
            self.m.kick();
        }
    }
}

/// A place in the cache's queue.
pub(crate) struct Waiting<'a> {
    core: &'a Core,
    m: &'a Mailbox,
    /// What was waited for was had.
    pub(crate) over: bool,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(m: &'a Mailbox, core: &'a Core) -> Self {
        Self { core, m, over: false }
    }
}

impl Waiting<'_> {
    async fn admitted(mut self, need: Need) -> Result<Admission, NotHeld> {
        match self.m.wait(Wait::Admit(need)).await {
            Answer::Granted => {
                self.over = true;
                Ok(self.core.cache.admitted(self.m.owner()))
            }
            // What a drive does not take holds so much of the cache that it never will be had.
            Answer::Cancelled if !self.core.journal.has_failed() => Err(NotHeld::NoRoom),
            Answer::Moved | Answer::Cancelled => Err(NotHeld::Stopping),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.m.wake(self.core.cache.cancel(self.m.owner()));
        }
    }
}

/// A slot that stays as it is while it is looked at.
#[derive(Debug)]
pub(crate) struct Pinned<'a> {
    pin: Option<Pin>,
    cache: &'a Cache,
    m: &'a Mailbox,
}

impl<'a> Pinned<'a> {
    pub(crate) fn new(m: &'a Mailbox, cache: &'a Cache, pin: Pin) -> Self {
        Self { pin: Some(pin), cache, m }
    }

    /// Pins whatever is valid of a track; the caller holds its claim.
    pub(crate) fn of(m: &'a Mailbox, cache: &'a Cache, key: SlotKey) -> Option<Self> {
        cache.pin(key).map(|pin| Self::new(m, cache, pin))
    }

    pub(crate) fn pin(&self) -> &Pin {
        self.pin.as_ref().expect("held until dropped")
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        if let Some(pin) = self.pin.take() {
            self.m.wake(self.cache.unpin(pin));
        }
    }
}
