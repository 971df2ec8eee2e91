//! What hosts do: write, read, unmap, flush.

use super::option;
use crate::play::PlayError;
use crate::play::answer::{Answer, Expect};
use crate::play::content::{blocks_of, first_difference};
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{Blocks, Ldev, Tracks};
use diptych::cha::{HostOp, HostReply};
use diptych::format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId};
use serde::Deserialize;
use std::fmt;

/// Blocks of one request: 8 MiB.
const REQUEST_BLOCKS: u64 = 1 << 14;

/// A host writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Write {
    write: Ldev,
    tracks: Option<Tracks>,
    blocks: Option<Blocks>,
    #[serde(default = "one")]
    fill: u64,
}

/// A host reads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Read {
    read: Ldev,
    tracks: Option<Tracks>,
    blocks: Option<Blocks>,
    fill: Option<u64>,
}

/// A host gives blocks up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unmap {
    unmap: Ldev,
    tracks: Option<Tracks>,
    blocks: Option<Blocks>,
}

/// A host makes its writes durable.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flush {
    flush: Ldev,
}

const fn one() -> u64 {
    1
}

/// The requests that these tracks and blocks are; all of the volume if neither is named.
fn requests(
    stage: &Stage,
    ldev: LdevId,
    tracks: Option<&Tracks>,
    blocks: Option<Blocks>,
) -> Vec<BlockRange> {
    let volume = stage.unit().volume(ldev);
    let ranges = match (tracks, blocks, volume) {
        (None, Some(blocks), _) => vec![blocks.range()],
        (tracks, None, Some(volume)) => tracks.unwrap_or(&Tracks::All).blocks(volume.geometry),
        (Some(tracks), Some(blocks), Some(volume)) => {
            let mut ranges = tracks.blocks(volume.geometry);
            ranges.push(blocks.range());
            ranges
        }
        // The unit shall say that there is no such volume.
        (_, _, None) => vec![BlockRange::one(BlockNo(0))],
    };
    let cut = |range: BlockRange| {
        let starts = (range.start.0..range.end.0).step_by(REQUEST_BLOCKS as usize);
        starts.map(move |start| {
            let end = range.end.0.min(start + REQUEST_BLOCKS);
            BlockRange { start: BlockNo(start), end: BlockNo(end) }
        })
    };
    ranges.into_iter().flat_map(cut).collect()
}

/// Sends one request after the other, until one is not done.
fn send(
    stage: &mut Stage,
    requests: Vec<BlockRange>,
    op: impl Fn(BlockRange) -> HostOp,
    mut got: impl FnMut(BlockRange, &HostReply),
) -> Result<Answer, PlayError> {
    let mut answer = Answer::Done;
    for blocks in requests {
        let reply = stage.ask(op(blocks))?;
        got(blocks, &reply);
        answer = Answer::of(&reply);
        if answer != Answer::Done {
            break;
        }
    }
    Ok(answer)
}

impl Act for Write {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let (ldev, fill) = (self.write.0, self.fill);
        let requests = requests(stage, ldev, self.tracks.as_ref(), self.blocks);
        let op = |blocks: BlockRange| {
            let data = blocks_of(fill, blocks);
            HostOp::Write { ldev, block: blocks.start, data }
        };
        Ok(send(stage, requests, op, |_, _| ())?.into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Read {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let ldev = self.read.0;
        let requests = requests(stage, ldev, self.tracks.as_ref(), self.blocks);
        let (mut bytes, mut different) = (0, None);
        let got = |blocks: BlockRange, reply: &HostReply| {
            if let HostReply::Data(data) = reply {
                bytes += data.len();
                let first = self.fill.and_then(|fill| first_difference(fill, blocks, data));
                different = different.or(first);
            }
        };
        let op = |blocks| HostOp::Read { ldev, blocks };
        let answer = send(stage, requests, op, got)?;
        let blocks = bytes / BLOCK_BYTES;
        let found = if blocks == 0 { String::new() } else { format!("{blocks} blocks") };
        let mut happened = Happened { found, ..answer.into() };
        if let Some(fill) = self.fill {
            let difference = |block| format!("block {block} is not of fill {fill}");
            happened.compare(different.map(difference));
        }
        Ok(happened)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Unmap {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let ldev = self.unmap.0;
        let requests = requests(stage, ldev, self.tracks.as_ref(), self.blocks);
        Ok(send(stage, requests, |blocks| HostOp::Unmap { ldev, blocks }, |_, _| ())?.into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Flush {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        Ok(Answer::of(&stage.ask(HostOp::Flush { ldev: self.flush.0 })?).into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write {}", self.write)?;
        option(f, "tracks", self.tracks.as_ref())?;
        option(f, "blocks", self.blocks.as_ref())?;
        write!(f, " fill {}", self.fill)
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read {}", self.read)?;
        option(f, "tracks", self.tracks.as_ref())?;
        option(f, "blocks", self.blocks.as_ref())?;
        option(f, "fill", self.fill.as_ref())
    }
}

impl fmt::Display for Unmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unmap {}", self.unmap)?;
        option(f, "tracks", self.tracks.as_ref())?;
        option(f, "blocks", self.blocks.as_ref())
    }
}

impl fmt::Display for Flush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flush {}", self.flush)
    }
}
