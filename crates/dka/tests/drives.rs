//! What a disk adapter makes of drives that go wrong: one that does not answer in time, and check
//! fields that cannot be read.

use diptych_device::{
    Device, DeviceError, Fault, FaultKind, FaultPlan, FaultRule, MemoryDrive, Op as Request,
    SectorRange, Trace,
};
use diptych_dka::{
    DkaError, Done, Drives, Groups, Home, Op, Part, Port, TrackWrite, read_track, write_track,
};
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, BlockNo, BlockRange, CheckArea, CheckField, DriveNo,
    Generation, Geometry, LogicalAddress, SectorNo, TrackBuf, TrackNo, TrackPool,
};
use diptych_sync::Arc;
use std::io::{IoSlice, IoSliceMut};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

const BLOCKS: u64 = 4;
const BACKING: BackingId = BackingId(3);
const TRACK: TrackNo = TrackNo(1);

/// A drive with faults, and a trace of the requests that reach it.
#[derive(Debug, Clone)]
struct Drive(Arc<Trace<Fault<MemoryDrive>>>);

impl Drive {
    fn new() -> Self {
        let fault = Fault::new(MemoryDrive::new(256), FaultPlan::none());
        Self(Arc::new(Trace::new(fault.expect("no rule is wrong"), 100)))
    }

    fn goes_wrong(&self, rule: FaultRule) {
        self.0.inner().push(rule).expect("the rule can be followed");
    }

    fn requests(&self) -> usize {
        self.0.entries().len()
    }
}

impl Device for Drive {
    fn sector_count(&self) -> u64 {
        self.0.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        self.0.read_at(sector, bufs)
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        self.0.write_at(sector, bufs)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.0.flush()
    }
}

/// A disk adapter with one backing on drive 0, and another drive. A port that asks the drives at once.
struct Bench {
    drives: Drives,
    drive: Drive,
    home: Home,
    pool: TrackPool,
}

impl Port for Bench {
    async fn perform(&self, op: Op) -> Done {
        self.drives.perform(op)
    }

    async fn perform_all(&self, ops: Vec<Op>) -> Vec<Done> {
        ops.into_iter().map(|op| self.drives.perform(op)).collect()
    }
}

fn run<T>(job: impl Future<Output = T>) -> T {
    match pin!(job).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a direct port never waits"),
    }
}

/// Blocks of a track, by their numbers within it.
fn blocks(start: u64, count: u64) -> BlockMask {
    BlockMask::of(BlockRange::new(BlockNo(start), count))
}

impl Bench {
    fn new() -> Self {
        let drive = Drive::new();
        let other = Box::new(MemoryDrive::new(256));
        let drives = Drives::new(vec![(0, Box::new(drive.clone())), (1, other)]);
        let groups = Groups::single_drives(&drives);
        let geometry = Geometry::with_tracks(BLOCKS, 3);
        let home = groups.allocate(BACKING, geometry, 0).expect("room in the group");
        Self { drives, drive, home, pool: TrackPool::new(16, geometry.track_bytes()) }
    }

    fn buffer(&self) -> TrackBuf {
        assert!(self.pool.reserve(1), "the pool is large enough");
        self.pool.take_reserved()
    }

    /// Writes these blocks of the track, all bytes of them `byte`. The rest is not known.
    fn write(&self, dirty: BlockMask, byte: u8) -> Result<(), DkaError> {
        let (mut data, mut checks) = (self.buffer(), CheckArea::zeroed(BLOCKS));
        data.bytes_mut().fill(byte);
        for index in dirty.iter() {
            let block = BlockNo(self.home.geometry().first_block(TRACK).0 + index);
            let la = LogicalAddress { backing: BACKING, block };
            checks.set(index, CheckField::of(&[byte; BLOCK_BYTES], la, Generation(1)));
        }
        let (data, checks) = (Arc::new(data), Arc::new(checks));
        let write = TrackWrite { data, checks, valid: dirty, dirty };
        run(write_track(self, &self.home, TRACK, write))
    }

    /// Reads the track: the first byte of each block, none of those that are bad.
    fn read(&self) -> Result<Vec<Option<u8>>, DkaError> {
        let buffer = self.buffer();
        let staged = run(read_track(self, &self.home, TRACK, buffer, blocks(0, BLOCKS)))?;
        let bad: Vec<u64> = staged.bad.iter().collect();
        let first = |index: u64| staged.data.bytes()[index as usize * BLOCK_BYTES];
        Ok((0..BLOCKS).map(|index| (!bad.contains(&index)).then(|| first(index))).collect())
    }

    fn perform(&self, request: Request, drive: DriveNo) -> Done {
        let (sector, bytes) = (SectorNo(0), 0..BLOCK_BYTES);
        self.drives.perform(match request {
            Request::Read => Op::Read {
                drive,
                sector,
                data: Some((self.buffer(), bytes)),
                checks: Some(CheckArea::zeroed(BLOCKS)),
            },
            Request::Write => {
                let data = Some(Part { buf: Arc::new(self.buffer()), bytes });
                Op::Write { drive, sector, data, checks: None }
            }
            Request::Flush => Op::Flush { drive },
        })
    }
}

const REQUESTS: [Request; 3] = [Request::Read, Request::Write, Request::Flush];

#[test]
fn a_drive_that_timed_out_is_asked_for_nothing_more() {
    for late in REQUESTS {
        let bench = Bench::new();
        bench.drive.goes_wrong(FaultRule::new(late, FaultKind::TimeOut));
        assert!(!bench.drives.is_fenced(DriveNo(0)));
        assert_eq!(bench.perform(late, DriveNo(0)).result, Err(DeviceError::TimedOut), "{late}");
        assert!(bench.drives.is_fenced(DriveNo(0)), "{late}");
        for request in REQUESTS {
            let done = bench.perform(request, DriveNo(0));
            assert_eq!(done.result, Err(DeviceError::Failed), "{request} after {late}");
            let buffers = (done.data.is_some(), done.checks.is_some());
            let is_read = request == Request::Read;
            assert_eq!(buffers, (is_read, is_read), "{request} brings its buffers back");
        }
        assert_eq!(bench.drive.requests(), 1, "{late}");
        // The other drive goes on.
        for request in REQUESTS {
            assert_eq!(bench.perform(request, DriveNo(1)).result, Ok(()), "{request}");
        }
        assert!(!bench.drives.is_fenced(DriveNo(1)));
    }
}

#[test]
fn a_drive_that_answers_with_an_error_is_asked_again() {
    for kind in [FaultKind::StorageFull, FaultKind::Fail] {
        let bench = Bench::new();
        bench.drive.goes_wrong(FaultRule::new(Request::Write, kind.clone()));
        assert!(bench.write(blocks(0, BLOCKS), 1).is_err(), "{kind}");
        assert!(!bench.drives.is_fenced(DriveNo(0)), "{kind}");
        bench.drive.0.inner().heal();
        assert_eq!(bench.write(blocks(0, BLOCKS), 2), Ok(()), "{kind}");
        assert_eq!(bench.read(), Ok(vec![Some(2); 4]), "{kind}");
    }
}

#[test]
fn check_fields_that_cannot_be_read_cost_the_blocks_that_are_not_written() {
    #[track_caller]
    fn check(written: BlockMask, expected: [Option<u8>; 4]) {
        let bench = Bench::new();
        bench.write(blocks(0, BLOCKS), 1).expect("the drive is well");
        assert_eq!(bench.read(), Ok(vec![Some(1); 4]));
        let area = SectorRange::one(bench.home.place(TRACK).checks);
        let latent = FaultRule::new(Request::Read, FaultKind::LatentError).touching(area);
        bench.drive.goes_wrong(latent);
        assert_eq!(bench.write(written, 2), Ok(()));
        assert_eq!(bench.read(), Ok(expected.to_vec()));
    }
    check(blocks(0, 1), [Some(2), None, None, None]);
    check(blocks(2, 2), [None, None, Some(2), Some(2)]);
    check(blocks(1, 1).or(blocks(3, 1)), [None, Some(2), None, Some(2)]);
}

#[test]
fn check_fields_that_cannot_be_read_make_all_blocks_bad_until_written() {
    let bench = Bench::new();
    bench.write(blocks(0, BLOCKS), 1).expect("the drive is well");
    let area = SectorRange::one(bench.home.place(TRACK).checks);
    bench.drive.goes_wrong(FaultRule::new(Request::Read, FaultKind::LatentError).touching(area));
    assert_eq!(bench.read(), Ok(vec![None; 4]));
    assert_eq!(bench.read(), Ok(vec![None; 4]));
    assert_eq!(bench.write(blocks(0, BLOCKS), 2), Ok(()));
    assert_eq!(bench.read(), Ok(vec![Some(2); 4]));
}
