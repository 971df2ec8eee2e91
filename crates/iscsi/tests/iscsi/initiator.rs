//! The crate's own initiator against its own target.

use crate::rig::{Rig, name};
use diptych_iscsi::client::{
    ClientError, Data, Initiator, IscsiUrl, ScsiAnswer, Session, Surprise,
};
use diptych_iscsi::{Credentials, IscsiSettings, Secret};
use diptych_rt::net::NetLimits;
use diptych_sync::Arc;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

fn url(rig: &Rig) -> IscsiUrl {
    format!("iscsi://127.0.0.1:{}/{}/0", rig.port, name("CL1-A")).parse().unwrap()
}

fn ten(opcode: u8, block: u32, count: u16) -> [u8; 10] {
    let ([a, b, c, d], [e, f]) = (block.to_be_bytes(), count.to_be_bytes());
    [opcode, 0, a, b, c, d, 0, e, f, 0]
}

/// Until there is nothing to tell.
fn ready(session: &mut Session) {
    for _ in 0..9 {
        if session.command(&[0; 6], Data::None).unwrap().status == 0 {
            return;
        }
    }
    panic!("it never is");
}

fn good(answer: &ScsiAnswer) {
    assert_eq!((answer.status, answer.sense.as_slice()), (0, &[][..]));
}

#[test]
fn data_goes_both_ways() {
    let rig = Rig::new();
    for digests in [false, true] {
        let initiator = Initiator { digests, ..Initiator::default() };
        let mut session = Session::log_in(&url(&rig), &initiator).unwrap();
        ready(&mut session);
        // At once, and more than may come unasked or in one sequence.
        for (block, blocks) in [(8, 1), (16, 128), (1_000, 1_500)] {
            let data: Vec<u8> = (0..blocks * 512).map(|at: usize| (at / 7) as u8).collect();
            let write = ten(0x2A, block, blocks as u16);
            good(&session.command(&write, Data::Out(&data)).unwrap());
            let read = ten(0x28, block, blocks as u16);
            let answer = session.command(&read, Data::In(data.len() as u32)).unwrap();
            good(&answer);
            assert!(answer.data == data);
        }
        // What fails is answered, and the session goes on.
        let past_end = session.command(&ten(0x28, u32::MAX, 1), Data::In(512)).unwrap();
        assert_eq!((past_end.status, past_end.sense_code()), (2, Some((5, [0x21, 0]))));
        ready(&mut session);
        session.log_out().unwrap();
    }
}

#[test]
fn it_proves_itself() {
    let credentials = |name: &str, secret: &str| Credentials {
        name: name.to_owned(),
        secret: Secret::new(secret).unwrap(),
    };
    let users = vec![credentials("host", "secret secret")];
    let users = Arc::new(users.into());
    let settings = IscsiSettings { users, ..IscsiSettings::default() };
    let rig = Rig::with(NetLimits::default(), settings);
    let said = |credentials| {
        let initiator = Initiator { credentials, ..Initiator::default() };
        match Session::log_in(&url(&rig), &initiator) {
            Ok(mut session) => {
                ready(&mut session);
                session.log_out().map(|()| "in".to_owned()).unwrap()
            }
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(said(Some(credentials("host", "secret secret"))), "in");
    let wrong = "the target refuses the login: a wrong user or password";
    assert_eq!(said(Some(credentials("host", "another secret"))), wrong);
    assert_eq!(said(Some(credentials("nobody", "secret secret"))), wrong);
    assert_eq!(said(None), "the target wants a user and a password");
}

#[test]
fn who_is_not_there_is_told() {
    let rig = Rig::new();
    let mut elsewhere = url(&rig);
    elsewhere.target.push('x');
    let found = Session::log_in(&elsewhere, &Initiator::default());
    assert!(matches!(found, Err(ClientError::Refused { status: [2, 3] })), "{found:?}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nowhere = IscsiUrl { port: closed, ..url(&rig) };
    let found = Session::log_in(&nowhere, &Initiator::default());
    assert!(matches!(found, Err(ClientError::Connect { .. })), "{found:?}");
    // A proof is not given to who does not ask for it.
    let credentials = Credentials { name: "host".into(), secret: Secret::new([7; 16]).unwrap() };
    let initiator = Initiator { credentials: Some(credentials), ..Initiator::default() };
    Session::log_in(&url(&rig), &initiator).unwrap().log_out().unwrap();
}

/// What an initiator makes of a target that answers its first request with these bytes.
fn told(answer: &'static [u8]) -> ClientError {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = diptych_sync::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0; 48]).unwrap();
        stream.write_all(answer).unwrap();
        // Until the initiator has gone.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url = format!("iscsi://127.0.0.1:{port}/iqn.x/0").parse().unwrap();
    let initiator = Initiator { patience: Duration::from_millis(300), ..Initiator::default() };
    let error = Session::log_in(&url, &initiator).unwrap_err();
    target.join().unwrap();
    error
}

#[test]
fn targets_that_do_wrong() {
    const fn header(opcode: u8, tag: u8, data_bytes: [u8; 3]) -> [u8; 48] {
        let mut header = [0; 48];
        [header[0], header[19]] = [opcode, tag];
        [header[5], header[6], header[7]] = data_bytes;
        header
    }
    let surprise = |answer, expected| match told(answer) {
        ClientError::Surprise(found) => assert_eq!(found, expected),
        other => panic!("{other}"),
    };
    static LONG: [u8; 48] = header(0x23, 1, [0xFF, 0xFF, 0xFF]);
    surprise(&LONG, Surprise::TooLong { bytes: 0xFF_FFFF });
    static OTHER: [u8; 48] = header(0x21, 1, [0; 3]);
    surprise(&OTHER, Surprise::Opcode { code: 0x21 });
    static OTHERS: [u8; 48] = header(0x23, 9, [0; 3]);
    surprise(&OTHERS, Surprise::Opcode { code: 0x23 });
    static EMPTY: [u8; 48] = header(0x23, 1, [0; 3]);
    surprise(&EMPTY, Surprise::Login);
    assert!(matches!(told(&[]), ClientError::Silent(_)));
}
