//! Put, write out, append: how records get from memory to the device.

use crate::batch::{BatchHeader, Record, Sizes};
use crate::entry::{Entry, Group, joined_code};
use crate::log::State;
use crate::ring::Position;
use crate::room::LogRoom;
use crate::{Log, LogError, Sequence};
use diptych_device::{Device, DeviceError};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::atomic::Ordering;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

/// A page of a file system, and a physical sector of most drives.
const PAGE_SECTORS: u64 = 8;
const ZEROS: [u8; 7 * BLOCK_BYTES] = [0; 7 * BLOCK_BYTES];

/// Where a batch goes.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Sectors skipped before it, to the end of the ring.
    skipped: u64,
    /// The most sectors it may take.
    most: u64,
}

/// What a batch is made of.
struct Parts<'a> {
    records: &'a [Record<'a>],
    sizes: Sizes,
    payload_code: u32,
}

impl<D: Device> Log<D> {
    /// Queues a group in memory and gives its sequences. It waits for nothing but a short lock. A group
    /// is never divided over two batches: after a crash all of it is there or none.
    ///
    /// The log may be full when it is written: [`put_with`](Self::put_with) has made sure that it is not,
    /// this takes of the [reserve](crate::LogConfig::reserve_sectors). After the end of the log what is
    /// put goes nowhere.
    ///
    /// # Panics
    ///
    /// If a payload is not whole blocks, or the group is more than a batch may have (8 MiB of payloads,
    /// 8 MiB of heads).
    pub fn put(&self, group: Vec<Entry>) -> Range<Sequence> {
        self.put_group(group, None)
    }

    pub(crate) fn put_group(
        &self,
        entries: Vec<Entry>,
        room: Option<&mut LogRoom>,
    ) -> Range<Sequence> {
        let sizes = match Sizes::of(entries.iter().map(Entry::record)) {
            Ok(sizes) => sizes,
            Err(error) => panic!("a group fits a batch: {error}"),
        };
        let mut queue = self.queue.lock();
        let given = queue.give(entries.len());
        if entries.is_empty() {
            return given;
        }
        if let Some(room) = room {
            queue.rooms.take(room, sizes.sectors(), given.start);
        }
        let nowhere = queue.push(Group { first: given.start, entries, sizes });
        drop(queue);
        drop(nowhere);
        given
    }

    /// Writes all queued groups with records before `upto`, with all others that are queued. Who comes
    /// while somebody writes waits for that and finds his own written, or writes the rest. When this
    /// returns, what was written survives the death of the process, and its payloads' handles are
    /// given back.
    ///
    /// # Errors
    ///
    /// [`LogError::Full`], and what is queued stays so; or what the device says, which ends the log:
    /// then what is queued goes nowhere.
    pub fn write_out(&self, upto: Sequence) -> Result<(), LogError> {
        if self.is_written(upto) {
            return Ok(());
        }
        let mut state = self.state.lock();
        if self.is_written(upto) {
            return Ok(());
        }
        self.write_queued(&mut state)
    }

    fn is_written(&self, upto: Sequence) -> bool {
        self.written.load(Ordering::Acquire) >= upto.0
    }

    /// Writes what is queued now, in as few batches as there can be.
    fn write_queued(&self, state: &mut State) -> Result<(), LogError> {
        let mut groups = {
            let mut queue = self.queue.lock();
            queue.check()?;
            std::mem::take(&mut queue.groups)
        };
        while !groups.is_empty() {
            if let Err(error) = self.write_some(state, &mut groups) {
                let mut queue = self.queue.lock();
                if queue.failed.is_none() {
                    groups.append(&mut queue.groups);
                    queue.groups = groups;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Writes the first of these groups, with as many others as one batch takes.
    fn write_some(&self, state: &mut State, groups: &mut VecDeque<Group>) -> Result<(), LogError> {
        assert_eq!(groups[0].first, state.next, "invariant: sequences have no gaps");
        let place = self.place(state, groups[0].sizes.sectors())?;
        let (mut count, mut sizes) = (1, groups[0].sizes);
        while let Some(both) = groups.get(count).and_then(|group| sizes.with(group.sizes))
            && both.sectors() <= place.most
        {
            (count, sizes) = (count + 1, both);
        }
        let batch: Vec<Group> = groups.drain(..count).collect();
        let entries = || batch.iter().flat_map(|group| &group.entries);
        let records: Vec<Record<'_>> = entries().map(Entry::record).collect();
        let parts = Parts { records: &records, sizes, payload_code: joined_code(entries()) };
        let written = self.write_batch(state, place, &parts);
        drop(records);
        if written == Err(LogError::Device(DeviceError::StorageFull)) {
            batch.into_iter().rev().for_each(|group| groups.push_front(group));
            return written;
        }
        written?;
        let queued: u64 = batch.iter().map(|group| group.sizes.sectors()).sum();
        // Before anybody is told that they are written.
        drop(batch);
        self.note_written(state, queued);
        Ok(())
    }

    /// Appends records as one batch: after a crash all of them are there or none. Returns their
    /// sequences. What is queued is written before. They survive the death of the process from here
    /// on, and a loss of power once [`sync`](Self::sync) has returned.
    ///
    /// # Errors
    ///
    /// [`LogError::Full`], [`LogError::TooLarge`], [`LogError::NotWholeBlocks`], or what the device
    /// says: nothing is appended then.
    pub fn append(&self, records: &[Record<'_>]) -> Result<Range<Sequence>, LogError> {
        let sizes = Sizes::of(records.iter().copied())?;
        // The payloads' code needs no lock.
        let mut payload_code = crc32fast::Hasher::new();
        records.iter().for_each(|record| payload_code.update(record.payload));
        let parts = Parts { records, sizes, payload_code: payload_code.finalize() };
        let mut state = self.state.lock();
        let (given, place) = loop {
            self.write_queued(&mut state)?;
            let mut queue = self.queue.lock();
            if !queue.groups.is_empty() {
                continue; // put meanwhile
            }
            if records.is_empty() {
                return Ok(queue.give(0));
            }
            let (promised, wanted_sectors) = (queue.rooms.promised(), sizes.sectors());
            let place = self.place(&state, wanted_sectors)?;
            let free_sectors = queue.free().saturating_sub(promised);
            if promised > 0 && place.skipped + wanted_sectors > free_sectors {
                return Err(LogError::Full { wanted_sectors, free_sectors });
            }
            break (queue.give(records.len()), place);
        };
        if let Err(error) = self.write_batch(&mut state, place, &parts) {
            self.take_back(&given);
            return Err(error);
        }
        self.note_written(&state, 0);
        Ok(given)
    }

    /// Records were not appended: their sequences are given again. If others stand behind them already,
    /// the log has ended.
    fn take_back(&self, given: &Range<Sequence>) {
        let mut queue = self.queue.lock();
        let nowhere = if queue.end == given.end {
            queue.end = given.start;
            VecDeque::new()
        } else {
            queue.fail(DeviceError::StorageFull.into())
        };
        drop(queue);
        drop(nowhere);
    }

    /// Batches are written that `queued` sectors were queued for.
    fn note_written(&self, state: &State, queued: u64) {
        let mut queue = self.queue.lock();
        queue.used = state.used();
        // After the end of the log nothing is queued.
        queue.queued = queue.queued.saturating_sub(queued);
        drop(queue);
        self.written.fetch_max(state.next.0, Ordering::AcqRel);
    }

    /// Where a batch of so many sectors goes. It does not go around the end of the ring.
    fn place(&self, state: &State, sectors: u64) -> Result<Place, LogError> {
        let to_end = self.ring.to_end(state.head);
        let skipped = if sectors <= to_end { 0 } else { to_end };
        // One sector always stays free, so that the end is never where the beginning is.
        let free_sectors = self.ring.sectors() - state.used() - 1;
        let wanted_sectors = skipped + sectors;
        if wanted_sectors > free_sectors {
            return Err(LogError::Full { wanted_sectors, free_sectors });
        }
        let most = free_sectors - skipped;
        Ok(Place { skipped, most: if skipped == 0 { most.min(to_end) } else { most } })
    }

    fn write_batch(
        &self,
        state: &mut State,
        place: Place,
        parts: &Parts<'_>,
    ) -> Result<(), LogError> {
        if place.skipped > 0 {
            self.write_filler(state, place.skipped)?;
        }
        let Parts { records, sizes, payload_code } = *parts;
        let header = BatchHeader { payload_code, ..self.header(state).sized(records.len(), sizes) };
        header.encode(records, &mut state.area);
        let payloads = records.iter().map(|record| record.payload);
        self.write_at_head(state, payloads, header.sectors())?;
        let (first, position) = (state.next, state.head);
        state.next = Sequence(first.0 + records.len() as u64);
        state.head = Position(position.0 + header.sectors());
        state.mark(first, position);
        Ok(())
    }

    /// A batch without records says that the rest of the ring is skipped.
    fn write_filler(&self, state: &mut State, skipped: u64) -> Result<(), LogError> {
        let filler = self.header(state).sized(0, Sizes::default());
        filler.encode(&[], &mut state.area);
        self.write_at_head(state, [], filler.sectors())?;
        state.head = Position(state.head.0 + skipped);
        state.before_head.clear();
        Ok(())
    }

    /// The fields that every batch has.
    fn header(&self, state: &State) -> BatchHeader {
        BatchHeader {
            id: self.id,
            incarnation: state.superblock.incarnation,
            position: state.head,
            first: state.next,
            durable: self.durable_sequence(),
            record_count: 0,
            head_sectors: 0,
            payload_sectors: 0,
            payload_code: 0,
        }
    }

    /// Writes a head area and payloads, `sectors` in all, as whole pages where it can: what stands before
    /// the head in its page is written once more, as it is, and free sectors behind are written with
    /// zeros. A file's page that is written in part, and is not in memory, would first be read.
    ///
    /// A device that is full has done nothing. Of anything else nobody knows what it will still do.
    fn write_at_head<'a>(
        &self,
        state: &mut State,
        payloads: impl IntoIterator<Item = &'a [u8]>,
        sectors: u64,
    ) -> Result<(), LogError> {
        let start = self.ring.sector(state.head).0;
        let end = start + sectors;
        let before_head = std::mem::take(&mut state.before_head);
        let before = (before_head.len() / BLOCK_BYTES) as u64;
        let free = self.ring.sectors() - state.used() - sectors;
        let behind = end.next_multiple_of(PAGE_SECTORS) - end;
        let behind = behind.min(free).min(self.ring.to_end(state.head) - sectors) as usize;
        let mut bufs = vec![IoSlice::new(&before_head), IoSlice::new(&state.area)];
        for payload in payloads {
            bufs.push(IoSlice::new(payload));
        }
        bufs.push(IoSlice::new(&ZEROS[..behind * BLOCK_BYTES]));
        bufs.retain(|buf| !buf.is_empty());
        let written = self.device.write_at(SectorNo(start - before), &bufs);
        written.map_err(|error| match error {
            DeviceError::StorageFull => error.into(),
            _ => self.end_with(error.into()),
        })?;
        bufs.pop_if(|_| behind > 0);
        let within = end % PAGE_SECTORS;
        if before + sectors >= within {
            state.before_head = last_bytes(&bufs, within as usize * BLOCK_BYTES);
        }
        Ok(())
    }
}

/// The last `bytes` bytes of these.
fn last_bytes(bufs: &[IoSlice<'_>], bytes: usize) -> Vec<u8> {
    let mut last = vec![0; bytes];
    let mut left = bytes;
    for buf in bufs.iter().rev() {
        let taken = left.min(buf.len());
        last[left - taken..left].copy_from_slice(&buf[buf.len() - taken..]);
        left -= taken;
    }
    last
}
