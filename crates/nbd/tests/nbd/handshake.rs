//! Options, right and wrong.

use crate::client::{
    ABORT, Client, EXPORT_NAME, GO, INFO, LIST, LIST_META_CONTEXT, SET_META_CONTEXT,
    STRUCTURED_REPLY, contexts, info,
};
use crate::rig::{BYTES, RESERVED, Rig};

const ACK: i64 = 1;
const SERVER: i64 = 2;
const INFO_REPLY: i64 = 3;
const ERR_UNSUP: i64 = -1;
const ERR_INVALID: i64 = -3;
const ERR_UNKNOWN: i64 = -6;
const ERR_TOO_BIG: i64 = -9;

const STARTTLS: u32 = 5;

fn kinds(replies: &[(i64, Vec<u8>)]) -> Vec<i64> {
    replies.iter().map(|(kind, _)| *kind).collect()
}

#[test]
fn export_name_has_no_answer_but_the_volume() {
    let rig = Rig::new();
    for (flags, zeroes) in [(0b11, 0), (0b01, 124)] {
        let mut client = Client::with_flags(rig.port, flags);
        client.put_option(EXPORT_NAME, 5, b"00:00");
        assert_eq!(client.take_u64(), BYTES);
        // No DF without structured replies.
        assert_eq!(client.take_u16(), 0b1101_0110_1101);
        assert_eq!(client.take(zeroes), vec![0; zeroes]);
        client.ask(0, 0, 7, 0, 512, b"");
        assert_eq!(client.simple(512).data, [0; 512]);
    }
    let mut client = Client::new(rig.port);
    client.put_option(EXPORT_NAME, 5, b"00:09");
    assert!(client.is_closed());
}

#[test]
fn a_volume_has_a_number_and_perhaps_a_name() {
    let rig = Rig::new();
    let name = |name| rig.rt.unit().set_volume_name(RESERVED, name).unwrap();
    let find = |text: &str| {
        let mut client = Client::new(rig.port);
        let answer = client.option(INFO, &info(text, &[]));
        kinds(&answer).first() == Some(&INFO_REPLY)
    };
    name(Some("payroll"));
    assert!(find("payroll") && find("00:1A") && !find("pay"));
    let listed = Client::new(rig.port).option(LIST, b"");
    assert!(listed[2].1.ends_with(b"00:1ADiptych volume 00:1A, payroll"));
    // The volume goes on under whatever name it was chosen by.
    let mut client = Client::attached(rig.port, "payroll");
    name(Some("wages"));
    assert_eq!(client.read(0, 512), [0; 512]);
    assert!(find("wages") && !find("payroll"));
    name(None);
    assert!(!find("wages"));
}

#[test]
fn volumes_are_listed() {
    let rig = Rig::new();
    let mut client = Client::new(rig.port);
    let replies = client.option(LIST, b"");
    assert_eq!(kinds(&replies), [SERVER, SERVER, SERVER, ACK]);
    let text = |data: &Vec<u8>| String::from_utf8(data.clone()).unwrap();
    let volumes: Vec<_> = replies[..3].iter().map(|(_, data)| text(data)).collect();
    assert_eq!(volumes[0], "\0\0\0\u{5}00:00Diptych volume 00:00");
    assert_eq!(volumes[2], "\0\0\0\u{5}00:1ADiptych volume 00:1A");
    assert_eq!(kinds(&client.option(LIST, b"x")), [ERR_INVALID]);
    assert_eq!(kinds(&client.option(ABORT, b"")), [ACK]);
    assert!(client.is_closed());
}

#[test]
fn what_a_volume_is() {
    let rig = Rig::new();
    let mut client = Client::new(rig.port);
    let replies = client.option(INFO, &info("00:00", &[3, 1, 2, 99]));
    assert_eq!(kinds(&replies), [INFO_REPLY, INFO_REPLY, INFO_REPLY, INFO_REPLY, ACK]);
    let flags = 0b1101_0110_1101_u16.to_be_bytes();
    assert_eq!(replies[0].1, [&[0, 0][..], &BYTES.to_be_bytes(), &flags].concat());
    assert_eq!(replies[1].1, b"\0\x0100:00");
    assert_eq!(replies[2].1, b"\0\x02Diptych volume 00:00");
    let sizes = [512_u32, 4096, 32 << 20].map(u32::to_be_bytes).concat();
    assert_eq!(replies[3].1, [&[0, 3][..], &sizes].concat());
    // The empty name is the first volume; a reserved one cannot be written.
    let first = client.option(INFO, &info("", &[1]));
    assert_eq!(first[1].1, b"\0\x0100:00");
    let reserved = client.option(INFO, &info("00:1A", &[]));
    assert_eq!(reserved[0].1[10..], (0b1101_0110_1111_u16).to_be_bytes());
    // With structured replies, DF may be asked for.
    assert_eq!(client.option(STRUCTURED_REPLY, b""), [(ACK, vec![])]);
    let structured = client.option(INFO, &info("00:00", &[]));
    assert_eq!(structured[0].1[10..], (0b1101_1110_1101_u16).to_be_bytes());
}

#[test]
fn what_is_refused() {
    let rig = Rig::new();
    let mut client = Client::new(rig.port);
    for name in ["00:09", "0:0", "nothing", "00:00 "] {
        assert_eq!(kinds(&client.option(GO, &info(name, &[]))), [ERR_UNKNOWN], "{name}");
    }
    assert_eq!(kinds(&client.option(GO, b"\0\0\0\x09ab")), [ERR_INVALID]);
    assert_eq!(kinds(&client.option(GO, b"")), [ERR_INVALID]);
    assert_eq!(kinds(&client.option(99, b"abc")), [ERR_UNSUP]);
    assert_eq!(kinds(&client.option(STARTTLS, b"")), [ERR_UNSUP]);
    assert_eq!(kinds(&client.option(STRUCTURED_REPLY, b"x")), [ERR_INVALID]);
    let query = contexts("00:00", &["base:allocation"]);
    assert_eq!(kinds(&client.option(SET_META_CONTEXT, &query)), [ERR_INVALID]);
    assert_eq!(kinds(&client.option(LIST_META_CONTEXT, &query)), [ERR_INVALID]);
    client.option(STRUCTURED_REPLY, b"");
    let query = contexts("00:09", &["base:allocation"]);
    assert_eq!(kinds(&client.option(SET_META_CONTEXT, &query)), [ERR_UNKNOWN]);
    assert_eq!(kinds(&client.option(SET_META_CONTEXT, &query[..9])), [ERR_INVALID]);
    let many = contexts("00:00", &["a:b"; 65]);
    assert_eq!(kinds(&client.option(SET_META_CONTEXT, &many)), [ERR_TOO_BIG]);
    // What is too long is passed over, and the next option is understood.
    assert_eq!(kinds(&client.option(LIST, &[0; 9_000])), [ERR_TOO_BIG]);
    assert_eq!(kinds(&client.option(GO, &info("00:00", &[]))), [INFO_REPLY, ACK]);
}

#[test]
fn who_does_not_speak_nbd_is_left() {
    let rig = Rig::new();
    let mut client = Client::with_flags(rig.port, 0b111);
    assert!(client.is_closed());
    let mut client = Client::new(rig.port);
    client.put(b"GET / HTTP/1.1\r\n\r\n");
    assert!(client.is_closed());
    let mut client = Client::new(rig.port);
    client.put_option(LIST, usize::MAX, b"");
    assert!(client.is_closed());
    let mut client = Client::attached(rig.port, "00:00");
    client.put(&[0x55; 28]);
    assert!(client.is_closed());
    // The others go on.
    assert_eq!(Client::attached(rig.port, "00:00").read(0, 512), [0; 512]);
}
