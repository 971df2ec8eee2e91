//! EXTENDED COPY(LID1) (SPC-4, 6.4): a copy by the control unit, at a host's word.
//!
//! The parameter list names volumes by their designators, and says which blocks go where. A host may copy
//! only between volumes that it sees itself, by its own target. Each part is read first and written then,
//! with nothing held between, so writes of others may come between.

use super::cdb::at;
use super::copy_results::CopyResult;
use super::job::{Job, blocks_of, parts};
use super::limits;
use super::operation::Conflict;
use super::reply::{Done, Refused};
use super::sense::{Asc, Sense, SenseKey};
use super::target::Seen;
use crate::{HostOp, VolumeFacts};
use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange};

const HEADER_BYTES: usize = 16;
const TARGET_BYTES: usize = 32;
const IDENTIFICATION: u8 = 0xE4;
const BLOCK_TO_BLOCK: u8 = 0x02;
const SEGMENT_BYTES: usize = 28;

/// A segment descriptor, block device to block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    source: u16,
    destination: u16,
    count: u16,
    from: u64,
    to: u64,
}

/// A parameter list.
#[derive(Debug, PartialEq, Eq)]
struct CopyList<'a> {
    list_id: Option<u8>,
    /// Keeps its result until it is asked for.
    holds: bool,
    /// Identification descriptors: code set, designator type, length, designator.
    targets: Vec<&'a [u8]>,
    segments: Vec<Segment>,
}

fn length_error() -> Refused {
    Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into()
}

impl<'a> CopyList<'a> {
    fn of(list: &'a [u8]) -> Result<Self, Refused> {
        if list.len() < HEADER_BYTES {
            return Err(length_error());
        }
        let usage = list[1] >> 3 & 0x03;
        let list_id = match usage {
            // NO LIST ID goes with no id.
            0x03 if list[0] != 0 => return Err(Sense::in_list(0).into()),
            0x01 => return Err(Sense::in_list(1).into()),
            0x03 => None,
            _ => Some(list[0]),
        };
        let target_bytes = at::<2>(list, 2) as usize;
        let (segment_bytes, inline) = (at::<4>(list, 8), at::<4>(list, 12));
        if inline != 0 {
            return Err(Sense::illegal(Asc::INLINE_DATA_LENGTH).into());
        }
        let described = target_bytes as u64 + segment_bytes;
        let most = u64::from(limits::COPY_LIST_BYTES);
        if described > most || (list.len() - HEADER_BYTES) as u64 != described {
            return Err(length_error());
        }
        let (targets, segments) = list[HEADER_BYTES..].split_at(target_bytes);
        let targets = targets_of(targets)?;
        let segments = segments_of(segments)?;
        Ok(Self { list_id, holds: usage == 0, targets, segments })
    }
}

fn targets_of(list: &[u8]) -> Result<Vec<&[u8]>, Refused> {
    let mut targets = Vec::new();
    for descriptor in list.chunks(TARGET_BYTES) {
        if descriptor[0] != IDENTIFICATION {
            return Err(Sense::illegal(Asc::UNSUPPORTED_TARGET).into());
        }
        if descriptor.len() != TARGET_BYTES {
            return Err(length_error());
        }
        if targets.len() >= usize::from(limits::COPY_TARGETS) {
            return Err(Sense::illegal(Asc::TOO_MANY_TARGETS).into());
        }
        targets.push(&descriptor[4..28]);
    }
    Ok(targets)
}

fn segments_of(mut list: &[u8]) -> Result<Vec<Segment>, Refused> {
    let mut segments = Vec::new();
    while let Some(&code) = list.first() {
        if code != BLOCK_TO_BLOCK {
            return Err(Sense::illegal(Asc::UNSUPPORTED_SEGMENT).into());
        }
        if list.len() < SEGMENT_BYTES || at::<2>(list, 2) as usize != SEGMENT_BYTES - 4 {
            return Err(length_error());
        }
        if segments.len() >= usize::from(limits::COPY_SEGMENTS) {
            return Err(Sense::illegal(Asc::TOO_MANY_SEGMENTS).into());
        }
        segments.push(Segment {
            source: at::<2>(list, 4) as u16,
            destination: at::<2>(list, 6) as u16,
            count: at::<2>(list, 10) as u16,
            from: at::<8>(list, 12),
            to: at::<8>(list, 20),
        });
        list = &list[SEGMENT_BYTES..];
    }
    Ok(segments)
}

/// A copy target, found among what the host sees.
struct Place {
    seen: Seen,
    facts: VolumeFacts,
}

impl Job {
    pub(crate) async fn extended_copy(&self) -> Done {
        let len = self.cdb.number(super::cdb::Field::new(10, 4));
        if len == 0 {
            return Ok(Bytes::new());
        }
        let list = CopyList::of(self.list(len))?;
        let mut result = CopyResult { list_id: list.list_id.unwrap_or(0), ..CopyResult::default() };
        if let Some(list_id) = list.list_id {
            let mut state = self.unit.state();
            let copies = state.copies(self.nexus.id);
            if let Some(copies) = copies {
                if copies.find(list_id).is_some_and(|other| !other.ended) {
                    return Err(Sense::illegal(Asc::OPERATION_IN_PROGRESS).into());
                }
                copies.put(result);
            }
        }
        let done = self.copy_segments(&list, &mut result).await;
        result.ended = true;
        result.failed = match done {
            Ok(()) => None,
            Err(Refused::Check(sense)) => Some(sense),
            Err(Refused::Status(_)) => {
                Some(Sense::new(SenseKey::CopyAborted, Asc::THIRD_PARTY_FAILURE))
            }
        };
        if let (Some(list_id), Some(copies)) =
            (list.list_id, self.unit.state().copies(self.nexus.id))
        {
            if list.holds || result.failed.is_some() {
                copies.put(result);
            } else {
                copies.forget(list_id);
            }
        }
        done.map(|()| Bytes::new())
    }

    async fn copy_segments(
        &self,
        list: &CopyList<'_>,
        result: &mut CopyResult,
    ) -> Result<(), Refused> {
        let mut places = Vec::with_capacity(list.targets.len());
        for named in &list.targets {
            places.push(self.place(named).await?);
        }
        for segment in &list.segments {
            result.bytes += self.copy_segment(segment, &places).await?;
            result.segments += 1;
        }
        Ok(())
    }

    /// Finds a copy target; what cannot be found fails the segments that need it.
    async fn place(&self, named: &[u8]) -> Result<Option<Place>, Refused> {
        let unit = self.target.identity();
        let mut seen = self.nexus.units().into_iter();
        let is_named = |seen: &Seen| unit.is_named_by(seen.unit.ldev, named);
        let Some(seen) = seen.find(|seen| is_named(seen) && !seen.options.command_device) else {
            return Ok(None);
        };
        let facts = self.facts_of(seen.unit.ldev).await.map_err(Refused::at_copy_target)?;
        Ok(Some(Place { seen, facts }))
    }

    /// Copies one segment; returns its bytes.
    async fn copy_segment(
        &self,
        segment: &Segment,
        places: &[Option<Place>],
    ) -> Result<u64, Refused> {
        let place = |no: u16| places.get(usize::from(no)).and_then(Option::as_ref);
        let [source, destination] = [segment.source, segment.destination].map(place);
        let (Some(source), Some(destination)) = (source, destination) else {
            return Err(Sense::new(SenseKey::CopyAborted, Asc::UNREACHABLE_COPY_TARGET).into());
        };
        let count = u64::from(segment.count);
        let from = blocks_of(&source.facts, segment.from, count);
        let to = blocks_of(&destination.facts, segment.to, count);
        let from = from.map_err(Refused::at_copy_target)?;
        let to = to.map_err(Refused::at_copy_target)?;
        // A copy to blocks further on in the same volume goes backwards where they overlap: else it would
        // read what it wrote.
        let is_same = source.seen.unit.ldev == destination.seen.unit.ldev;
        let backwards = is_same && from.start < to.start && from.overlaps(to);
        let mut all: Vec<_> = parts(from, u64::from(limits::TRANSFER_BLOCKS)).collect();
        if backwards {
            all.reverse();
        }
        for part in all {
            self.may_copy(source, destination)?;
            let ldev = source.seen.unit.ldev;
            let data = self.read(ldev, part).await.map_err(Refused::at_copy_target)?;
            let block = BlockNo(to.start.0 + (part.start.0 - from.start.0));
            let op = HostOp::Write { ldev: destination.seen.unit.ldev, block, data };
            self.change(op).await.map_err(Refused::at_copy_target)?;
        }
        Ok(BlockRange::new(from.start, count).count() * BLOCK_BYTES as u64)
    }

    /// Whether this host may read the one and change the other now.
    fn may_copy(&self, source: &Place, destination: &Place) -> Result<(), Refused> {
        {
            let state = source.seen.unit.state();
            state.steady().map_err(Refused::at_copy_target)?;
            state.may(&self.nexus, Conflict::Read).map_err(Refused::at_copy_target)?;
        }
        let state = destination.seen.unit.state();
        state.steady().map_err(Refused::at_copy_target)?;
        state.may(&self.nexus, Conflict::Write).map_err(Refused::at_copy_target)?;
        state.writable(destination.seen.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(targets: &[u8], segments: &[u8]) -> Vec<u8> {
        let mut list = vec![1, 0x10];
        list.extend((targets.len() as u16).to_be_bytes());
        list.extend([0; 4]);
        list.extend((segments.len() as u32).to_be_bytes());
        list.extend([0; 4]);
        [&list[..], targets, segments].concat()
    }

    fn target(code: u8) -> Vec<u8> {
        let mut target = vec![0; TARGET_BYTES];
        target[0] = code;
        target
    }

    fn segment(code: u8) -> Vec<u8> {
        let mut segment = vec![0; SEGMENT_BYTES];
        [segment[0], segment[3], segment[11]] = [code, 24, 9];
        segment
    }

    #[test]
    fn lists() {
        fn check(list: &[u8], expected: Result<(usize, usize), Asc>) {
            let found = CopyList::of(list).map(|list| (list.targets.len(), list.segments.len()));
            let found = found.map_err(|refused| match refused {
                Refused::Check(sense) => sense.asc,
                Refused::Status(_) => Asc::NONE,
            });
            assert_eq!(found, expected);
        }
        let (one, two) = (target(0xE4), segment(2));
        check(&list(&one, &two), Ok((1, 1)));
        check(&list(&[], &[]), Ok((0, 0)));
        check(&list(&one, &two)[..75], Err(Asc::PARAMETER_LIST_LENGTH));
        check(&list(&one, &two)[..9], Err(Asc::PARAMETER_LIST_LENGTH));
        check(&list(&target(0xE0), &two), Err(Asc::UNSUPPORTED_TARGET));
        check(&list(&one, &segment(3)), Err(Asc::UNSUPPORTED_SEGMENT));
        check(&list(&one[..31], &two), Err(Asc::PARAMETER_LIST_LENGTH));
        check(&list(&one, &two[..20]), Err(Asc::PARAMETER_LIST_LENGTH));
        check(&list(&one.repeat(129), &two), Err(Asc::TOO_MANY_TARGETS));
        check(&list(&one, &two.repeat(1_025)), Err(Asc::TOO_MANY_SEGMENTS));
        check(&list(&one.repeat(129), &two.repeat(2_400)), Err(Asc::PARAMETER_LIST_LENGTH));
        check(&list(&one.repeat(128), &two.repeat(1_024)), Ok((128, 1_024)));
        let mut inline = list(&one, &two);
        inline[15] = 1;
        check(&inline, Err(Asc::INLINE_DATA_LENGTH));
        let mut no_id = list(&one, &two);
        no_id[1] = 0x18;
        check(&no_id, Err(Asc::INVALID_FIELD_IN_LIST));
    }
}
