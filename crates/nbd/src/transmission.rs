//! The transmission phase: requests to host operations, and their replies back.

use crate::NbdError;
use crate::answer::Answer;
use crate::context::{CONTEXTS_MAX, Context, Run};
use crate::errno::Errno;
use crate::export::BLOCK_BYTES;
use crate::handshake::Agreed;
use crate::request::{
    FLAG_FAST_ZERO, FLAG_FUA, FLAG_NO_HOLE, FLAG_REQ_ONE, Kind, PAYLOAD_BYTES_MAX, Request,
};
use bytes::Bytes;
use diptych_cha::{AllocatedRun, HostError, HostOp, HostReply};
use diptych_format::{BlockNo, BlockRange, LdevId};
use diptych_rt::Rt;
use diptych_rt::net::Connection;

/// Zeroes are written in pieces of this size where no hole may be.
const ZERO_BLOCKS: u64 = 2048;
static ZEROES: [u8; (ZERO_BLOCKS * BLOCK_BYTES) as usize] =
    [0; (ZERO_BLOCKS * BLOCK_BYTES) as usize];
/// What an answer to a block status may have.
const STATUS_BYTES: usize = CONTEXTS_MAX * 4096;
const STATE_HOLE: u32 = 1 << 0;
const STATE_ZERO: u32 = 1 << 1;
/// What a request keeps besides its payload.
const REQUEST_BYTES: usize = 256;

/// Carries out requests until the client goes away.
pub(crate) fn serve(rt: &Rt, connection: &mut Connection, agreed: &Agreed) -> Result<(), NbdError> {
    loop {
        let Some(request) = next_request(connection, agreed)? else { return Ok(()) };
        if request.kind == Kind::Disconnect {
            return Ok(());
        }
        let bytes = request.payload_bytes();
        let most = u64::from(PAYLOAD_BYTES_MAX);
        if bytes > most {
            return Err(NbdError::TooLong { bytes, most });
        }
        let is_read = matches!(request.kind, Kind::Read | Kind::BlockStatus);
        let answer_bytes = match request.kind {
            Kind::Read | Kind::Cache => request.length.min(most),
            Kind::BlockStatus => STATUS_BYTES as u64,
            _ => bytes,
        };
        let pending = connection.begin(answer_bytes as usize + REQUEST_BYTES)?;
        let payload = if bytes > 0 { connection.payload(bytes as usize)? } else { Bytes::new() };
        // From here on it is answered, whatever becomes of it.
        let answer = Answer::new(pending, agreed, &request, is_read);
        if connection.is_stopping() {
            drop(answer);
            continue;
        }
        match request.blocks(&agreed.export, agreed.structured) {
            Err(refusal) => answer.failed(refusal.errno, refusal.why, None),
            Ok(blocks) if request.kind == Kind::BlockStatus => {
                block_status(rt, agreed, &request, blocks, answer);
            }
            Ok(blocks) => carry_out(rt, agreed.export.ldev, &request, blocks, payload, answer),
        }
    }
}

fn next_request(connection: &mut Connection, agreed: &Agreed) -> Result<Option<Request>, NbdError> {
    let request = if agreed.extended {
        connection.header::<{ Request::EXTENDED_BYTES }>()?.map(|h| Request::extended(&h))
    } else {
        connection.header::<{ Request::COMPACT_BYTES }>()?.map(|h| Request::compact(&h))
    };
    request.transpose().map_err(|found| NbdError::Magic { found: found.into() })
}

/// Hands a request to the unit.
fn carry_out(
    rt: &Rt,
    ldev: LdevId,
    request: &Request,
    blocks: BlockRange,
    payload: Bytes,
    answer: Answer,
) {
    if blocks.is_empty() && request.kind != Kind::Flush {
        return answer.done();
    }
    let op = match request.kind {
        Kind::Read => HostOp::Read { ldev, blocks },
        Kind::Cache => {
            // A hint: as much of it as one request reads.
            let count = blocks.count().min(u64::from(PAYLOAD_BYTES_MAX) / BLOCK_BYTES);
            HostOp::Read { ldev, blocks: BlockRange::new(blocks.start, count) }
        }
        Kind::Write => HostOp::Write { ldev, block: blocks.start, data: payload },
        Kind::WriteZeroes if request.has(FLAG_NO_HOLE) => {
            if request.has(FLAG_FAST_ZERO) {
                let why = "zeroes that may be no hole are written as data";
                return answer.failed(Errno::NotSup, why, None);
            }
            let rt = rt.clone();
            return Zeroes { rt, ldev, rest: blocks, fua: request.has(FLAG_FUA), answer }.go_on();
        }
        Kind::Trim | Kind::WriteZeroes => HostOp::Unmap { ldev, blocks },
        Kind::Flush => HostOp::Flush { ldev },
        Kind::Disconnect | Kind::BlockStatus | Kind::Unknown(_) => {
            return answer.failed(Errno::Inval, "there is no such request", None);
        }
    };
    let is_durable = request.has(FLAG_FUA)
        && matches!(request.kind, Kind::Write | Kind::Trim | Kind::WriteZeroes);
    if is_durable {
        let then = rt.clone();
        submit(rt, op, move |reply| match reply {
            HostReply::Done => {
                let flush = HostOp::Flush { ldev };
                submit(&then, flush, move |reply| complete(reply, answer));
            }
            reply => complete(reply, answer),
        });
    } else if request.kind == Kind::Cache {
        submit(rt, op, move |reply| match reply {
            HostReply::Data(_) => answer.done(),
            reply => complete(reply, answer),
        });
    } else {
        submit(rt, op, move |reply| complete(reply, answer));
    }
}

/// Says of blocks what the chosen contexts ask.
fn block_status(rt: &Rt, agreed: &Agreed, request: &Request, blocks: BlockRange, answer: Answer) {
    if agreed.contexts.is_empty() || blocks.is_empty() {
        return answer.failed(Errno::Inval, "no context was chosen, or no block", None);
    }
    let (ldev, only_one) = (agreed.export.ldev, request.has(FLAG_REQ_ONE));
    let first = move |mut runs: Vec<Run>| {
        if only_one {
            runs.truncate(1);
        }
        runs
    };
    let mut known = Vec::with_capacity(agreed.contexts.len());
    let mut allocation = None;
    for (id, context) in &agreed.contexts {
        match context {
            Context::Allocation => allocation = Some(*id),
            Context::Changed(since) => match since.runs(rt.unit(), ldev, blocks) {
                Ok(runs) => known.push((*id, first(runs))),
                Err(error) => return answer.failed(Errno::Perm, &error.to_string(), None),
            },
        }
    }
    let Some(id) = allocation else { return answer.status(&known) };
    submit(rt, HostOp::Allocation { ldev, blocks }, move |reply| match reply {
        HostReply::Allocation(runs) => {
            let run = |run: &AllocatedRun| {
                let flags = if run.allocated { 0 } else { STATE_HOLE | STATE_ZERO };
                Run { blocks: run.blocks, flags }
            };
            known.push((id, first(runs.iter().map(run).collect())));
            answer.status(&known);
        }
        reply => complete(reply, answer),
    });
}

/// What cannot be submitted is dropped, and so answered: the unit stops.
fn submit(rt: &Rt, op: HostOp, done: impl FnOnce(HostReply) + Send + 'static) {
    if let Err(error) = rt.submit(op, done) {
        tracing::debug!(%error, "a request is not carried out");
    }
}

fn complete(reply: HostReply, answer: Answer) {
    match reply {
        HostReply::Done => answer.done(),
        HostReply::Data(data) => answer.data(data),
        HostReply::Failed(error) => {
            let at = match error {
                HostError::Medium { block: BlockNo(block), .. } => Some(block * BLOCK_BYTES),
                _ => None,
            };
            answer.failed(Errno::of(&error), &error.to_string(), at);
        }
        // Nothing that was asked here is answered so.
        _ => {
            answer.failed(Errno::Io, "that is no answer to a request", None);
        }
    }
}

/// Zeroes that are written as data, a piece at a time.
struct Zeroes {
    rt: Rt,
    ldev: LdevId,
    rest: BlockRange,
    fua: bool,
    answer: Answer,
}

impl Zeroes {
    fn go_on(mut self) {
        let ldev = self.ldev;
        let count = self.rest.count().min(ZERO_BLOCKS);
        let op = if count == 0 {
            if !self.fua {
                return self.answer.done();
            }
            self.fua = false;
            HostOp::Flush { ldev }
        } else {
            let data = Bytes::from_static(&ZEROES[..(count * BLOCK_BYTES) as usize]);
            let block = self.rest.start;
            self.rest.start = BlockNo(block.0 + count);
            HostOp::Write { ldev, block, data }
        };
        let rt = self.rt.clone();
        submit(&rt, op, move |reply| match reply {
            HostReply::Done => self.go_on(),
            reply => complete(reply, self.answer),
        });
    }
}
