//! What logical units are called: vendor, product, serial number, designators (SPC-5, 7.7.6).

use crate::TargetId;
use diptych_format::LdevId;

const VENDOR: &[u8; 8] = b"DIPTYCH ";
const PRODUCT: &[u8; 16] = b"LDEV            ";
const COMMAND_DEVICE: &[u8; 16] = b"COMMAND DEVICE  ";
const REVISION: &[u8; 4] = b"0001";

/// Which control unit it is. Serial numbers and designators of volumes come from this and the volume's
/// id, so they are the same by every path, and after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitIdentity {
    /// A number that no other unit has: drawn once, and kept.
    pub unit_id: u32,
}

impl UnitIdentity {
    /// UNIT SERIAL NUMBER of a volume: twelve hexadecimal digits.
    ///
    /// ```
    /// use diptych_cha::scsi::UnitIdentity;
    /// use diptych_format::LdevId;
    /// let unit = UnitIdentity { unit_id: 0xD1_B7 };
    /// assert_eq!(unit.serial(LdevId::new(1, 0x1A)), "0000D1B7011A");
    /// ```
    pub fn serial(self, ldev: LdevId) -> String {
        format!("{:08X}{:02X}{:02X}", self.unit_id, ldev.cu, ldev.ldev)
    }

    /// The volume's NAA designator, of the kind that is assigned locally (SPC-5, 7.7.6.6.4).
    pub fn naa(self, ldev: LdevId) -> [u8; 8] {
        let [a, b, c, d] = self.unit_id.to_be_bytes();
        [0x3D, 0x1C, a, b, c, d, ldev.cu, ldev.ldev]
    }

    /// Vendor, product and revision, as in the standard INQUIRY data.
    pub(crate) fn names(is_command_device: bool) -> [u8; 28] {
        let mut names = [0; 28];
        names[..8].copy_from_slice(VENDOR);
        names[8..24].copy_from_slice(if is_command_device { COMMAND_DEVICE } else { PRODUCT });
        names[24..].copy_from_slice(REVISION);
        names
    }

    /// The designators of a volume at a target: NAA, T10 vendor, relative port, target port group.
    pub(crate) fn designators(self, ldev: LdevId, target: TargetId) -> Vec<u8> {
        let mut bytes = vec![0x01, 0x03, 0, 8];
        bytes.extend(self.naa(ldev));
        bytes.extend(self.vendor_designator(ldev));
        bytes.extend([0x51, 0x94, 0, 4, 0, 0]);
        bytes.extend(target.relative_port().to_be_bytes());
        bytes.extend([0x51, 0x95, 0, 4, 0, 0]);
        bytes.extend(target.port_group().to_be_bytes());
        bytes
    }

    fn vendor_designator(self, ldev: LdevId) -> Vec<u8> {
        let mut bytes = vec![0x02, 0x01, 0, 20];
        bytes.extend(VENDOR);
        bytes.extend(self.serial(ldev).into_bytes());
        bytes
    }

    /// Whether an identification descriptor of a copy target (SPC-5, 6.4.5.4) names the volume:
    /// `named` starts with the code set, and has the designator from byte 4.
    pub(crate) fn is_named_by(self, ldev: LdevId, named: &[u8]) -> bool {
        let naa = [&[0x01, 0x03, 0, 8][..], &self.naa(ldev)].concat();
        [naa, self.vendor_designator(ldev)].iter().any(|own| {
            // PROTOCOL IDENTIFIER, PIV and reserved bits do not count.
            let head = |bytes: &[u8]| (bytes[0] & 0x0F, bytes[1] & 0x3F, bytes[3]);
            named.len() >= own.len() && head(named) == head(own) && named[4..own.len()] == own[4..]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn designators_name_their_volume_alone() {
        let unit = UnitIdentity { unit_id: 0x0102_0304 };
        let [one, other] = [LdevId::new(0, 1), LdevId::new(1, 1)];
        let target = TargetId::from("CL1-B".parse::<crate::PortId>().expect("a port"));
        let bytes = unit.designators(one, target);
        let shown: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(
            shown,
            "010300083D1C01020304000102010014444950545943482030313032303330343030303151940004000000025195000400000002"
        );
        for part in [&bytes[..12], &bytes[12..36]] {
            assert!(unit.is_named_by(one, part));
            assert!(unit.is_named_by(one, &[part, &[0; 8]].concat()));
            assert!(!unit.is_named_by(other, part));
            assert!(!UnitIdentity { unit_id: 5 }.is_named_by(one, part));
            assert!(!unit.is_named_by(one, &part[..part.len() - 1]));
        }
    }
}
