//! Volumes: what they are, and what an operator does with them.

use super::{Asked, Query, lus};
use crate::api::{ChangeVolume, Done, Force, NewVolume, VolumeInfo};
use crate::management::{App, answer};
use crate::names::Names;
use crate::problem::Failure;
use axum::Json;
use axum::extract::{Path, State};
use diptych_cha::HostOp;
use diptych_dka::DkaError;
use diptych_format::{BLOCK_BYTES, Emulation, Geometry, LdevId};
use diptych_shared::{Pair, SharedError, Volume};
use diptych_unit::UnitError;

type Answer<T> = Result<Json<T>, Failure>;

/// The volume as it is told.
fn info(app: &App, volume: &Volume, names: &Names, pairs: &[Pair]) -> VolumeInfo {
    let (unit, ldev) = (app.rt.unit(), volume.ldev);
    let primary = pairs.iter().any(|pair| pair.primary == ldev);
    let secondary = pairs.iter().any(|pair| pair.secondary == ldev);
    let role = match (primary, secondary) {
        (false, false) => "simplex",
        (true, false) => "primary",
        (false, true) => "secondary",
        (true, true) => "both",
    };
    let blocks = volume.geometry.block_count();
    VolumeInfo {
        ldev: ldev.to_string(),
        name: names.get(&ldev).cloned(),
        emulation: volume.geometry.emulation().to_string(),
        blocks,
        bytes: blocks * BLOCK_BYTES as u64,
        tracks: volume.geometry.track_count(),
        stored_tracks: volume.allocated.count(),
        drive: unit.home(volume.backing).map(|home| home.drive().0),
        state: volume.state.to_string(),
        role: role.to_owned(),
        reserved: volume.reserved,
        undefined: volume.undefined,
        in_use: unit.is_in_use(ldev, app.rt.now()),
    }
}

fn one(app: &App, ldev: LdevId) -> Result<VolumeInfo, Failure> {
    let volume = app.rt.unit().volume(ldev).ok_or_else(|| Failure::no_volume(ldev))?;
    Ok(info(app, &volume, &app.names(), &app.rt.unit().pairs()))
}

pub(super) async fn list(State(app): State<App>) -> Answer<Vec<VolumeInfo>> {
    answer(&app, |app| {
        let (names, pairs) = (app.names(), app.rt.unit().pairs());
        let volumes = app.rt.unit().volumes();
        Ok(volumes.iter().map(|volume| info(app, volume, &names, &pairs)).collect())
    })
    .await
}

pub(super) async fn show(State(app): State<App>, Path(ldev): Path<String>) -> Answer<VolumeInfo> {
    answer(&app, move |app| one(app, app.ldev(&ldev)?)).await
}

pub(super) async fn create(
    State(app): State<App>,
    Asked(asked): Asked<NewVolume>,
) -> Answer<VolumeInfo> {
    answer(&app, move |app| {
        let geometry = geometry(&asked)?;
        let held = app.names_lock.lock();
        let ldev = match &asked.ldev {
            Some(ldev) => ldev.parse()?,
            None => free_number(app)?,
        };
        if app.rt.unit().volume(ldev).is_some() {
            let message = format_args!("there is a volume {ldev} already");
            return Err(Failure::conflict("volume-exists", message));
        }
        if let Some(name) = &asked.name {
            app.check_name(ldev, name)?;
        }
        // One that an earlier volume has left would be this one's.
        app.set_name(ldev, asked.name.as_deref())?;
        add(app, ldev, geometry, asked.drive)?;
        if asked.reserved {
            let now = app.rt.now();
            app.managed(|unit| unit.set_reserved(ldev, true, now))?;
        }
        drop(held);
        one(app, ldev)
    })
    .await
}

fn geometry(asked: &NewVolume) -> Result<Geometry, Failure> {
    let emulation = match &asked.emulation {
        Some(name) => name.parse()?,
        None => Emulation::OpenV,
    };
    match (asked.bytes, Geometry::of(emulation)) {
        (None, Some(geometry)) => Ok(geometry),
        (None, None) => Err(Failure::bad(format_args!("a volume of {emulation} needs a size"))),
        (Some(bytes), _) => Ok(Geometry::new(emulation, bytes.div_ceil(BLOCK_BYTES as u64))?),
    }
}

/// The lowest number that no volume has.
fn free_number(app: &App) -> Result<LdevId, Failure> {
    let taken = app.rt.unit().volumes();
    let mut numbers = (0..=u16::MAX).map(u16::to_be_bytes).map(|[cu, no]| LdevId::new(cu, no));
    let free = numbers.find(|ldev| !taken.iter().any(|volume| volume.ldev == *ldev));
    free.ok_or_else(|| Failure::conflict("too-many", "all numbers of volumes are in use"))
}

/// Puts a volume on the drive named, or on the first one with room.
fn add(app: &App, ldev: LdevId, geometry: Geometry, drive: Option<usize>) -> Result<(), Failure> {
    let all = 0..app.rt.plant().drives().list().count();
    let drives = drive.map_or(all, |drive| drive..drive + 1);
    let mut no_space = Failure::conflict("no-space", "the unit has no drives");
    for drive in drives {
        let added = app.managed(|unit| match unit.add_volume(ldev, geometry, drive) {
            Err(error @ UnitError::Dka(DkaError::NoSpace { .. })) => Ok(Err(error)),
            other => other.map(Ok),
        })?;
        match added {
            Ok(()) => return Ok(()),
            Err(error) => no_space = error.into(),
        }
    }
    Err(no_space)
}

pub(super) async fn change(
    State(app): State<App>,
    Path(ldev): Path<String>,
    Asked(asked): Asked<ChangeVolume>,
) -> Answer<VolumeInfo> {
    answer(&app, move |app| {
        let held = app.names_lock.lock();
        let ldev = app.ldev(&ldev)?;
        if let Some(name) = asked.name.as_deref().filter(|name| !name.is_empty()) {
            app.check_name(ldev, name)?;
        }
        if let Some(reserved) = asked.reserved {
            let now = app.rt.now();
            app.managed(|unit| unit.set_reserved(ldev, reserved, now))?;
        }
        if let Some(name) = &asked.name {
            app.set_name(ldev, Some(name.as_str()).filter(|name| !name.is_empty()))?;
        }
        drop(held);
        one(app, ldev)
    })
    .await
}

pub(super) async fn delete(
    State(app): State<App>,
    Path(ldev): Path<String>,
    Query(Force { force }): Query<Force>,
) -> Answer<Done> {
    answer(&app, move |app| {
        let _held = app.names_lock.lock();
        let ldev = app.ldev(&ldev)?;
        not_in_use(app, ldev, force)?;
        removable(app, ldev)?;
        lus::forget(app, ldev)?;
        let wakes = app.managed(|unit| unit.remove_volume(ldev))?;
        app.rt.wake(wakes);
        app.set_name(ldev, None)?;
        Ok(Done {})
    })
    .await
}

/// Whether the volume can go: its paths are taken before.
fn removable(app: &App, ldev: LdevId) -> Result<(), Failure> {
    let is_paired = |pair: &Pair| pair.primary == ldev || pair.secondary == ldev;
    match app.rt.unit().pairs().into_iter().find(is_paired) {
        Some(Pair { id: pair, .. }) => Err(SharedError::VolumePaired { ldev, pair }.into()),
        None => Ok(()),
    }
}

/// Refuses what would cost a host its volume, unless it is forced.
pub(super) fn not_in_use(app: &App, ldev: LdevId, force: bool) -> Result<(), Failure> {
    if !force && app.rt.unit().is_in_use(ldev, app.rt.now()) {
        return Err(Failure::in_use(ldev));
    }
    Ok(())
}

pub(super) async fn format(
    State(app): State<App>,
    Path(ldev): Path<String>,
    Asked(Force { force }): Asked<Force>,
) -> Answer<VolumeInfo> {
    answer(&app, move |app| {
        let ldev = app.ldev(&ldev)?;
        not_in_use(app, ldev, force)?;
        app.carry_out(HostOp::Format { ldev })?;
        one(app, ldev)
    })
    .await
}

pub(super) async fn accept(
    State(app): State<App>,
    Path(ldev): Path<String>,
    Asked(Force { .. }): Asked<Force>,
) -> Answer<VolumeInfo> {
    answer(&app, move |app| {
        let ldev = app.ldev(&ldev)?;
        app.carry_out(HostOp::AcceptContents { ldev })?;
        one(app, ldev)
    })
    .await
}

pub(super) async fn release(
    State(app): State<App>,
    Path(ldev): Path<String>,
    Asked(Force { .. }): Asked<Force>,
) -> Answer<VolumeInfo> {
    answer(&app, move |app| {
        let ldev = app.ldev(&ldev)?;
        let now = app.rt.now();
        app.managed(|unit| unit.release_volume(ldev, now))?;
        one(app, ldev)
    })
    .await
}
