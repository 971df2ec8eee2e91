//! How a pair is to be copied.

use diptych::rest::api::CopyOptions;
use diptych::shared::{Pace, PaceLimit, PairOptions};

/// How a pair is to be copied; what is not said stays as it is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CopyArgs {
    /// slow, medium, fast, or 1 to 15 tracks an elemental copy
    #[arg(long, value_name = "PACE")]
    pace: Option<Pace>,

    /// Jobs that copy at once
    #[arg(long, value_name = "N")]
    lanes: Option<u8>,

    /// Whether hosts may use the secondary before the copy has ended
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    quick: Option<bool>,

    /// What holds the copy back beyond its pace: 200/s, 500us, or none
    #[arg(long, value_name = "LIMIT", value_parser = limit)]
    limit: Option<String>,
}

fn limit(text: &str) -> Result<String, diptych::shared::SharedError> {
    if text != "none" {
        text.parse::<PaceLimit>()?;
    }
    Ok(text.to_owned())
}

impl CopyArgs {
    /// What is said, over what was so before.
    pub(super) fn over(&self, before: PairOptions) -> PairOptions {
        let limit = match self.limit.as_deref() {
            None => before.limit,
            // What is none was checked to be a limit.
            Some(limit) => limit.parse().ok(),
        };
        PairOptions {
            pace: self.pace.unwrap_or(before.pace),
            lanes: self.lanes.unwrap_or(before.lanes),
            quick: self.quick.unwrap_or(before.quick),
            limit,
        }
    }

    pub(super) fn options(&self) -> CopyOptions {
        CopyOptions {
            pace: self.pace.map(|pace| pace.to_string()),
            lanes: self.lanes,
            quick: self.quick,
            limit: self.limit.clone(),
        }
    }
}
