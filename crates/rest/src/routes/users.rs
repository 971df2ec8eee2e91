//! Users: who may log in by CHAP.
//!
//! A user is kept before it may log in: it is there after a restart. Sessions that there are go on.

use super::lus::scsi;
use super::{Asked, Query};
use crate::api::{ChangeUser, Done, Force, NewUser, UserInfo};
use crate::management::{App, answer};
use crate::problem::Failure;
use axum::Json;
use axum::extract::{Path, State};
use bytes::Bytes;
use diptych_cha::{Secret, UserError, Users};

type Answer<T> = Result<Json<T>, Failure>;

fn secret(text: String) -> Result<Secret, Failure> {
    let (least, most) = (Secret::BYTES_MIN, Secret::BYTES_MAX);
    Ok(Secret::new(text).ok_or(UserError::Secret { least, most })?)
}

/// Keeps what the change makes of the users, and then has it so.
fn change(
    app: &App,
    change: impl FnOnce(&Users) -> Result<Vec<u8>, UserError>,
) -> Result<(), Failure> {
    let scsi = scsi(app)?;
    let _held = app.names_lock.lock();
    let kept = Bytes::from(change(&scsi.users)?);
    app.managed(|unit| unit.keep(scsi.users_kept_as, Some(kept.clone())))?;
    scsi.users.restore(&kept);
    Ok(())
}

pub(super) async fn list(State(app): State<App>) -> Answer<Vec<UserInfo>> {
    answer(&app, |app| {
        let users = scsi(app)?.users.list().into_iter();
        Ok(users.map(|(name, fixed)| UserInfo { name, fixed }).collect())
    })
    .await
}

pub(super) async fn add(State(app): State<App>, Asked(asked): Asked<NewUser>) -> Answer<UserInfo> {
    answer(&app, move |app| {
        let NewUser { name, secret: text } = asked;
        let secret = secret(text)?;
        change(app, |users| match users.secret_of(&name) {
            Some(_) => Err(UserError::Exists),
            None => users.with(&name, secret),
        })?;
        Ok(UserInfo { name, fixed: false })
    })
    .await
}

pub(super) async fn change_secret(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(asked): Asked<ChangeUser>,
) -> Answer<UserInfo> {
    answer(&app, move |app| {
        let secret = secret(asked.secret)?;
        change(app, |users| match users.secret_of(&name) {
            Some(_) => users.with(&name, secret),
            None => Err(UserError::Unknown),
        })?;
        Ok(UserInfo { name, fixed: false })
    })
    .await
}

pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(Force { force }): Query<Force>,
) -> Answer<Done> {
    answer(&app, move |app| {
        change(app, |users| users.without(&name, force))?;
        Ok(Done {})
    })
    .await
}
