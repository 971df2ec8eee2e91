//! The SCSI target: logical units, sessions, and commands between them.

use super::answers::Answers;
use super::attention::Attention;
use super::cdb::Cdb;
use super::identity::UnitIdentity;
use super::limits;
use super::logical_unit::{Kept, LogicalUnit};
use super::mode;
use super::nexus::{InitiatorPort, Nexus, NexusId, Registrant};
use super::operation::{DataLength, Has};
use super::reply::Refused;
use super::sense::Sense;
use super::table::{Found, find};
use super::task::ScsiTask;
use crate::{AccessBoard, ChannelAdapter, InitiatorName, LuMap, LuOptions, Lun, TargetId};
use bytes::Bytes;
use diptych_format::LdevId;
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::{Arc, RwLock};
use std::collections::BTreeMap;

/// Why an initiator may not log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// There is no such target.
    #[error("there is no target {target}")]
    NoTarget {
        /// The target asked for.
        target: TargetId,
    },
    /// The host group does not admit the initiator.
    #[error("target {target} does not admit this initiator")]
    NotAdmitted {
        /// The target asked for.
        target: TargetId,
    },
    /// There are as many sessions as there may be.
    #[error("there are {most} sessions, and no more fit")]
    TooMany {
        /// The most there can be.
        most: usize,
    },
}

/// What one LUN of a nexus leads to.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) unit: Arc<LogicalUnit>,
    pub(crate) options: LuOptions,
}

impl Seen {
    pub(crate) fn has(&self, has: Has) -> bool {
        mode::has(self.options, has)
    }
}

type Units = BTreeMap<LdevId, Arc<LogicalUnit>>;
type Nexuses = BTreeMap<NexusId, Arc<Nexus>>;

/// The target behind all ports of a channel adapter: the logical units of its map, and who is logged in.
///
/// A transport logs a session in ([`login`](Self::login)), makes a [`ScsiTask`] of each command
/// ([`task`](Self::task)) and steps it, and hands on task management ([`manage`](Self::manage)). Many
/// threads do so at once. No lock is held between the steps of a task.
///
/// ```
/// use diptych_cha::scsi::{InitiatorPort, ScsiStatus, ScsiStep, ScsiTarget, UnitIdentity};
/// use diptych_cha::{AccessBoard, ChannelAdapter, HostOp, HostReply};
/// use diptych_format::{BlockNo, BlockRange, LdevId};
/// use diptych_sync::Arc;
///
/// let adapter = Arc::new(ChannelAdapter::new(0, ["CL1-A".parse().unwrap()]));
/// let ldev = LdevId::new(0, 1);
/// adapter.change_lu_map(|map| map.add("CL1-A:3".parse().unwrap(), ldev)).unwrap();
/// let access = Arc::new(AccessBoard::new());
/// let target = Arc::new(ScsiTarget::new(UnitIdentity { unit_id: 7 }, adapter, access));
///
/// let host = InitiatorPort::new("iqn.2001-04.com.example:host".parse().unwrap(), [0; 6]);
/// let nexus = target.login(host, "CL1-A".parse().unwrap()).unwrap();
/// let read = [0x28, 0, 0, 0, 0, 8, 0, 0, 2, 0];
/// let mut task = target.task(nexus, [0, 3, 0, 0, 0, 0, 0, 0], &read, Default::default());
/// let blocks = BlockRange::new(BlockNo(8), 2);
/// assert_eq!(task.step(None), ScsiStep::Ask(HostOp::Read { ldev, blocks }));
/// let data = vec![0; 1024].into();
/// let ScsiStep::Done(reply) = task.step(Some(HostReply::Data(data))) else { panic!() };
/// assert_eq!((reply.status, reply.data_in.len()), (ScsiStatus::Good, 1024));
/// ```
#[derive(Debug)]
pub struct ScsiTarget {
    unit: UnitIdentity,
    adapter: Arc<ChannelAdapter>,
    access: Arc<AccessBoard>,
    units: RwLock<Units>,
    nexuses: RwLock<Nexuses>,
    /// What was kept for volumes that no nexus has seen yet.
    kept: RwLock<BTreeMap<LdevId, Kept>>,
    /// The same of command devices.
    answers: RwLock<BTreeMap<LdevId, Answers>>,
    next_nexus: AtomicU64,
}

impl ScsiTarget {
    /// A target over an adapter's ports and map, with nobody logged in. `access` says when what hosts may
    /// do with a volume has changed.
    pub fn new(unit: UnitIdentity, adapter: Arc<ChannelAdapter>, access: Arc<AccessBoard>) -> Self {
        Self {
            unit,
            adapter,
            access,
            units: RwLock::default(),
            nexuses: RwLock::default(),
            kept: RwLock::default(),
            answers: RwLock::default(),
            next_nexus: AtomicU64::new(1),
        }
    }

    /// The adapter under it.
    pub fn adapter(&self) -> &ChannelAdapter {
        &self.adapter
    }

    pub(crate) fn identity(&self) -> UnitIdentity {
        self.unit
    }

    pub(crate) fn access_epoch(&self, ldev: LdevId) -> u64 {
        self.access.epoch(ldev)
    }

    /// The targets that admit an initiator: what discovery answers.
    pub fn targets_for(&self, initiator: &InitiatorName) -> Vec<TargetId> {
        let admits = |map: &LuMap| {
            let all = map.targets().filter(|(_, group)| group.admits(initiator));
            all.map(|(target, _)| target).collect()
        };
        self.adapter.with_lu_map(admits)
    }

    /// All targets.
    pub(crate) fn targets(&self) -> Vec<TargetId> {
        self.adapter.with_lu_map(|map| map.targets().map(|(target, _)| target).collect())
    }

    /// Logs a session in. One of the same initiator port at the same target is logged out by it (session
    /// reinstatement): its transport finds its commands aborted.
    ///
    /// # Errors
    ///
    /// If there is no such target, it does not admit the initiator, or there are too many sessions.
    pub fn login(&self, initiator: InitiatorPort, target: TargetId) -> Result<NexusId, LoginError> {
        let admits = |map: &LuMap| match map.group(target) {
            Err(_) => Err(LoginError::NoTarget { target }),
            Ok(group) if group.admits(&initiator.name) => Ok(()),
            Ok(_) => Err(LoginError::NotAdmitted { target }),
        };
        self.adapter.with_lu_map(admits)?;
        let who = Registrant { initiator, target };
        let same = |nexuses: &Nexuses| {
            nexuses.values().find(|nexus| nexus.who == who).map(|nexus| nexus.id)
        };
        let before = same(&self.nexuses.read());
        if let Some(before) = before {
            self.logout(before);
        }
        // Numbers are never used again, so nothing else has to be in step with them.
        let id = NexusId(self.next_nexus.fetch_add(1, Ordering::Relaxed));
        let nexus = Arc::new(Nexus::new(id, who));
        {
            let mut nexuses = self.nexuses.write();
            if nexuses.len() >= limits::NEXUSES {
                return Err(LoginError::TooMany { most: limits::NEXUSES });
            }
            nexuses.insert(id, nexus.clone());
        }
        self.seat(&nexus);
        Ok(id)
    }

    /// Ends a session, or notes that it was lost: what it held by being there is free. Persistent
    /// registrations stay.
    pub fn logout(&self, nexus: NexusId) {
        let Some(nexus) = self.nexuses.write().remove(&nexus) else { return };
        for seen in nexus.replace_units(BTreeMap::new()).into_values() {
            seen.unit.leave(nexus.id);
        }
    }

    /// Whether a session is logged in still.
    pub fn is_logged_in(&self, nexus: NexusId) -> bool {
        self.nexuses.read().contains_key(&nexus)
    }

    /// How many sessions there are now at each target, also where there are none.
    pub fn sessions(&self) -> BTreeMap<TargetId, usize> {
        let mut sessions: BTreeMap<_, _> = self.targets().into_iter().map(|at| (at, 0)).collect();
        for nexus in self.nexuses.read().values() {
            *sessions.entry(nexus.who.target).or_default() += 1;
        }
        sessions
    }

    /// The initiators that are logged in at a target, once for each session.
    pub fn initiators_at(&self, target: TargetId) -> Vec<InitiatorName> {
        let nexuses = self.nexuses.read();
        let here = nexuses.values().filter(|nexus| nexus.who.target == target);
        here.map(|nexus| nexus.who.initiator.name.clone()).collect()
    }

    /// Changes the map from paths to volumes. Sessions that it does not admit any more are logged out, and
    /// those whose logical units are others then are told.
    pub fn change_lu_map<R>(&self, change: impl FnOnce(&mut LuMap) -> R) -> R {
        let changed = self.adapter.change_lu_map(change);
        let nexuses: Vec<_> = self.nexuses.read().values().cloned().collect();
        for nexus in nexuses {
            let is_admitted = |map: &LuMap| {
                let group = map.group(nexus.who.target);
                group.is_ok_and(|group| group.admits(&nexus.who.initiator.name))
            };
            match self.adapter.with_lu_map(is_admitted) {
                true => self.seat(&nexus),
                false => self.logout(nexus.id),
            }
        }
        changed
    }

    /// Gives a nexus its logical units as the map has them now.
    fn seat(&self, nexus: &Nexus) {
        let of_map = |map: &LuMap| -> Vec<(Lun, LdevId, LuOptions)> {
            let units = map.units_of(nexus.who.target).into_iter().flatten();
            units.map(|(lun, ldev)| (lun, ldev, map.options(ldev))).collect()
        };
        let units = self
            .adapter
            .with_lu_map(of_map)
            .into_iter()
            .map(|(lun, ldev, options)| (lun, Seen { unit: self.unit_of(ldev), options }));
        let now: BTreeMap<Lun, Seen> = units.collect();
        for seen in now.values() {
            seen.unit.sit(nexus);
        }
        let before = nexus.replace_units(now.clone());
        if before.is_empty() {
            return;
        }
        let same = |lun: &Lun, seen: &Seen| {
            now.get(lun).is_some_and(|now| now.unit.ldev == seen.unit.ldev)
        };
        let kept = before.iter().filter(|(lun, seen)| same(lun, seen)).count();
        let is_same = kept == before.len() && kept == now.len();
        for (lun, seen) in &now {
            let mut state = seen.unit.state();
            if !is_same {
                state.tell_one(nexus.id, Attention::LunsChanged);
            }
            if before.get(lun).is_some_and(|before| before.options != seen.options) {
                state.tell_one(nexus.id, Attention::ModeChanged);
            }
        }
        for seen in before.values() {
            if !now.values().any(|now| now.unit.ldev == seen.unit.ldev) {
                seen.unit.leave(nexus.id);
            }
        }
    }

    fn unit_of(&self, ldev: LdevId) -> Arc<LogicalUnit> {
        if let Some(unit) = self.units.read().get(&ldev) {
            return unit.clone();
        }
        let kept = self.kept.write().remove(&ldev);
        let answers = self.answers.write().remove(&ldev).unwrap_or_default();
        let epoch = self.access_epoch(ldev);
        let unit = || Arc::new(LogicalUnit::new(ldev, epoch, kept, answers));
        self.units.write().entry(ldev).or_insert_with(unit).clone()
    }

    /// The volume is no more: what was known of it as a logical unit is forgotten. Take its paths from the
    /// map before.
    pub fn forget(&self, ldev: LdevId) {
        self.units.write().remove(&ldev);
        self.kept.write().remove(&ldev);
        self.answers.write().remove(&ldev);
    }

    /// Takes up a value that was kept ([`super::Keep`]) when the unit ran before. To be called for each of
    /// them before anybody logs in. Whether it was one of this target's.
    pub fn restore(&self, name: &str, value: &[u8]) -> bool {
        let parsed = |ldev: &str| ldev.replace('.', ":").parse::<LdevId>().ok();
        let Some(of) = name.strip_prefix(KEPT) else { return false };
        if let Some((ldev, place)) = of.split_once(ANSWERS) {
            let (Some(ldev), Ok(place)) = (parsed(ldev), place.parse()) else { return false };
            return self.answers.write().entry(ldev).or_default().restore(place, value);
        }
        match (parsed(of), postcard::from_bytes(value)) {
            (Some(ldev), Ok(kept)) => {
                self.kept.write().insert(ldev, kept);
                true
            }
            _ => false,
        }
    }

    /// The name under which a volume's state is kept. All names under which something is kept of it begin
    /// so.
    pub fn kept_name(ldev: LdevId) -> String {
        format!("{KEPT}{}", ldev.to_string().replace(':', "."))
    }

    /// The name under which the answers to one initiator of a command device are kept.
    pub(crate) fn kept_answers_name(ldev: LdevId, place: u8) -> String {
        format!("{}{ANSWERS}{place}", Self::kept_name(ldev))
    }

    /// Takes up a command. `lun` and `cdb` are as they came; `data_out` is the data that came with it, all
    /// that will. Nothing happens before the first step.
    // loom's handle is no receiver of a method, and its models have no SCSI.
    #[cfg(not(any(diptych_loom, diptych_shuttle)))]
    pub fn task(
        self: &Arc<Self>,
        nexus: NexusId,
        lun: [u8; 8],
        cdb: &[u8],
        data_out: Bytes,
    ) -> ScsiTask {
        let nexus = self.nexus(nexus);
        ScsiTask::new(self.clone(), nexus, lun, Cdb::new(cdb), data_out)
    }

    pub(crate) fn nexus(&self, nexus: NexusId) -> Option<Arc<Nexus>> {
        self.nexuses.read().get(&nexus).cloned()
    }
}

const KEPT: &str = "scsi.";
const ANSWERS: &str = ".answers.";

/// How much data a command moves, and which way, as its CDB says: nothing, if it is not known. A
/// transport computes residual counts by it, and asks a host for no more.
///
/// A residual count of data from the host is the difference of this and what the host expected, whatever
/// the status; of data to the host it is that of what the reply has.
///
/// Data from the host that is short is no reason to wait: the command gets what came. WRITE and its like
/// write the whole blocks that came, and refuse a part of a block; COMPARE AND WRITE, WRITE ATOMIC and
/// WRITE SAME refuse anything but what they want; data to a command that takes none is ignored.
pub fn expected_data(cdb: &[u8]) -> DataLength {
    let cdb = Cdb::new(cdb);
    match find(&cdb) {
        Found::Operation(operation) => operation.data.length(&cdb),
        Found::NoAction | Found::NoOpcode => DataLength::None,
    }
}

impl Nexus {
    /// REPORT LUNS (SPC-5, 6.31).
    pub(crate) fn report_luns(&self, cdb: &Cdb) -> Result<Vec<u8>, Refused> {
        let luns: Vec<Lun> = match cdb.byte(2) {
            0x00 | 0x02 => self.luns(),
            // Well known logical units: none.
            0x01 | 0x10 | 0x11 | 0x12 => Vec::new(),
            _ => return Err(Sense::in_cdb(2).into()),
        };
        let mut bytes = vec![0; 8];
        bytes[..4].copy_from_slice(&(8 * luns.len() as u32).to_be_bytes());
        for Lun(lun) in luns {
            bytes.extend([0, lun, 0, 0, 0, 0, 0, 0]);
        }
        Ok(bytes)
    }
}
