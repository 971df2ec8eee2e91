//! Host ports, named by cluster and channel (Fig. 11A).

use crate::NameError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The letters of the channels. `I` and `O` are left out: they look like digits.
const LETTERS: [u8; 16] = *b"ABCDEFGHJKLMNPQR";

/// A host port: the cluster it belongs to and its channel, shown as `CL1-A`.
///
/// There are 8 clusters of 16 channels, so there are at most 128 ports.
///
/// ```
/// use diptych_cha::PortId;
/// let port: PortId = "CL2-J".parse().unwrap();
/// assert_eq!((port.cluster(), port.channel_no()), (2, 8));
/// assert_eq!(port.to_string(), "CL2-J");
/// assert!("CL2-I".parse::<PortId>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "(u8, u8)", try_from = "(u8, u8)")]
pub struct PortId {
    cluster: u8,
    channel_no: u8,
}

impl PortId {
    /// The last cluster; the first is 1.
    pub const CLUSTERS: u8 = 8;
    /// Channels of a cluster.
    pub const CHANNELS: u8 = LETTERS.len() as u8;

    /// The port of channel `channel_no` (from 0) of `cluster` (from 1).
    ///
    /// # Errors
    ///
    /// If there is no such cluster or channel.
    pub const fn new(cluster: u8, channel_no: u8) -> Result<Self, NameError> {
        if cluster < 1 || cluster > Self::CLUSTERS {
            return Err(NameError::NoCluster { cluster, most: Self::CLUSTERS });
        }
        if channel_no >= Self::CHANNELS {
            return Err(NameError::NoChannel { channel_no, channel_count: Self::CHANNELS });
        }
        Ok(Self { cluster, channel_no })
    }

    /// The cluster, from 1.
    pub const fn cluster(self) -> u8 {
        self.cluster
    }

    /// The channel, from 0.
    pub const fn channel_no(self) -> u8 {
        self.channel_no
    }

    /// The letter of the channel.
    pub const fn channel_letter(self) -> char {
        LETTERS[self.channel_no as usize] as char
    }
}

impl From<PortId> for (u8, u8) {
    fn from(port: PortId) -> Self {
        (port.cluster, port.channel_no)
    }
}

impl TryFrom<(u8, u8)> for PortId {
    type Error = NameError;

    fn try_from((cluster, channel_no): (u8, u8)) -> Result<Self, NameError> {
        Self::new(cluster, channel_no)
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CL{}-{}", self.cluster, self.channel_letter())
    }
}

impl FromStr for PortId {
    type Err = NameError;

    /// The port written so, in either case.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let [c, l, digit, b'-', letter] = *text.as_bytes() else {
            return Err(NameError::NotPort);
        };
        let letter_no = LETTERS.iter().position(|l| l.eq_ignore_ascii_case(&letter));
        match letter_no {
            Some(channel_no) if [c, l].eq_ignore_ascii_case(b"CL") && digit.is_ascii_digit() => {
                Self::new(digit - b'0', channel_no as u8)
            }
            _ => Err(NameError::NotPort),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ports() {
        fn check(text: &str, expected: Result<(u8, u8), NameError>) {
            let expected = expected.map(|(cluster, channel_no)| PortId { cluster, channel_no });
            assert_eq!(text.parse(), expected, "{text:?}");
        }
        check("CL1-A", Ok((1, 0)));
        check("cl8-r", Ok((8, 15)));
        check("CL0-A", Err(NameError::NoCluster { cluster: 0, most: 8 }));
        check("CL9-A", Err(NameError::NoCluster { cluster: 9, most: 8 }));
        for text in ["", "CL1", "CL1-", "CL1-I", "CL1-O", "CL1-S", "CL1-AA", "CLA-1", "XX1-A"] {
            check(text, Err(NameError::NotPort));
        }
        check("CL\u{e9}-A", Err(NameError::NotPort));
    }

    #[test]
    fn every_port_has_one_name() {
        let mut ports = Vec::new();
        for cluster in 0..=u8::MAX {
            for channel_no in 0..=u8::MAX {
                ports.extend(PortId::new(cluster, channel_no));
            }
        }
        assert_eq!(ports.len(), 128);
        for port in ports {
            assert_eq!(port.to_string().parse(), Ok(port));
        }
    }
}
