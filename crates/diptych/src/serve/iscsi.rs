//! iSCSI beside the rest: the SCSI target over the unit, and its service.

use super::ServeError;
use crate::config::Config;
use crate::lu_map;
use diptych::cha::scsi::{ScsiTarget, UnitIdentity};
use diptych::cha::{ChannelAdapter, TargetId, Users};
use diptych::iscsi::{IscsiService, TargetNames};
use diptych::rest::Scsi;
use diptych::rt::Rt;
use diptych::rt::net::{Address, Budget, Server, ServerWatch};
use diptych::sync::Arc;
use tracing::warn;

/// What SCSI keeps in the unit begins so.
const KEPT: &str = "scsi.";
/// What the users are kept as that operators have made.
const USERS: &str = "users";

/// The iSCSI server, and what it serves.
pub(super) struct Iscsi {
    server: Server,
    target: Arc<ScsiTarget>,
    names: TargetNames,
    users: Arc<Users>,
}

impl Iscsi {
    /// Begins to serve.
    pub(super) fn listen(
        addresses: Vec<Address>,
        config: &Config,
        budget: Option<Budget>,
        rt: &Rt,
        unit_id: u64,
    ) -> Result<Self, ServeError> {
        let settings = config.iscsi_settings.clone();
        let users = settings.users.clone();
        if rt.unit().kept(USERS).is_some_and(|kept| !users.restore(&kept)) {
            return Err(ServeError::Users);
        }
        for address in addresses.iter().filter(|address| !address.is_local()) {
            if users.is_empty() {
                warn!(%address, "iSCSI without users: whoever reaches this address has the volumes");
            }
        }
        let map = lu_map::load(rt.unit())?;
        let adapter = ChannelAdapter::new(0, map.ports());
        adapter.change_lu_map(|now| *now = map);
        // Half of the id: serial numbers have room for no more.
        let identity = UnitIdentity { unit_id: (unit_id ^ unit_id >> 32) as u32 };
        let target = ScsiTarget::new(identity, Arc::new(adapter), rt.unit().access_board());
        for name in rt.unit().kept_names(KEPT) {
            let value = rt.unit().kept(&name).unwrap_or_default();
            if !target.restore(&name, &value) {
                warn!(name, "what was kept of a logical unit makes no sense");
            }
        }
        let (target, names) = (Arc::new(target), TargetNames::new(unit_id));
        let service = IscsiService::new(rt.clone(), target.clone(), names.clone(), settings);
        let server = Server::listen_within(&addresses, config.limits, budget, service)?;
        Ok(Self { server, target, names, users })
    }

    /// The target, for operators who change what is behind it.
    pub(super) fn scsi(&self) -> Scsi {
        let names = self.names.clone();
        Scsi {
            target: self.target.clone(),
            kept_as: lu_map::NAME,
            users: self.users.clone(),
            users_kept_as: USERS,
            target_name: Arc::new(move |target| names.of(target)),
        }
    }

    /// What looks on while it serves.
    pub(super) fn watch(&self) -> ServerWatch {
        self.server.watch()
    }

    /// A URL for each logical unit at each address, as libiscsi and qemu have them.
    pub(super) fn urls(&self) -> Vec<String> {
        let paths: Vec<(TargetId, _)> = self
            .target
            .adapter()
            .with_lu_map(|map| map.iter().map(|(path, _)| (path.target(), path.lun)).collect());
        let at = |address: &Address| {
            let url = |(target, lun)| format!("iscsi://{address}/{}/{lun}", self.names.of(target));
            paths.iter().copied().map(url).collect::<Vec<_>>()
        };
        self.server.addresses().flat_map(at).collect()
    }

    /// Answers what has come, and ends.
    pub(super) fn stop(&mut self) {
        self.server.stop();
    }
}
