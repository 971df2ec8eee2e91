//! The unit as a whole: status, health, metrics.

use crate::api::{CacheStatus, Health, LogStatus, StatusInfo};
use crate::management::{App, answer, waiting};
use crate::metrics;
use crate::problem::Failure;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use diptych_format::BLOCK_BYTES;
use diptych_shared::VolumeState;
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;

/// Whether the unit answers hosts.
fn health_of(app: &App) -> Health {
    let why = match app.rt.unit().log_failure() {
        Some(failure) => Some(format!("the log has failed: {failure}")),
        None => app.rt.is_stopped().then(|| "the unit has stopped".to_owned()),
    };
    Health { healthy: why.is_none(), why }
}

/// 503 if the unit does not answer hosts any more.
pub(super) async fn health(State(app): State<App>) -> impl IntoResponse {
    let health = health_of(&app);
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Failure> {
    let text = waiting(&app, |app| Ok(metrics::text(app))).await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text))
}

pub(super) async fn status(State(app): State<App>) -> Result<Json<StatusInfo>, Failure> {
    answer(&app, |app| Ok(status_of(app))).await
}

fn status_of(app: &App) -> StatusInfo {
    let (rt, unit) = (&app.rt, app.rt.unit());
    let now = rt.now();
    let volumes = unit.volumes();
    let mut pairs = BTreeMap::new();
    for pair in unit.pairs() {
        *pairs.entry(pair.shown_as().to_lowercase()).or_default() += 1;
    }
    let cache = unit.cache_counts();
    let log = rt.plant().log().map(|log| {
        let usage = log.usage();
        let bytes = |sectors: u64| sectors * BLOCK_BYTES as u64;
        LogStatus {
            bytes: bytes(usage.capacity_sectors),
            used_bytes: bytes(usage.used_sectors),
            waits: usage.log_waits,
        }
    });
    StatusInfo {
        id: format!("{:016x}", app.id),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        health: health_of(app),
        uptime_s: now.ns / SECOND_NS,
        utc: unit.utc(now).to_string(),
        volumes: volumes.len(),
        blocked_volumes: volumes.iter().filter(|v| v.state == VolumeState::Blocked).count(),
        pairs,
        groups: unit.groups().len(),
        schedules: unit.schedules().len(),
        cache: CacheStatus {
            slots: cache.slots,
            dirty_slots: cache.dirty_slots,
            failed_slots: cache.failed_slots,
            hits: cache.hits,
            misses: cache.misses,
            waiters: cache.waiters,
        },
        log,
    }
}
