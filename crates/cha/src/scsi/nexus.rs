//! I_T nexuses (SAM-6, 4.7): who talks to which target.

use super::target::Seen;
use crate::{InitiatorName, Lun, TargetId};
use diptych_sync::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// An initiator port: an iSCSI initiator's name and the ISID of its session (RFC 7143, 4.2.7, 11.12.5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InitiatorPort {
    /// The initiator's name.
    pub name: InitiatorName,
    /// The initiator session identifier.
    pub isid: [u8; 6],
}

impl InitiatorPort {
    /// The port of a session.
    pub const fn new(name: InitiatorName, isid: [u8; 6]) -> Self {
        Self { name, isid }
    }

    /// TransportID (SPC-5, 7.6.4.6), of format 01b: name, separator, ISID; padded to four bytes.
    pub(crate) fn transport_id(&self) -> Vec<u8> {
        let mut text = format!("{},i,0x", self.name);
        for byte in self.isid {
            text.push_str(&format!("{byte:02x}"));
        }
        text.push('\0');
        // Always at least 20 bytes of name, as the standard has it, and whole fours.
        let len = text.len().max(20).next_multiple_of(4);
        let mut bytes = vec![0x45, 0];
        bytes.extend((len as u16).to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes.resize(4 + len, 0);
        bytes
    }

    /// The initiator port of a TransportID, with the bytes it took. Only iSCSI ones that name a session
    /// are known.
    pub(crate) fn from_transport_id(bytes: &[u8]) -> Option<(Self, usize)> {
        let [0x45, _, high, low, ..] = *bytes else { return None };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let text = bytes.get(4..4 + len)?;
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        let (name, isid) = std::str::from_utf8(&text[..end]).ok()?.split_once(",i,0x")?;
        let isid = (isid.len() == 12 && isid.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .then(|| u64::from_str_radix(isid, 16).ok())??;
        let [_, _, isid @ ..] = isid.to_be_bytes();
        Some((Self { name: name.parse().ok()?, isid }, 4 + len))
    }
}

/// Who registers and reserves: an initiator port, at a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Registrant {
    /// The initiator port.
    pub initiator: InitiatorPort,
    /// The target it came by.
    pub target: TargetId,
}

/// The number of a nexus, never used again while the unit runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NexusId(pub(crate) u64);

impl fmt::Display for NexusId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An I_T nexus: a session.
#[derive(Debug)]
pub(crate) struct Nexus {
    pub(crate) id: NexusId,
    pub(crate) who: Registrant,
    /// What its LUNs lead to: the map's host group, as it was when last looked at.
    units: RwLock<BTreeMap<Lun, Seen>>,
}

impl Nexus {
    pub(crate) fn new(id: NexusId, who: Registrant) -> Self {
        Self { id, who, units: RwLock::default() }
    }

    pub(crate) fn unit(&self, lun: Lun) -> Option<Seen> {
        self.units.read().get(&lun).cloned()
    }

    pub(crate) fn luns(&self) -> Vec<Lun> {
        self.units.read().keys().copied().collect()
    }

    /// All its logical units.
    pub(crate) fn units(&self) -> Vec<Seen> {
        self.units.read().values().cloned().collect()
    }

    /// Gives it others; returns those it had.
    pub(crate) fn replace_units(&self, now: BTreeMap<Lun, Seen>) -> BTreeMap<Lun, Seen> {
        std::mem::replace(&mut self.units.write(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_ids() {
        let name: InitiatorName = "iqn.2001-04.com.example:a".parse().expect("a name");
        let port = InitiatorPort::new(name, [0, 2, 0x3D, 0, 0, 0xFF]);
        let bytes = port.transport_id();
        assert_eq!(bytes[..4], [0x45, 0, 0, 44]);
        assert_eq!(&bytes[4..], b"iqn.2001-04.com.example:a,i,0x00023d0000ff\0\0");
        assert_eq!(InitiatorPort::from_transport_id(&bytes), Some((port.clone(), 48)));
        let more = [&bytes[..], &[1, 2, 3]].concat();
        assert_eq!(InitiatorPort::from_transport_id(&more), Some((port, 48)));
        for cut in 0..bytes.len() {
            assert_eq!(InitiatorPort::from_transport_id(&bytes[..cut]), None, "{cut}");
        }
        let short = InitiatorPort::new("x".parse().expect("a name"), [0; 6]).transport_id();
        assert_eq!(short.len(), 24);
    }
}
