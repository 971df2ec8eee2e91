//! Unit attentions (SAM-6, 5.14): what an initiator has to be told before anything else.

use super::sense::{Asc, Sense, SenseKey};

/// What happened to a logical unit behind an initiator's back. Ascending: what is told first stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Attention {
    /// A hard reset: TARGET COLD RESET.
    PowerOn,
    /// TARGET WARM RESET.
    Reset,
    /// LOGICAL UNIT RESET.
    UnitReset,
    /// The medium was loaded, or ejected and loaded.
    MediumChanged,
    /// Another initiator changed mode parameters, or what hosts may do with the volume changed.
    ModeChanged,
    /// Another initiator took away a reservation.
    ReservationsPreempted,
    /// A reservation that was shared is released.
    ReservationsReleased,
    /// Another initiator took away this one's registration.
    RegistrationsPreempted,
    /// The volume has another size.
    CapacityChanged,
    /// Another initiator cleared the task set.
    CommandsCleared,
    /// The logical units behind the target are others.
    LunsChanged,
}

impl Attention {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::PowerOn,
        Self::Reset,
        Self::UnitReset,
        Self::MediumChanged,
        Self::ModeChanged,
        Self::ReservationsPreempted,
        Self::ReservationsReleased,
        Self::RegistrationsPreempted,
        Self::CapacityChanged,
        Self::CommandsCleared,
        Self::LunsChanged,
    ];

    /// The sense data for it.
    pub const fn sense(self) -> Sense {
        let (code, qualifier) = match self {
            Self::PowerOn => (0x29, 0x01),
            Self::Reset => (0x29, 0x02),
            Self::UnitReset => (0x29, 0x03),
            Self::MediumChanged => (0x28, 0x00),
            Self::ModeChanged => (0x2A, 0x01),
            Self::ReservationsPreempted => (0x2A, 0x03),
            Self::ReservationsReleased => (0x2A, 0x04),
            Self::RegistrationsPreempted => (0x2A, 0x05),
            Self::CapacityChanged => (0x2A, 0x09),
            Self::CommandsCleared => (0x2F, 0x00),
            Self::LunsChanged => (0x3F, 0x0E),
        };
        Sense::new(SenseKey::UnitAttention, Asc::new(code, qualifier))
    }
}

/// The unit attentions that wait for one initiator. Each kind waits at most once, so they have a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attentions(u16);

impl Attentions {
    pub(crate) fn raise(&mut self, attention: Attention) {
        self.0 |= 1 << attention as u8;
    }

    /// Takes the first that waits.
    pub(crate) fn take(&mut self) -> Option<Attention> {
        let first = Attention::ALL.get(self.0.trailing_zeros() as usize).copied()?;
        self.forget(first);
        Some(first)
    }

    /// It was told by other means.
    pub(crate) fn forget(&mut self, attention: Attention) {
        self.0 &= !(1 << attention as u8);
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_in_their_order() {
        let mut waiting = Attentions::default();
        assert_eq!(waiting.take(), None);
        for attention in Attention::ALL.into_iter().rev().chain(Attention::ALL) {
            waiting.raise(attention);
        }
        waiting.forget(Attention::Reset);
        let told: Vec<_> = std::iter::from_fn(|| waiting.take()).collect();
        let expected: Vec<_> =
            Attention::ALL.into_iter().filter(|&each| each != Attention::Reset).collect();
        assert_eq!(told, expected);
        assert!(waiting.is_empty());
    }

    #[test]
    fn their_numbers_are_their_places() {
        for (no, attention) in Attention::ALL.into_iter().enumerate() {
            assert_eq!(attention as usize, no);
        }
    }
}
