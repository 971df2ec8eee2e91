//! `diptych pair wait`: until a pair has a status.

use super::Asked;
use super::error::CliError;
use super::pair::{PairNames, show_words};
use diptych::rest::ClientError;
use diptych::rest::api::PairInfo;
use diptych::sync::thread;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// From one look to the next.
const LOOK: Duration = Duration::from_millis(100);
/// What a volume in no pair is.
const SIMPLEX: &str = "simplex";
const BAR: &str = "{wide_bar} {pos} of {len} tracks, {msg}";

/// What is waited for.
#[derive(Debug, clap::Args)]
pub(super) struct WaitArgs {
    #[command(flatten)]
    pair: PairNames,

    /// The status: duplex, split, suspend, idle, pending, re-sync, sp-pending, resync-reverse, or simplex
    /// for no pair
    #[arg(long, value_name = "STATUS", default_value = "split", value_parser = status)]
    status: String,

    /// How long at most, as 10m; without it as long as it takes
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

/// Every status, and words that people use for some of them.
fn status(text: &str) -> Result<String, &'static str> {
    let text = text.to_lowercase();
    match text.as_str() {
        "duplex" | "split" | "suspend" | "idle" | "pending" | "re-sync" | "sp-pending"
        | "resync-reverse" | SIMPLEX => Ok(text),
        "suspended" => Ok("suspend".to_owned()),
        "resync" => Ok("re-sync".to_owned()),
        "restoring" => Ok("resync-reverse".to_owned()),
        _ => Err("the statuses are duplex, split, suspend, idle, pending, re-sync, sp-pending, \
                  resync-reverse and simplex"),
    }
}

/// Waits, and tells the pair as it is then.
pub(super) fn wait(asked: &Asked, args: &WaitArgs) -> Result<(), CliError> {
    let path = args.pair.path()?;
    let begun = Instant::now();
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    loop {
        let pair = match asked.get::<PairInfo>(&path) {
            Ok(pair) => Some(pair),
            Err(CliError::Client(ClientError::Refused { problem, .. }))
                if problem.code == "no-pair" && args.status == SIMPLEX =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let status = pair.as_ref().map_or(SIMPLEX, |pair| pair.status.as_str()).to_owned();
        if status == args.status {
            bar.finish_and_clear();
            return asked.tell(&pair, |pair| pair.as_ref().map_or_else(String::new, show_words));
        }
        let (primary, secondary) = (args.pair.primary.clone(), args.pair.secondary.clone());
        // A pair that was suspended by a failure would be waited for in vain.
        if status == "suspend" && args.status != SIMPLEX {
            let wanted = args.status.clone();
            return Err(CliError::WillNotBe { primary, secondary, status, wanted });
        }
        if let Some(pair) = &pair {
            bar.set_length(pair.tracks);
            bar.set_position(pair.tracks - pair.c_tracks.min(pair.tracks));
            bar.set_message(pair.status.clone());
        }
        let waited = begun.elapsed();
        let left = args.timeout.map_or(LOOK, |timeout| timeout.saturating_sub(waited));
        if left.is_zero() {
            let waited = args.timeout.unwrap_or(waited);
            return Err(CliError::Late { primary, secondary, status, waited });
        }
        thread::sleep(left.min(LOOK));
    }
}
