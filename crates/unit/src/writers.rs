//! Who has which volume open for writing: such a volume is in use, and becomes no secondary.

use crate::commands::in_use;
use crate::core::Core;
use crate::{Unit, UnitError};
use diptych_cha::AccessBoard;
use diptych_format::{BackingId, LdevId, Time};
use diptych_shared::{FamilyState, SharedError, Volume};
use diptych_sync::{Arc, Mutex};
use std::collections::BTreeMap;
use std::fmt;

/// How many have a volume open, by its first backing: another volume of its name is another one. No lock is
/// taken under this one, and it is taken under a family.
#[derive(Debug, Default)]
pub(crate) struct Writers(Mutex<BTreeMap<BackingId, u32>>);

impl Writers {
    /// Whether anybody has the volume open.
    pub(crate) fn has(&self, volume: &Volume) -> bool {
        self.0.lock().contains_key(&volume.first_backing)
    }

    fn open(&self, volume: &Volume) -> Result<BackingId, UnitError> {
        let mut writers = self.0.lock();
        let count = writers.entry(volume.first_backing).or_default();
        let (ldev, most) = (volume.ldev, u32::MAX);
        *count = count.checked_add(1).ok_or(UnitError::TooManyWriters { ldev, most })?;
        Ok(volume.first_backing)
    }

    fn close(&self, first_backing: BackingId) {
        let mut writers = self.0.lock();
        let count = writers.get_mut(&first_backing).expect("invariant: who closes has opened");
        *count -= 1;
        if *count == 0 {
            writers.remove(&first_backing);
        }
    }
}

/// Holds a volume open for writing until it is dropped. See [`Unit::open_writer`].
#[must_use = "the volume is closed when this is dropped"]
pub struct WriterGuard {
    core: Arc<Core>,
    ldev: LdevId,
    first_backing: BackingId,
}

impl WriterGuard {
    /// The volume.
    pub fn ldev(&self) -> LdevId {
        self.ldev
    }
}

impl fmt::Debug for WriterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterGuard").field("ldev", &self.ldev).finish_non_exhaustive()
    }
}

impl Drop for WriterGuard {
    fn drop(&mut self) {
        self.core.writers.close(self.first_backing);
    }
}

impl Unit {
    /// A protocol opens the volume for writing: a connection, or a registration. As long as anybody holds
    /// it so, a create command that would make it a secondary is refused
    /// ([`Refusal::InUse`](diptych_cha::Refusal)). What may be done with the volume is decided with each
    /// request all the same.
    ///
    /// # Errors
    ///
    /// If there is no such volume, or 2^32 - 1 hold it already.
    pub fn open_writer(&self, ldev: LdevId) -> Result<WriterGuard, UnitError> {
        let core = self.core_handle();
        // Under the family's lock: a create command looks there too.
        let first_backing = core.shared.with_family(ldev, |family| {
            let volume = family.volume(ldev).ok_or(SharedError::UnknownVolume { ldev })?;
            core.writers.open(volume)
        })??;
        Ok(WriterGuard { core, ldev, first_backing })
    }

    /// Whether a host uses the volume: somebody has it open for writing, or it was written less than
    /// [`UnitConfig::in_use_ns`](crate::UnitConfig::in_use_ns) ago. `false` for what is no volume.
    pub fn is_in_use(&self, ldev: LdevId, now: Time) -> bool {
        let core = self.core();
        let look = |family: &mut FamilyState| {
            let used = |volume| in_use(volume, &core.writers, core.config.in_use_ns, now);
            family.volume(ldev).is_some_and(used)
        };
        core.shared.with_family(ldev, look).unwrap_or(false)
    }

    /// Whose access has changed, for the channel adapters: counted at the moment of the change.
    pub fn access_board(&self) -> Arc<AccessBoard> {
        self.core().access_board.clone()
    }
}
