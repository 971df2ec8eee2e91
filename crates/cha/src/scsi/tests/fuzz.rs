//! No bytes of a CDB or of a parameter list make a command panic, go on for ever, or bring more data than
//! they warrant.

use super::bench::{Bench, ldev};
use crate::scsi::{DataLength, OPERATIONS, ScsiStep, expected_data, limits, request};
use crate::{Command, CommandCode, LuOptions};
use proptest::prelude::*;

/// Steps that any command may take on the volumes of the bench.
const STEPS_MAX: usize = 40_000;

fn run(bench: &mut Bench, cdb: &[u8], data: &[u8], lun: u8) {
    let host = bench.login("host");
    let mut task = bench.task(host, lun, cdb, data);
    let mut reply = None;
    for _ in 0..STEPS_MAX {
        match task.step(reply.take()) {
            ScsiStep::Done(done) => {
                let most = match expected_data(cdb) {
                    DataLength::In(most) => most,
                    DataLength::None | DataLength::Out(_) => 0,
                };
                assert!(done.data_in.len() as u64 <= most, "{cdb:02X?}: {}", done.data_in.len());
                if let Some(sense) = done.sense {
                    assert!(sense.encode().len() <= 32);
                }
                return;
            }
            other => reply = bench.serve(other),
        }
    }
    panic!("{cdb:02X?} goes on for ever");
}

/// A CDB that often is one: an operation, with bits of its usage.
fn any_cdb() -> impl Strategy<Value = Vec<u8>> {
    let known = (0..OPERATIONS.len(), any::<[u8; 16]>(), any::<[u8; 16]>());
    let known = known.prop_map(|(no, bits, fewer)| {
        let row = &OPERATIONS[no];
        let mut cdb: Vec<u8> = row.usage().to_vec();
        for (at, byte) in cdb.iter_mut().enumerate().skip(1) {
            // Large numbers are tried by the second half.
            let bits = if at > 1 && at + 3 < row.cdb_bytes() {
                bits[at] & fewer[at] & 1
            } else {
                bits[at]
            };
            *byte = if at == 1 && row.action.is_some() {
                *byte & 0x1F | bits & 0xE0
            } else {
                *byte & bits
            };
        }
        cdb
    });
    prop_oneof![4 => known, 1 => prop::collection::vec(any::<u8>(), 0..20)]
}

fn any_data() -> impl Strategy<Value = Vec<u8>> {
    let sparse = prop::collection::vec(prop_oneof![4 => Just(0_u8), 1 => any::<u8>()], 0..200);
    let copies =
        prop::collection::vec((0..3_u16, 0..3_u16, any::<u16>(), 0..5000_u64, 0..5000_u64), 0..4);
    let copies = copies.prop_map(|segments| super::copy::list(1, &[1, 2, 5], &segments));
    let blocks = (0..5_usize, any::<u8>()).prop_map(|(blocks, byte)| vec![byte; blocks * 512]);
    let requests = (0..3_u64, any::<[u8; 8]>()).prop_map(|(sequence, bits)| {
        let mut command = Command::new(CommandCode::Copy, ldev(1), ldev(2)).encode();
        command[6..14].iter_mut().zip(bits).for_each(|(byte, bits)| *byte ^= bits & bits >> 3);
        request(sequence, &command)
    });
    prop_oneof![sparse, copies, blocks, requests]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_command_panics(
        commands in prop::collection::vec((any_cdb(), any_data(), 0..6_u8), 1..12),
    ) {
        let mut bench = Bench::new();
        let options = LuOptions { command_device: true, ..LuOptions::default() };
        bench.target.change_lu_map(|map| map.set_options(ldev(4), options));
        for (cdb, data, lun) in commands {
            run(&mut bench, &cdb, &data, lun);
        }
    }
}

// The limits fit each other.
const _: () = {
    assert!(limits::ATOMIC_BLOCKS <= limits::TRANSFER_BLOCKS);
    assert!(limits::TRANSFER_BLOCKS <= limits::TRANSFER_BLOCKS_MOST);
    // One descriptor more than there may be is still a list that may be.
    let descriptors = limits::COPY_TARGETS as u32 * 32 + limits::COPY_SEGMENTS as u32 * 28;
    assert!(descriptors + 60 <= limits::COPY_LIST_BYTES);
};
