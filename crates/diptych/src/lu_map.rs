//! The map from LUNs to volumes, as the unit keeps it.

use diptych::cha::{LuError, LuMap, LuPath, Lun, NameError, PortId};
use diptych::unit::{Unit, UnitError};

/// What it is kept as.
pub(crate) const NAME: &str = "lu-map";
/// The port of volumes that nobody gave a path.
const FIRST: &str = "CL1-A";
/// The ports that there are.
const PORTS: [&str; 4] = [FIRST, "CL1-B", "CL2-A", "CL2-B"];

/// Why there is no map.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LuMapError {
    #[error("the map of LUNs that was kept makes no sense: {0}")]
    Kept(#[source] postcard::Error),
    #[error("the map of LUNs cannot be kept: {0}")]
    Keep(#[from] UnitError),
    #[error("a path of the map of LUNs: {0}")]
    Path(#[from] LuError),
    #[error("a port of the map of LUNs: {0}")]
    Port(#[from] NameError),
}

/// The map; for a unit that has none yet, one that is made and kept: all volumes, in their order, from
/// LUN 0 of the first port on.
pub(crate) fn load(unit: &Unit) -> Result<LuMap, LuMapError> {
    match unit.kept(NAME) {
        Some(bytes) => postcard::from_bytes(&bytes).map_err(LuMapError::Kept),
        None => {
            let map = usual(unit)?;
            keep(unit, &map)?;
            Ok(map)
        }
    }
}

/// Keeps the map.
pub(crate) fn keep(unit: &Unit, map: &LuMap) -> Result<(), LuMapError> {
    let bytes = postcard::to_allocvec(map).map_err(LuMapError::Kept)?;
    Ok(unit.keep(NAME, Some(bytes.into()))?)
}

fn usual(unit: &Unit) -> Result<LuMap, LuMapError> {
    let ports: Result<Vec<PortId>, NameError> = PORTS.iter().map(|port| port.parse()).collect();
    let mut map = LuMap::new(ports?);
    let first = FIRST.parse()?;
    for (volume, lun) in unit.volumes().iter().zip(0..=u8::MAX) {
        map.add(LuPath::new(first, Lun(lun)), volume.ldev)?;
    }
    Ok(map)
}
