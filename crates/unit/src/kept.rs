//! Small named values that are kept beside the control state, for who is above the unit: paths, users,
//! reservations. The unit does not know what they mean.
//!
//! Invariant: what is in here is within the limits, so a checkpoint with all of it is.

use crate::ledger;
use crate::record::Kind;
use crate::{Unit, UnitError};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A value and its name, as they are kept.
pub(crate) type KeptValue = (String, Vec<u8>);

/// All values.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    values: BTreeMap<String, Bytes>,
    /// Bytes of all names and values.
    total_bytes: usize,
}

impl Kept {
    /// Whether a value may be kept.
    fn check(&self, name: &str, value: &[u8]) -> Result<(), UnitError> {
        let (bytes, most) = (name.len(), Unit::KEPT_NAME_BYTES_MAX);
        if !(1..=most).contains(&bytes) {
            return Err(UnitError::KeptName { bytes, most });
        }
        let (bytes, most) = (value.len(), Unit::KEPT_VALUE_BYTES_MAX);
        if bytes > most {
            return Err(UnitError::KeptValue { bytes, most });
        }
        let most = Unit::KEPT_MAX;
        if self.values.len() >= most && !self.values.contains_key(name) {
            return Err(UnitError::TooManyKept { most });
        }
        let grown = self.total_bytes - self.bytes_of(name) + name.len() + value.len();
        let most = Unit::KEPT_BYTES_MAX;
        if grown > most {
            return Err(UnitError::KeptFull { bytes: grown, most });
        }
        Ok(())
    }

    fn bytes_of(&self, name: &str) -> usize {
        self.values.get(name).map_or(0, |value| name.len() + value.len())
    }

    /// Keeps a value, or forgets one.
    fn put(&mut self, name: String, value: Option<Bytes>) {
        self.total_bytes -= self.bytes_of(&name);
        match value {
            Some(value) => {
                self.total_bytes += name.len() + value.len();
                self.values.insert(name, value);
            }
            None => drop(self.values.remove(&name)),
        }
    }

    /// As a record says. `false`: it makes no sense.
    pub(crate) fn replay(&mut self, name: String, value: Option<Vec<u8>>) -> bool {
        let of = value.as_deref();
        if of.is_some_and(|of| self.check(&name, of).is_err()) {
            return false;
        }
        self.put(name, value.map(Bytes::from));
        true
    }

    /// Bytes of all in a checkpoint.
    pub(crate) fn control_bytes(&self) -> u64 {
        self.values.iter().map(|(name, value)| ledger::of_bytes(name.len() + value.len())).sum()
    }

    /// All, to be kept; by name.
    pub(crate) fn all(&self) -> Vec<KeptValue> {
        self.values.iter().map(|(name, value)| (name.clone(), value.to_vec())).collect()
    }
}

impl Unit {
    /// Bytes that the name of a kept value has at most.
    pub const KEPT_NAME_BYTES_MAX: usize = 64;
    /// Bytes that a kept value has at most.
    pub const KEPT_VALUE_BYTES_MAX: usize = 64 << 10;
    /// Values that are kept at most.
    pub const KEPT_MAX: usize = 1_024;
    /// Bytes of all names and values at most; a small log may have room for less.
    pub const KEPT_BYTES_MAX: usize = 4 << 20;

    /// Keeps a small value by its name in place of the one before, or forgets it: durable once this
    /// returns, and there again after [`Unit::open`]. The driver asks [`Unit::due`] afterwards.
    ///
    /// A unit without a log keeps it as long as it is there itself.
    ///
    /// # Errors
    ///
    /// If the name or the value is too long, there are too many or too much of them, the log keeps no room
    /// for more, has none just now ([`UnitError::LogBusy`]: ask again), or has failed. Nothing has changed
    /// then, but by a log that fails.
    pub fn keep(&self, name: &str, value: Option<Bytes>) -> Result<(), UnitError> {
        let core = self.core();
        let mut kept = core.kept.lock();
        if let Some(value) = &value {
            kept.check(name, value)?;
        }
        // Somebody else's record of the same may not be durable yet: that is waited for all the same.
        if kept.values.get(name) != value.as_ref() {
            let bytes_of = |value: &Bytes| ledger::of_bytes(name.len() + value.len());
            let bytes = value.as_ref().map_or(0, bytes_of);
            core.journal.check_room(bytes)?;
            core.ledger.exchange(kept.values.get(name).map_or(0, bytes_of), bytes)?;
            core.journal.put_control(Kind::Kept, &(name, value.as_deref()));
            kept.put(name.to_owned(), value);
        }
        drop(kept);
        Ok(core.journal.commit_now()?)
    }

    /// The value that is kept by this name.
    pub fn kept(&self, name: &str) -> Option<Bytes> {
        self.core().kept.lock().values.get(name).cloned()
    }

    /// The names of kept values that begin so, ascending.
    pub fn kept_names(&self, prefix: &str) -> Vec<String> {
        let kept = self.core().kept.lock();
        let from = kept
            .values
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        from.map(|(name, _)| name).take_while(|name| name.starts_with(prefix)).cloned().collect()
    }
}
