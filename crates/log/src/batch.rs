//! A batch of records, in bytes.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic, the letters `DLGB` |
//! | 4 | 4 | code: CRC-32 of the head area behind this field |
//! | 8 | 8 | the log's id |
//! | 16 | 8 | incarnation: how often the log was opened before |
//! | 24 | 8 | position, in sectors since the log was made |
//! | 32 | 8 | sequence of the first record |
//! | 40 | 8 | records before this one were durable when the batch was made |
//! | 48 | 4 | records; 0: nothing but the rest of the ring up to its end |
//! | 52 | 4 | sectors of the head area |
//! | 56 | 4 | sectors of the payloads |
//! | 60 | 4 | CRC-32 of the payloads |
//!
//! Then, for each record: kind (2), zero (2), bytes of its head (4), blocks of its payload (4), its
//! head. Zeros fill the last sector of the head area. Then the payloads, block by block, as they came.

use crate::LogError;
use crate::LogId;
use crate::ring::Position;
use crate::superblock::COUNT_MAX;
use diptych_format::BLOCK_BYTES;
use std::fmt;

const MAGIC: [u8; 4] = *b"DLGB";
/// Bytes of the fields before the records.
const FIXED_BYTES: usize = 64;
/// Bytes of the fields before a record's head.
const RECORD_BYTES: usize = 12;
/// The most bytes of a head area, and of all payloads of a batch.
pub(crate) const AREA_BYTES_MAX: usize = 8 << 20;

/// The number of a record, from 1, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record: what the caller wants to find again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// What kind of record it is; the log does not care.
    pub kind: u16,
    /// What it says.
    pub head: &'a [u8],
    /// The data it carries: whole blocks of 512 bytes, which are written as they lie.
    pub payload: &'a [u8],
}

/// The fields of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) id: LogId,
    pub(crate) incarnation: u64,
    pub(crate) position: Position,
    pub(crate) first: Sequence,
    pub(crate) durable: Sequence,
    pub(crate) record_count: u32,
    pub(crate) head_sectors: u32,
    pub(crate) payload_sectors: u32,
    pub(crate) payload_code: u32,
}

/// What records take, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Their heads, each with its fields.
    heads: u64,
    payloads: u64,
}

impl Sizes {
    pub(crate) fn of<'a>(records: impl IntoIterator<Item = Record<'a>>) -> Result<Self, LogError> {
        let mut sizes = Self::default();
        for record in records {
            if !record.payload.len().is_multiple_of(BLOCK_BYTES) {
                return Err(LogError::NotWholeBlocks { bytes: record.payload.len() });
            }
            sizes.heads += (RECORD_BYTES + record.head.len()) as u64;
            sizes.payloads += record.payload.len() as u64;
        }
        let most = AREA_BYTES_MAX as u64;
        match [FIXED_BYTES as u64 + sizes.heads, sizes.payloads].into_iter().max() {
            Some(bytes) if bytes > most => Err(LogError::TooLarge { bytes, most }),
            _ => Ok(sizes),
        }
    }

    /// Both in one batch, if there is room in it for both.
    pub(crate) fn with(self, other: Self) -> Option<Self> {
        let (heads, payloads) = (self.heads + other.heads, self.payloads + other.payloads);
        let most = AREA_BYTES_MAX as u64;
        let fit = FIXED_BYTES as u64 + heads <= most && payloads <= most;
        fit.then_some(Self { heads, payloads })
    }

    fn head_sectors(self) -> u64 {
        (FIXED_BYTES as u64 + self.heads).div_ceil(BLOCK_BYTES as u64)
    }

    fn payload_sectors(self) -> u64 {
        self.payloads.div_ceil(BLOCK_BYTES as u64)
    }

    /// Of a batch of nothing else. Together in one they take no more.
    pub(crate) fn sectors(self) -> u64 {
        self.head_sectors() + self.payload_sectors()
    }
}

/// Sectors that a group of `records` records takes at most, with `head_bytes` and `payload_bytes` bytes
/// of heads and payloads in all.
pub fn sectors_for(payload_bytes: usize, head_bytes: usize, records: usize) -> u64 {
    let heads = (head_bytes + records * RECORD_BYTES) as u64;
    Sizes { heads, payloads: payload_bytes as u64 }.sectors()
}

impl BatchHeader {
    /// All its sectors. A filler takes the rest of the ring.
    pub(crate) fn sectors(&self) -> u64 {
        u64::from(self.head_sectors) + u64::from(self.payload_sectors)
    }

    /// With the sizes of its records.
    pub(crate) fn sized(self, record_count: usize, sizes: Sizes) -> Self {
        Self {
            record_count: record_count as u32,
            head_sectors: sizes.head_sectors() as u32,
            payload_sectors: sizes.payload_sectors() as u32,
            ..self
        }
    }

    /// Puts the head area of a batch into `area`, whatever was there.
    pub(crate) fn encode(&self, records: &[Record<'_>], area: &mut Vec<u8>) {
        area.clear();
        area.extend_from_slice(&MAGIC);
        area.extend_from_slice(&[0; 4]);
        for number in [self.id.0, self.incarnation, self.position.0, self.first.0, self.durable.0] {
            area.extend_from_slice(&number.to_le_bytes());
        }
        for number in
            [self.record_count, self.head_sectors, self.payload_sectors, self.payload_code]
        {
            area.extend_from_slice(&number.to_le_bytes());
        }
        for record in records {
            area.extend_from_slice(&record.kind.to_le_bytes());
            area.extend_from_slice(&[0; 2]);
            area.extend_from_slice(&(record.head.len() as u32).to_le_bytes());
            area.extend_from_slice(&((record.payload.len() / BLOCK_BYTES) as u32).to_le_bytes());
            area.extend_from_slice(record.head);
        }
        area.resize(self.head_sectors as usize * BLOCK_BYTES, 0);
        let code = crc32fast::hash(&area[8..]).to_le_bytes();
        area[4..8].copy_from_slice(&code);
    }

    /// The fields at the start of a sector, as they stand. `None`: there is no batch, or its sizes make
    /// no sense.
    pub(crate) fn peek(sector: &[u8]) -> Option<Self> {
        let fixed = sector.get(..FIXED_BYTES).filter(|bytes| bytes[..4] == MAGIC)?;
        let long = |at: usize| u64::from_le_bytes(fixed[at..at + 8].try_into().expect("eight"));
        let short = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().expect("four"));
        let header = Self {
            id: LogId(long(8)),
            incarnation: long(16),
            position: Position(long(24)),
            first: Sequence(long(32)),
            durable: Sequence(long(40)),
            record_count: short(48),
            head_sectors: short(52),
            payload_sectors: short(56),
            payload_code: short(60),
        };
        let most = (AREA_BYTES_MAX / BLOCK_BYTES) as u32;
        let sizes = (1..=most).contains(&header.head_sectors) && header.payload_sectors <= most;
        // A batch that says it had been durable before it was made would end every log that has it.
        let counts = header.durable <= header.first && header.incarnation <= COUNT_MAX;
        (sizes && counts).then_some(header)
    }

    /// Whether the head area, which begins with these fields, is whole.
    pub(crate) fn is_whole(area: &[u8]) -> bool {
        area.get(4..8).is_some_and(|code| crc32fast::hash(&area[8..]).to_le_bytes() == code)
    }

    /// The records of a batch whose codes were checked. `None`: its sizes contradict each other.
    pub(crate) fn records<'a>(
        &self,
        area: &'a [u8],
        mut payloads: &'a [u8],
    ) -> Option<Vec<Record<'a>>> {
        let mut rest = area.get(FIXED_BYTES..)?;
        let mut records = Vec::new();
        for _ in 0..self.record_count {
            let fields = rest.get(..RECORD_BYTES)?;
            let kind = u16::from_le_bytes([fields[0], fields[1]]);
            let short = |at: usize| {
                u32::from_le_bytes(fields[at..at + 4].try_into().expect("four")) as usize
            };
            let (head_bytes, payload_bytes) = (short(4), short(8).checked_mul(BLOCK_BYTES)?);
            rest = &rest[RECORD_BYTES..];
            let head = rest.get(..head_bytes)?;
            let payload = payloads.get(..payload_bytes)?;
            (rest, payloads) = (&rest[head_bytes..], &payloads[payload_bytes..]);
            records.push(Record { kind, head, payload });
        }
        Some(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(header: &BatchHeader) -> Vec<u8> {
        let mut area = Vec::new();
        let record = Record { kind: 0x1212, head: b"head", payload: &[] };
        header.encode(&[record], &mut area);
        area
    }

    /// `docs/format.md` against the code: what stands at each offset.
    #[test]
    fn the_document_is_the_layout() {
        let header = header();
        let area = bytes(&header);
        let code = crc32fast::hash(&area[8..]);
        for (field, offset, width) in documented() {
            let expected = match field {
                "magic" => MAGIC.to_vec(),
                "code" => code.to_le_bytes().to_vec(),
                "id" => header.id.0.to_le_bytes().to_vec(),
                "incarnation" => header.incarnation.to_le_bytes().to_vec(),
                "position" => header.position.0.to_le_bytes().to_vec(),
                "first" => header.first.0.to_le_bytes().to_vec(),
                "durable" => header.durable.0.to_le_bytes().to_vec(),
                "records" => header.record_count.to_le_bytes().to_vec(),
                "head sectors" => header.head_sectors.to_le_bytes().to_vec(),
                "payload sectors" => header.payload_sectors.to_le_bytes().to_vec(),
                "payload code" => header.payload_code.to_le_bytes().to_vec(),
                other => panic!("no field {other}"),
            };
            assert_eq!(area[offset..offset + width], expected, "{field}");
        }
        let (_, offset, width) = documented().last().copied().expect("a table");
        assert_eq!(offset + width, FIXED_BYTES);
        assert_eq!(BatchHeader::peek(&area), Some(header));
        assert!(BatchHeader::is_whole(&area));
    }

    fn documented() -> Vec<(&'static str, usize, usize)> {
        crate::documented::table("Log batch")
    }

    fn header() -> BatchHeader {
        BatchHeader {
            id: LogId(0x0101_0101_0101_0101),
            incarnation: 0x0202_0202_0202_0202,
            position: Position(0x0303_0303_0303_0303),
            first: Sequence(0x0505_0505_0505_0505),
            durable: Sequence(0x0404_0404_0404_0404),
            record_count: 1,
            head_sectors: 1,
            payload_sectors: 0,
            payload_code: 0x0606_0606,
        }
    }

    #[test]
    fn what_contradicts_itself_is_no_batch() {
        let check = |change: fn(&mut Vec<u8>)| {
            let mut area = bytes(&header());
            change(&mut area);
            let header = BatchHeader::peek(&area)?;
            header.records(&area, &[]).map(|records| records.len())
        };
        assert_eq!(check(|_| {}), Some(1));
        assert_eq!(check(|area| area[0] = 0), None);
        assert_eq!(check(|area| area[52] = 0), None, "no head area");
        assert_eq!(check(|area| area[47] = 0xFF), None, "durable before it was made");
        assert_eq!(check(|area| area[59] = 0xFF), None, "payloads without end");
        assert_eq!(check(|area| area[FIXED_BYTES + 5] = 0xFF), None, "a head without end");
        assert_eq!(check(|area| area[FIXED_BYTES + 11] = 0xFF), None, "no such payload");
        assert_eq!(check(|area| area[51] = 0xFF), None, "records without end");
        assert_eq!(check(|area| area.truncate(10)), None);
    }
}
