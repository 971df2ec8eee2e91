//! The contents of volumes, as raw bytes.
//!
//! An export is what hosts would read; an import is what a host would write, and passes the same steps.
//! One request of the unit at a time is under way for a transfer, so a client that is slow holds
//! nothing up.

use super::Query;
use super::ldevs::not_in_use;
use crate::api::{Force, Transferred};
use crate::management::{App, waiting};
use crate::problem::Failure;
use crate::server::RestLimits;
use crate::stream::{BrokenOff, Parts, Streamed};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use diptych_cha::{HostOp, HostReply};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId};
use http_body_util::BodyExt;
use std::ops::Range;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::warn;

type Within = State<(App, RestLimits)>;

/// Bytes of one request of the unit.
const PART_BYTES: u64 = 1 << 20;
const BLOCK: u64 = BLOCK_BYTES as u64;

/// A transfer holds its place until it ends.
fn place(app: &App) -> Result<OwnedSemaphorePermit, Failure> {
    let busy = |_| {
        let message = "as many transfers of contents as there may be are under way";
        Failure::unavailable("busy", message).or("ask again when one has ended")
    };
    app.transfers.clone().try_acquire_owned().map_err(busy)
}

/// The volume and its bytes.
fn volume(app: &App, text: &str) -> Result<(LdevId, u64), Failure> {
    let ldev = app.ldev(text)?;
    let volume = app.rt.unit().volume(ldev).ok_or_else(|| Failure::no_volume(ldev))?;
    Ok((ldev, volume.geometry.block_count() * BLOCK))
}

/// The parts of a volume of so many bytes.
fn parts(bytes: u64) -> impl Iterator<Item = Range<u64>> {
    (0..bytes.div_ceil(PART_BYTES)).map(move |no| {
        let start = no * PART_BYTES;
        start..(start + PART_BYTES).min(bytes)
    })
}

fn blocks(bytes: &Range<u64>) -> BlockRange {
    BlockRange::new(BlockNo(bytes.start / BLOCK), (bytes.end - bytes.start) / BLOCK)
}

async fn read(app: &App, ldev: LdevId, bytes: Range<u64>) -> Result<Bytes, Failure> {
    waiting(app, move |app| match app.rt.execute(HostOp::Read { ldev, blocks: blocks(&bytes) }) {
        HostReply::Data(data) => Ok(data),
        HostReply::Failed(error) => Err(app.failed(error)),
        other => Err(Failure::bad(format_args!("{other:?}"))),
    })
    .await
}

pub(super) async fn export(
    State((app, limits)): Within,
    Path(ldev): Path<String>,
) -> Result<Response, Failure> {
    let place = place(&app)?;
    let (ldev, bytes) = waiting(&app, move |app| volume(app, &ldev)).await?;
    let mut ranges = parts(bytes);
    // What forbids the first part is told as such; later the connection can only break.
    let first = read(&app, ldev, ranges.next().unwrap_or(0..BLOCK)).await?;
    let (sender, body) = Streamed::new(bytes);
    tokio::spawn(async move {
        let sent = send_parts(&app, &limits, ldev, ranges, first, &sender).await;
        if sent.is_none() {
            // The client has gone, or is told by this.
            let _ = sender.try_send(Err(BrokenOff));
        }
        drop(place);
    });
    let headers = [(CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, Body::new(body)).into_response())
}

/// Sends all parts. `None`: it was broken off.
async fn send_parts(
    app: &App,
    limits: &RestLimits,
    ldev: LdevId,
    ranges: impl Iterator<Item = Range<u64>>,
    first: Bytes,
    sender: &Parts,
) -> Option<()> {
    let mut part = first;
    for range in ranges {
        timeout(limits.stalled, sender.send(Ok(part))).await.ok()?.ok()?;
        part = match read(app, ldev, range).await {
            Ok(part) => part,
            Err(failure) => {
                warn!(volume = %ldev, %failure, "an export is broken off");
                return None;
            }
        };
    }
    timeout(limits.stalled, sender.send(Ok(part))).await.ok()?.ok()
}

pub(super) async fn import(
    State((app, limits)): Within,
    Path(ldev): Path<String>,
    Query(Force { force }): Query<Force>,
    request: Request,
) -> Result<Json<Transferred>, Failure> {
    let _place = place(&app)?;
    let said = length(request.headers())?;
    let (ldev, writer) = waiting(&app, move |app| {
        let (ldev, bytes) = volume(app, &ldev)?;
        if said > bytes || said % BLOCK != 0 {
            let message = format_args!(
                "volume {ldev} has {bytes} bytes, the contents {said}: they are whole blocks of \
                 {BLOCK} bytes, and fit"
            );
            return Err(Failure::bad(message));
        }
        not_in_use(app, ldev, force)?;
        // As long as this writes it, it becomes no secondary.
        Ok((ldev, app.rt.unit().open_writer(ldev)?))
    })
    .await?;
    let written = receive(&app, &limits, ldev, request.into_body()).await?;
    if written != said {
        return Err(broken());
    }
    waiting(&app, move |app| app.carry_out(HostOp::Flush { ldev })).await?;
    drop(writer);
    Ok(Json(Transferred { bytes: written }))
}

fn broken() -> Failure {
    let status = StatusCode::BAD_REQUEST;
    Failure::new(status, "broken-off", "the contents ended before their end: a part is written")
}

fn length(headers: &HeaderMap) -> Result<u64, Failure> {
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let unsaid = || {
        let status = StatusCode::LENGTH_REQUIRED;
        Failure::new(status, "no-length", "contents come with their length")
    };
    said.ok_or_else(unsaid)
}

/// Receives the contents and writes them, a part at a time; how many bytes there were.
async fn receive(
    app: &App,
    limits: &RestLimits,
    ldev: LdevId,
    mut body: Body,
) -> Result<u64, Failure> {
    let (mut kept, mut at) = (BytesMut::new(), 0);
    loop {
        let slow = |_| {
            let status = StatusCode::REQUEST_TIMEOUT;
            Failure::new(status, "too-slow", "the contents stopped coming: a part is written")
        };
        let Some(frame) = timeout(limits.stalled, body.frame()).await.map_err(slow)? else {
            break;
        };
        let Ok(mut data) = frame.map_err(|_| broken())?.into_data() else { continue };
        while !data.is_empty() {
            let wanted = (PART_BYTES as usize - kept.len()).min(data.len());
            kept.extend_from_slice(&data.split_to(wanted));
            if kept.len() == PART_BYTES as usize {
                write(app, ldev, at, kept.split().freeze()).await?;
                at += PART_BYTES;
            }
        }
    }
    let rest = kept.len() as u64;
    if !rest.is_multiple_of(BLOCK) {
        return Err(broken());
    }
    if rest > 0 {
        write(app, ldev, at, kept.freeze()).await?;
    }
    Ok(at + rest)
}

/// Writes a part. One of zeroes gives its storage up: it reads the same.
async fn write(app: &App, ldev: LdevId, at: u64, data: Bytes) -> Result<(), Failure> {
    waiting(app, move |app| {
        let block = BlockNo(at / BLOCK);
        app.carry_out(if data.iter().all(|byte| *byte == 0) {
            HostOp::Unmap { ldev, blocks: blocks(&(at..at + data.len() as u64)) }
        } else {
            HostOp::Write { ldev, block, data }
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_of_it() {
        fn check(bytes: u64, expected: &[(u64, u64)]) {
            let found: Vec<_> = parts(bytes).map(|part| (part.start, part.end)).collect();
            assert_eq!(found, expected);
        }
        const MIB: u64 = 1 << 20;
        check(0, &[]);
        check(512, &[(0, 512)]);
        check(MIB, &[(0, MIB)]);
        check(MIB + 512, &[(0, MIB), (MIB, MIB + 512)]);
    }
}
