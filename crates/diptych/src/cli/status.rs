//! `diptych status`.

use super::error::CliError;
use super::table::facts;
use super::{Asked, EXIT_CODES, Run, UnitArgs};
use diptych::rest::api::StatusInfo;
use indicatif::HumanBytes;
use std::time::Duration;

/// Show a unit that runs as a whole.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    unit: UnitArgs,
}

impl Run for StatusArgs {
    fn unit(&self) -> &UnitArgs {
        &self.unit
    }

    fn run(&self, asked: &Asked) -> Result<(), CliError> {
        asked.show("/v1/status", words)
    }
}

fn words(status: &StatusInfo) -> String {
    let StatusInfo { health, cache, pairs, .. } = status;
    let health = match (&health.why, health.healthy) {
        (Some(why), _) => why.clone(),
        (None, true) => "good".to_owned(),
        (None, false) => "bad".to_owned(),
    };
    let of_each = pairs.iter().map(|(status, count)| format!("{count} {status}"));
    let of_each: Vec<String> = of_each.collect();
    let all: usize = pairs.values().sum();
    let log = status.log.as_ref().map_or_else(
        || "none".to_owned(),
        |log| format!("{} of {} used", HumanBytes(log.used_bytes), HumanBytes(log.bytes)),
    );
    let blocked = match status.blocked_volumes {
        0 => String::new(),
        blocked => format!(", {blocked} of them blocked"),
    };
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_s));
    facts([
        ("unit", status.id.clone()),
        ("health", health),
        ("time", format!("{}, up {uptime}", status.utc)),
        ("volumes", format!("{}{blocked}", status.volumes)),
        ("pairs", [all.to_string()].into_iter().chain(of_each).collect::<Vec<_>>().join(", ")),
        ("groups", status.groups.to_string()),
        ("schedules", status.schedules.to_string()),
        ("cache", format!("{} tracks, {} not on the drives yet", cache.slots, cache.dirty_slots)),
        ("log", log),
    ])
}
