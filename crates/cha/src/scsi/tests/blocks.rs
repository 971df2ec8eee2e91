//! Commands that move, fill, compare and give up blocks.

use super::bench::{BLOCKS, Bench, ldev};
use crate::scsi::{DataLength, expected_data};
use crate::{HostOp, OpKind};

const OOB: &str = "IllegalRequest 21/00";
const FIELD: &str = "IllegalRequest 24/00";
const SHORT: &str = "IllegalRequest 0E/03";

/// A CDB of 10, 12 or 16 bytes with a block address and a length.
pub(super) fn cdb(opcode: u8, flags: u8, block: u64, count: u64) -> Vec<u8> {
    let count32 = (count as u32).to_be_bytes();
    let head = [opcode, flags];
    let [short, long] = [(block as u32).to_be_bytes().to_vec(), block.to_be_bytes().to_vec()];
    match (opcode, opcode >> 5) {
        (_, 1 | 2) => [&head, &short[..], &[0], &count32[2..], &[0]].concat(),
        (_, 5) => [&head, &short[..], &count32, &[0, 0]].concat(),
        (0x89, _) => [&head, &long[..], &[0, 0, 0, count as u8, 0, 0]].concat(),
        (0x9C, _) => [&head, &long[..], &[0, 0], &count32[2..], &[0, 0]].concat(),
        _ => [&head, &long[..], &count32, &[0, 0]].concat(),
    }
}

fn pattern(byte: u8, blocks: usize) -> Vec<u8> {
    vec![byte; blocks * 512]
}

#[test]
fn what_is_written_is_read_by_every_cdb() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    for (no, opcode) in [0x2A, 0xAA, 0x8A, 0x9C, 0x2E, 0xAE, 0x8E].into_iter().enumerate() {
        let data = pattern(no as u8 + 1, 3);
        bench.check(host, 1, &cdb(opcode, 0, 5, 3), &data, "good");
        for read in [0x28, 0xA8, 0x88] {
            let reply = bench.run(host, 1, &cdb(read, 0, 5, 3), &[]);
            assert_eq!(reply.data_in, data, "{opcode:02X} {read:02X}");
        }
        for verify in [0x2F, 0xAF, 0x8F] {
            bench.check(host, 1, &cdb(verify, 0x02, 5, 3), &data, "good");
            bench.check(host, 1, &cdb(verify, 0x06, 5, 3), &data[..512], "good");
            bench.check(host, 1, &cdb(verify, 0x02, 6, 3), &data, "Miscompare 1D/00");
            bench.check(host, 1, &cdb(verify, 0, 6, 3), &pattern(9, 3), "good");
        }
    }
    bench.check(host, 1, &[0x0A, 0, 0, 9, 1, 0], &pattern(7, 1), "good");
    assert_eq!(bench.run(host, 1, &[0x08, 0, 0, 9, 0, 0], &[]).data_in.len(), 256 * 512);
}

#[test]
fn ranges() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let mut check = |opcode: u8, flags: u8, data: usize| {
        let data = pattern(0, data);
        let mut at = |block, count, expected: &str| {
            let command = cdb(opcode, flags, block, count);
            let found = bench.said(host, 1, &command, &data);
            assert_eq!(found, expected, "{command:02X?}");
        };
        at(BLOCKS - 1, 2, OOB);
        at(BLOCKS, 1, OOB);
        at(BLOCKS + 1, 0, OOB);
        at(0x8000_0000, 1, OOB);
        at(0xFFFF_FFFF, 0, OOB);
        if opcode >> 5 == 4 {
            at(1 << 63, 1, OOB);
            at(u64::MAX, 0, OOB);
            at(u64::MAX, 1, OOB);
        }
    };
    for opcode in [0x28, 0xA8, 0x88, 0x34, 0x90, 0x35, 0x91, 0x2F, 0xAF, 0x8F] {
        check(opcode, 0, 0);
    }
    for opcode in [0x2A, 0xAA, 0x8A, 0x8B, 0x9C, 0x2E, 0xAE, 0x8E, 0x41, 0x93] {
        check(opcode, 0, 1);
    }
    for opcode in [0x28, 0xA8, 0x88, 0x2A, 0xAA, 0x8A, 0x8B, 0x9C, 0x2E, 0x8E, 0x2F, 0x89] {
        bench.check(host, 1, &cdb(opcode, 0, 0, 0), &[], "good");
        bench.check(host, 1, &cdb(opcode, 0, BLOCKS, 0), &[], "good");
    }
    for opcode in [0x34, 0x90, 0x35, 0x91] {
        bench.check(host, 1, &cdb(opcode, 0, 0, 0), &[], "good");
        bench.check(host, 1, &cdb(opcode, 2, 0, 1), &[], "good");
    }
}

#[test]
fn protection_information_is_refused() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    for opcode in [0x28, 0xA8, 0x88, 0x2A, 0xAA, 0x8A, 0x8B, 0x9C, 0x2E, 0x8F, 0x41, 0x93, 0x89] {
        for bits in 1..8 {
            bench.check(host, 1, &cdb(opcode, bits << 5, 0, 1), &pattern(0, 1), FIELD);
        }
    }
}

#[test]
fn forced_unit_access_flushes() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let flushes =
        |bench: &Bench| bench.ops.iter().filter(|op| matches!(op, HostOp::Flush { .. })).count();
    for opcode in [0x2A, 0xAA, 0x8A, 0x8B, 0x9C] {
        let before = flushes(&bench);
        bench.check(host, 1, &cdb(opcode, 0x10, 0, 1), &pattern(1, 1), "good");
        assert_eq!(flushes(&bench), before);
        bench.check(host, 1, &cdb(opcode, 0x18, 0, 1), &pattern(1, 1), "good");
        assert_eq!(flushes(&bench), before + 1, "{opcode:02X}");
    }
    bench.check(host, 1, &cdb(0x28, 0x18, 0, 1), &[], "good");
}

#[test]
fn short_and_long_data() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    bench.check(host, 1, &cdb(0x2A, 0, 0, 2), &pattern(b'a', 2), "good");
    for opcode in [0x2A, 0xAA, 0x8A, 0x2E, 0xAE, 0x8E, 0x8B] {
        let compares = if matches!(opcode, 0x2E | 0xAE | 0x8E) { 2 } else { 0 };
        bench.check(host, 1, &cdb(opcode, compares, 0, 1), &[], "good");
        bench.check(host, 1, &cdb(opcode, compares, 0, 1), &[b'x'; 200], SHORT);
    }
    // More than the CDB says: the rest is left out. Less: what came.
    let [a, b, c] = [b'a', b'b', b'c'].map(|byte| pattern(byte, 1));
    bench.check(host, 1, &cdb(0x2A, 0, 0, 1), &pattern(b'b', 2), "good");
    assert_eq!(bench.disks[&ldev(1)].bytes[..1024], [b, a.clone()].concat());
    bench.check(host, 1, &cdb(0x2A, 0, 0, 2), &c, "good");
    assert_eq!(bench.disks[&ldev(1)].bytes[..1024], [c.clone(), a].concat());
    bench.check(host, 1, &cdb(0x9C, 0, 0, 2), &c, SHORT);
    // Data to a command that takes none is ignored.
    bench.check(host, 1, &cdb(0x28, 0, 0, 1), &c, "good");
}

#[test]
fn what_a_transport_expects() {
    fn check(cdb: &[u8], expected: DataLength) {
        assert_eq!(expected_data(cdb), expected, "{cdb:02X?}");
    }
    check(&cdb(0x28, 0, 0, 3), DataLength::In(1536));
    check(&[0x08, 0, 0, 0, 0, 0], DataLength::In(256 * 512));
    check(&cdb(0x8A, 0, 0, 0xFFFF_FFFF), DataLength::Out(0xFFFF_FFFF * 512));
    check(&cdb(0x89, 0, 0, 2), DataLength::Out(2048));
    check(&cdb(0x41, 0, 0, 200), DataLength::Out(512));
    check(&cdb(0x93, 1, 0, 200), DataLength::None);
    check(&cdb(0x2F, 0, 0, 3), DataLength::None);
    check(&cdb(0x2F, 2, 0, 3), DataLength::Out(1536));
    check(&cdb(0x2F, 6, 0, 3), DataLength::Out(512));
    check(&[0x12, 0, 0, 1, 2, 0], DataLength::In(258));
    check(&[0x25; 10], DataLength::In(8));
    check(&[0x5F, 0, 0, 0, 0, 0, 0, 0, 24, 0], DataLength::Out(24));
    check(&[0], DataLength::None);
    check(&[], DataLength::None);
    check(&[0xFF; 16], DataLength::None);
}

#[test]
fn compare_and_write() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let both = |from: u8, to: u8, blocks| [pattern(from, blocks), pattern(to, blocks)].concat();
    bench.check(host, 1, &cdb(0x89, 0x18, 7, 2), &both(0, 1, 2), "good");
    let reply = bench.run(host, 1, &cdb(0x89, 0, 7, 2), &both(0, 2, 2));
    assert_eq!(reply.sense.and_then(|sense| sense.information), Some(0));
    let mut wrong = both(1, 2, 2);
    wrong[1024 - 27] = 3;
    let reply = bench.run(host, 1, &cdb(0x89, 0, 7, 2), &wrong);
    assert_eq!(reply.sense.and_then(|sense| sense.information), Some(1024 - 27));
    assert_eq!(bench.disks[&ldev(1)].bytes[7 * 512..9 * 512], pattern(1, 2));
    // Not as much data as the CDB says; the length has one byte.
    for blocks in [1, 3, 4] {
        bench.check(host, 1, &cdb(0x89, 0, 7, 2), &both(1, 2, blocks), FIELD);
    }
    bench.check(host, 1, &cdb(0x89, 0, 0, 256), &both(0, 0, 256), FIELD);
    bench.check(host, 1, &cdb(0x89, 0, 1000, 255), &both(0, 0, 255), "good");
}

#[test]
fn or_write() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    bench.check(host, 1, &cdb(0x8B, 0, 3, 2), &pattern(0xA5, 2), "good");
    bench.check(host, 1, &cdb(0x8B, 0, 3, 2), &pattern(0x5A, 2), "good");
    assert_eq!(bench.disks[&ldev(1)].bytes[3 * 512..5 * 512], pattern(0xFF, 2));
}

#[test]
fn write_same() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    for opcode in [0x41, 0x93] {
        bench.check(host, 1, &cdb(opcode, 0, 10, 300), &pattern(6, 1), "good");
        assert!(bench.disks[&ldev(1)].bytes[5120..310 * 512].iter().all(|&byte| byte == 6));
        bench.check(host, 1, &cdb(opcode, 0, 10, 1), &pattern(6, 2), SHORT);
        bench.check(host, 1, &cdb(opcode, 8, 10, 1), &[6; 256], SHORT);
        // No length: up to the end.
        bench.check(host, 1, &cdb(opcode, 0, BLOCKS - 9, 0), &pattern(7, 1), "good");
        assert_eq!(bench.disks[&ldev(1)].bytes[(BLOCKS as usize - 9) * 512..], pattern(7, 9));
        bench.check(host, 1, &cdb(opcode, 8, 0, 0), &pattern(0, 1), "good");
        assert!(bench.disks[&ldev(1)].bytes.iter().all(|&byte| byte == 0));
        // But not where the end may be another than the host believes.
        bench.check(host, 2, &cdb(opcode, 8, 0, 0), &pattern(0, 1), FIELD);
        // ANCHOR; and UNMAP where nothing is thin.
        bench.check(host, 1, &cdb(opcode, 0x18, 0, 1), &pattern(0, 1), FIELD);
        bench.check(host, 4, &cdb(opcode, 8, 0, 1), &pattern(0, 1), FIELD);
        bench.check(host, 4, &cdb(opcode, 0, 0, 1), &pattern(0, 1), "good");
    }
    // What unmaps must not bring zeros where something else is asked for.
    bench.check(host, 1, &cdb(0x93, 8, 0, 5), &pattern(3, 1), "good");
    assert_eq!(bench.disks[&ldev(1)].bytes[..2560], pattern(3, 5));
    bench.check(host, 1, &cdb(0x93, 9, 0, 4), &[], "good");
    assert_eq!(bench.disks[&ldev(1)].bytes[..2560], [pattern(0, 4), pattern(3, 1)].concat());
    bench.check(host, 1, &cdb(0x93, 1, 0, 5), &[], "good");
    assert_eq!(bench.disks[&ldev(1)].bytes[..2560], pattern(0, 5));
}

fn unmap(list: &[(u64, u32)]) -> (Vec<u8>, Vec<u8>) {
    let len = 16 * list.len() as u16;
    let mut data = [(len + 6).to_be_bytes(), len.to_be_bytes(), [0; 2], [0; 2]].concat();
    for (block, count) in list {
        data.extend([&block.to_be_bytes()[..], &count.to_be_bytes(), &[0; 4]].concat());
    }
    let [high, low] = (data.len() as u16).to_be_bytes();
    (vec![0x42, 0, 0, 0, 0, 0, 0, high, low, 0], data)
}

#[test]
fn unmap_gives_up_what_it_lists() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let mut check = |list: &[(u64, u32)], expected| {
        let (cdb, data) = unmap(list);
        bench.check(host, 1, &cdb, &data, expected);
    };
    check(&[], "good");
    check(&[(BLOCKS, 0), (5, 0)], "good");
    check(&[(0, 1), (5, 7)], "good");
    check(&[(0, 1), (BLOCKS, 1)], OOB);
    check(&[(u64::MAX, 2)], OOB);
    check(&[(0, 1); 256], "good");
    check(&[(0, 1); 257], "IllegalRequest 26/00");
    let gives_up = |op: &&HostOp| op.kind() == OpKind::Unmap;
    assert_eq!(bench.ops.iter().filter(gives_up).count(), 2 + 256);
    bench.check(host, 1, &[0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], "good");
    bench.check(host, 1, &[0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0], &[0; 7], "IllegalRequest 1A/00");
    let (cdb, data) = unmap(&[(0, 1)]);
    bench.check(host, 4, &cdb, &data, "IllegalRequest 20/00");
}

#[test]
fn lba_status() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let status = |block: u64, room: u32| {
        [&[0x9E, 0x12][..], &block.to_be_bytes(), &room.to_be_bytes(), &[0, 0]].concat()
    };
    bench.check(host, 1, &cdb(0x2A, 0, 130, 1), &pattern(1, 1), "good");
    let reply = bench.run(host, 1, &status(1, 256), &[]);
    let run = |bytes: &[u8]| ([bytes[6], bytes[7]], [bytes[10], bytes[11]], bytes[12]);
    let shown: Vec<_> = reply.data_in[8..].chunks(16).map(run).collect();
    assert_eq!(shown, [([0, 1], [0, 127], 1), ([0, 128], [0, 128], 0), ([1, 0], [15, 0], 1)]);
    assert_eq!(bench.run(host, 1, &status(1, 24), &[]).data_in[..4], [0, 0, 0, 20]);
    assert_eq!(bench.run(host, 4, &status(7, 256), &[]).data_in[20], 0);
    for block in [BLOCKS, BLOCKS + 1, 1 << 63, u64::MAX] {
        bench.check(host, 1, &status(block, 24), &[], OOB);
    }
}

#[test]
fn only_the_host_s_data_is_counted() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    bench.check(host, 1, &cdb(0x2A, 0, 0, 2), &pattern(1, 2), "good");
    bench.check(host, 1, &cdb(0x28, 0, 0, 2), &[], "good");
    bench.check(host, 1, &cdb(0x2F, 0, 0, 2000), &[], "good");
    bench.check(host, 1, &cdb(0x34, 0, 0, 2000), &[], "good");
    let counted = bench.target.adapter().counters();
    let [write, read] = [OpKind::Write, OpKind::Read].map(|kind| counted.of(kind));
    assert_eq!((write.bytes_in, read.bytes_out), (1024, 1024));
}
