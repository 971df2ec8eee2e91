//! Any bytes at all: nothing panics, nothing hangs, and the next initiator is served.

use crate::client::{Client, Pdu};
use crate::rig::Rig;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::io::{Read, Write};
use std::net::Shutdown;

/// Sends it, and reads until the target ends the connection: all that was received is answered then.
fn send(client: &mut Client, bytes: &[u8]) {
    // The target may end the connection before it has all of it.
    let _ = client.stream.write_all(bytes);
    let _ = client.stream.shutdown(Shutdown::Write);
    let _ = client.stream.read_to_end(&mut Vec::new());
}

fn run<T: std::fmt::Debug>(
    cases: u32,
    strategy: &impl Strategy<Value = T>,
    test: impl Fn(T) -> Result<(), TestCaseError>,
) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config).run(strategy, test).unwrap();
}

#[test]
fn any_bytes_before_a_login() {
    let rig = Rig::new();
    let bytes = prop::collection::vec(any::<u8>(), 0..400);
    run(200, &(bytes, any::<bool>()), |(mut bytes, is_login)| {
        if is_login && bytes.len() >= 48 {
            let (flags, length) = (bytes[1] & 0xCF, bytes[6] & 1);
            bytes[..2].copy_from_slice(&[0x43, flags]);
            bytes[3..7].copy_from_slice(&[0, 0, 0, length]);
        }
        send(&mut Client::new(rig.port), &bytes);
        Ok(())
    });
    assert!(Client::logged_in(rig.port, 1).is_ready(0));
}

/// PDUs with any opcode, flags and fields, tags that meet, numbers that are near the window.
fn pdu() -> impl Strategy<Value = Pdu> {
    let opcode = prop_oneof![
        4 => Just(1_u8), 2 => Just(5), 1 => Just(2), 1 => Just(0), 1 => Just(4), 1 => any::<u8>(),
    ];
    let fields = (opcode, any::<bool>(), any::<u8>(), 0..6_u32, any::<[u8; 16]>());
    let more =
        (0..5_u8, prop_oneof![0..5_u32, any::<u32>()], 0..4_u32, 0..2_000_usize, any::<u8>());
    (fields, more).prop_map(|((opcode, immediate, flags, tag, cdb), more)| {
        let (kind, length, number, bytes, lun) = more;
        let mut cdb = cdb;
        cdb[0] = [0x28, 0x2A, 0x12, 0x41, cdb[0]][usize::from(kind)];
        let opcode = opcode & 0x3F | if immediate { 0x40 } else { 0 };
        let pdu =
            Pdu::new(opcode, flags).set(9, &[lun & 3]).word(16, tag).word(20, length % 70_000);
        pdu.word(24, 77 + number).set(32, &cdb).data(&vec![lun; bytes])
    })
}

#[test]
fn any_requests_of_a_session() {
    let rig = Rig::new();
    run(200, &(prop::collection::vec(pdu(), 0..20), any::<bool>()), |(pdus, unasked)| {
        let keys = if unasked { "InitialR2T=No" } else { "" };
        let mut client = Client::with(rig.port, 1, keys);
        pdus.iter().for_each(|pdu| client.put(pdu));
        send(&mut client, &[]);
        Ok(())
    });
    assert!(Client::logged_in(rig.port, 2).is_ready(0));
}
