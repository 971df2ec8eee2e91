//! Task management.

use crate::client::{Client, FINAL, IMMEDIATE, MANAGED, MANAGEMENT, Pdu, R2T, WRITES, write10};
use crate::rig::Rig;

fn function(function: u8, lun: u8, tag: u32) -> Pdu {
    let pdu = Pdu::new(MANAGEMENT | IMMEDIATE, FINAL | function);
    pdu.set(9, &[lun]).word(16, 50).word(20, tag)
}

/// Has it done; the response.
fn manage(client: &mut Client, pdu: Pdu) -> u8 {
    client.send(pdu);
    let answer = client.receive();
    assert_eq!((answer.opcode(), answer.at(16)), (MANAGED, 50), "{answer:?}");
    answer.header[2]
}

#[test]
fn a_command_whose_data_is_awaited_is_aborted() {
    let rig = Rig::new();
    let mut client = Client::with(rig.port, 1, "ImmediateData=No");
    for (tag, lun) in [(1, 0), (2, 0), (3, 1), (4, 0)] {
        client.command(tag, FINAL | WRITES, lun, 512, &write10(0, 1));
        assert_eq!(client.receive().opcode(), R2T);
    }
    let first = client.command_no;
    assert_eq!(manage(&mut client, function(1, 0, 2)), 0);
    assert_eq!(manage(&mut client, function(1, 0, 2).word(32, first - 3)), 1);
    assert_eq!(manage(&mut client, function(2, 0, 0)), 0);
    for (tag, expected) in [(1, 1), (4, 1), (3, 0)] {
        assert_eq!(manage(&mut client, function(1, 0, tag).word(32, first - 1)), expected, "{tag}");
    }
    // The window is as wide as before: none of them holds it.
    client.command(9, FINAL, 0, 0, &[0; 6]);
    let answer = client.receive();
    assert_eq!(answer.at(32).wrapping_sub(answer.at(28)), 63);
}

#[test]
fn responses() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    for (number, lun, expected) in [
        (2, 0, 0),
        (2, 9, 2),
        (3, 0, 5),
        (4, 0, 0),
        (5, 0, 0),
        (5, 9, 2),
        (6, 0, 0),
        (8, 0, 4),
        (9, 0, 255),
    ] {
        assert_eq!(manage(&mut client, function(number, lun, 0)), expected, "{number}");
    }
    assert!(client.is_ready(0));
}

#[test]
fn a_command_that_did_not_come_yet_is_aborted() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    let missing = client.command_no;
    client.command_no += 1;
    client.command(8, FINAL, 0, 0, &[0; 6]);
    assert_eq!(manage(&mut client, function(1, 0, 7).word(32, missing)), 0);
    // The next request is taken up; the one that comes late is none any more.
    assert_eq!(client.receive().at(16), 8);
    client.put(&Pdu::new(1, FINAL).word(16, 7).word(24, missing).set(32, &[0; 6]));
    assert!(client.is_ready(0));
}

#[test]
fn a_cold_reset_ends_the_sessions_of_the_target() {
    let rig = Rig::new();
    let (mut client, mut other) = (Client::logged_in(rig.port, 1), Client::logged_in(rig.port, 2));
    assert!(other.is_ready(0));
    assert_eq!(manage(&mut client, function(7, 0, 0)), 0);
    assert!(client.is_closed() && other.is_closed());
    let mut again = Client::logged_in(rig.port, 2);
    assert!(again.is_ready(0));
}
