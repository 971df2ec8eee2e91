//! Sense data (SPC-5, 4.4): why a command was not carried out.
//!
//! Sense data is made here as meaning; [`Sense::encode`] makes bytes of it, in the fixed format or, if
//! the control mode page says so (D_SENSE), in the descriptor format.

use std::fmt;

/// The sense key (SPC-5, 4.4.8): what kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SenseKey {
    /// NO SENSE.
    NoSense = 0x0,
    /// NOT READY.
    NotReady = 0x2,
    /// MEDIUM ERROR.
    MediumError = 0x3,
    /// HARDWARE ERROR.
    HardwareError = 0x4,
    /// ILLEGAL REQUEST.
    IllegalRequest = 0x5,
    /// UNIT ATTENTION.
    UnitAttention = 0x6,
    /// DATA PROTECT.
    DataProtect = 0x7,
    /// COPY ABORTED.
    CopyAborted = 0xA,
    /// ABORTED COMMAND.
    AbortedCommand = 0xB,
    /// MISCOMPARE.
    Miscompare = 0xE,
}

/// An additional sense code with its qualifier (SPC-5, annex F.2): what it is, exactly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asc {
    /// ADDITIONAL SENSE CODE.
    pub code: u8,
    /// ADDITIONAL SENSE CODE QUALIFIER.
    pub qualifier: u8,
}

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal / $qualifier:literal;)*) => {
        impl Asc {
            $($(#[$meta])* pub const $name: Self = Self { code: $code, qualifier: $qualifier };)*
        }
    };
}

codes! {
    /// NO ADDITIONAL SENSE INFORMATION.
    NONE = 0x00 / 0x00;
    /// OPERATION IN PROGRESS.
    OPERATION_IN_PROGRESS = 0x00 / 0x16;
    /// LOGICAL UNIT NOT READY, MANUAL INTERVENTION REQUIRED.
    MANUAL_INTERVENTION = 0x04 / 0x03;
    /// LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN STANDBY STATE.
    STANDBY = 0x04 / 0x0B;
    /// LOGICAL UNIT NOT ACCESSIBLE, TARGET PORT IN UNAVAILABLE STATE.
    UNAVAILABLE = 0x04 / 0x0C;
    /// LOGICAL UNIT NOT READY, SANITIZE IN PROGRESS.
    SANITIZE_IN_PROGRESS = 0x04 / 0x1B;
    /// UNREACHABLE COPY TARGET.
    UNREACHABLE_COPY_TARGET = 0x08 / 0x04;
    /// WRITE ERROR.
    WRITE_ERROR = 0x0C / 0x00;
    /// THIRD PARTY DEVICE FAILURE.
    THIRD_PARTY_FAILURE = 0x0D / 0x01;
    /// INVALID FIELD IN COMMAND INFORMATION UNIT.
    INVALID_FIELD_IN_INFORMATION_UNIT = 0x0E / 0x03;
    /// UNRECOVERED READ ERROR.
    UNRECOVERED_READ_ERROR = 0x11 / 0x00;
    /// PARAMETER LIST LENGTH ERROR.
    PARAMETER_LIST_LENGTH = 0x1A / 0x00;
    /// MISCOMPARE DURING VERIFY OPERATION.
    MISCOMPARE = 0x1D / 0x00;
    /// INVALID COMMAND OPERATION CODE.
    INVALID_OPCODE = 0x20 / 0x00;
    /// LOGICAL BLOCK ADDRESS OUT OF RANGE.
    LBA_OUT_OF_RANGE = 0x21 / 0x00;
    /// INVALID FIELD IN CDB.
    INVALID_FIELD_IN_CDB = 0x24 / 0x00;
    /// LOGICAL UNIT NOT SUPPORTED.
    LUN_NOT_SUPPORTED = 0x25 / 0x00;
    /// INVALID FIELD IN PARAMETER LIST.
    INVALID_FIELD_IN_LIST = 0x26 / 0x00;
    /// INVALID RELEASE OF PERSISTENT RESERVATION.
    INVALID_RELEASE = 0x26 / 0x04;
    /// TOO MANY TARGET DESCRIPTORS.
    TOO_MANY_TARGETS = 0x26 / 0x06;
    /// UNSUPPORTED TARGET DESCRIPTOR TYPE CODE.
    UNSUPPORTED_TARGET = 0x26 / 0x07;
    /// TOO MANY SEGMENT DESCRIPTORS.
    TOO_MANY_SEGMENTS = 0x26 / 0x08;
    /// UNSUPPORTED SEGMENT DESCRIPTOR TYPE CODE.
    UNSUPPORTED_SEGMENT = 0x26 / 0x09;
    /// INLINE DATA LENGTH EXCEEDED.
    INLINE_DATA_LENGTH = 0x26 / 0x0B;
    /// WRITE PROTECTED.
    WRITE_PROTECTED = 0x27 / 0x00;
    /// HARDWARE WRITE PROTECTED.
    HARDWARE_WRITE_PROTECTED = 0x27 / 0x01;
    /// LOGICAL UNIT SOFTWARE WRITE PROTECTED.
    SOFTWARE_WRITE_PROTECTED = 0x27 / 0x02;
    /// ASSOCIATED WRITE PROTECT.
    ASSOCIATED_WRITE_PROTECT = 0x27 / 0x03;
    /// PERSISTENT WRITE PROTECT.
    PERSISTENT_WRITE_PROTECT = 0x27 / 0x04;
    /// CONDITIONAL WRITE PROTECT.
    CONDITIONAL_WRITE_PROTECT = 0x27 / 0x06;
    /// SANITIZE COMMAND FAILED.
    SANITIZE_FAILED = 0x31 / 0x03;
    /// SAVING PARAMETERS NOT SUPPORTED.
    SAVING_NOT_SUPPORTED = 0x39 / 0x00;
    /// MEDIUM NOT PRESENT.
    MEDIUM_NOT_PRESENT = 0x3A / 0x00;
    /// LOGICAL UNIT FAILURE.
    LOGICAL_UNIT_FAILURE = 0x3E / 0x01;
    /// INTERNAL TARGET FAILURE.
    INTERNAL_FAILURE = 0x44 / 0x00;
    /// MEDIUM REMOVAL PREVENTED.
    REMOVAL_PREVENTED = 0x53 / 0x02;
    /// INSUFFICIENT REGISTRATION RESOURCES.
    INSUFFICIENT_REGISTRATIONS = 0x55 / 0x04;
}

impl Asc {
    /// A code with its qualifier.
    pub const fn new(code: u8, qualifier: u8) -> Self {
        Self { code, qualifier }
    }
}

impl fmt::Debug for Asc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}/{:02X}", self.code, self.qualifier)
    }
}

/// SENSE KEY SPECIFIC (SPC-5, 4.4.2.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Specific {
    /// Nothing.
    #[default]
    None,
    /// Which field is wrong: FIELD POINTER, with a bit if it is one.
    Field {
        /// In the CDB, not in the parameter list.
        in_cdb: bool,
        /// The byte, from 0.
        byte: u16,
        /// The highest bit of the field, if it is less than a byte.
        bit: Option<u8>,
    },
    /// How far it is, in 65,536ths.
    Progress(u16),
}

impl Specific {
    fn bytes(self) -> Option<[u8; 3]> {
        match self {
            Self::None => None,
            Self::Field { in_cdb, byte, bit } => {
                let bit = bit.map_or(0, |bit| 0x08 | bit & 0x07);
                let [high, low] = byte.to_be_bytes();
                Some([0x80 | u8::from(in_cdb) << 6 | bit, high, low])
            }
            Self::Progress(done) => {
                let [high, low] = done.to_be_bytes();
                Some([0x80, high, low])
            }
        }
    }
}

/// Sense data.
///
/// ```
/// use diptych_cha::scsi::{Asc, Sense, SenseKey};
/// let sense = Sense::new(SenseKey::IllegalRequest, Asc::LBA_OUT_OF_RANGE);
/// let bytes = sense.encode();
/// assert_eq!((bytes[0], bytes[2], bytes[12], bytes[13], bytes.len()), (0x70, 5, 0x21, 0, 18));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sense {
    /// The sense key.
    pub key: SenseKey,
    /// Additional sense code and qualifier.
    pub asc: Asc,
    /// INFORMATION: a block address, or where two things differ, in bytes.
    pub information: Option<u64>,
    /// SENSE KEY SPECIFIC.
    pub specific: Specific,
    /// In the descriptor format, not in the fixed one.
    pub in_descriptors: bool,
}

impl Sense {
    /// Sense data with a key and a code, in the fixed format.
    pub const fn new(key: SenseKey, asc: Asc) -> Self {
        let specific = Specific::None;
        Self { key, asc, information: None, specific, in_descriptors: false }
    }

    /// ILLEGAL REQUEST.
    pub const fn illegal(asc: Asc) -> Self {
        Self::new(SenseKey::IllegalRequest, asc)
    }

    /// ILLEGAL REQUEST, INVALID FIELD IN CDB, with the byte.
    pub const fn in_cdb(byte: u16) -> Self {
        Self::in_cdb_bit(byte, None)
    }

    /// ILLEGAL REQUEST, INVALID FIELD IN CDB, with the byte and the bit.
    pub const fn in_cdb_bit(byte: u16, bit: Option<u8>) -> Self {
        let mut sense = Self::illegal(Asc::INVALID_FIELD_IN_CDB);
        sense.specific = Specific::Field { in_cdb: true, byte, bit };
        sense
    }

    /// ILLEGAL REQUEST, INVALID FIELD IN PARAMETER LIST, with the byte.
    pub const fn in_list(byte: u16) -> Self {
        let mut sense = Self::illegal(Asc::INVALID_FIELD_IN_LIST);
        sense.specific = Specific::Field { in_cdb: false, byte, bit: None };
        sense
    }

    /// The same with INFORMATION.
    pub const fn with_information(mut self, information: u64) -> Self {
        self.information = Some(information);
        self
    }

    /// The same with how far it is.
    pub const fn with_progress(mut self, done: u16) -> Self {
        self.specific = Specific::Progress(done);
        self
    }

    /// The bytes: 18 in the fixed format (SPC-5, 4.4.3), up to 28 in the descriptor format (4.4.2).
    pub fn encode(&self) -> Vec<u8> {
        if self.in_descriptors { self.descriptors() } else { self.fixed().to_vec() }
    }

    fn fixed(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        bytes[0] = 0x70;
        bytes[2] = self.key as u8;
        // What does not fit the field is left out, as the standard has it.
        if let Some(information) = self.information.and_then(|all| u32::try_from(all).ok()) {
            bytes[0] |= 0x80;
            bytes[3..7].copy_from_slice(&information.to_be_bytes());
        }
        bytes[7] = 10;
        [bytes[12], bytes[13]] = [self.asc.code, self.asc.qualifier];
        if let Some(specific) = self.specific.bytes() {
            bytes[15..].copy_from_slice(&specific);
        }
        bytes
    }

    fn descriptors(&self) -> Vec<u8> {
        let mut bytes = vec![0x72, self.key as u8, self.asc.code, self.asc.qualifier, 0, 0, 0, 0];
        if let Some(information) = self.information {
            bytes.extend([0x00, 0x0A, 0x80, 0]);
            bytes.extend(information.to_be_bytes());
        }
        if let Some([first, high, low]) = self.specific.bytes() {
            bytes.extend([0x02, 0x06, 0, 0, first, high, low, 0]);
        }
        bytes[7] = (bytes.len() - 8) as u8;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02X} ")).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn both_formats() {
        fn check(mut sense: Sense, fixed: &str, descriptors: &str) {
            assert_eq!(hex(&sense.encode()), fixed, "{sense:?}");
            sense.in_descriptors = true;
            assert_eq!(hex(&sense.encode()), descriptors, "{sense:?}");
        }
        check(
            Sense::new(SenseKey::UnitAttention, Asc::new(0x29, 0x03)),
            "70 00 06 00 00 00 00 0A 00 00 00 00 29 03 00 00 00 00",
            "72 06 29 03 00 00 00 00",
        );
        check(
            Sense::in_cdb_bit(4, Some(1)),
            "70 00 05 00 00 00 00 0A 00 00 00 00 24 00 00 C9 00 04",
            "72 05 24 00 00 00 00 08 02 06 00 00 C9 00 04 00",
        );
        check(
            Sense::in_list(0x102),
            "70 00 05 00 00 00 00 0A 00 00 00 00 26 00 00 80 01 02",
            "72 05 26 00 00 00 00 08 02 06 00 00 80 01 02 00",
        );
        check(
            Sense::new(SenseKey::MediumError, Asc::UNRECOVERED_READ_ERROR).with_information(0x1234),
            "F0 00 03 00 00 12 34 0A 00 00 00 00 11 00 00 00 00 00",
            "72 03 11 00 00 00 00 0C 00 0A 80 00 00 00 00 00 00 00 12 34",
        );
        let far = Sense::new(SenseKey::MediumError, Asc::WRITE_ERROR).with_information(1 << 32);
        check(
            far.with_progress(0x8000),
            "70 00 03 00 00 00 00 0A 00 00 00 00 0C 00 00 80 80 00",
            "72 03 0C 00 00 00 00 14 00 0A 80 00 00 00 00 01 00 00 00 00 02 06 00 00 80 80 00 00",
        );
    }
}
