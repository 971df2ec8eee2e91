//! Requests and their answers.

use crate::client::{
    CACHE, Client, DF, DISC, EXTENDED_HEADERS, FAST_ZERO, FLUSH, FUA, GO, NO_HOLE, READ, TRIM,
    WRITE, WRITE_ZEROES, info,
};
use crate::rig::{BYTES, PRIMARY, Rig, TRACK_BYTES};
use diptych_cha::CommandCode;

const EPERM: u32 = 1;
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;
const EOVERFLOW: u32 = 75;
const ENOTSUP: u32 = 95;

#[test]
fn what_is_written_is_read() {
    let rig = Rig::new();
    let mut client = Client::attached(rig.port, "00:00");
    let mut other = Client::attached(rig.port, "00:00");
    for (offset, length) in [(0, 512), (512, 4096), (TRACK_BYTES - 512, 1024), (1 << 20, 3 << 20)] {
        let data: Vec<u8> = (0..length).map(|at| (at / 7 + offset) as u8).collect();
        client.write(offset, &data);
        assert_eq!(other.read(offset, length), data, "{offset}");
    }
    assert_eq!(client.done(FLUSH, 0, 0, 0, b""), (0, vec![]));
    assert_eq!(client.done(WRITE, FUA, 0, 512, &[9; 512]), (0, vec![]));
    assert_eq!(client.done(READ, DF, 0, 512, b""), (0, vec![9; 512]));
    assert_eq!(client.done(READ, FUA, BYTES - 512, 512, b""), (0, vec![0; 512]));
    assert_eq!(client.done(CACHE, 0, 0, BYTES, b""), (0, vec![]));
    assert_eq!(client.done(READ, 0, 0, 0, b""), (0, vec![]));
}

#[test]
fn the_largest_requests() {
    let rig = Rig::new();
    let mut client = Client::attached(rig.port, "00:00");
    let data: Vec<u8> = (0..32_u32 << 20).map(|at| (at >> 9) as u8).collect();
    client.write(0, &data);
    assert!(client.read(0, 32 << 20) == data);
    assert_eq!(client.done(READ, 0, 0, (32 << 20) + 512, b""), (EOVERFLOW, vec![]));
    // More than may come is not even read.
    client.ask(WRITE, 0, 7, 0, (32 << 20) + 512, b"");
    assert!(client.is_closed());
}

#[test]
fn zeroes_and_holes() {
    let rig = Rig::new();
    let mut client = Client::attached(rig.port, "00:00");
    let stored = || rig.rt.unit().volume(PRIMARY).unwrap().allocated.count();
    client.write(0, &vec![7; 4 << 20]);
    assert_eq!(stored(), 64);
    assert_eq!(client.done(WRITE_ZEROES, FAST_ZERO, 512, 2 * TRACK_BYTES, b""), (0, vec![]));
    assert_eq!(stored(), 63);
    assert_eq!(client.read(0, 512), [7; 512]);
    assert!(client.read(512, 2 * TRACK_BYTES).iter().all(|byte| *byte == 0));
    assert_eq!(client.read(512 + 2 * TRACK_BYTES, 512), [7; 512]);
    assert_eq!(client.done(WRITE_ZEROES, NO_HOLE | FUA, 0, 3 << 20, b""), (0, vec![]));
    assert_eq!(stored(), 64);
    assert!(client.read(0, 3 << 20).iter().all(|byte| *byte == 0));
    let both = NO_HOLE | FAST_ZERO;
    assert_eq!(client.done(WRITE_ZEROES, both, 0, 512, b""), (ENOTSUP, vec![]));
    assert_eq!(client.done(TRIM, FUA, 0, BYTES, b""), (0, vec![]));
    assert_eq!(stored(), 0);
    assert_eq!(client.read(3 << 20, 512), [0; 512]);
}

#[test]
fn what_is_refused() {
    let rig = Rig::new();
    let mut client = Client::attached(rig.port, "00:00");
    let mut check = |kind: u16, flags: u16, offset: u64, length: u64, expected: u32| {
        let data = if kind == WRITE { vec![7; length as usize] } else { vec![] };
        let found = client.done(kind, flags, offset, length, &data);
        assert_eq!(found, (expected, vec![]), "{kind} {offset} {length}");
    };
    check(READ, 0, BYTES, 512, EINVAL);
    check(READ, 0, u64::MAX - 511, 512, EINVAL);
    check(READ, 0, 1, 512, EINVAL);
    check(WRITE, 0, 0, 1, EINVAL);
    check(WRITE, 0, BYTES - 512, 1024, ENOSPC);
    check(WRITE_ZEROES, 0, BYTES, 512, ENOSPC);
    check(TRIM, 0, BYTES, 512, EINVAL);
    check(FLUSH, 0, 0, 512, EINVAL);
    check(WRITE, DF, 0, 512, EINVAL);
    check(TRIM, NO_HOLE, 0, 512, EINVAL);
    check(42, 0, 0, 0, EINVAL);
    // Nothing of it was done, and the count of what came is right still.
    check(READ, 1 << 14, 0, 512, EINVAL);
    assert_eq!(client.read(0, 512), [0; 512]);
}

#[test]
fn the_status_of_a_pair_decides() {
    let rig = Rig::new();
    let mut primary = Client::attached(rig.port, "00:00");
    primary.write(0, &[1; 4096]);
    let mut secondary = Client::attached(rig.port, "00:1A");
    assert_eq!(secondary.done(WRITE, 0, 0, 512, &[2; 512]), (EPERM, vec![]));
    assert_eq!(secondary.done(READ, 0, 0, 512, b""), (0, vec![0; 512]));
    rig.command(CommandCode::Create);
    assert_eq!(secondary.done(READ, 0, 0, 512, b""), (EPERM, vec![]));
    rig.command(CommandCode::Copy);
    primary.write(0, &[3; 512]);
    rig.rt.wait_idle();
    assert_eq!(secondary.done(READ, 0, 0, 512, b""), (0, vec![1; 512]));
    // It could not be written when it was attached; now it can.
    assert_eq!(secondary.done(WRITE, 0, 0, 512, &[2; 512]), (EPERM, vec![]));
    rig.rt.unit().set_reserved(crate::rig::OTHER, false, diptych_format::Time::ZERO).unwrap();
    let mut other = Client::attached(rig.port, "00:01");
    other.write(0, &[4; 512]);
    assert_eq!(other.read(0, 512), [4; 512]);
}

#[test]
fn many_requests_at_once() {
    let rig = Rig::new();
    let mut client = Client::attached(rig.port, "00:00");
    for cookie in 0..200 {
        client.ask(WRITE, 0, cookie, cookie * 4096, 4096, &[cookie as u8; 4096]);
    }
    let mut seen: Vec<u64> = (0..200).map(|_| client.chunk().cookie).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
    for cookie in 0..200 {
        client.ask(READ, 0, cookie, cookie * 4096, 4096, b"");
    }
    for _ in 0..200 {
        let chunk = client.chunk();
        assert!(chunk.data[8..].iter().all(|byte| *byte == chunk.cookie as u8));
    }
    // What was asked before a disconnect is answered.
    client.ask(WRITE, FUA, 1, 0, 512, &[1; 512]);
    client.ask(DISC, 0, 2, 0, 0, b"");
    assert_eq!(client.chunk().cookie, 1);
    assert!(client.is_closed());
}

#[test]
fn extended_headers() {
    let rig = Rig::new();
    let mut client = Client::new(rig.port);
    assert_eq!(client.option(EXTENDED_HEADERS, b""), [(1, vec![])]);
    client.option(GO, &info("00:00", &[]));
    client.extended = true;
    client.write(4096, &[5; 4096]);
    assert_eq!(client.read(4096, 4096), [5; 4096]);
    assert_eq!(client.done(TRIM, 0, 0, BYTES, b""), (0, vec![]));
    assert_eq!(client.done(READ, 0, BYTES, 512, b""), (EINVAL, vec![]));
    assert_eq!(client.done(FLUSH, 0, 0, 0, b""), (0, vec![]));
    // A length that does not fit 32 bits, of a request without payload.
    assert_eq!(client.done(TRIM, 0, 0, 1 << 40, b""), (EINVAL, vec![]));
}
