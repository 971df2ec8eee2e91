//! A unit in memory, served.

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::MemoryDrive;
use diptych_dka::Drives;
use diptych_format::{Geometry, LdevId, Time};
use diptych_nbd::NbdService;
use diptych_rt::net::{Address, Budget, NetLimits, Server};
use diptych_rt::{Rt, RtConfig};
use diptych_unit::{Plant, Unit, UnitConfig};

/// A primary, a second one, and a reserved volume.
pub(crate) const PRIMARY: LdevId = LdevId::new(0, 0);
pub(crate) const OTHER: LdevId = LdevId::new(0, 1);
pub(crate) const RESERVED: LdevId = LdevId::new(0, 0x1A);
/// Bytes of each of them.
pub(crate) const BYTES: u64 = 64 << 20;
pub(crate) const TRACK_BYTES: u64 = 64 << 10;

pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) rt: Rt,
    pub(crate) port: u16,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(NetLimits::default())
    }

    pub(crate) fn with(limits: NetLimits) -> Self {
        Self::within(limits, None)
    }

    pub(crate) fn within(limits: NetLimits, budget: Option<Budget>) -> Self {
        let drive = || Box::new(MemoryDrive::new(1 << 20));
        let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
        let config = UnitConfig { in_use_ns: 0, ..UnitConfig::with_cache(2_048, 64 << 10) };
        let unit = Unit::new(config, &plant).unwrap();
        for (ldev, group) in [(PRIMARY, 0), (OTHER, 0), (RESERVED, 1)] {
            let tracks = BYTES / TRACK_BYTES;
            unit.add_volume(ldev, Geometry::with_tracks(128, tracks), group).unwrap();
        }
        unit.set_reserved(RESERVED, true, Time::ZERO).unwrap();
        let rt = Rt::start(unit, plant, RtConfig::default()).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let server =
            Server::listen_within(&[any], limits, budget, NbdService::new(rt.clone())).unwrap();
        let port = match server.addresses().next() {
            Some(Address::Tcp(address)) => address.port(),
            other => panic!("{other:?}"),
        };
        Self { server, rt, port }
    }

    /// A command on the pair of the primary and the reserved volume.
    pub(crate) fn command(&self, code: CommandCode) {
        let outcome = self.outcome(code);
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    }

    pub(crate) fn outcome(&self, code: CommandCode) -> Outcome {
        let command = HostOp::Command(Command::new(code, PRIMARY, RESERVED));
        match self.rt.execute(command) {
            HostReply::Outcome(outcome) => outcome,
            reply => panic!("{reply:?}"),
        }
    }

    /// The image that the pair holds.
    pub(crate) fn image(&self) -> u64 {
        self.rt.unit().pair(PRIMARY, RESERVED).unwrap().image.0
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.stop();
        self.rt.stop();
    }
}
