//! A unit in a directory, served by this process: pairs are driven by calls of the library.

use diptych::cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych::dka::Groups;
use diptych::format::{Geometry, LdevId, Time};
use diptych::nbd::{NbdService, export_uri};
use diptych::rt::net::{NetLimits, Server};
use diptych::rt::{DriveShape, OpenedUnit, Rt, RtConfig, UnitDir, UnitShape};
use diptych::shared::PairStatus;
use diptych::unit::UnitConfig;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const PRIMARY: LdevId = LdevId::new(0, 0);
pub(crate) const SECONDARY: LdevId = LdevId::new(0, 1);
/// Bytes of each of them.
pub(crate) const BYTES: u64 = 64 << 20;

pub(crate) struct Inside {
    server: Server,
    pub(crate) rt: Rt,
    _dir: UnitDir,
    temp: TempDir,
}

impl Inside {
    /// A primary and a reserved volume, each on a drive of its own, and a log.
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().expect("a directory");
        let geometry = Geometry::with_tracks(128, BYTES >> 16);
        let sectors = Groups::sectors_for(geometry);
        let drives = [0, 1].map(|dka_no| DriveShape { dka_no, sectors }).into();
        let shape = UnitShape { id: 7, log_sectors: 64 << 11, drives };
        let dir = UnitDir::create(temp.path().join("array"), &shape).expect("a unit");
        let config = UnitConfig::with_cache(2_048, 64 << 10);
        let OpenedUnit { dir, unit, plant, .. } = dir.recover(config).expect("a unit");
        for (ldev, drive) in [(PRIMARY, 0), (SECONDARY, 1)] {
            unit.add_volume(ldev, geometry, drive).expect("a volume");
        }
        unit.set_reserved(SECONDARY, true, Time::ZERO).expect("a volume");
        let rt = Rt::start(unit, plant, RtConfig::default()).expect("a driver");
        let any = "127.0.0.1:0".parse().expect("an address");
        let service = NbdService::new(rt.clone());
        let server = Server::listen(&[any], NetLimits::default(), service).expect("a port");
        Self { server, rt, _dir: dir, temp }
    }

    pub(crate) fn uri(&self, ldev: LdevId) -> String {
        export_uri(self.server.addresses().next().expect("an address"), ldev)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// A command on the pair.
    pub(crate) fn command(&self, code: CommandCode) {
        let op = HostOp::Command(Command::new(code, PRIMARY, SECONDARY));
        let reply = self.rt.execute(op);
        assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    }

    /// Waits until the image is whole.
    pub(crate) fn wait_for_image(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let pair = self.rt.unit().pair(PRIMARY, SECONDARY).expect("a pair");
            if pair.status == PairStatus::Copied {
                return;
            }
            assert!(Instant::now() < until, "{pair:?}");
            diptych::sync::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.server.stop();
        self.rt.stop();
    }
}
