//! Host groups: who may log in to a port, and finds which volumes there (LUN masking).
//!
//! A change is kept before it is made. Sessions of those who are not admitted any more end.

use super::lus::{change, scsi};
use super::{Asked, Query};
use crate::api::{Admit, ChangeHostGroup, Done, Force, HostGroupInfo, NewHostGroup};
use crate::management::{App, answer};
use crate::problem::Failure;
use crate::server::Scsi;
use axum::Json;
use axum::extract::{Path, State};
use diptych_cha::{HostGroup, HostGroupName, InitiatorName, LuMap, TargetId};

type Answer<T> = Result<Json<T>, Failure>;

fn info(scsi: &Scsi, at: TargetId, group: &HostGroup) -> HostGroupInfo {
    let text = |names: Vec<InitiatorName>| names.iter().map(ToString::to_string).collect();
    HostGroupInfo {
        group: at.to_string(),
        name: group.name.to_string(),
        target: (scsi.target_name)(at),
        initiators: text(group.initiators.iter().cloned().collect()),
        sessions: text(scsi.target.initiators_at(at)),
        luns: group.units().count(),
    }
}

fn one(app: &App, at: TargetId) -> Result<HostGroupInfo, Failure> {
    let scsi = scsi(app)?;
    let map = scsi.target.adapter().with_lu_map(LuMap::clone);
    Ok(info(scsi, at, map.group(at)?))
}

/// Refuses what would end somebody's session, unless it is forced.
fn nobody_leaves(
    scsi: &Scsi,
    at: TargetId,
    stays: impl Fn(&InitiatorName) -> bool,
    force: bool,
) -> Result<(), Failure> {
    let leave = scsi.target.initiators_at(at).into_iter().find(|initiator| !stays(initiator));
    match leave {
        Some(initiator) if !force => {
            let message = format_args!("{initiator} is logged in at {at}, and would be cut off");
            Err(Failure::conflict("in-use", message).or("log it out first, or force it"))
        }
        _ => Ok(()),
    }
}

pub(super) async fn list(State(app): State<App>) -> Answer<Vec<HostGroupInfo>> {
    answer(&app, |app| {
        let scsi = scsi(app)?;
        let map = scsi.target.adapter().with_lu_map(LuMap::clone);
        Ok(map.targets().map(|(at, group)| info(scsi, at, group)).collect())
    })
    .await
}

pub(super) async fn show(
    State(app): State<App>,
    Path(group): Path<String>,
) -> Answer<HostGroupInfo> {
    answer(&app, move |app| one(app, group.parse()?)).await
}

pub(super) async fn create(
    State(app): State<App>,
    Asked(asked): Asked<NewHostGroup>,
) -> Answer<HostGroupInfo> {
    answer(&app, move |app| {
        let name: HostGroupName = asked.name.parse()?;
        let wanted: TargetId = asked.port.parse()?;
        let held = app.names_lock.lock();
        let at = change(app, scsi(app)?, |map| {
            let at = match asked.port.contains('.') {
                true => wanted,
                false => free_number(map, wanted)?,
            };
            map.add_group(at, name)?;
            Ok(at)
        })?;
        drop(held);
        one(app, at)
    })
    .await
}

/// The lowest number on this port that no group has.
fn free_number(map: &LuMap, first: TargetId) -> Result<TargetId, Failure> {
    map.group(first)?;
    let mut all = (1..=u8::MAX).map(|group| TargetId::new(first.port, group));
    let free = all.find(|at| map.group(*at).is_err());
    free.ok_or_else(|| Failure::conflict("too-many", "all numbers of host groups are in use"))
}

pub(super) async fn rename(
    State(app): State<App>,
    Path(group): Path<String>,
    Asked(asked): Asked<ChangeHostGroup>,
) -> Answer<HostGroupInfo> {
    answer(&app, move |app| {
        let (at, name) = (group.parse()?, asked.name.parse()?);
        let held = app.names_lock.lock();
        change(app, scsi(app)?, |map| Ok(map.rename_group(at, name)?))?;
        drop(held);
        one(app, at)
    })
    .await
}

pub(super) async fn delete(
    State(app): State<App>,
    Path(group): Path<String>,
    Query(Force { force }): Query<Force>,
) -> Answer<Done> {
    answer(&app, move |app| {
        let at: TargetId = group.parse()?;
        let _held = app.names_lock.lock();
        let scsi = scsi(app)?;
        change(app, scsi, |map| {
            nobody_leaves(scsi, at, |_| false, force)?;
            map.remove_group(at)?;
            Ok(Done {})
        })
    })
    .await
}

pub(super) async fn admit(
    State(app): State<App>,
    Path(group): Path<String>,
    Query(Force { force }): Query<Force>,
    Asked(asked): Asked<Admit>,
) -> Answer<HostGroupInfo> {
    answer(&app, move |app| {
        let (at, initiator): (TargetId, InitiatorName) = (group.parse()?, asked.initiator.parse()?);
        let held = app.names_lock.lock();
        let scsi = scsi(app)?;
        change(app, scsi, |map| {
            map.admit(at, initiator)?;
            // The first name shuts all others out.
            let group = map.group(at)?.clone();
            nobody_leaves(scsi, at, |initiator| group.admits(initiator), force)
        })?;
        drop(held);
        one(app, at)
    })
    .await
}

pub(super) async fn dismiss(
    State(app): State<App>,
    Path((group, initiator)): Path<(String, String)>,
    Query(Force { force }): Query<Force>,
) -> Answer<HostGroupInfo> {
    answer(&app, move |app| {
        let at: TargetId = group.parse()?;
        let initiator: InitiatorName = initiator.parse()?;
        let held = app.names_lock.lock();
        let scsi = scsi(app)?;
        change(app, scsi, |map| {
            if !map.dismiss(at, &initiator)? {
                let message = format_args!("{at} does not name {initiator}");
                return Err(Failure::missing("no-initiator", message));
            }
            let group = map.group(at)?.clone();
            if group.initiators.is_empty() && !force {
                let message = format_args!(
                    "{initiator} is the last one that {at} names: without one, everybody may log in"
                );
                return Err(Failure::conflict("last-initiator", message)
                    .or("name another first, or force it"));
            }
            nobody_leaves(scsi, at, |initiator| group.admits(initiator), force)
        })?;
        drop(held);
        one(app, at)
    })
    .await
}
