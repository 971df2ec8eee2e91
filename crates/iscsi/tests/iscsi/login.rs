//! Login, discovery, logout.

use crate::client::{Client, FINAL, IMMEDIATE, LOGIN_RESPONSE, LOGOUT, LOGOUT_RESPONSE, NO_TAG};
use crate::client::{Pdu, TEXT, TEXT_RESPONSE};
use crate::rig::{ADMITTED, Rig, name};
use diptych_iscsi::{Credentials, IscsiSettings, Portal, Secret, Users};
use diptych_rt::net::NetLimits;
use diptych_sync::Arc;
use sha2::{Digest, Sha256};

fn discovery(rig: &Rig, initiator: &str) -> Client {
    let mut client = Client::new(rig.port);
    let hello = format!("InitiatorName={initiator} SessionType=Discovery AuthMethod=None");
    assert_eq!(client.say(0x83, &hello).at(36), 0);
    client
}

fn text(client: &mut Client, text: &str) -> Pdu {
    let text = text.replace(' ', "\0") + "\0";
    client.send(Pdu::new(TEXT, FINAL).word(16, 3).word(20, NO_TAG).data(text.as_bytes()));
    let answer = client.receive();
    assert_eq!((answer.opcode(), answer.at(16)), (TEXT_RESPONSE, 3));
    answer
}

fn targets(rig: &Rig, initiator: &str, which: &str) -> Vec<String> {
    let answer = text(&mut discovery(rig, initiator), &format!("SendTargets={which}"));
    let text = String::from_utf8(answer.data).unwrap();
    text.split('\0').filter(|pair| !pair.is_empty()).map(str::to_owned).collect()
}

#[test]
fn discovery_tells_of_the_targets_that_admit_the_initiator() {
    let rig = Rig::new();
    let at = format!("TargetAddress=127.0.0.1:{},1", rig.port);
    let [first, second] = ["CL1-A", "CL1-A.1"].map(|target| format!("TargetName={}", name(target)));
    assert_eq!(targets(&rig, "iqn.host", "All"), [first.clone(), at.clone()]);
    let both = [first.clone(), at.clone(), second, at.clone()];
    assert_eq!(targets(&rig, ADMITTED, "All"), both);
    assert_eq!(targets(&rig, "iqn.host", &name("CL1-A")), [first, at]);
    assert_eq!(targets(&rig, "iqn.host", &name("CL1-A.1")), [""; 0]);
    assert_eq!(targets(&rig, "iqn.host", "iqn.other"), [""; 0]);
}

#[test]
fn discovery_tells_of_the_portals_that_it_is_told_to() {
    let portals = ["192.0.2.1:3260", "[2001:db8::1]:3261"].map(|text| Portal::new(text).unwrap());
    let settings = IscsiSettings { portals: portals.into(), ..IscsiSettings::default() };
    let rig = Rig::with(NetLimits::default(), settings);
    let found = targets(&rig, "iqn.host", "All");
    assert_eq!(
        found[1..],
        ["TargetAddress=192.0.2.1:3260,1", "TargetAddress=[2001:db8::1]:3261,1"]
    );
}

#[test]
fn a_long_answer_comes_in_parts() {
    let portals = (0..200).map(|no| Portal::new(&format!("portal-{no:040}.example:1")).unwrap());
    let settings = IscsiSettings { portals: portals.collect(), ..IscsiSettings::default() };
    let rig = Rig::with(NetLimits::default(), settings);
    let mut client = discovery(&rig, "iqn.host");
    let mut answer = text(&mut client, "SendTargets=All");
    let mut all = answer.data.clone();
    while answer.header[1] & 0x40 != 0 {
        assert_eq!(answer.header[1] & FINAL, 0);
        assert!(answer.data.len() <= 8 << 10);
        client.send(Pdu::new(TEXT, FINAL).word(16, 3).word(20, answer.at(20)));
        answer = client.receive();
        all.extend(&answer.data);
    }
    assert_eq!((answer.header[1], answer.at(20)), (FINAL, NO_TAG));
    let all = String::from_utf8(all).unwrap();
    assert_eq!(all.matches("TargetAddress=portal-").count(), 200);
    assert!(all.ends_with(".example:1,1\0"));
}

#[test]
fn a_normal_session_asks_for_its_own_target() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    assert_eq!(text(&mut client, "SendTargets=").text()["TargetName"], name("CL1-A"));
    let answer = text(&mut client, "SendTargets=All MaxBurstLength=512 X-new=1").text();
    let found: Vec<_> = answer.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(found, ["MaxBurstLength=Reject", "SendTargets=Reject", "X-new=NotUnderstood"]);
    assert!(client.is_ready(0));
}

#[test]
fn refusals_name_their_reason() {
    let rig = Rig::new();
    let check = |text: &str, expected: [u8; 2]| {
        let mut client = Client::new(rig.port);
        let answer = client.say(0x87, &text.replace("NAME", &name("CL1-A")));
        assert_eq!(answer.opcode(), LOGIN_RESPONSE);
        assert_eq!(answer.header[36..38], expected, "{text}");
        assert!(client.is_closed());
    };
    check("InitiatorName=iqn.host", [2, 7]);
    check("InitiatorName=iqn.host TargetName=iqn.other", [2, 3]);
    check(&format!("InitiatorName=iqn.host TargetName={}", name("CL1-B")), [2, 3]);
    check(&format!("InitiatorName=iqn.host TargetName={}", name("CL1-A.1")), [2, 2]);
    check("InitiatorName=iqn.host TargetName=NAME nonsense", [2, 0]);
    let mut client = Client::new(rig.port);
    client.send(Pdu::new(TEXT, FINAL).word(16, 1));
    assert!(client.is_closed());
}

fn with_users() -> Rig {
    let credentials = |name: &str, secret: &str| Credentials {
        name: name.to_owned(),
        secret: Secret::new(secret).unwrap(),
    };
    let users = Arc::new(vec![credentials("host", "secret secret")].into());
    let own = Some(credentials("array", "another secret"));
    let settings = IscsiSettings { users, own, ..IscsiSettings::default() };
    Rig::with(NetLimits::default(), settings)
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

fn response(id: u8, secret: &str, challenge: &[u8]) -> String {
    hex(&Sha256::digest([&[id], secret.as_bytes(), challenge].concat()))
}

/// Says who it is; then the proof of a user who knows this secret, and what is answered to it.
fn prove(rig: &Rig, user: &str, secret: &str, ours: &str) -> (Client, Pdu) {
    let mut client = Client::new(rig.port);
    let hello = format!("InitiatorName=iqn.host TargetName={} AuthMethod=CHAP", name("CL1-A"));
    assert_eq!(client.say(0x00, &hello).text()["AuthMethod"], "CHAP");
    let asked = client.say(0x00, "CHAP_A=7").text();
    let digits = asked["CHAP_C"].strip_prefix("0x").unwrap();
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let challenge: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    let proof = response(asked["CHAP_I"].parse().unwrap(), secret, &challenge);
    let answer = client.say(0x81, &format!("CHAP_N={user} CHAP_R={proof} {ours}"));
    (client, answer)
}

#[test]
fn both_sides_prove_themselves() {
    let rig = with_users();
    let ours = "CHAP_I=9 CHAP_C=0x00112233445566778899aabbccddeeff";
    let (mut wrong, answer) = prove(&rig, "host", "no secret at all", ours);
    assert_eq!(answer.header[36..38], [2, 1]);
    assert!(wrong.is_closed());
    let (mut client, answer) = prove(&rig, "host", "secret secret", ours);
    let challenge: Vec<u8> = (0..16).map(|no| no * 0x11).collect();
    let text = answer.text();
    assert_eq!(text["CHAP_N"], "array");
    assert_eq!(text["CHAP_R"], response(9, "another secret", &challenge));
    assert_eq!(client.say(0x87, "HeaderDigest=None").header[1], 0x87);
    assert!(client.is_ready(0));
}

#[test]
fn users_come_and_go_while_hosts_do() {
    let users = Arc::new(Users::default());
    let settings = IscsiSettings { users: users.clone(), ..IscsiSettings::default() };
    let rig = Rig::with(NetLimits::default(), settings);
    let mut before = Client::logged_in(rig.port, 1);
    let secret = |text: &str| Secret::new(text).unwrap();
    assert!(users.restore(&users.with("new", secret("a new secret")).unwrap()));
    // Who is in stays, and nobody else gets in without a proof.
    assert!(before.is_ready(0));
    let hello = format!("InitiatorName=iqn.host TargetName={}", name("CL1-A"));
    assert_eq!(Client::new(rig.port).say(0x87, &hello).header[36..38], [2, 1]);
    let status = |text| prove(&rig, "new", text, "").1.header[36..38].to_vec();
    assert_eq!(status("a new secret"), [0, 0]);
    assert!(users.restore(&users.with("new", secret("another secret")).unwrap()));
    assert_eq!((status("a new secret"), status("another secret")), (vec![2, 1], vec![0, 0]));
    assert!(users.restore(&users.without("new", true).unwrap()));
    assert_eq!(Client::new(rig.port).say(0x87, &hello).header[36..38], [0, 0]);
}

#[test]
fn who_is_not_admitted_any_more_is_logged_out() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    assert!(client.is_ready(0));
    let target = "CL1-A".parse().unwrap();
    assert_eq!(rig.target.sessions()[&target], 1);
    let change = |name: &str| {
        let name = name.parse().unwrap();
        rig.target.change_lu_map(|map| map.admit(target, name)).unwrap();
    };
    change("iqn.host");
    assert!(client.is_ready(0));
    rig.target.change_lu_map(|map| map.dismiss(target, &"iqn.host".parse().unwrap())).unwrap();
    change(ADMITTED);
    client.command(1, FINAL, 0, 0, &[0; 6]);
    assert!(client.is_closed());
    assert_eq!(rig.target.sessions()[&target], 0);
}

#[test]
fn without_a_proof_nobody_gets_in() {
    let rig = with_users();
    for (flags, method) in [(0x87, ""), (0x81, "AuthMethod=None"), (0x83, "AuthMethod=SRP")] {
        let mut client = Client::new(rig.port);
        let hello = format!("InitiatorName=iqn.host TargetName={} {method}", name("CL1-A"));
        assert_eq!(client.say(flags, &hello).header[36..38], [2, 1]);
        assert!(client.is_closed());
    }
}

#[test]
fn a_logout_is_answered_and_ends_the_connection() {
    let rig = Rig::new();
    let mut client = Client::logged_in(rig.port, 1);
    let logout = |reason: u8| Pdu::new(LOGOUT | IMMEDIATE, FINAL | reason).word(16, 4);
    for (request, expected) in [(logout(2), 2), (logout(1).set(20, &[0, 9]), 1), (logout(0), 0)] {
        client.send(request);
        let answer = client.receive();
        assert_eq!((answer.opcode(), answer.header[2]), (LOGOUT_RESPONSE, expected));
    }
    assert!(client.is_closed());
}
