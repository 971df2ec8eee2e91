//! Each limit of connections.

use crate::client::{Client, FLUSH, READ, WRITE};
use crate::rig::Rig;
use diptych_rt::net::{Budget, NetLimits};
use diptych_sync::thread;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(200);

/// Waits until the server has so few connections left.
fn wait_for(rig: &Rig, connections: usize) {
    let until = Instant::now() + Duration::from_secs(20);
    while rig.server.connections() > connections {
        assert!(Instant::now() < until, "{} connections are left", rig.server.connections());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_hundred_connections_and_no_more() {
    let rig = Rig::new();
    let mut clients: Vec<_> = (0..100).map(|_| Client::attached(rig.port, "00:00")).collect();
    let mut one_more = std::net::TcpStream::connect(("127.0.0.1", rig.port)).unwrap();
    assert_eq!(one_more.read(&mut [0; 18]).unwrap_or(0), 0);
    assert_eq!(rig.server.connections(), 100);
    for (client, byte) in clients.iter_mut().zip(0..) {
        client.write(0, &[byte; 512]);
    }
    drop(clients.pop());
    wait_for(&rig, 99);
    assert_eq!(Client::attached(rig.port, "00:00").read(0, 512), [99; 512]);
    assert_eq!(rig.server.counts(), (101, 1));
}

#[test]
fn a_negotiation_has_to_end() {
    let rig = Rig::with(NetLimits { negotiation: SOON, ..NetLimits::default() });
    let mut attached = Client::attached(rig.port, "00:00");
    let mut silent = Client::new(rig.port);
    let mut slow = Client::new(rig.port);
    let since = Instant::now();
    // A byte now and then is no way out.
    while slow.stream.write_all(b"I").is_ok() && since.elapsed() < Duration::from_secs(20) {
        thread::sleep(SOON / 10);
    }
    assert!(slow.is_closed() && silent.is_closed());
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    assert_eq!(attached.read(0, 512), [0; 512]);
}

#[test]
fn who_stalls_is_left_and_who_is_idle_is_not() {
    let rig = Rig::with(NetLimits { stalled: SOON, ..NetLimits::default() });
    let mut idle = Client::attached(rig.port, "00:00");
    let mut stalled = Client::attached(rig.port, "00:00");
    stalled.put(&[0x25, 0x60]);
    let mut in_payload = Client::attached(rig.port, "00:00");
    in_payload.ask(WRITE, 0, 1, 0, 4096, &[1; 512]);
    assert!(stalled.is_closed() && in_payload.is_closed());
    wait_for(&rig, 1);
    thread::sleep(2 * SOON);
    assert_eq!(idle.read(0, 4096), [0; 4096]);
}

#[test]
fn who_is_idle_for_too_long_is_left() {
    let rig = Rig::with(NetLimits { idle: Some(SOON), ..NetLimits::default() });
    let mut client = Client::attached(rig.port, "00:00");
    assert_eq!(client.read(0, 512), [0; 512]);
    assert!(client.is_closed());
}

#[test]
fn who_takes_no_answers_is_left_and_keeps_little() {
    let rig = Rig::with(NetLimits { stalled: SOON, bytes: 1 << 20, ..NetLimits::default() });
    let mut other = Client::attached(rig.port, "00:00");
    let mut client = Client::attached(rig.port, "00:00");
    client.stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut asked = 0;
    // Never a byte taken: 64 GiB of answers would be due.
    for cookie in 0..(1 << 16) {
        let mut request = 0x2560_9513_u32.to_be_bytes().to_vec();
        request.extend([0, 0, 0, 0]);
        request.extend(u64::to_be_bytes(cookie));
        request.extend([0; 8]);
        request.extend((1_u32 << 20).to_be_bytes());
        if client.stream.write_all(&request).is_err() {
            break;
        }
        asked += 1;
        if rig.server.connections() == 1 {
            break;
        }
    }
    wait_for(&rig, 1);
    assert!(asked > 1);
    assert_eq!(other.read(0, 512), [0; 512]);
}

#[test]
fn more_requests_than_may_be_under_way_wait() {
    let rig = Rig::with(NetLimits { requests: 2, bytes: 8 << 10, ..NetLimits::default() });
    let mut client = Client::attached(rig.port, "00:00");
    for cookie in 0..100 {
        client.ask(WRITE, 0, cookie, cookie * 512, 512, &[cookie as u8; 512]);
    }
    client.ask(FLUSH, 0, 100, 0, 0, b"");
    let mut seen: Vec<_> = (0..101).map(|_| client.chunk().cookie).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..101).collect::<Vec<_>>());
    // One that is larger than the limit is served alone.
    client.write(0, &vec![7; 1 << 20]);
    assert!(client.read(0, 1 << 20).iter().all(|byte| *byte == 7));
}

#[test]
fn a_server_that_stops_answers_what_it_has() {
    let mut rig = Rig::new();
    let mut client = Client::attached(rig.port, "00:00");
    let mut idle = Client::attached(rig.port, "00:00");
    let _silent = Client::new(rig.port);
    for cookie in 0..50 {
        client.ask(READ, 0, cookie, cookie << 16, 64 << 10, b"");
    }
    // So that all of it is there.
    thread::sleep(SOON);
    let since = Instant::now();
    rig.server.stop();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    for _ in 0..50 {
        let chunk = client.chunk();
        assert!(matches!(chunk.kind, 1 | 0x8001), "{chunk:?}");
    }
    assert!(client.is_closed() && idle.is_closed());
    assert_eq!(rig.server.connections(), 0);
    assert!(std::net::TcpStream::connect(("127.0.0.1", rig.port)).is_err());
}

#[test]
fn a_unit_that_has_stopped_says_so() {
    let rig = Rig::new();
    let mut client = Client::attached(rig.port, "00:00");
    rig.rt.stop();
    for kind in [READ, WRITE] {
        assert_eq!(
            client.done(kind, 0, 0, 512, &[7; 512][..if kind == WRITE { 512 } else { 0 }]).0,
            108
        );
    }
}

/// Waits until so many connections wait for room.
fn wait_for_waiters(budget: &Budget, count: usize) {
    let until = Instant::now() + Duration::from_secs(20);
    while budget.waiters() != count {
        assert!(Instant::now() < until, "{budget:?}: {} wait", budget.waiters());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn all_connections_share_a_budget() {
    let budget = Budget::new(1 << 20);
    let rig = Rig::within(NetLimits::default(), Some(budget.clone()));
    let mut first = Client::attached(rig.port, "00:00");
    let mut others: Vec<_> = (0..3).map(|_| Client::attached(rig.port, "00:00")).collect();
    // A payload that is still to come has its room.
    let data = vec![7; 1 << 20];
    first.ask(WRITE, 0, 1, 0, 1 << 20, &data[..1 << 19]);
    wait_for(&rig, 4);
    let until = Instant::now() + Duration::from_secs(20);
    while budget.used() == 0 {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(5));
    }
    for (other, cookie) in others.iter_mut().zip(2..) {
        other.ask(READ, 0, cookie, 0, 1 << 17, &[]);
    }
    wait_for_waiters(&budget, 3);
    // Who waits is not failed, and one that goes away leaves the others their turns.
    drop(others.remove(1));
    first.put(&data[1 << 19..]);
    assert_eq!(first.chunk().kind, 0);
    for other in &mut others {
        assert_eq!(other.chunk().data[8..], data[..1 << 17]);
    }
    wait_for_waiters(&budget, 0);
    drop((first, others));
    wait_for(&rig, 0);
    assert_eq!(budget.used(), 0);
}
