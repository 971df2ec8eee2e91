//! What targets are called: one iSCSI name for each host group of each port.

use diptych_cha::TargetId;
use diptych_rt::net::Address;
use std::fmt;

/// The portal group of all targets: each is reached by every portal.
pub(crate) const PORTAL_GROUP: &str = "1";

/// The names of a control unit's targets: `iqn.2026-01.example.diptych:UNIT.cl1-a`, and
/// `iqn.2026-01.example.diptych:UNIT.cl1-a.2` for host group 2 of the port.
///
/// ```
/// use diptych_iscsi::TargetNames;
/// let names = TargetNames::new(0x1F);
/// let target = "CL1-A.2".parse().unwrap();
/// let name = "iqn.2026-01.example.diptych:000000000000001f.cl1-a.2";
/// assert_eq!(names.of(target), name);
/// assert_eq!(names.find(name), Some(target));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetNames {
    prefix: String,
}

impl TargetNames {
    /// The names of the unit with this id.
    pub fn new(unit_id: u64) -> Self {
        Self { prefix: format!("iqn.2026-01.example.diptych:{unit_id:016x}.") }
    }

    /// The name of a target.
    pub fn of(&self, target: TargetId) -> String {
        format!("{}{}", self.prefix, target.to_string().to_lowercase())
    }

    /// The target of a name, whether there is one or not.
    pub fn find(&self, name: &str) -> Option<TargetId> {
        let name = name.to_lowercase();
        let target = name.strip_prefix(&self.prefix)?.parse().ok()?;
        // One spelling only.
        (self.of(target) == name).then_some(target)
    }
}

/// A portal that hosts are told of in discovery, in place of the one they came by: for hosts that reach
/// it by another address, as behind address translation. `192.0.2.1:3260`, `[2001:db8::1]:3260` or
/// `array.example:3260`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portal(String);

impl Portal {
    /// A portal, if the text is an address or a name, and a port.
    pub fn new(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
            None => (1..=253).contains(&host.len()) && host.chars().all(named),
        };
        let is_port = port.bytes().all(|digit| digit.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0);
        (is_host && is_port).then(|| Self(text.to_owned()))
    }

    /// The portal that a connection came by; `None` if it listens on every address of the machine.
    pub(crate) fn of(address: &Address) -> Option<Self> {
        match address {
            Address::Tcp(socket) if !socket.ip().is_unspecified() => Some(Self(socket.to_string())),
            _ => None,
        }
    }
}

impl fmt::Display for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        let names = TargetNames::new(7);
        for target in ["CL1-A", "CL8-R.255", "CL3-J.1"] {
            let target = target.parse().expect("a target");
            assert_eq!(names.find(&names.of(target)), Some(target));
            assert_eq!(names.find(&names.of(target).to_uppercase()), Some(target));
        }
        for other in ["", "iqn.2026-01.example.diptych:0000000000000007.", "iqn.x:7.cl1-a"] {
            assert_eq!(names.find(other), None);
        }
        let name = format!("{}.0", names.of("CL1-A".parse().expect("a target")));
        assert_eq!(names.find(&name), None);
        assert_eq!(TargetNames::new(8).find(&name), None);
    }

    #[test]
    fn portals() {
        for sound in ["192.0.2.1:3260", "[::1]:1", "array.example:3260"] {
            assert_eq!(Portal::new(sound).map(|portal| portal.to_string()).as_deref(), Some(sound));
        }
        for wrong in ["", "192.0.2.1", "a b:1", "x:0", "x:65536", "x:+1", "[x]:1", ":1", "a,1:1"] {
            assert_eq!(Portal::new(wrong), None, "{wrong}");
        }
    }
}
