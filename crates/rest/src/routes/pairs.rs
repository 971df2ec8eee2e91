//! Pairs, and the commands for them.

use super::ldevs::not_in_use;
use super::{Asked, Query};
use crate::api::{CommandAnswer, CopyOptions, NewPair, PairCommand, PairInfo};
use crate::management::{App, answer};
use crate::names::Names;
use crate::problem::Failure;
use crate::waits::{WaitFor, until};
use axum::Json;
use axum::extract::{Path, State};
use diptych_cha::{Command, CommandCode, CreateAuto, HostOp, HostReply, Outcome, Who};
use diptych_format::LdevId;
use diptych_shared::{Pair, PairOptions, PairStatus};

type Answer<T> = Result<Json<T>, Failure>;

/// The pair as it is told.
fn info(app: &App, pair: &Pair, names: &Names) -> PairInfo {
    let (rt, unit) = (&app.rt, app.rt.unit());
    let (tracks, left) = (pair.c.track_count(), pair.c.count());
    let done = (tracks - left) * 100 / tracks.max(1);
    let speed = unit.copy_speed(pair.primary, pair.secondary, rt.now());
    let images = unit.images(pair.primary);
    let image_at = images.into_iter().find(|image| image.secondary == pair.secondary);
    PairInfo {
        number: pair.id.to_string(),
        primary: pair.primary.to_string(),
        primary_name: names.get(&pair.primary).cloned(),
        secondary: pair.secondary.to_string(),
        secondary_name: names.get(&pair.secondary).cloned(),
        status: shown_as(pair),
        status_text: pair.status.to_string(),
        copying: pair.is_copying(),
        pace: pair.options.pace.to_string(),
        lanes: pair.options.lanes,
        quick: pair.options.quick,
        limit: pair.options.limit.map(|limit| limit.to_string()),
        tracks,
        c_tracks: left,
        dp_tracks: pair.dp.count(),
        ds_tracks: pair.ds.count(),
        a_tracks: pair.a.count(),
        unreadable_tracks: pair.unreadable.count(),
        done_percent: done as u8,
        image: Some(pair.image.0).filter(|image| *image != 0),
        image_at: image_at.map(|image| image.utc.to_string()),
        copied_tracks: pair.copied_tracks,
        protected_tracks: pair.protected_tracks,
        tracks_per_second: speed.map(|speed| speed.tracks_per_second),
        held_by: speed.map(|speed| speed.held_by.to_string()),
    }
}

/// The status as Fig. 11 names it, in small letters.
pub(super) fn shown_as(pair: &Pair) -> String {
    pair.shown_as().to_lowercase()
}

/// A status in the words of the patent.
pub(super) fn text_of(status: Option<PairStatus>) -> String {
    status.map_or_else(|| "no pair".to_owned(), |status| status.to_string())
}

pub(super) async fn list(State(app): State<App>) -> Answer<Vec<PairInfo>> {
    answer(&app, |app| {
        let names = app.names();
        Ok(app.rt.unit().pairs().iter().map(|pair| info(app, pair, &names)).collect())
    })
    .await
}

fn one(app: &App, primary: LdevId, secondary: LdevId) -> Result<PairInfo, Failure> {
    let pair = app.rt.unit().pair(primary, secondary);
    let pair = pair.ok_or_else(|| Failure::no_pair(primary, secondary))?;
    Ok(info(app, &pair, &app.names()))
}

pub(super) async fn show(
    State(app): State<App>,
    Path((primary, secondary)): Path<(String, String)>,
    Query(wait): Query<WaitFor>,
) -> Answer<PairInfo> {
    let look = move |app: &App| one(app, app.ldev(&primary)?, app.ldev(&secondary)?);
    let over = wait.clone();
    until(&app, wait, look, move |pair| over.is_over(&pair.status)).await.map(Json)
}

/// The options asked for; what is left out is as it was.
pub(super) fn options(asked: &CopyOptions, before: PairOptions) -> Result<PairOptions, Failure> {
    let limit = match asked.limit.as_deref() {
        None => before.limit,
        Some("none") => None,
        Some(limit) => Some(limit.parse()?),
    };
    let pace = asked.pace.as_deref().map_or(Ok(before.pace), str::parse)?;
    let (lanes, quick) = (asked.lanes.unwrap_or(before.lanes), asked.quick.unwrap_or(before.quick));
    Ok(PairOptions { pace, lanes, quick, limit })
}

pub(super) async fn pace(
    State(app): State<App>,
    Path((primary, secondary)): Path<(String, String)>,
    Asked(asked): Asked<CopyOptions>,
) -> Answer<PairInfo> {
    answer(&app, move |app| {
        let (primary, secondary) = (app.ldev(&primary)?, app.ldev(&secondary)?);
        let before = app.rt.unit().pair(primary, secondary);
        let before = before.ok_or_else(|| Failure::no_pair(primary, secondary))?.options;
        let options = options(&asked, before)?;
        let now = app.rt.now();
        app.managed(|unit| unit.change_pace(primary, secondary, options, now))?;
        one(app, primary, secondary)
    })
    .await
}

pub(super) async fn create(
    State(app): State<App>,
    Asked(asked): Asked<NewPair>,
) -> Answer<CommandAnswer> {
    answer(&app, move |app| {
        let primary = app.ldev(&asked.primary)?;
        let auto = CreateAuto {
            options: options(&asked.options, PairOptions::default())?,
            initial_copy: !asked.no_copy,
            and_copy: asked.split,
            ..CreateAuto::new(primary).by(Who::Operator)
        };
        let code = CommandCode::Create;
        match &asked.secondary {
            Some(secondary) => {
                let secondary = app.ldev(secondary)?;
                let op = HostOp::Command(auto.choose(secondary));
                told(app, code, (primary, secondary), op)
            }
            None => told(app, code, (primary, primary), HostOp::CreateAuto(auto)),
        }
    })
    .await
}

/// Carries out a command, and tells what it came to.
fn told(
    app: &App,
    code: CommandCode,
    (primary, secondary): (LdevId, LdevId),
    op: HostOp,
) -> Result<CommandAnswer, Failure> {
    let outcome = match app.rt.execute(op) {
        HostReply::Outcome(outcome) => outcome,
        HostReply::Failed(error) => return Err(app.failed(error)),
        other => return Err(app.failed(Failure::bad(format_args!("{code}: {other:?}")))),
    };
    let (word, pair, secondary, from, to) = match outcome {
        Outcome::Accepted { pair, from, to } => ("accepted", Some(pair), secondary, from, to),
        Outcome::Chosen { pair, secondary, to } => {
            ("accepted", Some(pair), secondary, None, Some(to))
        }
        Outcome::Nothing { met } => ("nothing", None, secondary, met, met),
        Outcome::Refused(refusal) => return Err(app.failed(refusal)),
    };
    let found = app.rt.unit().pair(primary, secondary);
    Ok(CommandAnswer {
        outcome: word.to_owned(),
        command: code.to_string(),
        primary: primary.to_string(),
        secondary: secondary.to_string(),
        pair: pair.or(found.as_ref().map(|pair| pair.id)).map(|pair| pair.to_string()),
        from: text_of(from),
        to: text_of(to),
        image: found.map(|pair| pair.image.0).filter(|image| *image != 0),
    })
}

/// The command of this word, as it may be given for a pair or a group.
pub(super) fn code_of(word: &str, asked: &PairCommand) -> Result<CommandCode, Failure> {
    let code = match word.parse()? {
        CommandCode::Restore if asked.quick_restore => CommandCode::QuickRestore,
        code => code,
    };
    match code {
        CommandCode::Create => Err(Failure::bad("a pair is created by POST /v1/pairs")),
        CommandCode::QuickRestore => Ok(code),
        _ if asked.freeze => Err(Failure::bad("only a quick restore can freeze")),
        code => Ok(code),
    }
}

/// Whether the command takes the secondary from hosts that may use it.
fn cuts_off(code: CommandCode, freeze: bool) -> bool {
    match code {
        CommandCode::Resync | CommandCode::Restore | CommandCode::Suspend => true,
        CommandCode::QuickRestore => !freeze,
        CommandCode::Create | CommandCode::Delete | CommandCode::Copy => false,
    }
}

/// Refuses a command that takes the secondary from a host that uses it, unless it is forced.
pub(super) fn check_hosts(
    app: &App,
    code: CommandCode,
    asked: &PairCommand,
    (primary, secondary): (LdevId, LdevId),
) -> Result<(), Failure> {
    let pair = app.rt.unit().pair(primary, secondary);
    let usable = pair.is_some_and(|pair| match pair.status {
        PairStatus::Copied => true,
        PairStatus::CopyInProgress => pair.options.quick,
        _ => false,
    });
    if usable && cuts_off(code, asked.freeze) {
        not_in_use(app, secondary, asked.force)?;
    }
    Ok(())
}

pub(super) async fn command(
    State(app): State<App>,
    Path((primary, secondary, word)): Path<(String, String, String)>,
    Asked(asked): Asked<PairCommand>,
) -> Answer<CommandAnswer> {
    answer(&app, move |app| {
        let volumes = (app.ldev(&primary)?, app.ldev(&secondary)?);
        let code = code_of(&word, &asked)?;
        check_hosts(app, code, &asked, volumes)?;
        let before = app.rt.unit().pair(volumes.0, volumes.1);
        let before = before.map(|pair| pair.options).unwrap_or_default();
        let command = Command {
            options: options(&asked.options, before)?,
            freeze: asked.freeze,
            force: asked.force,
            ..Command::new(code, volumes.0, volumes.1).by(Who::Operator)
        };
        told(app, code, volumes, HostOp::Command(command))
    })
    .await
}
