//! What a step is answered, and what a scenario expects.
//!
//! The names of reasons are those of the types' variants in lower case with hyphens:
//! `Refusal::NotReserved` is `not-reserved`.

use diptych::cha::{Forbidden, GroupOutcome, HostError, HostReply, Outcome, Refusal};
use diptych::shared::{Pair, PairStatus};
use diptych::unit::UnitError;
use serde::de::{Deserialize, Deserializer, Error};
use std::fmt;

/// A status by one of its names: that of Fig. 8 (`paired and copied`) or that of Fig. 11 (`split`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusName {
    NoPair,
    Status(PairStatus),
    Shown(&'static str),
}

/// The names of Fig. 11; `simplex` is no pair.
const SHOWN: [&str; 8] =
    ["idle", "pending", "re-sync", "duplex", "SP-pending", "split", "resync-reverse", "suspend"];
const STATUS_NAMES: &str = "simplex, idle, pending, re-sync, duplex, SP-pending, split, \
     resync-reverse, suspend, or as in Fig. 8 \"no pair\", \"paired and not copied\", \
     \"paired and copy in progress\", \"paired and copied\"";

impl StatusName {
    fn read(text: &str) -> Result<Self, BadAnswer> {
        if ["simplex", "no pair"].contains(&text) {
            return Ok(Self::NoPair);
        }
        let status = PairStatus::ALL.into_iter().find(|status| status.to_string() == text);
        let shown = SHOWN.into_iter().find(|shown| *shown == text);
        match (status, shown) {
            (Some(status), _) => Ok(Self::Status(status)),
            (_, Some(shown)) => Ok(Self::Shown(shown)),
            _ => Err(BadAnswer::Status { name: text.to_owned() }),
        }
    }

    /// Whether the pair has it.
    pub(crate) fn is_of(self, pair: Option<&Pair>) -> bool {
        match self {
            Self::NoPair => pair.is_none(),
            Self::Status(status) => pair.is_some_and(|pair| pair.status == status),
            Self::Shown(shown) => pair.is_some_and(|pair| pair.shown_as() == shown),
        }
    }

    /// Whether it may be the name of this status, whose phase is not known.
    fn may_be(self, found: Option<PairStatus>) -> bool {
        match (self, found) {
            (Self::NoPair, None) => true,
            (Self::Status(status), Some(found)) => status == found,
            (Self::Shown(shown), Some(found)) => match found {
                PairStatus::PairedNotCopied => {
                    ["idle", "pending", "re-sync", "duplex"].contains(&shown)
                }
                PairStatus::CopyInProgress => shown == "SP-pending",
                PairStatus::Copied => shown == "split",
                PairStatus::Restoring => shown == "resync-reverse",
                PairStatus::Suspended => shown == "suspend",
            },
            _ => false,
        }
    }
}

impl fmt::Display for StatusName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPair => f.write_str("simplex"),
            Self::Status(status) => status.fmt(f),
            Self::Shown(shown) => f.write_str(shown),
        }
    }
}

impl<'de> Deserialize<'de> for StatusName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// What an answer amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A host operation or an operator's step that was done.
    Done,
    /// A command that was carried out: the status met, and the status now.
    Accepted { from: Option<PairStatus>, to: Option<PairStatus> },
    /// A command that met a status in which there is nothing to do.
    Nothing { met: Option<PairStatus> },
    /// Not allowed: the name of the reason, and its text.
    Refused { name: String, text: String },
    /// Allowed, but it failed.
    Failed { name: String, text: String },
}

impl Answer {
    /// What a host operation was answered.
    pub(crate) fn of(reply: &HostReply) -> Self {
        match reply {
            HostReply::Done | HostReply::Data(_) => Self::Done,
            // No verb asks for these.
            HostReply::Miscompare { .. }
            | HostReply::Allocation(_)
            | HostReply::Volume(_)
            | HostReply::Pairs(_) => Self::Done,
            HostReply::Outcome(outcome) => Self::of_outcome(*outcome),
            HostReply::Group(outcome) => Self::of_group(outcome),
            HostReply::Failed(error) => {
                let (name, text) = (host_error(error), error.to_string());
                match error {
                    HostError::Medium { .. } | HostError::Drive { .. } => {
                        Self::Failed { name, text }
                    }
                    _ => Self::Refused { name, text },
                }
            }
        }
    }

    /// Of a group, the statuses of its first pair.
    fn of_group(outcome: &GroupOutcome) -> Self {
        match outcome {
            GroupOutcome::Accepted { pairs, .. } => {
                let first = pairs.first();
                Self::Accepted { from: first.map(|p| p.from), to: first.map(|p| p.to) }
            }
            GroupOutcome::Nothing { met, .. } => Self::Nothing { met: *met },
            GroupOutcome::Refused { why, .. } => {
                Self::Refused { name: variant(why), text: why.to_string() }
            }
        }
    }

    fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted { from, to, .. } => Self::Accepted { from, to },
            Outcome::Chosen { to, .. } => Self::Accepted { from: None, to: Some(to) },
            Outcome::Nothing { met } => Self::Nothing { met },
            Outcome::Refused(why) => Self::Refused { name: variant(&why), text: why.to_string() },
        }
    }

    /// An operator was refused what was asked.
    pub(crate) fn refused(error: &(impl fmt::Debug + fmt::Display)) -> Self {
        Self::Refused { name: variant(error), text: error.to_string() }
    }

    /// What an operator's step came to.
    pub(crate) fn of_operator(done: Result<(), UnitError>) -> Self {
        match done {
            Ok(()) => Self::Done,
            Err(error) => {
                let name = match &error {
                    UnitError::Shared(inner) => variant(inner),
                    UnitError::Dka(inner) => variant(inner),
                    UnitError::Cache(inner) => variant(inner),
                    other => variant(other),
                };
                Self::Refused { name, text: error.to_string() }
            }
        }
    }

    /// The word that a scenario expects it by.
    fn word(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::Accepted { to, .. } => format!("accepted: {}", shown(*to)),
            Self::Nothing { met } => format!("nothing: {}", shown(*met)),
            Self::Refused { name, .. } => format!("refused: {name}"),
            Self::Failed { name, .. } => format!("failed: {name}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Accepted { from, to } if from == to => write!(f, "accepted: {}", shown(*to)),
            Self::Accepted { from, to } => {
                write!(f, "accepted: {} -> {}", shown(*from), shown(*to))
            }
            Self::Nothing { met } => write!(f, "nothing: {}", shown(*met)),
            Self::Refused { name, text } => write!(f, "refused: {name} ({text})"),
            Self::Failed { name, text } => write!(f, "failed: {name} ({text})"),
        }
    }
}

fn shown(status: Option<PairStatus>) -> String {
    status.map_or("no pair".to_owned(), |status| status.to_string())
}

/// What a scenario expects a step to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    Done,
    Accepted(Option<StatusName>),
    Nothing(Option<StatusName>),
    Refused(String),
    Failed(String),
}

/// An expectation that nothing can fulfil.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAnswer {
    #[error(
        "a step is expected to be \"done\", \"accepted\", \"nothing\", \"refused: reason\" or \
         \"failed: reason\""
    )]
    Answer,
    #[error("there is no reason {name:?} to be {kind}; there are {}", known.join(", "))]
    Reason { name: String, kind: &'static str, known: Vec<String> },
    #[error("there is no status {name:?}; there are {STATUS_NAMES}")]
    Status { name: String },
}

impl Expect {
    fn read(text: &str) -> Result<Self, BadAnswer> {
        let (word, rest) = match text.split_once(':') {
            Some((word, rest)) => (word.trim(), Some(rest.trim())),
            None => (text.trim(), None),
        };
        let status = || rest.map(StatusName::read).transpose();
        let reason = |kind, known: Vec<String>| match rest {
            Some(name) if known.iter().any(|known| known == name) => Ok(name.to_owned()),
            Some(name) => Err(BadAnswer::Reason { name: name.to_owned(), kind, known }),
            None => Err(BadAnswer::Answer),
        };
        match word {
            "done" if rest.is_none() => Ok(Self::Done),
            "accepted" => status().map(Self::Accepted),
            "nothing" => status().map(Self::Nothing),
            "refused" => reason("refused", refused_names()).map(Self::Refused),
            "failed" => reason("failed", strings(&FAILED)).map(Self::Failed),
            _ => Err(BadAnswer::Answer),
        }
    }

    /// How the answer differs, if it does.
    pub(crate) fn difference(&self, answer: &Answer) -> Option<String> {
        let holds = match (self, answer) {
            (Self::Done, Answer::Done) => true,
            (Self::Accepted(wanted), Answer::Accepted { to: found, .. })
            | (Self::Nothing(wanted), Answer::Nothing { met: found }) => {
                wanted.is_none_or(|wanted| wanted.may_be(*found))
            }
            (Self::Refused(wanted), Answer::Refused { name, .. })
            | (Self::Failed(wanted), Answer::Failed { name, .. }) => wanted == name,
            _ => false,
        };
        (!holds).then(|| match answer {
            Answer::Refused { text, .. } | Answer::Failed { text, .. } => {
                format!("it was {} ({text}), expected {self}", answer.word())
            }
            _ => format!("it was {}, expected {self}", answer.word()),
        })
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Accepted(None) => f.write_str("accepted"),
            Self::Accepted(Some(status)) => write!(f, "accepted: {status}"),
            Self::Nothing(None) => f.write_str("nothing"),
            Self::Nothing(Some(status)) => write!(f, "nothing: {status}"),
            Self::Refused(name) => write!(f, "refused: {name}"),
            Self::Failed(name) => write!(f, "failed: {name}"),
        }
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// The name of a variant, in lower case with hyphens. Derived, so that a new reason has a name at
/// once.
fn variant(error: &impl fmt::Debug) -> String {
    let debug = format!("{error:?}");
    let name = debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let mut hyphened = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !hyphened.is_empty() {
            hyphened.push('-');
        }
        hyphened.extend(letter.to_lowercase());
    }
    hyphened
}

/// An access that is not allowed is known by what forbids it.
fn host_error(error: &HostError) -> String {
    match error {
        HostError::Access { why, .. } => match why {
            Forbidden::Secondary(_) => "secondary".to_owned(),
            other => variant(other),
        },
        other => variant(other),
    }
}

const FAILED: [&str; 2] = ["medium", "drive"];
/// What hosts and operators are refused by; the commands' reasons come from their answer blocks.
const REFUSED: [&str; 19] = [
    "secondary",
    "reserved",
    "blocked",
    "out-of-range",
    "no-volume",
    "no-room",
    "busy",
    "no-pair",
    "no-image",
    "group-twice",
    "too-many-groups",
    "paired",
    "unknown-volume",
    "over",
    "twice",
    "no-images",
    "too-few",
    "too-many",
    "unknown",
];

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().copied().map(str::to_owned).collect()
}

/// All names of reasons to be refused, ascending.
fn refused_names() -> Vec<String> {
    let commands = (1..).map_while(refusal).map(|refusal| variant(&refusal));
    let mut names: Vec<String> = commands.chain(strings(&REFUSED)).collect();
    names.sort();
    names.dedup();
    names
}

/// A refusal with this number, as it would stand in an answer block: some operands are allowed.
fn refusal(number: u16) -> Option<Refusal> {
    const OPERANDS: [u64; 3] = [0, 1, 802];
    let any = Outcome::Refused(Refusal::TypeMismatch).encode();
    let with = |first: u64, second: u64| {
        let mut block = any;
        block[10..12].copy_from_slice(&number.to_le_bytes());
        block[24..32].copy_from_slice(&first.to_le_bytes());
        block[32..40].copy_from_slice(&second.to_le_bytes());
        match Outcome::decode(&block) {
            Ok(Outcome::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    };
    OPERANDS.iter().find_map(|first| OPERANDS.iter().find_map(|second| with(*first, *second)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych::format::LdevId;

    #[test]
    fn every_reason_has_a_name() {
        let names = refused_names();
        for name in ["no-volume", "not-reserved", "first-level-not-copied", "lanes", "restoring"] {
            assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
        }
    }

    #[test]
    fn expectations() {
        fn check(expected: &str, answer: &Answer, difference: Option<&str>) {
            let expect = Expect::read(expected).expect("an expectation");
            assert_eq!(expect.difference(answer).as_deref(), difference, "{expected}");
        }
        let to = Some(PairStatus::CopyInProgress);
        let accepted = Answer::Accepted { from: None, to };
        check("accepted", &accepted, None);
        check("accepted: SP-pending", &accepted, None);
        check(
            "accepted: split",
            &accepted,
            Some("it was accepted: paired and copy in progress, expected accepted: split"),
        );
        let ldev = LdevId::new(0, 1);
        let refused =
            Answer::of(&HostReply::Outcome(Outcome::Refused(Refusal::NotReserved { ldev })));
        check("refused: not-reserved", &refused, None);
        check(
            "nothing: simplex",
            &refused,
            Some(
                "it was refused: not-reserved (volume 00:01 is not reserved as a secondary), \
                 expected nothing: simplex",
            ),
        );
        let medium = HostError::Medium { ldev, block: diptych::format::BlockNo(7) };
        check("failed: medium", &Answer::of(&HostReply::Failed(medium)), None);
    }

    #[test]
    fn expectations_that_nothing_fulfils() {
        for text in ["", "ok", "refused", "failed", "done: split"] {
            assert_eq!(Expect::read(text), Err(BadAnswer::Answer), "{text}");
        }
        let message = |text| Expect::read(text).map_err(|error| error.to_string());
        let known = "failed: medum";
        let expected = "there is no reason \"medum\" to be failed; there are medium, drive";
        assert_eq!(message(known), Err(expected.to_owned()));
        assert!(message("accepted: done").is_err_and(|text| text.contains("SP-pending")));
    }
}
