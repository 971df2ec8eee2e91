//! Sessions beside and after each other.

use crate::client::{Client, FINAL, READS, read10};
use crate::rig::{ADMITTED, Rig, name};
use diptych_sync::thread;
use std::time::{Duration, Instant};

#[test]
fn sessions_see_what_others_write() {
    let rig = Rig::new();
    let mut clients: Vec<_> = (0..8).map(|no| Client::logged_in(rig.port, no)).collect();
    for no in 0..clients.len() {
        clients[no].write(no as u32, &[no as u8; 512]);
        let next = (no + 1) % clients.len();
        assert_eq!(clients[next].read(no as u32, 1), [no as u8; 512]);
    }
}

#[test]
fn a_session_takes_the_place_of_the_one_before() {
    let rig = Rig::new();
    let mut first = Client::logged_in(rig.port, 1);
    let mut other = Client::logged_in(rig.port, 2);
    first.write(0, &[1; 512]);
    let mut second = Client::logged_in(rig.port, 1);
    assert!(first.is_closed());
    assert_eq!(second.read(0, 1), [1; 512]);
    assert!(other.is_ready(0));
}

/// A host that has closed its connection logs in anew, as another port, while the unit is still busy with
/// what came before the end: what the session held is free then.
#[test]
fn what_a_session_held_is_free_when_its_host_comes_again() {
    let rig = Rig::new();
    for round in 0..20 {
        let mut client = Client::logged_in(rig.port, round);
        assert!(client.is_ready(0));
        client.command(1, FINAL, 0, 0, &[0x16, 0, 0, 0, 0, 0]);
        assert_eq!(client.receive().header[3], 0, "reserved in round {round}");
        // VERIFY of 32 MiB: there is enough to do, and nothing to send.
        client.command(2, FINAL, 0, 0, &[0x2F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0]);
    }
}

#[test]
fn a_second_connection_of_a_session_is_refused() {
    let rig = Rig::new();
    let mut first = Client::new(rig.port);
    let hello = format!("InitiatorName=iqn.host TargetName={}", name("CL1-A"));
    let tsih = first.say(0x87, &hello).header[14..16].to_vec();
    assert_ne!(tsih, [0, 0]);
    let join = |tsih: &[u8], isid: [u8; 6]| {
        let mut client = Client::new(rig.port);
        let text = hello.replace(' ', "\0") + "\0";
        let pdu = crate::client::Pdu::new(0x43, 0x87).set(8, &isid).set(14, tsih).word(16, 1);
        client.send(pdu.data(text.as_bytes()));
        client.receive().header[36..38].to_vec()
    };
    assert_eq!(join(&tsih, first.isid), [2, 6]);
    assert_eq!(join(&tsih, [9; 6]), [2, 10]);
    assert_eq!(join(&[0x77, 0x77], first.isid), [2, 10]);
    assert!(first.is_ready(0));
}

#[test]
fn each_host_sees_the_units_of_its_group() {
    let rig = Rig::new();
    let luns = |initiator: &str, target: &str| {
        let mut client = Client::new(rig.port);
        let hello = format!("InitiatorName={initiator} TargetName={}", name(target));
        client.say(0x87, &hello);
        client.command(3, FINAL | READS, 0, 256, &[0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        let data = client.receive().data;
        data[8..].chunks(8).map(|lun| lun[1]).collect::<Vec<_>>()
    };
    assert_eq!(luns("iqn.host", "CL1-A"), [0, 1]);
    assert_eq!(luns(ADMITTED, "CL1-A.1"), [5]);
}

#[test]
fn nothing_is_left_of_a_session_that_breaks_off() {
    let rig = Rig::new();
    for round in 0..20 {
        let mut client = Client::logged_in(rig.port, round);
        for tag in 0..40 {
            client.command(tag, FINAL | READS, 0, 1 << 20, &read10(tag << 11, 2_048));
        }
        // With a reset, or in the middle of an answer.
        if round % 2 == 0 {
            client.try_receive();
        }
    }
    let until = Instant::now() + Duration::from_secs(20);
    while rig.server.connections() > 0 {
        assert!(Instant::now() < until, "{} are left", rig.server.connections());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(rig.target.targets_for(&"iqn.host".parse().unwrap()).len(), 1);
    assert!(Client::logged_in(rig.port, 1).is_ready(0));
}

#[test]
fn a_server_that_stops_answers_what_it_has() {
    let mut rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    for tag in 0..30 {
        client.command(tag, FINAL | READS, 0, 64 << 10, &read10(tag << 7, 128));
    }
    thread::sleep(Duration::from_millis(200));
    let since = Instant::now();
    rig.server.stop();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let mut answered = 0;
    while let Some(pdu) = client.try_receive() {
        answered += usize::from(pdu.header[1] & 1 != 0);
    }
    assert_eq!(answered, 30);
}
