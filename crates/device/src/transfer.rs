//! Whole transfers out of system calls that may do a part.

use rustix::io::Errno;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut};

/// The most buffers that one call takes (Linux: `UIO_MAXIOV`).
const MAX_BUFFERS: usize = 1024;

/// The two system calls. Each may move fewer bytes than asked, or be interrupted.
pub(crate) trait Positioned {
    fn read(&self, bufs: &mut [IoSliceMut<'_>], at_byte: u64) -> Result<usize, Errno>;
    fn write(&self, bufs: &[IoSlice<'_>], at_byte: u64) -> Result<usize, Errno>;
}

impl Positioned for File {
    fn read(&self, bufs: &mut [IoSliceMut<'_>], at_byte: u64) -> Result<usize, Errno> {
        rustix::io::preadv(self, bufs, at_byte)
    }

    fn write(&self, bufs: &[IoSlice<'_>], at_byte: u64) -> Result<usize, Errno> {
        rustix::io::pwritev(self, bufs, at_byte)
    }
}

/// Where a transfer stopped, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// The first byte that was not moved.
    pub(crate) at_byte: u64,
    /// `None`: the call moved nothing and named no reason, as at the end of a file.
    pub(crate) errno: Option<Errno>,
}

/// Fills all buffers from `at_byte` on.
pub(crate) fn read_all(
    from: &impl Positioned,
    bufs: &mut [IoSliceMut<'_>],
    mut at_byte: u64,
) -> Result<(), Stopped> {
    for batch in bufs.chunks_mut(MAX_BUFFERS) {
        let bytes = batch.iter().map(|b| b.len()).sum();
        let mut done = moved(bytes, at_byte, || from.read(batch, at_byte))?;
        at_byte += done as u64;
        if done == bytes {
            continue;
        }
        // A short transfer is rare enough to pay for a list of what is left.
        let mut rest: Vec<_> = batch.iter_mut().map(|b| IoSliceMut::new(b)).collect();
        let mut rest = &mut rest[..];
        loop {
            IoSliceMut::advance_slices(&mut rest, done);
            if rest.is_empty() {
                break;
            }
            let left = rest.iter().map(|b| b.len()).sum();
            done = moved(left, at_byte, || from.read(rest, at_byte))?;
            at_byte += done as u64;
        }
    }
    Ok(())
}

/// Writes all buffers from `at_byte` on.
pub(crate) fn write_all(
    to: &impl Positioned,
    bufs: &[IoSlice<'_>],
    mut at_byte: u64,
) -> Result<(), Stopped> {
    for batch in bufs.chunks(MAX_BUFFERS) {
        let bytes = batch.iter().map(|b| b.len()).sum();
        let mut done = moved(bytes, at_byte, || to.write(batch, at_byte))?;
        at_byte += done as u64;
        if done == bytes {
            continue;
        }
        let mut rest = batch.to_vec();
        let mut rest = &mut rest[..];
        loop {
            IoSlice::advance_slices(&mut rest, done);
            if rest.is_empty() {
                break;
            }
            let left = rest.iter().map(|b| b.len()).sum();
            done = moved(left, at_byte, || to.write(rest, at_byte))?;
            at_byte += done as u64;
        }
    }
    Ok(())
}

/// Bytes moved by one call, which is made again when a signal interrupted it.
fn moved(
    bytes: usize,
    at_byte: u64,
    mut call: impl FnMut() -> Result<usize, Errno>,
) -> Result<usize, Stopped> {
    if bytes == 0 {
        return Ok(0);
    }
    loop {
        match call() {
            Err(Errno::INTR) => {}
            Ok(0) => return Err(Stopped { at_byte, errno: None }),
            Ok(done) => {
                assert!(done <= bytes, "{done} bytes moved of {bytes}");
                return Ok(done);
            }
            Err(errno) => return Err(Stopped { at_byte, errno: Some(errno) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    /// Bytes in memory behind calls that do as the script says: move at most so many bytes, or
    /// fail. After the script's end a call moves all that is asked.
    struct Scripted {
        bytes: RefCell<Vec<u8>>,
        script: RefCell<Vec<Result<usize, Errno>>>,
        most_buffers: Cell<usize>,
    }

    impl Scripted {
        fn new(bytes: Vec<u8>, script: &[Result<usize, Errno>]) -> Self {
            let script = script.iter().rev().copied().collect();
            let most_buffers = Cell::new(0);
            Self { bytes: RefCell::new(bytes), script: RefCell::new(script), most_buffers }
        }

        fn next(&self, buffers: usize) -> Result<usize, Errno> {
            self.most_buffers.set(self.most_buffers.get().max(buffers));
            self.script.borrow_mut().pop().unwrap_or(Ok(usize::MAX))
        }
    }

    impl Positioned for Scripted {
        fn read(&self, bufs: &mut [IoSliceMut<'_>], at_byte: u64) -> Result<usize, Errno> {
            let most = self.next(bufs.len())?;
            let bytes = self.bytes.borrow();
            let mut from = &bytes[at_byte as usize..];
            from = &from[..from.len().min(most)];
            let mut done = 0;
            for buf in bufs {
                let count = buf.len().min(from.len());
                buf[..count].copy_from_slice(&from[..count]);
                from = &from[count..];
                done += count;
            }
            Ok(done)
        }

        fn write(&self, bufs: &[IoSlice<'_>], at_byte: u64) -> Result<usize, Errno> {
            let most = self.next(bufs.len())?;
            let all: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).collect();
            let count = all.len().min(most);
            let at = at_byte as usize;
            self.bytes.borrow_mut()[at..at + count].copy_from_slice(&all[..count]);
            Ok(count)
        }
    }

    /// Moves `lengths` from byte 5 on, both ways, and checks the bytes and where it stopped.
    fn check(lengths: &[usize], script: &[Result<usize, Errno>], expected: Result<(), Stopped>) {
        let total: usize = lengths.iter().sum();
        let pattern: Vec<u8> = (0..total).map(|i| (i % 251) as u8 + 1).collect();
        let intact = match &expected {
            Ok(()) => total,
            Err(stopped) => stopped.at_byte as usize - 5,
        };

        let disk = Scripted::new(vec![0; total + 5], script);
        let mut from = &pattern[..];
        let slices: Vec<_> = lengths
            .iter()
            .map(|&n| {
                let (now, later) = from.split_at(n);
                from = later;
                IoSlice::new(now)
            })
            .collect();
        assert_eq!(write_all(&disk, &slices, 5), expected, "write {lengths:?} {script:?}");
        assert_eq!(disk.bytes.borrow()[5..5 + intact], pattern[..intact]);
        assert!(disk.bytes.borrow()[5 + intact..].iter().all(|&b| b == 0));
        assert!(disk.most_buffers.get() <= MAX_BUFFERS);

        let disk = Scripted::new([&[0; 5], &pattern[..]].concat(), script);
        let mut parts: Vec<Vec<u8>> = lengths.iter().map(|&n| vec![0; n]).collect();
        let mut slices: Vec<_> = parts.iter_mut().map(|p| IoSliceMut::new(p)).collect();
        assert_eq!(read_all(&disk, &mut slices, 5), expected, "read {lengths:?} {script:?}");
        assert_eq!(parts.concat()[..intact], pattern[..intact]);
        assert!(disk.most_buffers.get() <= MAX_BUFFERS);
    }

    #[test]
    fn short_and_interrupted_transfers_go_on() {
        check(&[], &[], Ok(()));
        check(&[0, 0], &[], Ok(()));
        check(&[10, 20], &[], Ok(()));
        check(&[10, 20], &[Ok(10)], Ok(()));
        check(&[10, 0, 20, 0], &[Ok(3), Ok(7), Ok(1)], Ok(()));
        check(&[10, 20], &[Err(Errno::INTR), Ok(29), Err(Errno::INTR), Err(Errno::INTR)], Ok(()));
    }

    #[test]
    fn more_buffers_than_a_call_takes_go_in_batches() {
        check(&[3; MAX_BUFFERS], &[], Ok(()));
        check(&[3; MAX_BUFFERS + 1], &[], Ok(()));
        check(&[3; 2 * MAX_BUFFERS + 7], &[Ok(100), Err(Errno::INTR), Ok(2900)], Ok(()));
    }

    #[test]
    fn an_error_says_how_far_it_got() {
        let stopped = |at_byte, errno| Err(Stopped { at_byte, errno });
        check(&[10, 20], &[Err(Errno::IO)], stopped(5, Some(Errno::IO)));
        check(&[10, 20], &[Ok(12), Err(Errno::NOSPC)], stopped(17, Some(Errno::NOSPC)));
        check(&[10, 20], &[Ok(12), Ok(0)], stopped(17, None));
        check(
            &[1; MAX_BUFFERS + 1],
            &[Ok(MAX_BUFFERS), Err(Errno::IO)],
            stopped(5 + MAX_BUFFERS as u64, Some(Errno::IO)),
        );
    }
}
