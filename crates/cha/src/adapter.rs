//! The channel adapter 109: between a protocol and the control unit.

use crate::{
    ChannelCounters, ChannelSnapshot, CommandBlock, HostOp, HostReply, LuMap, LuPath, PortId,
    RequestError,
};
use bytes::Bytes;
use diptych_format::{BlockNo, BlockRange};
use diptych_sync::RwLock;
use std::collections::BTreeMap;

/// What a host asks of a logical unit. The path says which volume is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRequest {
    /// Read blocks.
    Read {
        /// Which blocks.
        blocks: BlockRange,
    },
    /// Write blocks.
    Write {
        /// The first block.
        block: BlockNo,
        /// Whole blocks of 512 bytes.
        data: Bytes,
    },
    /// Give blocks up.
    Unmap {
        /// Which blocks.
        blocks: BlockRange,
    },
    /// Make every acknowledged write durable.
    Flush,
    /// A pair command, in a command block (Fig. 7). It may come by any path that leads to a
    /// volume: the block names its volumes itself.
    Command {
        /// The command block.
        block: Bytes,
    },
}

/// A channel adapter: its ports, the volumes behind them, and what its channels carried.
///
/// A protocol hands each request to [`request`](Self::request), the host operation that comes out
/// to the control unit, and the unit's answer to [`answer`](Self::answer) before it leaves. Many
/// connections do so at once; a request takes the map's lock for reading, and no other.
///
/// ```
/// use diptych_cha::{ChannelAdapter, HostOp, HostReply, HostRequest, LuPath};
/// use diptych_format::LdevId;
///
/// let adapter = ChannelAdapter::new(0, ["CL1-A".parse().unwrap()]);
/// let path: LuPath = "CL1-A:3".parse().unwrap();
/// let ldev = LdevId::new(0, 0x1A);
/// adapter.change_lu_map(|map| map.add(path, ldev)).unwrap();
///
/// let op = adapter.request(path, HostRequest::Flush).unwrap();
/// assert_eq!(op, HostOp::Flush { ldev });
/// adapter.answer(path.port, &HostReply::Done);
/// assert_eq!(adapter.counters().total().operations, 1);
/// ```
#[derive(Debug)]
pub struct ChannelAdapter {
    no: u16,
    lu_map: RwLock<LuMap>,
    by_port: BTreeMap<PortId, ChannelCounters>,
    /// What came by a port that there is not.
    elsewhere: ChannelCounters,
}

impl ChannelAdapter {
    /// Channel adapter `no` of a control unit, with these ports and no paths.
    pub fn new(no: u16, ports: impl IntoIterator<Item = PortId>) -> Self {
        let map = LuMap::new(ports);
        let by_port = map.ports().map(|port| (port, ChannelCounters::new())).collect();
        Self { no, lu_map: RwLock::new(map), by_port, elsewhere: ChannelCounters::new() }
    }

    /// Which adapter of the control unit it is, from 0.
    pub const fn no(&self) -> u16 {
        self.no
    }

    /// Looks at the map from paths to volumes. Requests go on meanwhile.
    pub fn with_lu_map<R>(&self, look: impl FnOnce(&LuMap) -> R) -> R {
        look(&self.lu_map.read())
    }

    /// Changes the map from paths to volumes. Requests wait meanwhile; those under way go on to the
    /// volume that their path led to when they came.
    pub fn change_lu_map<R>(&self, change: impl FnOnce(&mut LuMap) -> R) -> R {
        change(&mut self.lu_map.write())
    }

    /// Makes a host operation of a request, and counts it.
    ///
    /// # Errors
    ///
    /// If the path leads to no volume, or the command block holds no command. The request is then
    /// counted as rejected.
    pub fn request(&self, path: LuPath, request: HostRequest) -> Result<HostOp, RequestError> {
        let op = self.operation(path, request);
        let counters = self.counters_of(path.port);
        match &op {
            Ok(op) => counters.count_request(op),
            Err(_) => counters.count_rejected(),
        }
        op
    }

    /// Counts a host operation that a protocol made by itself of a request that came by this port.
    pub fn count(&self, port: PortId, op: &HostOp) {
        self.counters_of(port).count_request(op);
    }

    /// Counts the answer to a host operation, which goes out by this port.
    pub fn answer(&self, port: PortId, reply: &HostReply) {
        self.counters_of(port).count_answer(reply);
    }

    /// Counts bytes that a host at this port had copied from volume to volume, inside the unit.
    pub fn count_inside(&self, port: PortId, bytes: u64) {
        self.counters_of(port).count_inside(bytes);
    }

    /// What the adapter's channels carried so far.
    pub fn counters(&self) -> ChannelSnapshot {
        let ports = self.by_port.values().map(ChannelCounters::snapshot);
        ports.fold(self.elsewhere.snapshot(), |all, port| all.plus(&port))
    }

    /// The same, for each port by itself.
    pub fn counters_by_port(&self) -> impl Iterator<Item = (PortId, ChannelSnapshot)> + '_ {
        self.by_port.iter().map(|(port, counters)| (*port, counters.snapshot()))
    }

    fn counters_of(&self, port: PortId) -> &ChannelCounters {
        self.by_port.get(&port).unwrap_or(&self.elsewhere)
    }

    fn operation(&self, path: LuPath, request: HostRequest) -> Result<HostOp, RequestError> {
        let ldev = self.lu_map.read().resolve(path)?;
        Ok(match request {
            HostRequest::Read { blocks } => HostOp::Read { ldev, blocks },
            HostRequest::Write { block, data } => HostOp::Write { ldev, block, data },
            HostRequest::Unmap { blocks } => HostOp::Unmap { ldev, blocks },
            HostRequest::Flush => HostOp::Flush { ldev },
            HostRequest::Command { block } => CommandBlock::new_checked(&block)?.operation()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, CommandCode, CreateAuto, LuError, OpKind, WireError};
    use diptych_format::LdevId;
    use diptych_sync::{Arc, thread};

    const LDEV: LdevId = LdevId::new(0, 0x1A);

    fn path(text: &str) -> LuPath {
        text.parse().expect("a path")
    }

    fn adapter() -> ChannelAdapter {
        let adapter = ChannelAdapter::new(1, [path("CL1-A:3").port]);
        adapter.change_lu_map(|map| map.add(path("CL1-A:3"), LDEV)).expect("a free path");
        adapter
    }

    #[test]
    fn requests_become_operations() {
        fn check(request: HostRequest, expected: HostOp) {
            assert_eq!(adapter().request(path("CL1-A:3"), request), Ok(expected));
        }
        let blocks = BlockRange::new(BlockNo(5), 2);
        let (ldev, block, data) = (LDEV, BlockNo(5), Bytes::from_static(&[7; 512]));
        check(HostRequest::Read { blocks }, HostOp::Read { ldev, blocks });
        let write = HostRequest::Write { block, data: data.clone() };
        check(write, HostOp::Write { ldev, block, data });
        check(HostRequest::Unmap { blocks }, HostOp::Unmap { ldev, blocks });
        check(HostRequest::Flush, HostOp::Flush { ldev });
        // The path's volume is none of the command's.
        let command = Command::new(CommandCode::Delete, LdevId::new(1, 1), LdevId::new(1, 2));
        let block = Bytes::copy_from_slice(&command.encode());
        check(HostRequest::Command { block }, HostOp::Command(command));
        let auto = CreateAuto::new(LdevId::new(1, 1));
        let block = Bytes::copy_from_slice(&auto.encode());
        check(HostRequest::Command { block }, HostOp::CreateAuto(auto));
    }

    #[test]
    fn what_makes_no_operation_is_counted_apart() {
        let adapter = adapter();
        let check = |at: &str, request: HostRequest, expected: RequestError| {
            assert_eq!(adapter.request(path(at), request), Err(expected));
        };
        let block = Bytes::from_static(b"DCMB");
        let too_short = WireError::TooShort { expected: 24, found: 4 };
        let no_lu = LuError::NoLu { path: path("CL1-A:4") };
        let no_port = LuError::NoPort { port: path("CL1-B:3").port };
        check("CL1-A:3", HostRequest::Command { block: block.clone() }, too_short.into());
        check("CL1-A:4", HostRequest::Command { block }, no_lu.into());
        check("CL1-B:3", HostRequest::Flush, no_port.into());
        assert_eq!(adapter.counters().rejected, 3);
        assert_eq!(adapter.counters().total(), crate::Traffic::default());
    }

    #[test]
    fn a_removed_path_leads_nowhere() {
        let adapter = adapter();
        let path = path("CL1-A:3");
        assert_eq!(adapter.change_lu_map(|map| map.remove(path)), Ok(LDEV));
        let no_lu = LuError::NoLu { path };
        assert_eq!(adapter.request(path, HostRequest::Flush), Err(no_lu.into()));
        assert_eq!(adapter.with_lu_map(|map| map.iter().count()), 0);
    }

    #[test]
    fn no_count_is_lost_between_connections() {
        let adapter = Arc::new(adapter());
        let connections = [0, 1, 2].map(|_| {
            let adapter = adapter.clone();
            thread::spawn(move || {
                for _ in 0..1_000 {
                    let data = Bytes::from_static(&[0; 512]);
                    let write = HostRequest::Write { block: BlockNo(0), data };
                    adapter.request(path("CL1-A:3"), write).expect("a path to a volume");
                    adapter.answer(path("CL1-A:3").port, &HostReply::Done);
                }
            })
        });
        for connection in connections {
            connection.join().expect("a connection");
        }
        let writes = adapter.counters().of(OpKind::Write);
        assert_eq!((writes.operations, writes.bytes_in), (3_000, 3_000 * 512));
    }
}
