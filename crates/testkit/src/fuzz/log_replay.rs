//! Anything on a log's device.
//!
//! An input is a byte of flags, a byte that says how many sectors there are, and pieces: the sector, the
//! number of bytes, the bytes. All else is zero.

use super::input::Input;
use diptych_device::{Device, MemoryDrive};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_log::{Log, LogConfig, LogError, Record, Replayed, Sequence};
use std::io::IoSlice;

/// Check codes are as they stand in the input.
pub(super) const CODES_AS_THEY_ARE: u8 = 1;
/// Sectors that the smallest device has, and how many more there can be.
pub(super) const SECTORS_LEAST: u64 = 32;
const SECTORS_MORE: u64 = 64;
/// Where the batches begin.
const RING_START: usize = 16;

/// A record that was found.
type Found = (Sequence, u16, Vec<u8>, Vec<u8>);

pub(super) fn run(bytes: &[u8]) -> bool {
    let drive = device(Input(bytes));
    let (opened, found) = read(&drive, true);
    let (opened, found) = match opened {
        Err(LogError::Corrupt { .. }) => {
            let (salvaged, again) = read(&drive, false);
            assert_eq!(again, found, "what is there is there when it is salvaged");
            assert!(!matches!(salvaged, Err(LogError::Corrupt { .. })), "salvage takes damage");
            (salvaged, again)
        }
        other => (other, found),
    };
    let Ok((replayed, appended)) = opened else { return false };
    assert_eq!(replayed.record_count, found.len() as u64);
    check_order(&found);
    let Some(appended) = appended else { return true };
    // What was given up at the first opening never comes back.
    let (again, found_again) = read(&drive, true);
    let (again, _) = again.expect("a log that was opened and appended to is whole");
    assert!(!again.torn && again.lost.is_none(), "{again:?}");
    let expected: Vec<Found> = found.into_iter().chain([appended]).collect();
    assert_eq!(found_again, expected, "what was found, and what was appended");
    true
}

fn check_order(found: &[Found]) {
    for pair in found.windows(2) {
        assert_eq!(pair[1].0.0, pair[0].0.0 + 1, "sequences have no gaps");
    }
}

/// Opens or salvages, and appends a record if there is room.
#[expect(clippy::type_complexity, reason = "two things that one caller takes apart at once")]
fn read(
    drive: &MemoryDrive,
    open: bool,
) -> (Result<(Replayed, Option<Found>), LogError>, Vec<Found>) {
    let mut found = Vec::new();
    let note = |sequence: Sequence, record: Record<'_>| {
        found.push((sequence, record.kind, record.head.to_vec(), record.payload.to_vec()));
    };
    let config = LogConfig::default();
    let opened =
        if open { Log::open(drive, config, note) } else { Log::salvage(drive, config, note) };
    let result = opened.map(|(log, replayed)| {
        let (head, payload) = (b"appended", [7; BLOCK_BYTES]);
        let record = Record { kind: 9, head, payload: &payload };
        let appended = log.append(&[record]).ok().map(|given| {
            log.sync(given.end).expect("a drive in memory flushes");
            (given.start, 9, head.to_vec(), payload.to_vec())
        });
        (replayed, appended)
    });
    (result, found)
}

fn device(mut input: Input<'_>) -> MemoryDrive {
    let flags = input.byte();
    let sectors = SECTORS_LEAST + u64::from(input.byte()) % SECTORS_MORE;
    let mut image = vec![0; sectors as usize * BLOCK_BYTES];
    while !input.is_empty() {
        let start = usize::from(input.byte()) % sectors as usize * BLOCK_BYTES;
        let piece = input.counted();
        let end = (start + piece.len()).min(image.len());
        image[start..end].copy_from_slice(&piece[..end - start]);
    }
    if flags & CODES_AS_THEY_ARE == 0 {
        make_codes(&mut image);
    }
    let drive = MemoryDrive::new(sectors);
    drive.write_at(SectorNo(0), &[IoSlice::new(&image)]).expect("sectors of the drive");
    drive
}

/// Makes the codes of superblocks and batches right (`docs/format.md`).
fn make_codes(image: &mut [u8]) {
    for place in [0, 8] {
        let sector = &mut image[place * BLOCK_BYTES..][..BLOCK_BYTES];
        let code = crc32fast::hash(&sector[..64]);
        sector[64..68].copy_from_slice(&code.to_le_bytes());
    }
    for start in (RING_START * BLOCK_BYTES..image.len()).step_by(BLOCK_BYTES) {
        let batch = &mut image[start..];
        let number = |at: usize| {
            let field = batch[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(field) as usize
        };
        if batch[..4] != *b"DLGB" {
            continue;
        }
        let whole = batch.len() / BLOCK_BYTES;
        let (head, payload) = (number(52), number(56));
        let end = head.saturating_add(payload);
        if head == 0 || end > whole {
            continue;
        }
        let (head, end) = (head * BLOCK_BYTES, end * BLOCK_BYTES);
        let code = crc32fast::hash(&batch[head..end]);
        batch[60..64].copy_from_slice(&code.to_le_bytes());
        let code = crc32fast::hash(&batch[8..head]);
        batch[4..8].copy_from_slice(&code.to_le_bytes());
    }
}
