//! Which volume is behind which LUN of which port (Fig. 11A).

use crate::{
    HostGroup, HostGroupName, InitiatorName, LuError, LuOptions, LuPath, Lun, PortId, TargetId,
};
use diptych_format::LdevId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

/// The most host groups of a port.
pub const HOST_GROUPS_MAX: usize = 64;

type Groups = BTreeMap<u8, HostGroup>;

/// The map from paths to volumes, for the ports of one channel adapter.
///
/// A port has one or more host groups, each with its own LUNs; a path (port, group, LUN) leads to at
/// most one volume; a volume may have any number of paths. The map knows volumes by their ids only:
/// whether they exist is the control unit's business. It is bounded, at 128 ports of
/// [`HOST_GROUPS_MAX`] groups of 256 LUNs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LuMap {
    ports: BTreeMap<PortId, Groups>,
    /// Of those volumes that are not as the default has it.
    options: BTreeMap<LdevId, LuOptions>,
}

impl LuMap {
    /// A map without paths for these ports.
    pub fn new(ports: impl IntoIterator<Item = PortId>) -> Self {
        let first = || Groups::from([(0, HostGroup::default())]);
        let ports = ports.into_iter().map(|port| (port, first())).collect();
        Self { ports, options: BTreeMap::new() }
    }

    /// The ports, ascending.
    pub fn ports(&self) -> impl Iterator<Item = PortId> {
        self.ports.keys().copied()
    }

    /// The host groups of all ports, ascending.
    pub fn targets(&self) -> impl Iterator<Item = (TargetId, &HostGroup)> {
        let groups = |(&port, groups): (&PortId, _)| targets_of(port, groups);
        self.ports.iter().flat_map(groups)
    }

    /// A host group.
    ///
    /// # Errors
    ///
    /// If there is no such port or group.
    pub fn group(&self, target: impl Into<TargetId>) -> Result<&HostGroup, LuError> {
        let target = target.into();
        let no_port = LuError::NoPort { port: target.port };
        let groups = self.ports.get(&target.port).ok_or(no_port)?;
        groups.get(&target.group).ok_or(LuError::NoGroup { target })
    }

    fn group_mut(&mut self, target: TargetId) -> Result<&mut HostGroup, LuError> {
        let no_port = LuError::NoPort { port: target.port };
        let groups = self.ports.get_mut(&target.port).ok_or(no_port)?;
        groups.get_mut(&target.group).ok_or(LuError::NoGroup { target })
    }

    /// Makes a host group that admits everybody and has no LUNs.
    ///
    /// # Errors
    ///
    /// If there is no such port, there is a group of that number already, or there are too many.
    pub fn add_group(&mut self, target: TargetId, name: HostGroupName) -> Result<(), LuError> {
        let no_port = LuError::NoPort { port: target.port };
        let groups = self.ports.get_mut(&target.port).ok_or(no_port)?;
        if groups.contains_key(&target.group) {
            return Err(LuError::GroupTaken { target });
        }
        if groups.len() >= HOST_GROUPS_MAX {
            return Err(LuError::TooManyGroups { port: target.port, most: HOST_GROUPS_MAX });
        }
        groups.insert(target.group, HostGroup::new(name));
        Ok(())
    }

    /// Gives a host group another name.
    ///
    /// # Errors
    ///
    /// If there is no such port or group.
    pub fn rename_group(&mut self, target: TargetId, name: HostGroupName) -> Result<(), LuError> {
        self.group_mut(target)?.name = name;
        Ok(())
    }

    /// Removes a host group with its LUNs. The first group of a port stays.
    ///
    /// # Errors
    ///
    /// If there is no such port or group, or it is the first.
    pub fn remove_group(&mut self, target: TargetId) -> Result<HostGroup, LuError> {
        let no_port = LuError::NoPort { port: target.port };
        let groups = self.ports.get_mut(&target.port).ok_or(no_port)?;
        if target.group == 0 {
            return Err(LuError::FirstGroup { target });
        }
        groups.remove(&target.group).ok_or(LuError::NoGroup { target })
    }

    /// Names an initiator that a host group admits. With the first name, all others are shut out.
    ///
    /// # Errors
    ///
    /// If there is no such port or group, or it has too many names.
    pub fn admit(&mut self, target: TargetId, initiator: InitiatorName) -> Result<(), LuError> {
        let group = self.group_mut(target)?;
        let most = HostGroup::INITIATORS_MAX;
        if group.initiators.len() >= most && !group.initiators.contains(&initiator) {
            return Err(LuError::TooManyInitiators { target, most });
        }
        group.initiators.insert(initiator);
        Ok(())
    }

    /// Takes a name from a host group again; whether it was there.
    ///
    /// # Errors
    ///
    /// If there is no such port or group.
    pub fn dismiss(&mut self, target: TargetId, name: &InitiatorName) -> Result<bool, LuError> {
        Ok(self.group_mut(target)?.initiators.remove(name))
    }

    /// How a volume shows itself to hosts.
    pub fn options(&self, ldev: LdevId) -> LuOptions {
        self.options.get(&ldev).copied().unwrap_or_default()
    }

    /// Changes how a volume shows itself to hosts.
    pub fn set_options(&mut self, ldev: LdevId, options: LuOptions) {
        if options == LuOptions::default() {
            self.options.remove(&ldev);
        } else {
            self.options.insert(ldev, options);
        }
    }

    /// Maps a path to a volume.
    ///
    /// # Errors
    ///
    /// If there is no such port or group, or the path leads to a volume already.
    pub fn add(&mut self, path: LuPath, ldev: LdevId) -> Result<(), LuError> {
        match self.group_mut(path.target())?.luns.entry(path.lun) {
            Entry::Occupied(taken) => Err(LuError::Taken { path, ldev: *taken.get() }),
            Entry::Vacant(free) => {
                free.insert(ldev);
                Ok(())
            }
        }
    }

    /// Removes a path. Returns the volume that it led to.
    ///
    /// # Errors
    ///
    /// If there is no such port or group, or the path leads nowhere.
    pub fn remove(&mut self, path: LuPath) -> Result<LdevId, LuError> {
        self.group_mut(path.target())?.luns.remove(&path.lun).ok_or(LuError::NoLu { path })
    }

    /// The volume that a path leads to.
    ///
    /// # Errors
    ///
    /// If there is no such port or group, or the path leads nowhere.
    pub fn resolve(&self, path: LuPath) -> Result<LdevId, LuError> {
        self.group(path.target())?.unit(path.lun).ok_or(LuError::NoLu { path })
    }

    /// The paths of a volume, ascending.
    pub fn paths_of(&self, ldev: LdevId) -> impl Iterator<Item = LuPath> {
        self.iter().filter(move |&(_, found)| found == ldev).map(|(path, _)| path)
    }

    /// The logical units of a port's first host group, or of the group named, by ascending LUN.
    ///
    /// # Errors
    ///
    /// If there is no such port or group.
    pub fn units_of(
        &self,
        target: impl Into<TargetId>,
    ) -> Result<impl Iterator<Item = (Lun, LdevId)>, LuError> {
        self.group(target).map(HostGroup::units)
    }

    /// All paths with their volumes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (LuPath, LdevId)> {
        let of = |(target, group): (TargetId, &HostGroup)| {
            let paths = group.units().map(|(lun, ldev)| (LuPath::of(target, lun), ldev));
            paths.collect::<Vec<_>>()
        };
        self.targets().flat_map(of)
    }
}

fn targets_of(port: PortId, groups: &Groups) -> impl Iterator<Item = (TargetId, &HostGroup)> {
    groups.iter().map(move |(&no, group)| (TargetId::new(port, no), group))
}

impl fmt::Debug for LuMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(path, ldev)| (path.to_string(), ldev.to_string()));
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn port(text: &str) -> PortId {
        text.parse().expect("a port")
    }

    fn path(text: &str) -> LuPath {
        text.parse().expect("a path")
    }

    #[test]
    fn a_volume_has_paths_over_several_ports() {
        let mut map = LuMap::new([port("CL2-A"), port("CL1-A")]);
        let [a, b] = [LdevId::new(0, 1), LdevId::new(0, 2)];
        for (at, ldev) in [("CL2-A:7", a), ("CL1-A:255", a), ("CL1-A:0", b)] {
            assert_eq!(map.add(path(at), ldev), Ok(()));
        }
        assert_eq!(map.ports().collect::<Vec<_>>(), [port("CL1-A"), port("CL2-A")]);
        assert_eq!(map.paths_of(a).collect::<Vec<_>>(), [path("CL1-A:255"), path("CL2-A:7")]);
        let units: Vec<_> = map.units_of(port("CL1-A")).expect("a port").collect();
        assert_eq!(units, [(Lun(0), b), (Lun(255), a)]);
        assert_eq!(
            format!("{map:?}"),
            r#"{"CL1-A:0": "00:02", "CL1-A:255": "00:01", "CL2-A:7": "00:01"}"#
        );
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut map = LuMap::new([port("CL1-A")]);
        let [a, b] = [LdevId::new(0, 1), LdevId::new(0, 2)];
        let [here, elsewhere] = [path("CL1-A:3"), path("CL1-B:3")];
        let no_port = LuError::NoPort { port: port("CL1-B") };
        assert_eq!(map.add(here, a), Ok(()));
        let before = map.clone();
        assert_eq!(map.add(here, b), Err(LuError::Taken { path: here, ldev: a }));
        assert_eq!(map.add(elsewhere, b), Err(no_port));
        assert_eq!(map.remove(elsewhere), Err(no_port));
        assert_eq!(map.resolve(elsewhere), Err(no_port));
        assert_eq!(map.units_of(port("CL1-B")).err(), Some(no_port));
        let nowhere = path("CL1-A:4");
        assert_eq!(map.remove(nowhere), Err(LuError::NoLu { path: nowhere }));
        assert_eq!(map.resolve(nowhere), Err(LuError::NoLu { path: nowhere }));
        assert_eq!(map, before);
    }

    #[test]
    fn groups_have_their_own_units_and_hosts() {
        let mut map = LuMap::new([port("CL1-A")]);
        let [first, second] = [0, 2].map(|group| TargetId::new(port("CL1-A"), group));
        let name = || "db".parse::<HostGroupName>().expect("a name");
        assert_eq!(map.add_group(second, name()), Ok(()));
        assert_eq!(map.add_group(first, name()), Err(LuError::GroupTaken { target: first }));
        let [a, b] = [LdevId::new(0, 1), LdevId::new(0, 2)];
        assert_eq!(map.add(path("CL1-A:0"), a), Ok(()));
        assert_eq!(map.add(path("CL1-A.2:0"), b), Ok(()));
        assert_eq!(map.resolve(path("CL1-A:0")), Ok(a));
        assert_eq!(map.resolve(path("CL1-A.2:0")), Ok(b));
        let elsewhere = TargetId::new(port("CL1-A"), 3);
        let no_group = LuError::NoGroup { target: elsewhere };
        assert_eq!(map.add(path("CL1-A.3:0"), b), Err(no_group));

        let host: InitiatorName = "iqn.host".parse().expect("a name");
        assert_eq!(map.admit(second, host.clone()), Ok(()));
        assert!(map.group(second).is_ok_and(|group| group.admits(&host)));
        assert_eq!(map.dismiss(second, &host), Ok(true));
        let removable = LuOptions { removable: true, ..LuOptions::default() };
        map.set_options(b, removable);
        assert_eq!((map.options(a), map.options(b)), (LuOptions::default(), removable));

        assert_eq!(map.remove_group(first), Err(LuError::FirstGroup { target: first }));
        assert!(map.remove_group(second).is_ok());
        assert_eq!(map.iter().collect::<Vec<_>>(), [(path("CL1-A:0"), a)]);
    }

    #[test]
    fn groups_and_names_are_limited() {
        let mut map = LuMap::new([port("CL1-A")]);
        let target = |group| TargetId::new(port("CL1-A"), group);
        for group in 1..HOST_GROUPS_MAX as u8 {
            map.add_group(target(group), HostGroupName::default()).expect("a free number");
        }
        let full = LuError::TooManyGroups { port: port("CL1-A"), most: HOST_GROUPS_MAX };
        assert_eq!(map.add_group(target(64), HostGroupName::default()), Err(full));
        let name = |no| format!("iqn.host-{no}").parse::<InitiatorName>().expect("a name");
        for no in 0..HostGroup::INITIATORS_MAX {
            map.admit(target(1), name(no)).expect("room");
        }
        let most = HostGroup::INITIATORS_MAX;
        let full = LuError::TooManyInitiators { target: target(1), most };
        assert_eq!(map.admit(target(1), name(most)), Err(full));
        assert_eq!(map.admit(target(1), name(0)), Ok(()));
    }

    #[test]
    fn a_map_is_kept_as_bytes() {
        let mut map = LuMap::new([port("CL1-A"), port("CL2-B")]);
        map.add_group(TargetId::new(port("CL2-B"), 1), HostGroupName::default()).expect("free");
        map.add(path("CL2-B.1:255"), LdevId::new(1, 2)).expect("free");
        map.admit(TargetId::new(port("CL2-B"), 1), "iqn.x".parse().expect("a name")).expect("room");
        let thick = LuOptions { thin: false, ..LuOptions::default() };
        map.set_options(LdevId::new(1, 2), thick);
        let bytes = postcard::to_allocvec(&map).expect("bytes");
        assert_eq!(postcard::from_bytes(&bytes), Ok(map));
    }

    proptest! {
        #[test]
        fn the_map_is_a_map(
            steps in prop::collection::vec((0..4_u8, 0..6_u8, 0..4_u8, any::<bool>()), 0..60),
        ) {
            let ports: Vec<_> = (0..3).map(|no| PortId::new(1, no).expect("a port")).collect();
            let mut map = LuMap::new(ports.iter().copied());
            let mut model: BTreeMap<LuPath, LdevId> = BTreeMap::new();
            for (channel_no, lun, ldev, adds) in steps {
                let port = PortId::new(1, channel_no).expect("a port");
                // Both ends of what a port has.
                let path = LuPath::new(port, Lun(lun.wrapping_sub(3)));
                let ldev = LdevId::new(0, ldev);
                let known = ports.contains(&port);
                let there = model.get(&path).copied();
                if adds {
                    let fits = known && there.is_none();
                    prop_assert_eq!(map.add(path, ldev).is_ok(), fits);
                    if fits {
                        model.insert(path, ldev);
                    }
                } else {
                    prop_assert_eq!(map.remove(path).ok(), model.remove(&path));
                }
                prop_assert_eq!(map.resolve(path).ok(), model.get(&path).copied());
                let paths: Vec<_> = model.iter().filter(|e| *e.1 == ldev).map(|e| *e.0).collect();
                prop_assert_eq!(map.paths_of(ldev).collect::<Vec<_>>(), paths);
            }
            prop_assert_eq!(map.iter().collect::<BTreeMap<_, _>>(), model);
        }
    }
}
