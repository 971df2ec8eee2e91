//! `diptych verify`: whether everything in a unit directory is right.
//!
//! First the log, then the control state that it holds, then every stored block: LA and CD on the
//! drives, the log's data over it. Nothing is changed without `--repair`, and nothing is guessed with it.

use crate::demo::Progress;
use crate::offline::{OfflineError, config, is_damage};
use diptych::rt::{UnitDir, UnitDirError, Verified, VerifiedVolume, WrongTrack, allocated_tracks};
use diptych::unit::{Opened, Recovered};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  diptych verify array
  diptych verify array --repair
  diptych verify array --json

Exit codes:
  0  all of it is right; a torn end of the log is: nothing in it was answered
  1  something is wrong
  2  it cannot be looked at: no unit, in use, made by a later program, or the environment did not
     allow it";

/// Check a unit directory: its log, its control state, and every stored block.
///
/// LA and CD of each block of each stored track are checked as they are on the drives, with the log's
/// data over it, as the unit would find them. Nothing is changed. The unit must not be in use.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The unit directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// Put right what needs no guess: give up a torn end of the log, and write what is in the log to
    /// the drives again. Then check once more
    #[arg(long)]
    repair: bool,

    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
}

/// What was found: the log and the control state are right if there is anything of it.
struct Findings {
    recovered: Recovered,
    verified: Verified,
    /// Tracks that were written again.
    repaired: Option<u64>,
}

impl Findings {
    fn is_right(&self) -> bool {
        self.recovered.lost.is_none() && self.verified.is_right()
    }
}

/// Checks, and says with which code to exit.
pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode, OfflineError> {
    let found = match verify(args) {
        Err(error) if is_damage(&error) => Err(error),
        other => Ok(other?),
    };
    let is_right = found.as_ref().is_ok_and(Findings::is_right);
    let text = if args.json { as_json(args, &found) } else { as_lines(&found) };
    io::stdout().write_all(text.as_bytes()).map_err(OfflineError::Report)?;
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn verify(args: &VerifyArgs) -> Result<Findings, UnitDirError> {
    let dir = UnitDir::lock(&args.dir)?;
    let (recovered, verified) = look(&dir, "reading")?;
    // To come back from a damaged log is for the operator to decide.
    if !args.repair || recovered.lost.is_some() {
        return Ok(Findings { recovered, verified, repaired: None });
    }
    let repaired = Some(dir.repair(config())?);
    let (_, verified) = look(&dir, "reading again")?;
    Ok(Findings { recovered, verified, repaired })
}

fn look(dir: &UnitDir, step: &'static str) -> Result<(Recovered, Verified), UnitDirError> {
    let Opened { unit, plant, recovered } = dir.look(config())?;
    let tracks = allocated_tracks(&unit);
    let bar = Progress::new().step(step, tracks);
    let verified = Verified::of(&unit, &plant, |read| bar.at(read));
    bar.done(&format!("{tracks} tracks"));
    Ok((recovered, verified))
}

fn as_lines(found: &Result<Findings, UnitDirError>) -> String {
    let found = match found {
        Ok(found) => found,
        Err(error) => return format!("wrong: {error}\n"),
    };
    let Findings { recovered, verified, repaired } = found;
    let Recovered { records, torn, changes, volumes, pairs, .. } = recovered;
    let end = if recovered.lost.is_some() {
        "damaged"
    } else if *torn {
        "its end is torn, nothing in that was answered"
    } else {
        "whole"
    };
    let mut text = format!(
        "log: {records} records, {end}\ncontrol state: {volumes} volumes, {pairs} pairs, {changes} changes \
         since the checkpoint\n"
    );
    if let Some(lost) = recovered.lost {
        let _ = writeln!(
            text,
            "wrong: the log is damaged: record {lost} had been durable and is missing, and all behind it. \
             When the unit comes back its pairs are suspended and its volumes blocked, until you release \
             them. Nothing of this is repaired"
        );
    }
    for volume in &verified.volumes {
        let VerifiedVolume { ldev, tracks, blocks, in_log_blocks, .. } = volume;
        let VerifiedVolume { behind_blocks, wrong_blocks, failed, .. } = volume;
        let _ = writeln!(
            text,
            "volume {ldev}: {tracks} tracks, {blocks} blocks, {in_log_blocks} of them in the log, \
             {behind_blocks} wrong on the drive and right in the log, {wrong_blocks} wrong"
        );
        if let Some(error) = failed {
            let _ = writeln!(text, "wrong: volume {ldev}: {error}: the rest of it was not read");
        }
    }
    for WrongTrack { ldev, track, blocks, first } in &verified.wrong {
        let count = blocks.iter().count();
        let _ = match first {
            Some(first) => {
                writeln!(text, "wrong: volume {ldev}, track {track}, {count} blocks: {first}")
            }
            None => writeln!(text, "wrong: volume {ldev}, track {track}: {count} blocks"),
        };
    }
    if let Some(tracks) = repaired {
        let torn = if *torn { "the torn end of the log was given up; " } else { "" };
        let _ = writeln!(text, "repaired: {torn}{tracks} tracks were written from the log");
        if !verified.is_right() {
            text.push_str(
                "not repaired: wrong blocks that the log has not. Write them again, or take them from a \
                 secondary\n",
            );
        }
    }
    text.push_str(if found.is_right() { "all of it is right\n" } else { "something is wrong\n" });
    text
}

fn as_json(args: &VerifyArgs, found: &Result<Findings, UnitDirError>) -> String {
    let dir = args.dir.display().to_string();
    let shown = match found {
        Err(error) => json!({ "dir": dir, "right": false, "error": error.to_string() }),
        Ok(found @ Findings { recovered, verified, repaired }) => json!({
            "dir": dir,
            "right": found.is_right(),
            "log": {
                "records": recovered.records,
                "torn": recovered.torn,
                "first_lost": recovered.lost.map(|lost| lost.0),
            },
            "control": {
                "volumes": recovered.volumes,
                "pairs": recovered.pairs,
                "changes": recovered.changes,
            },
            "volumes": verified.volumes.iter().map(volume_json).collect::<Vec<_>>(),
            "wrong": verified.wrong.iter().map(wrong_json).collect::<Vec<_>>(),
            "repaired_tracks": repaired,
        }),
    };
    format!("{shown:#}\n")
}

fn volume_json(volume: &VerifiedVolume) -> Value {
    json!({
        "ldev": volume.ldev.to_string(),
        "tracks": volume.tracks,
        "blocks": volume.blocks,
        "in_log_blocks": volume.in_log_blocks,
        "behind_blocks": volume.behind_blocks,
        "wrong_blocks": volume.wrong_blocks,
        "failed": volume.failed.as_ref().map(ToString::to_string),
    })
}

fn wrong_json(wrong: &WrongTrack) -> Value {
    json!({
        "ldev": wrong.ldev.to_string(),
        "track": wrong.track.0,
        "blocks": wrong.blocks.iter().collect::<Vec<_>>(),
        "first": wrong.first.as_ref().map(ToString::to_string),
    })
}
