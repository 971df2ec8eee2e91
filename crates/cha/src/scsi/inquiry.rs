//! INQUIRY (SPC-5, 6.6) and vital product data (SPC-5, 7.7; SBC-4, 6.6).

use super::cdb::Cdb;
use super::identity::UnitIdentity;
use super::limits;
use super::reply::Refused;
use super::sense::Sense;
use crate::{LuOptions, TargetId};
use diptych_format::LdevId;

/// The pages there are, ascending.
const PAGES: [u8; 6] = [0x00, 0x80, 0x83, 0xB0, 0xB1, 0xB2];

/// SAM-5, SPC-4, SBC-3, iSCSI, SPC-5, SBC-4: no version claimed of any.
const VERSIONS: [u16; 6] = [0x00A0, 0x0460, 0x04C0, 0x0960, 0x05C0, 0x0600];

/// PERIPHERAL QUALIFIER and DEVICE TYPE of a LUN without a logical unit.
pub(crate) const NO_UNIT: u8 = 0x7F;

/// A logical unit, as an INQUIRY sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inquired {
    pub(crate) unit: UnitIdentity,
    pub(crate) ldev: LdevId,
    pub(crate) target: TargetId,
    pub(crate) options: LuOptions,
}

/// What an INQUIRY asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Standard,
    Page(u8),
}

impl Asked {
    pub(crate) fn of(cdb: &Cdb) -> Result<Self, Refused> {
        match (cdb.has(1, 0x01), cdb.byte(2)) {
            (false, 0) => Ok(Self::Standard),
            (true, page) if PAGES.contains(&page) => Ok(Self::Page(page)),
            _ => Err(Sense::in_cdb(2).into()),
        }
    }
}

/// Standard INQUIRY data, 96 bytes.
pub(crate) fn standard(device: u8, options: LuOptions) -> Vec<u8> {
    let mut bytes = vec![0; 96];
    bytes[0] = device;
    bytes[1] = if options.removable { 0x80 } else { 0 };
    // SPC-4; HISUP, format 2.
    [bytes[2], bytes[3], bytes[4]] = [0x06, 0x12, 91];
    // TPGS: implicit; 3PC; MULTIP; CMDQUE.
    [bytes[5], bytes[6], bytes[7]] = [0x18, 0x10, 0x02];
    bytes[8..36].copy_from_slice(&UnitIdentity::names(options.command_device));
    for (no, version) in VERSIONS.into_iter().enumerate() {
        bytes[58 + 2 * no..60 + 2 * no].copy_from_slice(&version.to_be_bytes());
    }
    bytes
}

impl Inquired {
    /// A page of vital product data; `blocks_per_track` is for the block limits.
    pub(crate) fn page(&self, code: u8, blocks_per_track: u32) -> Vec<u8> {
        let body = match code {
            0x00 => PAGES.to_vec(),
            0x80 => self.unit.serial(self.ldev).into_bytes(),
            0x83 => self.unit.designators(self.ldev, self.target),
            0xB0 => self.block_limits(blocks_per_track),
            0xB1 => self.characteristics(),
            _ => self.provisioning(),
        };
        let [high, low] = (body.len() as u16).to_be_bytes();
        [&[0, code, high, low][..], &body].concat()
    }

    /// Block limits (SBC-4, 6.6.4).
    fn block_limits(&self, blocks_per_track: u32) -> Vec<u8> {
        let mut body = vec![0; 60];
        let mut put = |at: usize, number: u32| {
            body[at - 4..at].copy_from_slice(&number.to_be_bytes());
        };
        // The numbers here count from the page's first byte.
        put(8, limits::TRANSFER_BLOCKS);
        put(12, limits::TRANSFER_BLOCKS);
        if self.options.thin {
            put(20, limits::UNMAP_BLOCKS);
            put(24, limits::UNMAP_DESCRIPTORS);
            put(28, blocks_per_track);
            // UGAVALID: tracks start at block 0.
            put(32, 1 << 31);
        }
        put(40, limits::WRITE_SAME_BLOCKS);
        put(44, limits::ATOMIC_BLOCKS);
        // WSNZ: where the end of the medium is may not be what the host believes.
        body[0] = u8::from(self.options.removable);
        body[1] = limits::COMPARE_BLOCKS;
        let granularity: u16 = if self.options.physical_4k { 8 } else { 1 };
        body[2..4].copy_from_slice(&granularity.to_be_bytes());
        body
    }

    /// Block device characteristics (SBC-4, 6.6.2): nothing turns; after BLOCK ERASE and CRYPTOGRAPHIC
    /// ERASE reads work and bring zeros.
    fn characteristics(&self) -> Vec<u8> {
        let mut body = vec![0; 60];
        body[1] = 1;
        body[3] = if self.options.thin { 0x50 } else { 0 };
        body
    }

    /// Logical block provisioning (SBC-4, 6.6.5): UNMAP and WRITE SAME give up blocks, which read zero.
    fn provisioning(&self) -> Vec<u8> {
        if self.options.thin { vec![0, 0xE4, 2, 0] } else { vec![0; 4] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02X} ")).collect::<String>();
        bytes.chunks(16).map(|bytes| line(bytes).trim_end().to_owned() + "\n").collect()
    }

    fn pages(options: LuOptions) -> String {
        let target = "CL1-A".parse::<TargetId>().expect("a target");
        let unit = UnitIdentity { unit_id: 0x1234_5678 };
        let inquired = Inquired { unit, ldev: LdevId::new(0, 0x1A), target, options };
        PAGES.iter().map(|&page| shown(&inquired.page(page, 128)) + "\n").collect()
    }

    #[test]
    fn the_standard_data() {
        let options = LuOptions { removable: true, ..LuOptions::default() };
        insta::assert_snapshot!(shown(&standard(0, options)), @r"
        00 80 06 12 5B 18 10 02 44 49 50 54 59 43 48 20
        4C 44 45 56 20 20 20 20 20 20 20 20 20 20 20 20
        30 30 30 31 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 A0 04 60 04 C0
        09 60 05 C0 06 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        ");
    }

    #[test]
    fn the_pages_of_a_thin_unit() {
        let options = LuOptions { physical_4k: true, ..LuOptions::default() };
        insta::assert_snapshot!(pages(options), @r"
        00 00 00 06 00 80 83 B0 B1 B2

        00 80 00 0C 31 32 33 34 35 36 37 38 30 30 31 41

        00 83 00 34 01 03 00 08 3D 1C 12 34 56 78 00 1A
        02 01 00 14 44 49 50 54 59 43 48 20 31 32 33 34
        35 36 37 38 30 30 31 41 51 94 00 04 00 00 00 01
        51 95 00 04 00 00 00 01

        00 B0 00 3C 00 FF 00 08 00 00 08 00 00 00 08 00
        00 00 00 00 00 10 00 00 00 00 01 00 00 00 00 80
        80 00 00 00 00 00 00 00 00 00 80 00 00 00 08 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00

        00 B1 00 3C 00 01 00 50 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00

        00 B2 00 04 00 E4 02 00
        ");
    }

    #[test]
    fn the_pages_of_one_that_is_not() {
        insta::assert_snapshot!(pages(LuOptions { thin: false, ..LuOptions::default() }), @r"
        00 00 00 06 00 80 83 B0 B1 B2

        00 80 00 0C 31 32 33 34 35 36 37 38 30 30 31 41

        00 83 00 34 01 03 00 08 3D 1C 12 34 56 78 00 1A
        02 01 00 14 44 49 50 54 59 43 48 20 31 32 33 34
        35 36 37 38 30 30 31 41 51 94 00 04 00 00 00 01
        51 95 00 04 00 00 00 01

        00 B0 00 3C 00 FF 00 01 00 00 08 00 00 00 08 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 80 00 00 00 08 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00

        00 B1 00 3C 00 01 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00

        00 B2 00 04 00 00 00 00
        ");
    }

    #[test]
    fn what_is_asked() {
        fn check(cdb: [u8; 3], expected: Option<Asked>) {
            assert_eq!(Asked::of(&Cdb::new(&cdb)).ok(), expected, "{cdb:02X?}");
        }
        check([0x12, 0, 0], Some(Asked::Standard));
        check([0x12, 0, 1], None);
        check([0x12, 1, 0], Some(Asked::Page(0)));
        check([0x12, 1, 0x83], Some(Asked::Page(0x83)));
        check([0x12, 1, 0x84], None);
    }
}
