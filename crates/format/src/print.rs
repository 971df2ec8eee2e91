//! Blocks and tracks as text: for examples, traces and looking at what is on a drive.
//!
//! Every format prints as a small tree: one line of verdict, below it what it is made of.

use crate::{BLOCK_BYTES, BackingId, BlockNo, CheckArea, CheckField, LogicalAddress};
use std::fmt;

/// Bytes of one row of a hexdump.
const ROW_BYTES: usize = 16;

/// Prints a block: its check field, the verdict, and the data in rows of 16 bytes.
///
/// ```
/// use diptych_format::{BackingId, BlockNo, BlockPrinter, CheckField, Generation, LogicalAddress};
/// let data = [7_u8; 512];
/// let la = LogicalAddress { backing: BackingId(3), block: BlockNo(42) };
/// let field = CheckField::of(&data, la, Generation(1));
/// let text = BlockPrinter::new(&data, field, la).to_string();
/// assert!(text.starts_with("block 3/42: ok\n"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BlockPrinter<'a> {
    data: &'a [u8],
    field: CheckField,
    la: LogicalAddress,
}

impl<'a> BlockPrinter<'a> {
    /// Of a block that was read at `la`.
    ///
    /// # Panics
    ///
    /// If `data` is not one block.
    pub fn new(data: &'a [u8], field: CheckField, la: LogicalAddress) -> Self {
        assert_eq!(data.len(), BLOCK_BYTES, "the data of one block");
        Self { data, field, la }
    }
}

impl fmt::Display for BlockPrinter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.field.verify(self.data, self.la);
        writeln!(f, "block {}: {}", self.la, if verdict.is_ok() { "ok" } else { "wrong" })?;
        let CheckField { la, generation, code } = self.field;
        writeln!(f, "├ LA {la}, generation {generation}, CD {code:08x}")?;
        if let Err(error) = verdict {
            writeln!(f, "├ {error}")?;
        }
        writeln!(f, "└ data")?;
        hexdump(f, self.data)
    }
}

/// Rows of 16 bytes; rows equal to the one above are counted instead of printed.
fn hexdump(f: &mut fmt::Formatter<'_>, data: &[u8]) -> fmt::Result {
    let mut rows = data.chunks(ROW_BYTES).enumerate().peekable();
    while let Some((row_no, row)) = rows.next() {
        write!(f, "  {:04x} ", row_no * ROW_BYTES)?;
        for (at, byte) in row.iter().enumerate() {
            let gap = if at == ROW_BYTES / 2 { " " } else { "" };
            write!(f, "{gap} {byte:02x}")?;
        }
        f.write_str("  |")?;
        for byte in row {
            let shown = if byte.is_ascii_graphic() || *byte == b' ' { *byte } else { b'.' };
            write!(f, "{}", char::from(shown))?;
        }
        writeln!(f, "|")?;
        let mut same_count = 0;
        while rows.next_if(|(_, next)| *next == row).is_some() {
            same_count += 1;
        }
        if same_count > 0 {
            writeln!(f, "  *     {same_count} more like it")?;
        }
    }
    Ok(())
}

/// Prints a track: a line for each block, or for neighbours that are right and hold the same data
/// of the same generation.
///
/// ```
/// use diptych_format::{BackingId, BlockNo, CheckArea, TrackPrinter};
/// let never_written = CheckArea::zeroed(2);
/// let text = TrackPrinter::new(&[0; 1024], &never_written, BackingId(3), BlockNo(0)).to_string();
/// assert!(text.starts_with("track 3/0..2: 2 of 2 blocks wrong\n"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TrackPrinter<'a> {
    data: &'a [u8],
    checks: &'a CheckArea,
    backing: BackingId,
    first_block: BlockNo,
}

impl<'a> TrackPrinter<'a> {
    /// Of a track of `backing` that starts at `first_block`.
    ///
    /// # Panics
    ///
    /// If `data` and `checks` are not of the same number of blocks.
    pub fn new(
        data: &'a [u8],
        checks: &'a CheckArea,
        backing: BackingId,
        first_block: BlockNo,
    ) -> Self {
        let data_bytes = checks.block_count() as usize * BLOCK_BYTES;
        assert_eq!(data.len(), data_bytes, "the data of the check area's blocks");
        Self { data, checks, backing, first_block }
    }

    fn data(&self, index: u64) -> &'a [u8] {
        let at = index as usize * BLOCK_BYTES;
        &self.data[at..at + BLOCK_BYTES]
    }

    fn la(&self, index: u64) -> LogicalAddress {
        LogicalAddress { backing: self.backing, block: BlockNo(self.first_block.0 + index) }
    }

    fn is_ok(&self, index: u64) -> bool {
        self.checks.get(index).verify(self.data(index), self.la(index)).is_ok()
    }

    /// One past the last block that prints on the line of block `start`.
    fn line_end(&self, start: u64) -> u64 {
        let generation = self.checks.get(start).generation;
        let same = |index: &u64| {
            self.is_ok(*index)
                && self.checks.get(*index).generation == generation
                && self.data(*index) == self.data(start)
        };
        let next = start + 1;
        if !self.is_ok(start) {
            return next;
        }
        next + (next..self.checks.block_count()).take_while(same).count() as u64
    }
}

impl fmt::Display for TrackPrinter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block_count = self.checks.block_count();
        let wrong_count = (0..block_count).filter(|index| !self.is_ok(*index)).count();
        write!(f, "track {}..{}: ", self.la(0), self.first_block.0 + block_count)?;
        match wrong_count {
            0 => writeln!(f, "{block_count} blocks ok")?,
            _ => writeln!(f, "{wrong_count} of {block_count} blocks wrong")?,
        }
        let mut start = 0;
        while start < block_count {
            let end = self.line_end(start);
            let branch = if end == block_count { '└' } else { '├' };
            let CheckField { la, generation, code } = self.checks.get(start);
            write!(f, "{branch} {start:>3}  LA {la}, generation {generation}, CD {code:08x}: ")?;
            match self.checks.get(start).verify(self.data(start), self.la(start)) {
                Ok(()) if end == start + 1 => writeln!(f, "ok")?,
                Ok(()) => writeln!(f, "ok, and {} more with the same data", end - start - 1)?,
                Err(error) => writeln!(f, "wrong, {error}")?,
            }
            start = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generation;
    use insta::assert_snapshot;

    const BACKING: BackingId = BackingId(3);

    fn la(block: u64) -> LogicalAddress {
        LogicalAddress { backing: BACKING, block: BlockNo(block) }
    }

    #[test]
    fn a_block_with_text_in_it() {
        let mut data = [0; BLOCK_BYTES];
        data[20..34].copy_from_slice(b"Hello, track 7");
        data[BLOCK_BYTES - 1] = 0xFF;
        let field = CheckField::of(&data, la(42), Generation(7));
        assert_snapshot!(BlockPrinter::new(&data, field, la(42)), @r"
        block 3/42: ok
        ├ LA 3/42, generation 7, CD dd4a1434
        └ data
          0000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
          0010  00 00 00 00 48 65 6c 6c  6f 2c 20 74 72 61 63 6b  |....Hello, track|
          0020  20 37 00 00 00 00 00 00  00 00 00 00 00 00 00 00  | 7..............|
          0030  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
          *     27 more like it
          01f0  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 ff  |................|
        ");
    }

    #[test]
    fn a_block_that_rotted() {
        let field = CheckField::of(&[0; BLOCK_BYTES], la(42), Generation(7));
        assert_snapshot!(BlockPrinter::new(&[0x20; BLOCK_BYTES], field, la(42)), @r"
        block 3/42: wrong
        ├ LA 3/42, generation 7, CD eb82d49f
        ├ block 3/42: check code eb82d49f does not match a242d417
        └ data
          0000  20 20 20 20 20 20 20 20  20 20 20 20 20 20 20 20  |                |
          *     31 more like it
        ");
    }

    #[test]
    fn a_block_that_belongs_elsewhere() {
        let data = [0; BLOCK_BYTES];
        let field = CheckField::of(&data, la(43), Generation(7));
        assert_snapshot!(BlockPrinter::new(&data, field, la(42)), @r"
        block 3/42: wrong
        ├ LA 3/43, generation 7, CD 45ea450e
        ├ block 3/42 carries the logical address 3/43
        └ data
          0000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
          *     31 more like it
        ");
    }

    #[test]
    fn a_track_of_all_sorts() {
        let mut data = vec![0; 96 * BLOCK_BYTES];
        data[BLOCK_BYTES..2 * BLOCK_BYTES].fill(1);
        let mut checks = CheckArea::zeroed(96);
        for (index, block) in (0..).zip(data.chunks(BLOCK_BYTES)) {
            let generation = Generation(if index < 60 { 7 } else { 8 });
            checks.set(index, CheckField::of(block, la(960 + index), generation));
        }
        data[17 * BLOCK_BYTES] = 1;
        checks.set(30, CheckField::of(&[0; BLOCK_BYTES], la(0), Generation(7)));
        assert_snapshot!(TrackPrinter::new(&data, &checks, BACKING, BlockNo(960)), @r"
        track 3/960..1056: 2 of 96 blocks wrong
        ├   0  LA 3/960, generation 7, CD 6bf064b9: ok
        ├   1  LA 3/961, generation 7, CD b10ab4bc: ok
        ├   2  LA 3/962, generation 7, CD ec5041da: ok, and 14 more with the same data
        ├  17  LA 3/977, generation 7, CD 23bfcbb6: wrong, block 3/977: check code 23bfcbb6 does not match 11d9bfe7
        ├  18  LA 3/978, generation 7, CD 0a777f44: ok, and 11 more with the same data
        ├  30  LA 3/0, generation 7, CD 080e15ce: wrong, block 3/990 carries the logical address 3/0
        ├  31  LA 3/991, generation 7, CD 033d3d1d: ok, and 28 more with the same data
        └  60  LA 3/1020, generation 8, CD e4eae03e: ok, and 35 more with the same data
        ");
    }

    #[test]
    fn a_track_of_zeros_is_one_line() {
        let mut checks = CheckArea::zeroed(128);
        for index in 0..128 {
            checks.set(index, CheckField::of(&[0; BLOCK_BYTES], la(index), Generation(1)));
        }
        let data = vec![0; 128 * BLOCK_BYTES];
        assert_snapshot!(TrackPrinter::new(&data, &checks, BACKING, BlockNo(0)), @r"
        track 3/0..128: 128 blocks ok
        └   0  LA 3/0, generation 1, CD ce611c49: ok, and 127 more with the same data
        ");
    }
}
