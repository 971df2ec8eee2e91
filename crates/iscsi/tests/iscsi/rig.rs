//! A unit in memory, served.

use diptych_cha::scsi::{ScsiTarget, UnitIdentity};
use diptych_cha::{ChannelAdapter, InitiatorName, TargetId};
use diptych_device::MemoryDrive;
use diptych_dka::Drives;
use diptych_format::{Geometry, LdevId};
use diptych_iscsi::{IscsiService, IscsiSettings, TargetNames};
use diptych_rt::net::{Address, Budget, NetLimits, Server};
use diptych_rt::{Rt, RtConfig};
use diptych_sync::Arc;
use diptych_unit::{Plant, Unit, UnitConfig};

pub(crate) const BYTES: u64 = 64 << 20;
/// Who the second host group admits.
pub(crate) const ADMITTED: &str = "iqn.2001-04.com.example:admitted";

pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) rt: Rt,
    pub(crate) target: Arc<ScsiTarget>,
    pub(crate) port: u16,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(NetLimits::default(), IscsiSettings::default())
    }

    pub(crate) fn with(limits: NetLimits, settings: IscsiSettings) -> Self {
        Self::within(limits, settings, None)
    }

    /// Two volumes: LUNs 0 and 1 of CL1-A; the second is LUN 5 of CL1-A.1, for one initiator alone.
    pub(crate) fn within(
        limits: NetLimits,
        settings: IscsiSettings,
        budget: Option<Budget>,
    ) -> Self {
        let drive = || Box::new(MemoryDrive::new(1 << 20));
        let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
        let unit = Unit::new(UnitConfig::with_cache(2_048, 64 << 10), &plant).unwrap();
        let ldevs = [LdevId::new(0, 0), LdevId::new(0, 1)];
        for (ldev, group) in ldevs.into_iter().zip([0, 1]) {
            unit.add_volume(ldev, Geometry::with_tracks(128, BYTES >> 16), group).unwrap();
        }
        let adapter = ChannelAdapter::new(0, ["CL1-A".parse().unwrap()]);
        adapter.change_lu_map(|map| {
            let second = TargetId::new("CL1-A".parse().unwrap(), 1);
            map.add_group(second, "second".parse().unwrap()).unwrap();
            map.admit(second, ADMITTED.parse::<InitiatorName>().unwrap()).unwrap();
            for (path, ldev) in [("CL1-A:0", 0), ("CL1-A:1", 1), ("CL1-A.1:5", 1)] {
                map.add(path.parse().unwrap(), ldevs[ldev]).unwrap();
            }
        });
        let identity = UnitIdentity { unit_id: 7 };
        let target = Arc::new(ScsiTarget::new(identity, Arc::new(adapter), unit.access_board()));
        let rt = Rt::start(unit, plant, RtConfig::default()).unwrap();
        let service = IscsiService::new(rt.clone(), target.clone(), TargetNames::new(7), settings);
        let any = "127.0.0.1:0".parse().unwrap();
        let server = Server::listen_within(&[any], limits, budget, service).unwrap();
        let port = match server.addresses().next() {
            Some(Address::Tcp(address)) => address.port(),
            other => panic!("{other:?}"),
        };
        Self { server, rt, target, port }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.stop();
        self.rt.stop();
    }
}

/// The name of a target of the rig.
pub(crate) fn name(target: &str) -> String {
    TargetNames::new(7).of(target.parse().unwrap())
}
