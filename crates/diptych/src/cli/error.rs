//! Why a command ends otherwise than well, and with which exit code.

use super::inband::InbandError;
use diptych::rest::ClientError;
use diptych::rest::api::Problem;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What the unit answers with when a request makes no sense.
const BAD_REQUEST: u16 = 400;

/// Why a command ends otherwise than well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Inband(#[from] InbandError),
    #[error("which unit? say --dir DIR, --url URL, or set DIPTYCH_URL")]
    NoUnit,
    #[error(
        "{text:?} is no volume and no group: 00:1A, or letters, digits, dots, dashes, underscores"
    )]
    NotName { text: String },
    #[error("nothing to do: {0}")]
    Nothing(String),
    #[error("{what} is {status}, and will not be {wanted} by itself")]
    WillNotBe { what: String, status: String, wanted: String },
    #[error("waited {}: {what} is {status}", humantime::format_duration(*.waited))]
    Late { what: String, status: String, waited: Duration },
    #[error("not done")]
    NotWanted,
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot write the answer: {0}")]
    Tell(#[source] io::Error),
    #[error("cannot write the answer: {0}")]
    Json(#[source] serde_json::Error),
}

impl CliError {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Client(ClientError::Refused { status, .. }) if *status != BAD_REQUEST => 1,
            Self::Client(ClientError::Short { .. } | ClientError::Http(_)) => 1,
            Self::Nothing(_) | Self::WillNotBe { .. } | Self::NotWanted => 1,
            Self::Inband(error) => error.exit_code(),
            Self::Late { .. } => 3,
            _ => 2,
        }
    }

    /// The word for it, for programs.
    fn code(&self) -> &str {
        match self {
            Self::Client(ClientError::Refused { problem, .. }) => &problem.code,
            Self::Client(ClientError::Connect { .. }) => "no-answer",
            Self::Client(_) => "broken-off",
            Self::Inband(error) => error.code(),
            Self::Nothing(_) => "nothing",
            Self::WillNotBe { .. } => "will-not-be",
            Self::Late { .. } => "late",
            Self::NotWanted => "not-wanted",
            Self::NoUnit | Self::NotName { .. } => "bad-input",
            Self::File { .. } | Self::Tell(_) | Self::Json(_) => "local",
        }
    }

    /// What to do about it.
    fn what_to_do(&self) -> Option<String> {
        match self {
            Self::Client(ClientError::Refused { problem, .. }) => problem.what_to_do.clone(),
            Self::Client(ClientError::Connect { .. }) => {
                Some("diptych serve runs a unit, and says where it is asked".to_owned())
            }
            Self::Inband(error) => error.what_to_do(),
            _ => None,
        }
    }

    /// What is said on stderr.
    pub(super) fn told(&self, json: bool) -> String {
        let (message, what_to_do) = (self.to_string(), self.what_to_do());
        if json {
            let problem = Problem { code: self.code().to_owned(), message, what_to_do };
            return serde_json::to_string(&problem).unwrap_or_default() + "\n";
        }
        let more = what_to_do.map_or_else(String::new, |what| format!("  what to do: {what}\n"));
        format!("diptych: {message}\n{more}")
    }
}
