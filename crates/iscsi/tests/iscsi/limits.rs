//! Each limit.

use crate::client::{Client, FINAL, NO_TAG, NOP_IN, NOP_OUT, Pdu, R2T, READS, REJECT, WRITES};
use crate::client::{DATA_IN, DATA_OUT, IMMEDIATE, RESPONSE, command, read10, write10};
use crate::rig::{Rig, name};
use diptych_iscsi::{ASKED_BYTES_MAX, IMMEDIATE_MAX, IscsiSettings, WINDOW};
use diptych_rt::net::{Budget, NetLimits};
use diptych_sync::thread;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(200);

fn with(limits: NetLimits) -> Rig {
    Rig::with(limits, IscsiSettings::default())
}

#[test]
fn a_hundred_connections_and_no_more() {
    let rig = Rig::new();
    let mut clients: Vec<_> = (0..100).map(|no| Client::logged_in(rig.port, no)).collect();
    let mut one_more = std::net::TcpStream::connect(("127.0.0.1", rig.port)).unwrap();
    assert_eq!(one_more.read(&mut [0; 1]).unwrap_or(0), 0);
    assert_eq!(rig.server.connections(), 100);
    assert!(clients.iter_mut().all(|client| client.is_ready(0)));
}

#[test]
fn a_login_has_to_end() {
    let rig = with(NetLimits { negotiation: SOON, ..NetLimits::default() });
    let mut there = Client::logged_in(rig.port, 1);
    let mut silent = Client::new(rig.port);
    let mut slow = Client::new(rig.port);
    slow.say(0x00, &format!("InitiatorName=iqn.slow TargetName={}", name("CL1-A")));
    let since = Instant::now();
    // A byte now and then is no way out.
    while slow.stream.write_all(&[0x43]).is_ok() && since.elapsed() < Duration::from_secs(20) {
        thread::sleep(SOON / 10);
    }
    assert!(slow.is_closed() && silent.is_closed());
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    assert!(there.is_ready(0));
}

#[test]
fn a_login_has_few_requests_and_short_texts() {
    let rig = Rig::new();
    let mut endless = Client::new(rig.port);
    let hello = format!("InitiatorName=iqn.host TargetName={}", name("CL1-A"));
    let mut requests = 0;
    endless.say(0x00, &hello);
    while requests < 200 {
        let pdu = Pdu::new(0x43, 0x00).set(8, &endless.isid).word(16, 1);
        endless.send(pdu);
        if endless.try_receive().is_none() {
            break;
        }
        requests += 1;
    }
    assert!((10..100).contains(&requests), "{requests}");
    // In one PDU, and in many.
    let long = "x".repeat(8_193);
    let mut client = Client::new(rig.port);
    client.send(Pdu::new(0x43, 0x00).set(8, &client.isid).word(16, 1).data(long.as_bytes()));
    assert!(client.is_closed());
    let mut client = Client::new(rig.port);
    let part = "x".repeat(4_100);
    assert_eq!(client.say(0x40, &part).at(36), 0);
    assert_eq!(client.say(0x40, &part).header[36..38], [2, 0]);
    assert!(client.is_closed());
}

#[test]
fn a_text_has_at_most_8_kib() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    let part = [b'x'; 5_000];
    client.send(Pdu::new(4, 0x40).word(16, 1).word(20, NO_TAG).data(&part));
    let answer = client.receive();
    assert_eq!(answer.data, b"");
    client.send(Pdu::new(4, 0x40).word(16, 1).word(20, answer.at(20)).data(&part));
    assert_eq!(client.receive().opcode(), REJECT);
    assert!(client.is_closed());
}

#[test]
fn the_window_is_bounded() {
    let rig = Rig::new();
    let mut client = Client::with(rig.port, 1, "ImmediateData=No");
    for tag in 0..WINDOW + 5 {
        client.command(tag, FINAL | WRITES, 0, 512, &write10(0, 1));
    }
    for tag in 0..WINDOW {
        let r2t = client.receive();
        assert_eq!((r2t.opcode(), r2t.at(16)), (R2T, tag));
    }
    // The window is closed, and immediate requests are few.
    for tag in 0..IMMEDIATE_MAX as u32 {
        let pdu = command(1_000 + tag, FINAL | WRITES, 0, 512, &write10(0, 1));
        let pdu = pdu.set(0, &[1 | IMMEDIATE]);
        client.send(pdu);
        let r2t = client.receive();
        assert_eq!(r2t.opcode(), R2T);
        assert_eq!(r2t.at(32).wrapping_sub(r2t.at(28)), u32::MAX);
    }
    client.send(command(5_000, FINAL, 0, 0, &[0; 6]).set(0, &[1 | IMMEDIATE]));
    let answer = client.receive();
    assert_eq!((answer.opcode(), answer.header[2]), (REJECT, 6));
}

#[test]
fn data_is_asked_for_as_there_is_room() {
    let rig = Rig::new();
    let mut client = Client::with(rig.port, 1, "ImmediateData=No MaxBurstLength=1048576");
    let bytes = 8 << 20;
    let fit = ASKED_BYTES_MAX / bytes;
    for tag in 0..fit as u32 + 2 {
        let mut cdb = [0; 16];
        cdb[0] = 0x8A;
        cdb[10..14].copy_from_slice(&((bytes / 512) as u32).to_be_bytes());
        client.command(tag, FINAL | WRITES, 0, bytes as u32, &cdb);
    }
    client.send(Pdu::new(NOP_OUT | IMMEDIATE, FINAL).word(16, 99).word(20, NO_TAG));
    let asked = |client: &mut Client| {
        let mut asked = Vec::new();
        loop {
            let pdu = client.receive();
            if pdu.opcode() == NOP_IN {
                return asked;
            }
            asked.push(pdu.at(16));
        }
    };
    assert_eq!(asked(&mut client), (0..fit as u32).collect::<Vec<_>>());
    // An abort makes room for the next.
    client.send(Pdu::new(2 | IMMEDIATE, FINAL | 1).word(16, 100).word(20, 0));
    client.send(Pdu::new(NOP_OUT | IMMEDIATE, FINAL).word(16, 99).word(20, NO_TAG));
    assert_eq!(asked(&mut client), [100, fit as u32]);
}

#[test]
fn who_takes_no_answers_is_left_and_keeps_little() {
    let rig = with(NetLimits { stalled: SOON, bytes: 1 << 20, ..NetLimits::default() });
    let mut other = Client::logged_in(rig.port, 2);
    let mut client = Client::logged_in(rig.port, 1);
    client.stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    for tag in 0..60 {
        client.command(tag, FINAL | READS, 0, 1 << 20, &read10(tag << 11, 2_048));
    }
    let until = Instant::now() + Duration::from_secs(20);
    while rig.server.connections() > 1 {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(5));
    }
    assert!(other.is_ready(0));
}

#[test]
fn who_is_silent_is_pinged_and_left_if_it_does_not_answer() {
    let settings = IscsiSettings { ping: SOON, ..IscsiSettings::default() };
    let rig = Rig::with(NetLimits::default(), settings);
    let mut client = Client::logged_in(rig.port, 1);
    for _ in 0..3 {
        let ping = client.receive();
        assert_eq!((ping.opcode(), ping.at(16)), (NOP_IN, NO_TAG));
        let pong = Pdu::new(NOP_OUT | IMMEDIATE, FINAL).word(16, NO_TAG).word(20, ping.at(20));
        client.send(pong);
    }
    assert!(client.is_ready(0));
    assert_eq!(client.receive().opcode(), NOP_IN);
    assert!(client.is_closed());
}

#[test]
fn who_stops_in_the_middle_of_a_request_is_left() {
    let rig = with(NetLimits { stalled: SOON, ..NetLimits::default() });
    let mut client = Client::logged_in(rig.port, 1);
    client.stream.write_all(&[1, 2, 3]).unwrap();
    assert!(client.is_closed());
}

/// Two megabytes for all: a write has most of it, and what else is asked waits, on its own session and on
/// others.
#[test]
fn all_sessions_share_a_budget() {
    let budget = Budget::new(2 << 20);
    let settings = IscsiSettings::default();
    let rig = Rig::within(NetLimits::default(), settings, Some(budget.clone()));
    let mut first = Client::with(rig.port, 1, "ImmediateData=No MaxBurstLength=1048576");
    let mut second = Client::logged_in(rig.port, 2);
    let (blocks, bytes) = (3_712, 3_712 * 512);
    first.command(1, FINAL | WRITES, 0, bytes, &write10(0, blocks));
    let mut r2t = first.receive();
    let read = read10(0, 512);
    first.command(2, FINAL | READS, 0, 512 * 512, &read);
    second.command(3, FINAL | READS, 0, 512 * 512, &read);
    let until = Instant::now() + Duration::from_secs(20);
    while budget.waiters() != 1 {
        assert!(Instant::now() < until, "{budget:?}");
        thread::sleep(Duration::from_millis(5));
    }
    // What was asked for is taken, whatever waits.
    let data = vec![9; bytes as usize];
    let mut sent = 0;
    while r2t.opcode() == R2T {
        let (offset, asked) = (r2t.at(40) as usize, r2t.at(44) as usize);
        assert_eq!(offset, sent);
        for (no, at) in (offset..offset + asked).step_by(1 << 17).enumerate() {
            let end = (at + (1 << 17)).min(offset + asked);
            let flags = if end == offset + asked { FINAL } else { 0 };
            let pdu = Pdu::new(DATA_OUT, flags).word(16, 1).word(20, r2t.at(20));
            first.send(pdu.word(36, no as u32).word(40, at as u32).data(&data[at..end]));
        }
        sent += asked;
        r2t = first.receive();
    }
    assert_eq!((r2t.opcode(), r2t.at(16), r2t.header[3]), (RESPONSE, 1, 0), "{r2t:?}");
    for (client, tag) in [(&mut first, 2), (&mut second, 3)] {
        let mut came = Vec::new();
        while came.len() < 512 * 512 {
            let pdu = client.receive();
            assert_eq!((pdu.opcode(), pdu.at(16)), (DATA_IN, tag), "{pdu:?}");
            came.extend(pdu.data);
        }
        assert!(came.iter().all(|byte| *byte == 9));
    }
    drop((first, second));
    while rig.server.connections() > 0 {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((budget.used(), budget.waiters()), (0, 0));
}
