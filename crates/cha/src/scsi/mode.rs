//! Mode pages (SPC-5, 7.5; SBC-4, 6.5): what a logical unit says of itself that may be changed.
//!
//! Two bits may be changed, and saved: SWP (no writes, please) and D_SENSE (sense data in descriptors).

use super::cdb::{Cdb, at};
use super::operation::Has;
use super::reply::Refused;
use super::sense::{Asc, Sense};
use crate::LuOptions;
use diptych_format::BLOCK_BYTES;
use serde::{Deserialize, Serialize};

const CONTROL: u8 = 0x0A;
const D_SENSE: u8 = 0x04;
const SWP: u8 = 0x08;
const ALL_PAGES: u8 = 0x3F;
const ALL_SUBPAGES: u8 = 0xFF;

/// What may be changed of the control page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Control {
    /// SWP.
    pub(crate) write_protected: bool,
    /// D_SENSE.
    pub(crate) in_descriptors: bool,
}

/// The control page now, and as it is saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) now: Control,
    pub(crate) saved: Control,
}

/// PC: which values of the pages are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Current,
    Changeable,
    Default,
    Saved,
}

impl Modes {
    /// The pages asked for.
    fn pages(self, code: u8, values: Values) -> Vec<u8> {
        let pages = [0x01, 0x08, CONTROL, 0x1C]
            .into_iter()
            .filter(|&page| code == ALL_PAGES || code == page);
        pages.flat_map(|page| self.page(page, values)).collect()
    }

    fn page(self, code: u8, values: Values) -> Vec<u8> {
        let mut bytes = match code {
            // Read-write error recovery: nothing but what is always done.
            0x01 => vec![0x01, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            // Caching: WCE, writes are answered before they are on the drives.
            0x08 => {
                let mut bytes = vec![0; 20];
                [bytes[0], bytes[1], bytes[2]] = [0x08, 0x12, 0x04];
                bytes
            }
            // Control: TAS, and any order of commands; BUSY for as long as one likes.
            CONTROL => {
                let mut bytes =
                    vec![0x80 | CONTROL, 0x0A, 0, 0x10, 0, 0x40, 0, 0, 0xFF, 0xFF, 0, 0];
                let control = match values {
                    Values::Current => self.now,
                    Values::Saved => self.saved,
                    Values::Default => Control::default(),
                    Values::Changeable => Control { write_protected: true, in_descriptors: true },
                };
                bytes[2] = if control.in_descriptors { D_SENSE } else { 0 };
                bytes[4] = if control.write_protected { SWP } else { 0 };
                bytes
            }
            // Informational exceptions: none.
            _ => vec![0x1C, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        if values == Values::Changeable {
            let changeable = [bytes[2] & D_SENSE, bytes[4] & SWP];
            bytes[2..].fill(0);
            if code == CONTROL {
                [bytes[2], bytes[4]] = changeable;
            }
        }
        bytes
    }

    /// MODE SENSE(6) and (10) (SPC-5, 6.13, 6.14).
    pub(crate) fn sense(
        self,
        cdb: &Cdb,
        options: LuOptions,
        write_protected: bool,
        block_count: u64,
    ) -> Result<Vec<u8>, Refused> {
        let values = match cdb.byte(2) >> 6 {
            0 => Values::Current,
            1 => Values::Changeable,
            2 => Values::Default,
            _ => Values::Saved,
        };
        let (code, subpage) = (cdb.byte(2) & 0x3F, cdb.byte(3));
        let known = [0x01, 0x08, CONTROL, 0x1C, ALL_PAGES].contains(&code);
        if !known {
            return Err(Sense::in_cdb_bit(2, Some(5)).into());
        }
        if !(subpage == 0 || subpage == ALL_SUBPAGES) {
            return Err(Sense::in_cdb(3).into());
        }
        let pages = self.pages(code, values);
        let descriptors = if cdb.has(1, 0x08) {
            Vec::new()
        } else {
            descriptor(block_count, cdb.opcode() == 0x5A && cdb.has(1, 0x10))
        };
        // DPOFUA always; WP if writes are refused, by whatever reason.
        let protected = write_protected || options.write_protected || self.now.write_protected;
        let specific = 0x10 | if protected { 0x80 } else { 0 };
        let len = descriptors.len() + pages.len();
        let mut bytes = if cdb.opcode() == 0x5A {
            let [high, low] = (len as u16 + 6).to_be_bytes();
            let long = u8::from(descriptors.len() == 16);
            vec![high, low, 0, specific, long, 0, 0, descriptors.len() as u8]
        } else {
            vec![len as u8 + 3, 0, specific, descriptors.len() as u8]
        };
        bytes.extend(descriptors);
        bytes.extend(pages);
        Ok(bytes)
    }

    /// MODE SELECT(6) and (10) (SPC-5, 6.11, 6.12). Nothing is changed if anything is wrong.
    pub(crate) fn select(&mut self, cdb: &Cdb, list: &[u8]) -> Result<(), Refused> {
        let saves = cdb.has(1, 0x01);
        if list.is_empty() {
            return Ok(());
        }
        if !cdb.has(1, 0x10) {
            return Err(Sense::in_cdb_bit(1, Some(4)).into());
        }
        let (header, descriptors) = match cdb.opcode() {
            0x55 => (8, at::<2>(list, 6) as usize),
            _ => (4, at::<1>(list, 3) as usize),
        };
        if list.len() < header + descriptors {
            return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into());
        }
        // A block descriptor may say again what is so.
        if descriptors == 8 && at::<3>(list, header + 5) != BLOCK_BYTES as u64 {
            return Err(Sense::in_list(header as u16 + 5).into());
        }
        let mut control = self.now;
        let mut from = header + descriptors;
        while from < list.len() {
            from += self.select_page(&mut control, &list[from..], from)?;
        }
        self.now = control;
        if saves {
            self.saved = control;
        }
        Ok(())
    }

    /// Looks at one page, which starts `at` in the list. Returns its length.
    fn select_page(self, to: &mut Control, page: &[u8], at: usize) -> Result<usize, Refused> {
        let wrong = |byte: usize| Refused::from(Sense::in_list((at + byte).min(0xFFFF) as u16));
        let [code, len, ..] = *page else {
            return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into());
        };
        let known = [0x01, 0x08, CONTROL, 0x1C].contains(&code);
        if !known {
            return Err(wrong(0));
        }
        let whole = 2 + usize::from(len);
        if page.len() < whole {
            return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into());
        }
        let mut now = self.page(code, Values::Current);
        now[0] &= 0x3F;
        let changeable = self.page(code, Values::Changeable);
        if whole != now.len() {
            return Err(wrong(1));
        }
        let same = |byte: &usize| (page[*byte] ^ now[*byte]) & !changeable[*byte] == 0;
        if let Some(byte) = (2..whole).find(|byte| !same(byte)) {
            return Err(wrong(byte));
        }
        if code == CONTROL {
            to.in_descriptors = page[2] & D_SENSE != 0;
            to.write_protected = page[4] & SWP != 0;
        }
        Ok(whole)
    }
}

/// A mode parameter block descriptor (SBC-4, 6.5.2), short or long.
fn descriptor(block_count: u64, long: bool) -> Vec<u8> {
    let block_bytes = (BLOCK_BYTES as u32).to_be_bytes();
    if long {
        [&block_count.to_be_bytes()[..], &[0; 4], &block_bytes].concat()
    } else {
        let count = u32::try_from(block_count).unwrap_or(u32::MAX);
        [count.to_be_bytes(), block_bytes].concat()
    }
}

/// Whether a logical unit has what `has` asks for.
pub(crate) fn has(options: LuOptions, has: Has) -> bool {
    match has {
        Has::All => true,
        Has::Thin => options.thin,
        Has::Removable => options.removable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sense(modes: Modes, cdb: &[u8]) -> Result<Vec<u8>, Refused> {
        modes.sense(&Cdb::new(cdb), LuOptions::default(), false, 0x1_0000)
    }

    #[test]
    fn the_pages() {
        let shown = |cdb: &[u8]| -> String {
            let bytes = sense(Modes::default(), cdb).expect("pages");
            bytes.iter().map(|byte| format!("{byte:02X}")).collect()
        };
        insta::assert_snapshot!(shown(&[0x1A, 8, 0x0A, 0, 255, 0]), @r"0F0010008A0A001000400000FFFF0000");
        insta::assert_snapshot!(shown(&[0x1A, 8, 0x4A, 0, 255, 0]), @r"0F0010008A0A04000800000000000000");
        insta::assert_snapshot!(shown(&[0x1A, 0, 0x3F, 0, 255, 0]), @r"430010080001000000000200010A0000000000000000000008120400000000000000000000000000000000008A0A001000400000FFFF00001C0A00000000000000000000");
        insta::assert_snapshot!(shown(&[0x5A, 0x10, 0x08, 0, 0, 0, 0, 0, 255, 0]), @r"002A001001000010000000000001000000000000000002000812040000000000000000000000000000000000");
        assert_eq!(
            sense(Modes::default(), &[0x1A, 0, 0x0B, 0, 255, 0]),
            Err(Sense::in_cdb_bit(2, Some(5)).into())
        );
        assert_eq!(
            sense(Modes::default(), &[0x1A, 0, 0x0A, 1, 255, 0]),
            Err(Sense::in_cdb(3).into())
        );
    }

    #[test]
    fn what_is_changed_is_seen() {
        let mut modes = Modes::default();
        let page = sense(modes, &[0x1A, 8, 0x0A, 0, 255, 0]).expect("a page");
        let mut list = page.clone();
        [list[0], list[2], list[4]] = [0, 0, CONTROL];
        list[8] |= SWP;
        modes.select(&Cdb::new(&[0x15, 0x10, 0, 0, 16, 0]), &list).expect("changeable");
        assert!(modes.now.write_protected && !modes.saved.write_protected);
        assert_eq!(sense(modes, &[0x1A, 8, 0x0A, 0, 255, 0]).expect("a page")[2], 0x90);
        modes.select(&Cdb::new(&[0x15, 0x11, 0, 0, 16, 0]), &list).expect("changeable");
        assert!(modes.saved.write_protected);
    }

    #[test]
    fn what_may_not_be_changed() {
        fn check(list: &[u8], expected: Sense) {
            let mut modes = Modes::default();
            let cdb = Cdb::new(&[0x15, 0x10, 0, 0, list.len() as u8, 0]);
            assert_eq!(modes.select(&cdb, list), Err(Refused::Check(expected)), "{list:02X?}");
            assert_eq!(modes, Modes::default());
        }
        let too_short = Sense::illegal(Asc::PARAMETER_LIST_LENGTH);
        check(&[0, 0, 0], too_short);
        check(&[0, 0, 0, 8, 0], too_short);
        check(&[0, 0, 0, 0, CONTROL], too_short);
        check(&[0, 0, 0, 0, CONTROL, 0x0A, 0], too_short);
        check(&[0, 0, 0, 0, 0x0B, 0], Sense::in_list(4));
        check(&[0, 0, 0, 0, CONTROL, 0], Sense::in_list(5));
        check(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 4, 0], Sense::in_list(9));
        let wrong = [0, 0, 0, 0, CONTROL, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        check(&wrong, Sense::in_list(7));
    }
}
