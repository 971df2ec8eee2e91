//! Which volume is behind which LUN of which port (Fig. 11A).

use crate::{LuError, LuPath, Lun, PortId};
use diptych_format::LdevId;
use std::collections::BTreeMap;
use std::fmt;

const LUNS: usize = 256;

/// The volume behind each LUN of one port.
type Luns = Box<[Option<LdevId>; LUNS]>;

/// The map from paths to volumes, for the ports of one channel adapter.
///
/// A path leads to at most one volume; a volume may have any number of paths. The map knows volumes
/// by their ids only: whether they exist is the control unit's business. It is bounded by its
/// types, at 128 ports of 256 LUNs.
#[derive(Clone, PartialEq, Eq)]
pub struct LuMap {
    ports: BTreeMap<PortId, Luns>,
}

impl LuMap {
    /// A map without paths for these ports.
    pub fn new(ports: impl IntoIterator<Item = PortId>) -> Self {
        let empty = || Box::new([None; LUNS]);
        Self { ports: ports.into_iter().map(|port| (port, empty())).collect() }
    }

    /// The ports, ascending.
    pub fn ports(&self) -> impl Iterator<Item = PortId> {
        self.ports.keys().copied()
    }

    /// Maps a path to a volume.
    ///
    /// # Errors
    ///
    /// If there is no such port, or the path leads to a volume already.
    pub fn add(&mut self, path: LuPath, ldev: LdevId) -> Result<(), LuError> {
        let entry = self.entry(path)?;
        match *entry {
            Some(ldev) => Err(LuError::Taken { path, ldev }),
            None => {
                *entry = Some(ldev);
                Ok(())
            }
        }
    }

    /// Removes a path. Returns the volume that it led to.
    ///
    /// # Errors
    ///
    /// If there is no such port, or the path leads nowhere.
    pub fn remove(&mut self, path: LuPath) -> Result<LdevId, LuError> {
        self.entry(path)?.take().ok_or(LuError::NoLu { path })
    }

    /// The volume that a path leads to.
    ///
    /// # Errors
    ///
    /// If there is no such port, or the path leads nowhere.
    pub fn resolve(&self, path: LuPath) -> Result<LdevId, LuError> {
        let luns = self.luns(path.port)?;
        luns[usize::from(path.lun.0)].ok_or(LuError::NoLu { path })
    }

    /// The paths of a volume, ascending.
    pub fn paths_of(&self, ldev: LdevId) -> impl Iterator<Item = LuPath> {
        self.iter().filter(move |&(_, found)| found == ldev).map(|(path, _)| path)
    }

    /// The logical units of a port, by ascending LUN.
    ///
    /// # Errors
    ///
    /// If there is no such port.
    pub fn units_of(&self, port: PortId) -> Result<impl Iterator<Item = (Lun, LdevId)>, LuError> {
        self.luns(port).map(mapped)
    }

    /// All paths with their volumes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (LuPath, LdevId)> {
        let units = |(&port, luns)| mapped(luns).map(move |(lun, ldev)| (port, lun, ldev));
        self.ports.iter().flat_map(units).map(|(port, lun, ldev)| (LuPath { port, lun }, ldev))
    }

    fn luns(&self, port: PortId) -> Result<&Luns, LuError> {
        self.ports.get(&port).ok_or(LuError::NoPort { port })
    }

    fn entry(&mut self, path: LuPath) -> Result<&mut Option<LdevId>, LuError> {
        let luns = self.ports.get_mut(&path.port).ok_or(LuError::NoPort { port: path.port })?;
        Ok(&mut luns[usize::from(path.lun.0)])
    }
}

fn mapped(luns: &Luns) -> impl Iterator<Item = (Lun, LdevId)> {
    (0..=u8::MAX).map(Lun).zip(luns.iter()).filter_map(|(lun, ldev)| Some((lun, (*ldev)?)))
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
                let path = LuPath { port, lun: Lun(lun.wrapping_sub(3)) };
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
