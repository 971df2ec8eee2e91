//! Why a command in band ends otherwise than well.

use diptych::cha::Refusal;
use diptych::format::LdevId;
use diptych::iscsi::client::{ClientError, IscsiUrl};
use std::path::PathBuf;

/// Why a command in band ends otherwise than well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InbandError {
    #[error("which command device? say --url iscsi://HOST:PORT/TARGET/LUN, or set DIPTYCH_DEVICE")]
    NoDevice,
    #[error("{}: a password has 12 to 128 bytes", path.display())]
    Password { path: PathBuf },
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the connection broke while request {sequence} was under way: {source}")]
    Cut { sequence: u64, source: ClientError },
    #[error("{url} is no command device: it is {found:?}")]
    NotDevice { url: IscsiUrl, found: String },
    #[error("the target refuses {what}: status {status:#04x}{}", sense_words(*sense))]
    Scsi { what: &'static str, status: u8, sense: Option<(u8, [u8; 2])> },
    #[error("request {sequence} was another command")]
    OtherCommand { sequence: u64 },
    #[error("what the command device answers makes no sense")]
    Nonsense,
    #[error("volumes {primary} and {secondary} are no pair")]
    NoPair { primary: LdevId, secondary: LdevId },
    #[error("request {sequence} is still being carried out")]
    Running { sequence: u64 },
    #[error("the unit ended while it carried out request {sequence}: nobody knows what came of it")]
    Interrupted { sequence: u64 },
    #[error("the answer to request {sequence} was pushed out by those to later ones")]
    Pushed { sequence: u64 },
    #[error("{refusal}")]
    Refused { refusal: Refusal },
}

fn sense_words(sense: Option<(u8, [u8; 2])>) -> String {
    sense.map_or_else(String::new, |(key, [code, qualifier])| {
        format!(", sense key {key:X}, code {code:02X}/{qualifier:02X}")
    })
}

impl InbandError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NoDevice | Self::Password { .. } | Self::NotDevice { .. } => 2,
            Self::Client(_) | Self::OtherCommand { .. } => 2,
            _ => 1,
        }
    }

    /// The word for it, for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoDevice | Self::Password { .. } => "bad-input",
            Self::Client(ClientError::Connect { .. }) => "no-answer",
            Self::Client(ClientError::Refused { .. } | ClientError::NoCredentials) => "no-login",
            Self::Client(_) | Self::Cut { .. } => "broken-off",
            Self::NotDevice { .. } => "no-command-device",
            Self::Scsi { .. } | Self::Nonsense => "scsi",
            Self::OtherCommand { .. } => "other-command",
            Self::NoPair { .. } => "no-pair",
            Self::Running { .. } => "running",
            Self::Interrupted { .. } => "interrupted",
            Self::Pushed { .. } => "no-answer-kept",
            Self::Refused { .. } => "refused",
        }
    }

    /// What to do about it.
    pub(crate) fn what_to_do(&self) -> Option<String> {
        let again = |sequence: &u64| {
            format!("the same with --sequence {sequence} tells, and carries nothing out twice")
        };
        match self {
            Self::NoDevice | Self::NotDevice { .. } => Some(
                "diptych lu add PATH LDEV --command-device makes a volume one; diptych serve tells \
                 the URLs of all logical units when it starts"
                    .to_owned(),
            ),
            Self::Client(ClientError::Connect { .. }) => {
                Some("diptych serve runs a unit, and says where it is".to_owned())
            }
            Self::Client(ClientError::NoCredentials) => {
                Some("say --user and --password-file".to_owned())
            }
            Self::Cut { sequence, .. } | Self::Running { sequence } => Some(again(sequence)),
            Self::OtherCommand { .. } => Some("say another --sequence, or none".to_owned()),
            Self::NoPair { .. } => Some("diptych inband list tells the pairs".to_owned()),
            Self::Interrupted { .. } | Self::Pushed { .. } => Some(
                "diptych inband show tells how the pair is; then ask with another --sequence"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
