//! What is refused, as an answer: a status of HTTP, a word, a sentence, and what to do about it.

use crate::api::Problem;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use diptych_cha::{HostError, LuError, NameError, Refusal, UserError};
use diptych_format::{GeometryError, IdError, LdevId, UnknownEmulation};
use diptych_shared::SharedError;
use diptych_unit::{CronError, ScheduleError, UnitError, UtcError};
use std::fmt;

/// An answer that is none of 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    what_to_do: Option<String>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl fmt::Display) -> Self {
        Self { status, code, message: message.to_string(), what_to_do: None }
    }

    /// The request makes no sense.
    pub(crate) fn bad(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// What is asked for is not there.
    pub(crate) fn missing(code: &'static str, message: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// As things are now it is not done.
    pub(crate) fn conflict(code: &'static str, message: impl fmt::Display) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// The unit cannot do it now.
    pub(crate) fn unavailable(code: &'static str, message: impl fmt::Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// The same, with what to do about it.
    pub(crate) fn or(self, what_to_do: impl fmt::Display) -> Self {
        Self { what_to_do: Some(what_to_do.to_string()), ..self }
    }

    /// The same, with the pair that it is about.
    pub(crate) fn about(self, pair: Option<(LdevId, LdevId)>) -> Self {
        let Some((primary, secondary)) = pair else { return self };
        Self { message: format!("pair {primary} {secondary}: {}", self.message), ..self }
    }

    pub(crate) fn no_volume(ldev: LdevId) -> Self {
        Self::missing("no-volume", format_args!("volume {ldev} does not exist"))
            .or("diptych ldev list tells the volumes")
    }

    pub(crate) fn no_pair(primary: LdevId, secondary: LdevId) -> Self {
        Self::missing("no-pair", format_args!("volumes {primary} and {secondary} are no pair"))
            .or("diptych pair list tells the pairs")
    }

    pub(crate) fn log_failed(message: impl fmt::Display) -> Self {
        Self::unavailable("log-failed", message)
            .or("the unit answers nothing any more: look at its disk, then start it again")
    }

    pub(crate) fn in_use(ldev: LdevId) -> Self {
        let message = format_args!("volume {ldev} is in use by a host, who would lose it");
        Self::conflict("in-use", message).or("detach it from its hosts first, or force it")
    }

    pub(crate) fn stopping() -> Self {
        Self::unavailable("stopping", "the control unit is stopping")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, code, message, what_to_do } = self;
        let code = code.to_owned();
        (status, Json(Problem { code, message, what_to_do })).into_response()
    }
}

/// Texts of a request that name nothing.
macro_rules! bad_request {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::bad(error)
            }
        })+
    };
}
bad_request!(NameError, IdError, GeometryError, UnknownEmulation, CronError, UtcError);

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        let failed = StatusCode::INTERNAL_SERVER_ERROR;
        match error {
            HostError::NoVolume { ldev } => Self::no_volume(ldev),
            HostError::Access { .. } => Self::conflict("no-access", error)
                .or("the pair's status decides: split it, or use the other volume"),
            HostError::Medium { .. } => Self::new(failed, "medium-error", error),
            HostError::Drive { .. } => Self::new(failed, "drive-failed", error),
            HostError::Busy => Self::unavailable("busy", error).or("ask again"),
            HostError::NoRoom => Self::unavailable("no-room", error),
            HostError::Stopping => Self::stopping(),
            error => Self::bad(error),
        }
    }
}

impl From<SharedError> for Failure {
    fn from(error: SharedError) -> Self {
        match error {
            SharedError::UnknownVolume { ldev } => Self::no_volume(ldev),
            SharedError::VolumeExists { .. } => Self::conflict("volume-exists", error),
            SharedError::VolumePaired { .. } => {
                Self::conflict("paired", error).or("delete its pairs first")
            }
            SharedError::VolumeClaimed { .. } => Self::conflict("claimed", error).or("ask again"),
            SharedError::TooManyQueued { .. } => Self::unavailable("busy", error).or("ask again"),
            SharedError::TooManyVolumes { .. } | SharedError::TooManyPairs { .. } => {
                Self::conflict("too-many", error)
            }
            error => Self::bad(error),
        }
    }
}

impl From<UnitError> for Failure {
    fn from(error: UnitError) -> Self {
        match error {
            UnitError::Shared(error) => error.into(),
            UnitError::NoPair { primary, secondary } => Self::no_pair(primary, secondary),
            UnitError::Paired { .. } => {
                Self::conflict("paired", error).or("delete its pairs first")
            }
            UnitError::Dka(_) => Self::conflict("no-space", error)
                .or("delete a volume, or make the unit with larger drives"),
            UnitError::TooManyGroups { .. }
            | UnitError::TooManyKept { .. }
            | UnitError::KeptFull { .. }
            | UnitError::NoBackings => Self::conflict("too-many", error),
            UnitError::ControlFull(_) => Self::conflict("log-too-small", error),
            UnitError::LogBusy(_) => Self::unavailable("log-busy", error).or("ask again"),
            UnitError::Log(error) => Self::log_failed(error),
            error => Self::bad(error),
        }
    }
}

impl From<ScheduleError> for Failure {
    fn from(error: ScheduleError) -> Self {
        match error {
            ScheduleError::TooMany { .. } => Self::conflict("too-many", error),
            ScheduleError::ControlFull(_) => Self::conflict("log-too-small", error),
            ScheduleError::LogBusy(_) => Self::unavailable("log-busy", error).or("ask again"),
            ScheduleError::Unknown { .. } => Self::missing("no-schedule", error),
            ScheduleError::NoPair { primary, secondary } => Self::no_pair(primary, secondary),
            ScheduleError::NoGroup { .. } => Self::missing("no-group", error),
            ScheduleError::Log(error) => Self::log_failed(error),
            error => Self::bad(error),
        }
    }
}

impl From<LuError> for Failure {
    fn from(error: LuError) -> Self {
        match error {
            LuError::NoLu { .. } | LuError::NoPort { .. } => Self::missing("no-lu", error),
            LuError::NoGroup { .. } => Self::missing("no-host-group", error)
                .or("diptych host-group list tells the host groups"),
            LuError::GroupTaken { .. } => Self::conflict("host-group-exists", error),
            LuError::FirstGroup { .. } => Self::conflict("first-host-group", error),
            LuError::TooManyGroups { .. } | LuError::TooManyInitiators { .. } => {
                Self::conflict("too-many", error)
            }
            error => Self::conflict("lu-taken", error),
        }
    }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Unknown => Self::missing("no-user", error),
            UserError::Exists => Self::conflict("user-exists", error),
            UserError::Fixed => Self::conflict("fixed-user", error).or("change diptych.toml"),
            UserError::TooMany { .. } => Self::conflict("too-many", error),
            UserError::Last => {
                Self::conflict("last-user", error).or("add another first, or force it")
            }
            error => Self::bad(error),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoVolume { ldev } => Self::no_volume(ldev),
            Refusal::Stopping => Self::stopping(),
            Refusal::Busy => Self::unavailable("busy", refusal).or("ask again"),
            refusal => {
                let (code, what_to_do) = refused(&refusal);
                let failure = Self::conflict(code, refusal);
                match what_to_do {
                    "" => failure,
                    what_to_do => failure.or(what_to_do),
                }
            }
        }
    }
}

/// The word for a refusal, and what to do about it.
fn refused(refusal: &Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::SameVolume { .. } => ("same-volume", ""),
        Refusal::SizeMismatch { .. } => ("size-mismatch", "take volumes of one size"),
        Refusal::TypeMismatch => ("type-mismatch", "take volumes of one emulation type"),
        Refusal::Cycle { .. } => ("cycle", ""),
        Refusal::ThirdLevel { .. } => ("third-level", ""),
        Refusal::FirstLevelNotCopied { .. } => {
            ("first-level-not-copied", "split the first-level pair, and wait for its copy")
        }
        Refusal::SecondaryIsSecondary { .. } => {
            ("secondary-is-secondary", "delete its pair first, or take another volume")
        }
        Refusal::SecondaryIsPrimary { .. } => {
            ("secondary-is-primary", "delete its pairs first, or take another volume")
        }
        Refusal::NotReserved { .. } => ("not-reserved", "diptych ldev reserve sets it aside"),
        Refusal::TooManySecondaries { .. } => ("too-many-secondaries", "delete a pair of it first"),
        Refusal::TooManyPairs { .. } => ("too-many", "delete a pair first"),
        Refusal::ControlFull { .. } => ("log-too-small", "delete a pair, or make a larger log"),
        Refusal::Undefined { .. } => {
            ("undefined", "format the volume, restore it, or accept it as it is")
        }
        Refusal::Blocked { .. } => ("blocked", "diptych ldev release lets hosts use it again"),
        Refusal::InUse { .. } => {
            ("in-use", "detach it from its hosts, and wait for half a minute after a write")
        }
        Refusal::Restoring => ("restoring", "wait for its end"),
        Refusal::Lanes { .. } => ("lanes", ""),
        Refusal::NoneToChoose { .. } => ("none-to-choose", "diptych ldev reserve sets one aside"),
        Refusal::PrimaryIsSecondary { .. } => ("primary-is-secondary", "delete that pair first"),
        Refusal::OtherPair { .. } => ("other-pair", "split or suspend that pair first"),
        Refusal::DrainLimit => ("drain-limit", "try again, or let hosts wait longer"),
        Refusal::NotForGroups => ("not-for-groups", ""),
        Refusal::GroupSize { .. } => ("group-size", ""),
        Refusal::GroupConflict { .. } => ("group-conflict", ""),
        _ => ("refused", ""),
    }
}
