//! REPORT TARGET PORT GROUPS (SPC-5, 6.36): by which ports a volume is reached, and how well.
//!
//! A host port is a target port group; its host groups, each a target with a relative port of its own, are
//! the target ports in it. All paths are alike: active, optimized, and nothing is ever moved by a host
//! (INQUIRY says implicit ALUA for that, so that multipath software asks here at all).
//!
//! Invariant: only ports by which the volume can be reached are told, by the same numbers as in VPD page 83.

use super::job::Job;
use super::reply::Refused;
use super::sense::Sense;
use crate::{LuMap, LuPath, TargetId};
use std::collections::{BTreeMap, BTreeSet};

/// AO_SUP: no other state is ever told.
const ACTIVE_OPTIMIZED_ONLY: u8 = 0x01;

impl TargetId {
    /// TARGET PORT GROUP of the target: that of its port's first host group, as a relative port.
    pub(crate) const fn port_group(self) -> u16 {
        Self::new(self.port, 0).relative_port()
    }
}

impl Job {
    pub(crate) fn report_port_groups(&self) -> Result<Vec<u8>, Refused> {
        let has_extended_header = match self.cdb.byte(1) >> 5 {
            0 => false,
            1 => true,
            _ => return Err(Sense::in_cdb_bit(1, Some(7)).into()),
        };
        let ldev = self.ldev();
        let targets = |map: &LuMap| map.paths_of(ldev).map(LuPath::target).collect();
        let targets = self.target.adapter().with_lu_map(targets);
        Ok(encode(&targets, has_extended_header))
    }
}

fn encode(targets: &BTreeSet<TargetId>, has_extended_header: bool) -> Vec<u8> {
    let mut groups: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    for target in targets {
        groups.entry(target.port_group()).or_default().push(target.relative_port());
    }
    let mut bytes = vec![0; 4];
    if has_extended_header {
        // IMPLICIT TRANSITION TIME: none.
        bytes.extend([0x10, 0, 0, 0]);
    }
    for (group, mut ports) in groups {
        // A port has 256 host groups, and the field counts to 255.
        ports.truncate(usize::from(u8::MAX));
        let [high, low] = group.to_be_bytes();
        bytes.extend([0, ACTIVE_OPTIMIZED_ONLY, high, low, 0, 0, 0, ports.len() as u8]);
        for port in ports {
            let [high, low] = port.to_be_bytes();
            bytes.extend([0, 0, high, low]);
        }
    }
    let len = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_ports_and_their_members_host_groups() {
        fn check(targets: &[&str], has_extended_header: bool, expected: &[u8]) {
            let targets = targets.iter().map(|target| target.parse().expect("a target")).collect();
            assert_eq!(encode(&targets, has_extended_header), expected, "{targets:?}");
        }
        check(&["CL1-A"], false, &[0, 0, 0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
        check(
            &["CL1-A", "CL1-A.2", "CL1-B"],
            true,
            &[
                [0, 0, 0, 32, 0x10, 0, 0, 0].as_slice(),
                &[0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1, 1],
                &[0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
            ]
            .concat(),
        );
        check(&[], false, &[0, 0, 0, 0]);
    }

    #[test]
    fn one_port_has_no_more_members_than_can_be_counted() {
        let port = "CL8-R".parse().expect("a port");
        let targets = (0..=u8::MAX).map(|group| TargetId::new(port, group)).collect();
        let bytes = encode(&targets, false);
        assert_eq!((bytes.len(), bytes[11]), (4 + 8 + 255 * 4, 255));
    }
}
