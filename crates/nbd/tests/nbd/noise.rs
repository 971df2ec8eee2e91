//! Clients that say anything: a server takes no harm, and neither do its other clients.

use crate::client::{Client, contexts, info};
use crate::rig::{BYTES, Rig};
use diptych_rt::net::NetLimits;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// Connections, in each of two phases.
const ROUNDS: u64 = 300;

fn noise(random: &mut fastrand::Rng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.usize(..most)];
    random.fill(&mut bytes);
    bytes
}

/// An option that is nearly right.
fn option(random: &mut fastrand::Rng) -> Vec<u8> {
    let number = random.u32(..14);
    let mut data = match random.u8(..4) {
        0 => info("00:00", &[3, 1]),
        1 => contexts("00:00", &["base:allocation", "diptych:changed:00:00-00:1A:1"]),
        2 => noise(random, 64),
        _ => Vec::new(),
    };
    if random.bool() && !data.is_empty() {
        let at = random.usize(..data.len());
        data[at] = random.u8(..);
    }
    let length = match random.u8(..8) {
        0 => random.u32(..),
        1 => data.len() as u32 + 1,
        _ => data.len() as u32,
    };
    let mut bytes = b"IHAVEOPT".to_vec();
    if random.u8(..20) == 0 {
        bytes[random.usize(..8)] = random.u8(..);
    }
    bytes.extend(number.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(data);
    bytes
}

/// A request that is nearly right.
fn request(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = 0x2560_9513_u32.to_be_bytes().to_vec();
    bytes.extend([0, random.u8(..64), 0, random.u8(..9)]);
    bytes.extend(random.u64(..).to_be_bytes());
    let offset = if random.bool() { random.u64(..BYTES) & !511 } else { random.u64(..) };
    bytes.extend(offset.to_be_bytes());
    let length = match random.u8(..4) {
        0 => random.u32(..),
        _ => random.u32(..64) * 512,
    };
    bytes.extend(length.to_be_bytes());
    if random.u8(..20) == 0 {
        let at = random.usize(..bytes.len());
        bytes[at] = random.u8(..);
    }
    let payload = noise(random, 64 << 10);
    bytes.extend(&payload[..payload.len().min(length as usize)]);
    bytes
}

/// Sends what it has, and takes what comes, until the server has closed or has nothing to say.
fn say(mut stream: TcpStream, bytes: &[u8]) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let taker = diptych_sync::thread::spawn(move || {
        let mut taken = 0;
        let mut part = vec![0; 64 << 10];
        while let Ok(bytes @ 1..) = reader.read(&mut part) {
            taken += bytes;
        }
        taken
    });
    // It may be closed in the middle.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    taker.join().unwrap();
}

#[test]
fn whatever_is_said() {
    let limits = NetLimits { stalled: Duration::from_millis(200), ..NetLimits::default() };
    let rig = Rig::with(limits);
    let mut other = Client::attached(rig.port, "00:01");
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..ROUNDS {
        let mut bytes = vec![0, 0, 0, random.u8(..4)];
        for _ in 0..random.usize(..8) {
            bytes.extend(option(&mut random));
        }
        say(TcpStream::connect(("127.0.0.1", rig.port)).unwrap(), &bytes);
        let attached = Client::attached(rig.port, "00:00");
        let count = random.usize(1..8);
        let bytes: Vec<u8> = (0..count).flat_map(|_| request(&mut random)).collect();
        say(attached.stream, &bytes);
        if round % 16 == 0 {
            other.write(round * 512, &[round as u8; 512]);
            assert_eq!(other.read(round * 512, 512), [round as u8; 512], "round {round}");
        }
    }
    assert!(!rig.rt.is_stopped());
}
