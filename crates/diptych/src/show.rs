//! `diptych show`: volumes, pairs and schedules, as they would come back.

use crate::offline::{OfflineError, config};
use diptych::rt::UnitDir;
use diptych::shared::{Pair, Volume};
use diptych::unit::{Opened, ScheduleState};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  diptych show array
  diptych show array --json | jq .pairs

Exit codes:
  0  done
  1  the unit is there and does not come back: see diptych verify
  2  it cannot be looked at: no unit, in use, or the environment did not allow it";

/// Show what is in a unit directory: volumes, pairs and schedules.
///
/// Nothing is changed. The unit must not be in use.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// The unit directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Carries it out, and says with which code to exit.
pub(crate) fn run(args: &ShowArgs) -> Result<ExitCode, OfflineError> {
    let dir = UnitDir::lock(&args.dir)?;
    let Opened { unit, recovered, .. } = dir.look(config())?;
    let (volumes, pairs, schedules) = (unit.volumes(), unit.pairs(), unit.schedules());
    let text = if args.json {
        let shown = json!({
            "id": format!("{:016x}", dir.shape().id),
            "log": { "records": recovered.records, "torn": recovered.torn },
            "volumes": volumes.iter().map(volume_json).collect::<Vec<_>>(),
            "pairs": pairs.iter().map(pair_json).collect::<Vec<_>>(),
            "schedules": schedules.iter().map(schedule_json).collect::<Vec<_>>(),
        });
        format!("{shown:#}\n")
    } else {
        let mut text = format!("unit {:016x}\n", dir.shape().id);
        let lines = volumes.iter().map(volume_line);
        let lines = lines.chain(pairs.iter().map(pair_line));
        let lines = lines.chain(schedules.iter().map(schedule_line));
        lines.for_each(|line| text.push_str(&line));
        text
    };
    io::stdout().write_all(text.as_bytes()).map_err(OfflineError::Report)?;
    Ok(ExitCode::SUCCESS)
}

fn volume_line(volume: &Volume) -> String {
    let Volume { ldev, geometry, allocated, reserved, undefined, state, .. } = volume;
    let (tracks, all) = (allocated.count(), geometry.track_count());
    let mut line = format!(
        "volume {ldev}  {}  {} blocks  {tracks} of {all} tracks stored  {state:?}",
        geometry.emulation(),
        geometry.block_count()
    );
    for (is_so, word) in [(*reserved, "  reserved"), (*undefined, "  contents undefined")] {
        line.push_str(if is_so { word } else { "" });
    }
    line + "\n"
}

fn pair_line(pair: &Pair) -> String {
    let Pair { id, primary, secondary, status, phase, c, dp, ds, .. } = pair;
    format!(
        "pair   {primary} -> {secondary}  {status}  {phase:?}  C {}  DP {}  DS {}  number {id}\n",
        c.count(),
        dp.count(),
        ds.count()
    )
}

fn schedule_line(state: &ScheduleState) -> String {
    format!("schedule {}  {}\n", state.id, state.schedule)
}

fn volume_json(volume: &Volume) -> Value {
    json!({
        "ldev": volume.ldev.to_string(),
        "emulation": volume.geometry.emulation().to_string(),
        "blocks": volume.geometry.block_count(),
        "tracks": volume.geometry.track_count(),
        "stored_tracks": volume.allocated.count(),
        "state": format!("{:?}", volume.state),
        "reserved": volume.reserved,
        "undefined": volume.undefined,
    })
}

fn pair_json(pair: &Pair) -> Value {
    json!({
        "number": pair.id.to_string(),
        "primary": pair.primary.to_string(),
        "secondary": pair.secondary.to_string(),
        "status": pair.status.to_string(),
        "phase": format!("{:?}", pair.phase),
        "image": pair.image.0,
        "c_tracks": pair.c.count(),
        "dp_tracks": pair.dp.count(),
        "ds_tracks": pair.ds.count(),
    })
}

fn schedule_json(state: &ScheduleState) -> Value {
    json!({ "number": state.id.0, "schedule": state.schedule.to_string() })
}
