//! What became of the requests to a command device, by initiator.
//!
//! | when | what is kept for when the unit comes up again |
//! |---|---|
//! | before a command is carried out | its number and its bytes, without an outcome |
//! | after it was | its outcome too |
//! | if it was not, as the unit was busy | nothing of it |
//!
//! So a request whose number is known is never carried out twice. One of which only the first was kept is
//! *interrupted* after the restart: nobody knows whether it was carried out, and the pair information says
//! how things are.
//!
//! Invariants: answers are limited for each initiator, and initiators are; what makes room for another is
//! what was heard of longest ago; one task at a time has the answers of an initiator kept.

use crate::{COMMAND_BLOCK_BYTES, InitiatorName, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Answers that are kept for one initiator.
pub const ANSWERS_MAX: usize = 64;

/// Initiators that answers are kept for; the one that was heard of longest ago makes room for another.
pub(crate) const INITIATORS_MAX: usize = 64;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InBand {
    /// It is being carried out.
    Running,
    /// It came to this.
    Done(Outcome),
    /// The unit ended while it was carried out. Whether it was, nobody knows; it will not be now.
    Interrupted,
}

/// One request, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) sequence: u64,
    pub(crate) command: [u8; COMMAND_BLOCK_BYTES],
    pub(crate) became: InBand,
}

/// The answers of a command device.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    of: BTreeMap<InitiatorName, OfInitiator>,
    /// Counts requests, to know who was heard of longest ago.
    heard: u64,
}

/// Those to one initiator, newest last.
#[derive(Debug, Default)]
struct OfInitiator {
    /// Under which number they are kept.
    place: u8,
    heard: u64,
    answers: VecDeque<Answer>,
    /// A task has them kept.
    is_keeping: bool,
    /// They have changed since that task took them.
    has_changed: bool,
}

/// The answers to one initiator, as they are kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    who: InitiatorName,
    heard: u64,
    answers: Vec<KeptAnswer>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptAnswer {
    sequence: u64,
    command: [u8; COMMAND_BLOCK_BYTES],
    /// An answer block.
    outcome: Option<Vec<u8>>,
}

impl Answers {
    pub(crate) fn find(&self, who: &InitiatorName, sequence: u64) -> Option<&Answer> {
        self.of.get(who)?.answers.iter().find(|answer| answer.sequence == sequence)
    }

    pub(crate) fn newest(&self, who: &InitiatorName) -> Option<&Answer> {
        self.of.get(who)?.answers.back()
    }

    /// The answer whose number is `place` modulo their limit: the newest, if there are several.
    pub(crate) fn at(&self, who: &InitiatorName, place: u64) -> Option<&Answer> {
        let same = |answer: &&Answer| answer.sequence % ANSWERS_MAX as u64 == place;
        self.of.get(who)?.answers.iter().rev().find(same)
    }

    /// A request is about to be carried out. `false`: too many are under way, of this initiator or of all.
    pub(crate) fn begin(&mut self, who: &InitiatorName, answer: Answer) -> bool {
        self.heard += 1;
        if !self.of.contains_key(who) {
            let Some(place) = self.place() else { return false };
            self.of.insert(who.clone(), OfInitiator { place, ..OfInitiator::default() });
        }
        let of = self.of.entry(who.clone()).or_default();
        if of.answers.len() >= ANSWERS_MAX {
            // What is under way is not forgotten: it might be asked for again.
            if of.answers.front().is_some_and(|oldest| oldest.became == InBand::Running) {
                return false;
            }
            of.answers.pop_front();
        }
        of.heard = self.heard;
        of.has_changed = true;
        of.answers.push_back(answer);
        true
    }

    /// A free place to keep the answers of another initiator at.
    fn place(&mut self) -> Option<u8> {
        if self.of.len() >= INITIATORS_MAX {
            let rests = |of: &OfInitiator| {
                !of.is_keeping && of.answers.iter().all(|answer| answer.became != InBand::Running)
            };
            let resting = self.of.iter().filter(|(_, of)| rests(of));
            let (oldest, _) = resting.min_by_key(|(_, of)| of.heard)?;
            let oldest = oldest.clone();
            return self.of.remove(&oldest).map(|of| of.place);
        }
        let taken: BTreeSet<u8> = self.of.values().map(|of| of.place).collect();
        (0..INITIATORS_MAX as u8).find(|place| !taken.contains(place))
    }

    /// A request has come to this; or to nothing, and is forgotten.
    pub(crate) fn end(&mut self, who: &InitiatorName, sequence: u64, outcome: Option<Outcome>) {
        let Some(of) = self.of.get_mut(who) else { return };
        of.has_changed = true;
        match (of.answers.iter_mut().find(|answer| answer.sequence == sequence), outcome) {
            (Some(answer), Some(outcome)) => answer.became = InBand::Done(outcome),
            (Some(_), None) => of.answers.retain(|answer| answer.sequence != sequence),
            (None, _) => {}
        }
    }

    /// What is to be kept of an initiator's answers, and where: nothing, if there are none. `None`: another
    /// task has them kept, and will do so again.
    pub(crate) fn take_to_keep(&mut self, who: &InitiatorName) -> Option<(u8, Option<Vec<u8>>)> {
        let of = self.of.get_mut(who)?;
        if of.is_keeping {
            of.has_changed = true;
            return None;
        }
        of.has_changed = false;
        let answers: Vec<KeptAnswer> = of.answers.iter().map(KeptAnswer::of).collect();
        let kept = Kept { who: who.clone(), heard: of.heard, answers };
        // Numbers and a name: that is always written.
        let value = postcard::to_allocvec(&kept).ok().filter(|_| !kept.answers.is_empty());
        of.is_keeping = true;
        Some((of.place, value))
    }

    /// They are kept. Whether they have changed since.
    pub(crate) fn kept(&mut self, who: &InitiatorName) -> bool {
        let Some(of) = self.of.get_mut(who) else { return false };
        of.is_keeping = false;
        of.has_changed
    }

    /// Takes up what was kept at a place. Whether it makes sense.
    pub(crate) fn restore(&mut self, place: u8, value: &[u8]) -> bool {
        let Ok(Kept { who, heard, answers }) = postcard::from_bytes(value) else { return false };
        let is_sound = usize::from(place) < INITIATORS_MAX
            && answers.len() <= ANSWERS_MAX
            && !self.of.contains_key(&who)
            && self.of.values().all(|of| of.place != place);
        if is_sound {
            self.heard = self.heard.max(heard);
            let answers = answers.into_iter().map(KeptAnswer::restored).collect();
            let (is_keeping, has_changed) = (false, false);
            self.of.insert(who, OfInitiator { place, heard, answers, is_keeping, has_changed });
        }
        is_sound
    }
}

impl KeptAnswer {
    fn of(answer: &Answer) -> Self {
        let outcome = match answer.became {
            InBand::Done(outcome) => Some(outcome.encode().to_vec()),
            InBand::Running | InBand::Interrupted => None,
        };
        Self { sequence: answer.sequence, command: answer.command, outcome }
    }

    fn restored(self) -> Answer {
        let outcome = self.outcome.and_then(|bytes| Outcome::decode(&bytes).ok());
        let became = outcome.map_or(InBand::Interrupted, InBand::Done);
        Answer { sequence: self.sequence, command: self.command, became }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(no: usize) -> InitiatorName {
        format!("iqn.{no}").parse().expect("a name")
    }

    fn running(sequence: u64) -> Answer {
        Answer { sequence, command: [7; COMMAND_BLOCK_BYTES], became: InBand::Running }
    }

    #[test]
    fn answers_are_limited() {
        let mut answers = Answers::default();
        let nothing = Outcome::Nothing { met: None };
        for sequence in 0..ANSWERS_MAX as u64 {
            assert!(answers.begin(&who(0), running(sequence)));
        }
        assert!(!answers.begin(&who(0), running(64)));
        answers.end(&who(0), 0, Some(nothing));
        assert!(answers.begin(&who(0), running(64)));
        assert!(answers.find(&who(0), 0).is_none() && answers.find(&who(0), 1).is_some());
        assert_eq!(answers.at(&who(0), 0).map(|answer| answer.sequence), Some(64));
        for no in 1..INITIATORS_MAX {
            assert!(answers.begin(&who(no), running(1)));
        }
        // All of them wait for an answer: nobody makes room.
        assert!(!answers.begin(&who(99), running(1)));
        for no in [2, 1] {
            answers.end(&who(no), 1, Some(nothing));
        }
        assert!(answers.begin(&who(99), running(1)));
        assert!(answers.newest(&who(1)).is_none() && answers.newest(&who(2)).is_some());
        answers.end(&who(99), 1, None);
        assert!(answers.newest(&who(99)).is_none());
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut answers = Answers::default();
        let outcome = Outcome::Nothing { met: None };
        for (no, sequence) in [(0, 5), (1, 8), (1, 9)] {
            assert!(answers.begin(&who(no), running(sequence)));
        }
        answers.end(&who(1), 8, Some(outcome));
        let mut again = Answers::default();
        for no in [0, 1] {
            let (place, value) = answers.take_to_keep(&who(no)).expect("nobody else");
            assert_eq!(usize::from(place), no);
            let value = value.expect("answers");
            assert!(again.restore(place, &value) && !again.restore(place, &value));
            assert!(!Answers::default().restore(64, &value));
            assert!(!Answers::default().restore(place, &value[..value.len() - 1]));
        }
        let became = |no, sequence| again.find(&who(no), sequence).map(|answer| answer.became);
        assert_eq!(became(0, 5), Some(InBand::Interrupted));
        assert_eq!(became(1, 8), Some(InBand::Done(outcome)));
        assert_eq!(again.newest(&who(1)).map(|newest| newest.sequence), Some(9));
        assert_eq!(again.heard, 3);
    }

    #[test]
    fn one_task_keeps_and_learns_that_it_has_to_again() {
        let mut answers = Answers::default();
        assert!(answers.begin(&who(0), running(1)));
        assert!(answers.take_to_keep(&who(0)).is_some());
        assert!(answers.begin(&who(0), running(2)));
        assert!(answers.take_to_keep(&who(0)).is_none());
        assert!(answers.kept(&who(0)));
        assert!(answers.take_to_keep(&who(0)).is_some());
        assert!(!answers.kept(&who(0)));
        for sequence in [1, 2] {
            answers.end(&who(0), sequence, None);
        }
        assert_eq!(answers.take_to_keep(&who(0)), Some((0, None)));
    }
}
