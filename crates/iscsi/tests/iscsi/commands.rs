//! SCSI commands: data both ways, residual counts, order, digests, rejections.

use crate::client::{
    COMMAND, Client, DATA_IN, DATA_OUT, FINAL, IMMEDIATE, NO_TAG, NOP_IN, NOP_OUT,
};
use crate::client::{Pdu, R2T, READS, REJECT, RESPONSE, WRITES, command, read10, write10};
use crate::rig::Rig;
use std::io::Write;

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at / 512 + at * 7) as u8).collect()
}

/// Sends what an R2T asks for, in parts of so many bytes.
fn send_asked(client: &mut Client, r2t: &Pdu, data: &[u8], part: usize) {
    assert_eq!(r2t.opcode(), R2T, "{r2t:?}");
    let (from, bytes) = (r2t.at(40) as usize, r2t.at(44) as usize);
    send_parts(client, r2t.at(16), r2t.at(20), (from, from + bytes), data, part);
}

fn send_parts(
    client: &mut Client,
    tag: u32,
    target_tag: u32,
    (from, to): (usize, usize),
    data: &[u8],
    part: usize,
) {
    for (no, at) in (from..to).step_by(part).enumerate() {
        let end = (at + part).min(to);
        let flags = if end == to { FINAL } else { 0 };
        let pdu = Pdu::new(DATA_OUT, flags).word(16, tag).word(20, target_tag);
        client.send(pdu.word(36, no as u32).word(40, at as u32).data(&data[at..end]));
    }
}

#[test]
fn data_comes_in_every_way() {
    let rig = Rig::new();
    let data = pattern(700 << 9);
    let cdb = write10(5, 700);
    for (no, keys) in [
        "InitialR2T=Yes ImmediateData=No MaxBurstLength=131072",
        "InitialR2T=Yes ImmediateData=Yes",
        "InitialR2T=No ImmediateData=No FirstBurstLength=65536",
        "InitialR2T=No ImmediateData=Yes FirstBurstLength=65536 MaxBurstLength=65536",
    ]
    .into_iter()
    .enumerate()
    {
        let digests = if no % 2 == 0 { " HeaderDigest=CRC32C DataDigest=CRC32C" } else { "" };
        let mut client = Client::with(rig.port, 1, &format!("{keys}{digests}"));
        let bytes = data.len() as u32;
        let immediate = if keys.contains("ImmediateData=Yes") { 8 << 10 } else { 0 };
        let unasked = if keys.contains("InitialR2T=No") { 64 << 10 } else { immediate };
        let flags = if unasked > immediate { WRITES } else { FINAL | WRITES };
        client.send(command(3, flags, 0, bytes, &cdb).data(&data[..immediate]));
        if unasked > immediate {
            send_parts(&mut client, 3, NO_TAG, (immediate, unasked), &data, 20_000);
        }
        loop {
            let answer = client.receive();
            if answer.opcode() == RESPONSE {
                assert_eq!((answer.header[3], answer.at(44)), (0, 0));
                break;
            }
            send_asked(&mut client, &answer, &data, 30_000);
        }
        assert!(client.read(5, 700) == data, "{keys}");
        Client::logged_in(rig.port, 2).write(5, &[0; 64 << 10]);
    }
}

#[test]
fn data_goes_in_segments_and_sequences() {
    let rig = Rig::new();
    let mut client = Client::with(rig.port, 1, "MaxRecvDataSegmentLength=3000 MaxBurstLength=8192");
    let data = pattern(16 << 10);
    client.write(0, &data[..8 << 10]);
    client.write(16, &data[8 << 10..]);
    client.command(3, FINAL | READS, 0, 16 << 10, &read10(0, 32));
    let mut found = Vec::new();
    for expected in [(3_000, false), (3_000, false), (2_192, true)].repeat(2) {
        let pdu = client.receive();
        assert_eq!((pdu.data.len(), pdu.header[1] & FINAL != 0), expected);
        found.push(pdu);
    }
    assert!(found.iter().zip(0..).all(|(pdu, no)| pdu.at(36) == no));
    assert_eq!(found.iter().filter(|pdu| pdu.header[1] & 1 != 0).count(), 1);
    assert!(found.concat_data() == data);
}

trait ConcatData {
    fn concat_data(&self) -> Vec<u8>;
}

impl ConcatData for Vec<Pdu> {
    fn concat_data(&self) -> Vec<u8> {
        self.iter().flat_map(|pdu| pdu.data.iter().copied()).collect()
    }
}

#[test]
fn residual_counts_tell_what_a_host_misses() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    let mut read = |length: u32, expected: (usize, u8, u32)| {
        client.command(3, FINAL | READS, 0, length, &read10(0, 1));
        let answer = client.receive();
        let found = (answer.data.len(), answer.header[1] & 6, answer.at(44));
        assert_eq!(found, expected, "{answer:?}");
        assert_eq!(answer.opcode() == DATA_IN, length > 0);
    };
    read(512, (512, 0, 0));
    read(200, (200, 4, 312));
    read(10_000, (512, 2, 9_488));
    read(0, (0, 4, 512));
    let mut write = |length: usize, expected: (u8, u32)| {
        let pdu = command(3, FINAL | WRITES, 0, length as u32, &write10(0, 1));
        client.send(pdu.data(&vec![1; length]));
        let answer = client.receive();
        assert_eq!((answer.opcode(), answer.header[3]), (RESPONSE, 0), "{answer:?}");
        assert_eq!((answer.header[1] & 6, answer.at(44)), expected);
    };
    write(512, (0, 0));
    write(1_024, (2, 512));
    write(0, (4, 512));
}

#[test]
fn what_is_refused_has_sense_data() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    client.command(3, FINAL | READS, 0, 512, &read10(u32::MAX, 1));
    let answer = client.receive();
    assert_eq!((answer.opcode(), answer.header[3]), (RESPONSE, 2));
    let length = usize::from(u16::from_be_bytes([answer.data[0], answer.data[1]]));
    assert_eq!(answer.data.len(), 2 + length);
    assert_eq!((answer.data[4] & 0xF, answer.data[14]), (5, 0x21));
    assert_eq!((answer.header[1] & 6, answer.at(44)), (2, 512));
}

#[test]
fn commands_are_taken_up_in_their_order() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    let first = client.command_no;
    let write = |no: u32, byte: u8| {
        let pdu = command(no, FINAL | WRITES, 0, 512, &write10(0, 1)).data(&[byte; 512]);
        pdu.word(24, first.wrapping_add(no))
    };
    // Beyond the window, and long gone: nothing.
    client.put(&write(64, 64));
    client.put(&write(u32::MAX, 99));
    // Too early: kept. Twice: the first counts.
    client.put(&write(2, 2));
    client.put(&write(2, 77));
    client.put(&write(1, 1));
    client.put(&write(0, 0));
    let tags: Vec<u32> = (0..3).map(|_| client.receive().at(16)).collect();
    assert_eq!(tags, [0, 1, 2]);
    client.command_no = first + 3;
    assert_eq!(client.read(0, 1), [2; 512]);
    // Gone by now.
    client.put(&write(1, 55));
    assert_eq!(client.read(0, 1), [2; 512]);
}

#[test]
fn nops_are_echoed() {
    let rig = Rig::new();
    let mut client = Client::with(rig.port, 1, "MaxRecvDataSegmentLength=512 DataDigest=CRC32C");
    client.send(Pdu::new(NOP_OUT | IMMEDIATE, FINAL).word(16, 5).word(20, NO_TAG).data(b"ping!"));
    let answer = client.receive();
    assert_eq!((answer.opcode(), answer.at(16), answer.at(20)), (NOP_IN, 5, NO_TAG));
    assert_eq!(answer.data, b"ping!");
    client.send(Pdu::new(NOP_OUT, FINAL).word(16, 6).word(20, NO_TAG).data(&[7; 2_000]));
    assert_eq!(client.receive().data, [7; 512]);
    // One that wants no answer gets none.
    client.send(Pdu::new(NOP_OUT | IMMEDIATE, FINAL).word(16, NO_TAG).word(20, 1));
    assert!(client.is_ready(0));
}

#[test]
fn rejections_name_their_reason() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    let mut check = |pdu: Pdu, reason: u8| {
        client.send(pdu.clone());
        let answer = client.receive();
        assert_eq!((answer.opcode(), answer.header[2]), (REJECT, reason), "{pdu:?}");
        assert_eq!(answer.data[..2], pdu.header[..2]);
    };
    check(Pdu::new(0x10 | IMMEDIATE, FINAL), 0x03);
    check(Pdu::new(0x1C | IMMEDIATE, FINAL), 0x05);
    check(command(NO_TAG, FINAL, 0, 0, &[0; 6]), 0x09);
    let mut waiting = command(8, FINAL | WRITES, 0, 512, &write10(0, 1));
    client.send(waiting.clone());
    let r2t = client.receive();
    waiting.header[1] = FINAL;
    client.send(waiting);
    assert_eq!(client.receive().header[2], 0x07);
    send_asked(&mut client, &r2t, &[0; 512], 512);
    assert_eq!(client.receive().opcode(), RESPONSE);
    assert!(client.is_ready(0));
}

#[test]
fn protocol_errors_end_the_connection_alone() {
    let rig = Rig::new();
    let mut other = Client::logged_in(rig.port, 2);
    let check = |pdus: &[Pdu], reason: Option<u8>| {
        let mut client = Client::with(rig.port, 1, "InitialR2T=Yes ImmediateData=No");
        pdus.iter().for_each(|pdu| client.send(pdu.clone()));
        if let Some(reason) = reason {
            let answer = client.receive();
            assert_eq!((answer.opcode(), answer.header[2]), (REJECT, reason));
        }
        assert!(client.is_closed());
    };
    check(&[Pdu::new(0x43, 0x87)], Some(4));
    let unasked = command(1, FINAL | WRITES, 0, 512, &write10(0, 1)).data(&[0; 512]);
    check(&[unasked], Some(4));
    let long = Pdu::new(NOP_OUT | IMMEDIATE, FINAL).word(16, 1).data(&vec![0; (256 << 10) + 1]);
    check(&[long], Some(4));
    assert!(other.is_ready(0));
}

#[test]
fn wrong_digests_end_the_connection() {
    let rig = Rig::new();
    for (keys, is_header) in [("HeaderDigest=CRC32C", true), ("DataDigest=CRC32C", false)] {
        let mut client = Client::with(rig.port, 1, keys);
        assert!(client.is_ready(0));
        client.digests = (false, false);
        let wrong = Pdu::new(NOP_OUT | IMMEDIATE, FINAL).word(16, 1);
        client.put(&if is_header { wrong } else { wrong.data(b"four") });
        client.stream.write_all(b"CRC?").unwrap();
        client.digests = (is_header, !is_header);
        // Of a header that may be anything nothing can be said.
        if !is_header {
            let answer = client.receive();
            assert_eq!((answer.opcode(), answer.header[2]), (REJECT, 2));
        }
        assert!(client.is_closed());
    }
}

#[test]
fn data_out_of_its_order_ends_the_command() {
    let rig = Rig::new();
    let mut client = Client::with(rig.port, 1, "ImmediateData=No");
    client.command(3, FINAL | WRITES, 0, 1_024, &write10(0, 2));
    let r2t = client.receive();
    let part = |no, at| {
        let pdu = Pdu::new(DATA_OUT, if no == 0 { FINAL } else { 0 });
        pdu.word(16, 3).word(20, r2t.at(20)).word(36, no).word(40, at).data(&[9; 512])
    };
    client.send(part(1, 512));
    client.send(part(0, 0));
    let answer = client.receive();
    assert_eq!((answer.opcode(), answer.header[3]), (RESPONSE, 2));
    assert_eq!((answer.data[4] & 0xF, answer.data[14], answer.data[15]), (0xB, 0x47, 0x05));
    // What comes for it now is ignored.
    client.send(part(0, 0));
    assert_eq!(client.read(0, 2), [0; 1_024]);
    assert_eq!(COMMAND, 1);
}
