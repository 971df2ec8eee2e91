//! `diptych pair wait`, `diptych group wait`: until there is a status. The unit answers when it is there.

use super::Asked;
use super::error::CliError;
use super::pair::{PairNames, show_words};
use super::part;
use diptych::rest::ClientError;
use diptych::rest::api::{GroupInfo, PairInfo};
use diptych::sync::thread;
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// How long the unit may let one request wait: with a progress bar, it is asked more often.
const ASK: Duration = Duration::from_secs(30);
const ASK_FOR_BAR: Duration = Duration::from_millis(500);
/// Where the unit lets no more requests wait, it is asked again after so long.
const BUSY: Duration = Duration::from_secs(1);
/// What a volume in no pair is.
const SIMPLEX: &str = "simplex";
const BAR: &str = "{wide_bar} {pos} of {len} {msg}";

/// What is waited for.
#[derive(Debug, clap::Args)]
pub(crate) struct UntilArgs {
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

/// How far it is.
struct Seen {
    /// What is not there yet, and its status; nothing, if all is.
    missing: Option<(String, String)>,
    done: u64,
    all: u64,
    message: String,
}

/// Waits for a pair, and tells it as it is then.
pub(super) fn pair(asked: &Asked, names: &PairNames, until: &UntilArgs) -> Result<(), CliError> {
    let called = format!("the pair of {} and {}", names.primary, names.secondary);
    let seen = |pair: &Option<PairInfo>| {
        let status = pair.as_ref().map_or(SIMPLEX, |pair| pair.status.as_str());
        let (all, left) = pair.as_ref().map_or((0, 0), |pair| (pair.tracks, pair.c_tracks));
        Seen {
            missing: (status != until.status).then(|| (called.clone(), status.to_owned())),
            done: all - left.min(all),
            all,
            message: format!("tracks, {status}"),
        }
    };
    let pair = wait(asked, &names.path()?, until, "no-pair", seen)?;
    asked.tell(&pair, |pair| pair.as_ref().map_or_else(String::new, show_words))
}

/// Waits for all pairs of a group, and tells them as they are then.
pub(super) fn group(
    asked: &Asked,
    name: &str,
    until: &UntilArgs,
    words: impl FnOnce(&GroupInfo) -> String,
) -> Result<(), CliError> {
    let seen = |group: &Option<GroupInfo>| {
        let pairs = group.as_ref().map_or(&[][..], |group| &group.pairs);
        let mut missing = pairs.iter().filter(|member| member.status != until.status);
        let first = missing.clone().find(|member| is_in_vain(&member.status, &until.status));
        let first = first.or_else(|| missing.clone().next()).map(|member| {
            let (primary, secondary) = (&member.pair.primary, &member.pair.secondary);
            (format!("the pair of {primary} and {secondary}"), member.status.clone())
        });
        let left = missing.by_ref().count() as u64;
        Seen {
            missing: first,
            done: pairs.len() as u64 - left,
            all: pairs.len() as u64,
            message: "pairs".to_owned(),
        }
    };
    let path = format!("/v1/groups/{}", part(name)?);
    let group = wait(asked, &path, until, "", seen)?;
    asked.tell(&group, |group| group.as_ref().map_or_else(String::new, words))
}

/// A pair that was suspended by a failure, or is none any more, would be waited for in vain.
fn is_in_vain(status: &str, wanted: &str) -> bool {
    matches!(status, "suspend" | SIMPLEX) && wanted != SIMPLEX
}

/// Asks until nothing is missing. Nothing is found where the unit answers with this code and the end of a
/// pair is waited for.
fn wait<T: DeserializeOwned>(
    asked: &Asked,
    path: &str,
    until: &UntilArgs,
    gone: &str,
    seen: impl Fn(&Option<T>) -> Seen,
) -> Result<Option<T>, CliError> {
    let begun = Instant::now();
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    let wanted = &until.status;
    let mut ask = Duration::ZERO;
    loop {
        let path = format!("{path}?wait={wanted}&timeout={}", ask.as_secs_f64());
        let found = match asked.get::<T>(&path) {
            Ok(found) => Some(found),
            Err(CliError::Client(ClientError::Refused { problem, .. }))
                if problem.code == gone && wanted == SIMPLEX =>
            {
                None
            }
            Err(CliError::Client(ClientError::Refused { problem, .. }))
                if problem.code == "busy" && !ask.is_zero() =>
            {
                thread::sleep(BUSY.min(ask));
                ask = Duration::ZERO;
                continue;
            }
            Err(error) => return Err(error),
        };
        let Seen { missing, done, all, message } = seen(&found);
        let Some((what, status)) = missing else {
            bar.finish_and_clear();
            return Ok(found);
        };
        if is_in_vain(&status, wanted) {
            return Err(CliError::WillNotBe { what, status, wanted: wanted.clone() });
        }
        bar.set_length(all);
        bar.set_position(done);
        bar.set_message(message);
        let waited = begun.elapsed();
        let left = until.timeout.map_or(ASK, |timeout| timeout.saturating_sub(waited));
        if left.is_zero() {
            let waited = until.timeout.unwrap_or(waited);
            return Err(CliError::Late { what, status, waited });
        }
        ask = left.min(if bar.is_hidden() { ASK } else { ASK_FOR_BAR });
    }
}
