//! Logical units: which volume is behind which LUN of which port.
//!
//! The map is kept before it is changed: what hosts see is there after a restart.

use super::ldevs::not_in_use;
use super::{Asked, Query};
use crate::api::{Done, Force, LuInfo, NewLu};
use crate::management::{App, answer};
use crate::problem::Failure;
use crate::server::Scsi;
use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use diptych_cha::scsi::ScsiTarget;
use diptych_cha::{LuMap, LuOptions, LuPath};
use diptych_format::LdevId;

type Answer<T> = Result<Json<T>, Failure>;

pub(super) fn scsi(app: &App) -> Result<&Scsi, Failure> {
    app.scsi.as_ref().ok_or_else(|| Failure::missing("no-lu", "this unit serves no logical units"))
}

fn info(app: &App, map: &LuMap, path: LuPath, ldev: LdevId) -> LuInfo {
    let LuOptions { thin, removable, write_protected, command_device, .. } = map.options(ldev);
    LuInfo {
        path: path.to_string(),
        ldev: ldev.to_string(),
        name: app.names().remove(&ldev),
        thin,
        removable,
        write_protected,
        command_device,
    }
}

/// Changes the map, and keeps it. Who calls this holds the names.
pub(super) fn change<T>(
    app: &App,
    scsi: &Scsi,
    change: impl FnOnce(&mut LuMap) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut map = scsi.target.adapter().with_lu_map(LuMap::clone);
    let changed = change(&mut map)?;
    // A map is numbers and texts.
    let bytes = postcard::to_allocvec(&map).map_err(Failure::bad)?;
    let bytes = Bytes::from(bytes);
    app.managed(|unit| unit.keep(scsi.kept_as, Some(bytes.clone())))?;
    scsi.target.change_lu_map(|now| *now = map);
    Ok(changed)
}

/// Takes all paths of a volume that goes, and what was kept of it as a logical unit. Who calls this
/// holds the names.
pub(super) fn forget(app: &App, ldev: LdevId) -> Result<(), Failure> {
    let Ok(scsi) = scsi(app) else { return Ok(()) };
    let paths: Vec<_> = scsi.target.adapter().with_lu_map(|map| map.paths_of(ldev).collect());
    if !paths.is_empty() {
        change(app, scsi, |map| {
            map.set_options(ldev, LuOptions::default());
            paths
                .into_iter()
                .try_for_each(|path| map.remove(path).map(|_| ()).map_err(Failure::from))
        })?;
    }
    scsi.target.forget(ldev);
    let names = app.rt.unit().kept_names(&ScsiTarget::kept_name(ldev));
    names.iter().try_for_each(|name| app.managed(|unit| unit.keep(name, None)))
}

pub(super) async fn list(State(app): State<App>) -> Answer<Vec<LuInfo>> {
    answer(&app, |app| {
        let map = scsi(app)?.target.adapter().with_lu_map(LuMap::clone);
        Ok(map.iter().map(|(path, ldev)| info(app, &map, path, ldev)).collect())
    })
    .await
}

pub(super) async fn add(State(app): State<App>, Asked(asked): Asked<NewLu>) -> Answer<LuInfo> {
    answer(&app, move |app| {
        let _held = app.names_lock.lock();
        let path: LuPath = asked.path.parse()?;
        let ldev = app.ldev(&asked.ldev)?;
        change(app, scsi(app)?, |map| {
            map.add(path, ldev)?;
            let before = map.options(ldev);
            let options = LuOptions {
                thin: asked.thin.unwrap_or(before.thin),
                removable: asked.removable.unwrap_or(before.removable),
                write_protected: asked.write_protected.unwrap_or(before.write_protected),
                command_device: asked.command_device.unwrap_or(before.command_device),
                ..before
            };
            map.set_options(ldev, options);
            Ok(info(app, map, path, ldev))
        })
    })
    .await
}

pub(super) async fn remove(
    State(app): State<App>,
    Path(path): Path<String>,
    Query(Force { force }): Query<Force>,
) -> Answer<Done> {
    answer(&app, move |app| {
        let _held = app.names_lock.lock();
        let path: LuPath = path.parse()?;
        change(app, scsi(app)?, |map| {
            not_in_use(app, map.resolve(path)?, force)?;
            map.remove(path)?;
            Ok(Done {})
        })
    })
    .await
}
