//! Schedules.

use super::Asked;
use super::pairs::options;
use crate::api::{Done, NewSchedule, PairRef, ScheduleInfo, ScheduleScope, ScheduleWhen};
use crate::management::{App, answer};
use crate::problem::Failure;
use axum::Json;
use axum::extract::{Path, State};
use diptych_format::LdevId;
use diptych_shared::PairOptions;
use diptych_unit::{Rotation, Schedule, ScheduleId, ScheduleState, Scope, Utc, When};
use std::num::NonZeroU32;

type Answer<T> = Result<Json<T>, Failure>;

/// The schedule as it is told.
fn info(state: &ScheduleState) -> ScheduleInfo {
    let ScheduleState { id, schedule, next, last, running } = state;
    ScheduleInfo {
        id: id.0,
        scope: scope_info(&schedule.scope),
        scope_text: schedule.scope.to_string(),
        when: schedule.when.to_string(),
        next: next.map(|next| next.to_string()),
        last: last.map(|last| last.to_string()),
        running: *running,
    }
}

fn scope_info(scope: &Scope) -> ScheduleScope {
    let text = |ldev: &LdevId| ldev.to_string();
    match scope {
        Scope::Pair { primary, secondary } => {
            ScheduleScope::Pair(PairRef { primary: text(primary), secondary: text(secondary) })
        }
        Scope::Rotation(Rotation { primary, secondaries, images }) => ScheduleScope::Rotation {
            primary: text(primary),
            secondaries: secondaries.iter().map(text).collect(),
            images: *images,
        },
        Scope::Group(name) => ScheduleScope::Group { group: name.to_string() },
        Scope::Groups { groups, images } => ScheduleScope::Groups {
            groups: groups.iter().map(ToString::to_string).collect(),
            images: *images,
        },
        // What came later is told in words alone.
        other => ScheduleScope::Group { group: other.to_string() },
    }
}

fn scope_of(app: &App, asked: &ScheduleScope) -> Result<Scope, Failure> {
    Ok(match asked {
        ScheduleScope::Pair(PairRef { primary, secondary }) => {
            Scope::Pair { primary: app.ldev(primary)?, secondary: app.ldev(secondary)? }
        }
        ScheduleScope::Rotation { primary, secondaries, images } => {
            let secondaries = secondaries.iter().map(|text| app.ldev(text));
            Scope::Rotation(Rotation {
                primary: app.ldev(primary)?,
                secondaries: secondaries.collect::<Result<_, _>>()?,
                images: *images,
            })
        }
        ScheduleScope::Group { group } => Scope::Group(group.parse()?),
        ScheduleScope::Groups { groups, images } => {
            let groups = groups.iter().map(|name| name.parse());
            Scope::Groups { groups: groups.collect::<Result<_, _>>()?, images: *images }
        }
    })
}

fn when_of(asked: &ScheduleWhen, now: Utc) -> Result<When, Failure> {
    Ok(match asked {
        ScheduleWhen::At(at) => When::At(at.parse()?),
        ScheduleWhen::EverySeconds(seconds) => {
            let none = || Failure::bad("from one tick to the next is at least a second");
            let seconds = NonZeroU32::new(*seconds).ok_or_else(none)?;
            let from = now.seconds.saturating_add(i64::from(seconds.get()));
            When::Every { from: Utc::from_seconds(from), seconds }
        }
        ScheduleWhen::Cron(cron) => When::Cron(cron.parse()?),
    })
}

pub(super) async fn list(State(app): State<App>) -> Answer<Vec<ScheduleInfo>> {
    answer(&app, |app| Ok(app.rt.unit().schedules().iter().map(info).collect())).await
}

pub(super) async fn add(
    State(app): State<App>,
    Asked(asked): Asked<NewSchedule>,
) -> Answer<ScheduleInfo> {
    answer(&app, move |app| {
        let now = app.rt.now();
        let scope = scope_of(app, &asked.scope)?;
        let when = when_of(&asked.when, app.rt.unit().utc(now))?;
        let usual = PairOptions::default();
        let options = asked.options.as_ref().map(|asked| options(asked, usual)).transpose()?;
        let schedule = Schedule { options, ..Schedule::new(scope, when) };
        let id = app.managed(|unit| unit.add_schedule(schedule.clone(), now))?;
        let schedules = app.rt.unit().schedules();
        let added = schedules.iter().find(|state| state.id == id);
        // Its only tick may be over.
        let over = ScheduleState { id, schedule, next: None, last: None, running: false };
        Ok(info(added.unwrap_or(&over)))
    })
    .await
}

pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>) -> Answer<Done> {
    answer(&app, move |app| {
        let id = id.parse().map_err(|_| Failure::bad("a schedule has a number"))?;
        let now = app.rt.now();
        app.managed(|unit| unit.remove_schedule(ScheduleId(id), now))?;
        Ok(Done {})
    })
    .await
}
