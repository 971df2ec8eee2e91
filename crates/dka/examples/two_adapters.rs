//! Fig. 10A in small: one disk adapter destages a track, the other stages it.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use diptych_device::MemoryDrive;
use diptych_dka::{Done, Drives, Groups, Op, Port, TrackWrite, read_track, write_track};
use diptych_format::{
    BackingId, BlockMask, CheckArea, CheckField, Generation, Geometry, LogicalAddress, TrackNo,
    TrackPool,
};
use diptych_sync::Arc;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A port that asks the drives at once.
struct Direct(Drives);

impl Port for Direct {
    async fn perform(&self, op: Op) -> Done {
        println!("  drive {} (DKA {}): {op:?}", op.drive(), self.0.dka_of(op.drive()));
        self.0.perform(op)
    }

    async fn perform_all(&self, ops: Vec<Op>) -> Vec<Done> {
        ops.into_iter().map(|op| self.0.perform(op)).collect()
    }
}

fn run<T>(job: impl Future<Output = T>) -> T {
    match pin!(job).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a direct port never waits"),
    }
}

fn main() {
    let drives = Drives::new(vec![
        (0, Box::new(MemoryDrive::new(1 << 12))),
        (1, Box::new(MemoryDrive::new(1 << 12))),
    ]);
    let groups = Groups::single_drives(&drives);
    let geometry = Geometry::with_tracks(4, 3);
    let home = groups.allocate(BackingId(7), geometry, 1).expect("room in the group");
    let port = Direct(drives);
    let pool = TrackPool::new(2, geometry.track_bytes());
    assert!(pool.reserve(2), "an empty pool has room");

    let track = TrackNo(2);
    let mut data = pool.take_reserved();
    let mut checks = CheckArea::zeroed(geometry.blocks_per_track());
    for (index, block) in data.bytes_mut().chunks_exact_mut(512).enumerate() {
        block.fill(b'a' + index as u8);
        let number = geometry.first_block(track).0 + index as u64;
        let la = LogicalAddress { backing: BackingId(7), block: diptych_format::BlockNo(number) };
        checks.set(index as u64, CheckField::of(block, la, Generation(1)));
    }
    let whole = BlockMask::first(4);
    println!("destage track {track}:");
    let (data, checks) = (Arc::new(data), Arc::new(checks));
    let write = TrackWrite { data, checks, valid: whole, dirty: whole };
    run(write_track(&port, &home, track, write)).expect("a memory drive takes it");

    println!("stage it again:");
    let staged = run(read_track(&port, &home, track, pool.take_reserved(), whole));
    let staged = staged.expect("a memory drive gives it back");
    println!("wrong blocks: {:?}, first byte: {}", staged.bad, staged.data.bytes()[0] as char);
}
