//! Block status, and what it says of images.

use crate::client::{
    BLOCK_STATUS, Client, EXTENDED_HEADERS, GO, LIST_META_CONTEXT, REQ_ONE, SET_META_CONTEXT,
    STRUCTURED_REPLY, TRIM, contexts, info,
};
use crate::rig::{BYTES, RESERVED, Rig, TRACK_BYTES};
use diptych_cha::{CommandCode, Outcome, Refusal};
use diptych_format::Time;

const META_CONTEXT: i64 = 4;

/// A client that has chosen these contexts, and their names as the server has them.
fn client(port: u16, name: &str, queries: &[&str]) -> (Client, Vec<String>) {
    let mut client = Client::new(port);
    client.option(STRUCTURED_REPLY, b"");
    let names = names(&client.option(SET_META_CONTEXT, &contexts(name, queries)));
    assert_eq!(client.option(GO, &info(name, &[])).last().unwrap().0, 1);
    (client, names)
}

fn names(replies: &[(i64, Vec<u8>)]) -> Vec<String> {
    let (last, contexts) = replies.split_last().unwrap();
    assert_eq!(last.0, 1, "{replies:?}");
    let name = |(kind, data): &(i64, Vec<u8>)| {
        assert_eq!(*kind, META_CONTEXT);
        String::from_utf8(data[4..].to_vec()).unwrap()
    };
    contexts.iter().map(name).collect()
}

/// Asks; each context's runs of tracks, by its id.
fn status(
    client: &mut Client,
    flags: u16,
    offset: u64,
    length: u64,
) -> Vec<(u32, Vec<(u64, u32)>)> {
    client.ask(BLOCK_STATUS, flags, 7, offset, length, b"");
    let mut all = Vec::new();
    loop {
        let chunk = client.chunk();
        assert_eq!((chunk.kind, chunk.cookie), (5, 7), "{chunk:?}");
        let u32_at = |at: usize| u32::from_be_bytes(chunk.data[at..at + 4].try_into().unwrap());
        let run = |at| (u64::from(u32_at(at)) / TRACK_BYTES, u32_at(at + 4));
        all.push((u32_at(0), (4..chunk.data.len()).step_by(8).map(run).collect()));
        if chunk.flags == 1 {
            return all;
        }
    }
}

#[test]
fn what_is_stored() {
    let rig = Rig::new();
    let (mut client, names) = client(rig.port, "00:00", &["base:allocation", "other:thing"]);
    assert_eq!(names, ["base:allocation"]);
    let tracks = BYTES / TRACK_BYTES;
    assert_eq!(status(&mut client, 0, 0, BYTES), [(0, vec![(tracks, 3)])]);
    client.write(2 * TRACK_BYTES, &vec![7; 3 * TRACK_BYTES as usize]);
    client.done(TRIM, 0, 3 * TRACK_BYTES, TRACK_BYTES, b"");
    let expected = vec![(2, 3), (1, 0), (1, 3), (1, 0), (tracks - 5, 3)];
    assert_eq!(status(&mut client, 0, 0, BYTES), [(0, expected)]);
    let one = status(&mut client, REQ_ONE, 2 * TRACK_BYTES, 8 * TRACK_BYTES);
    assert_eq!(one, [(0, vec![(1, 0)])]);
    assert_eq!(client.done(BLOCK_STATUS, 0, BYTES, 512, b"").0, 22);
    assert_eq!(client.done(BLOCK_STATUS, 0, 0, 0, b"").0, 22);
    // Not chosen, or chosen for another volume.
    let mut client = Client::attached(rig.port, "00:00");
    assert_eq!(client.done(BLOCK_STATUS, 0, 0, 512, b"").0, 22);
    let mut client = Client::new(rig.port);
    client.option(STRUCTURED_REPLY, b"");
    client.option(SET_META_CONTEXT, &contexts("00:01", &["base:allocation"]));
    client.option(GO, &info("00:00", &[]));
    assert_eq!(client.done(BLOCK_STATUS, 0, 0, 512, b"").0, 22);
}

#[test]
fn with_extended_headers() {
    let rig = Rig::new();
    let mut client = Client::new(rig.port);
    client.option(EXTENDED_HEADERS, b"");
    client.option(SET_META_CONTEXT, &contexts("00:00", &["base:allocation"]));
    client.option(GO, &info("00:00", &[]));
    client.extended = true;
    client.ask(BLOCK_STATUS, 0, 7, 0, BYTES, b"");
    let chunk = client.chunk();
    let expected = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &BYTES.to_be_bytes(), &3_u64.to_be_bytes()];
    assert_eq!((chunk.kind, chunk.data), (6, expected.concat()));
}

#[test]
fn what_has_changed() {
    let rig = Rig::new();
    let mut primary = Client::attached(rig.port, "00:00");
    primary.write(0, &vec![1; 8 * TRACK_BYTES as usize]);
    rig.command(CommandCode::Create);
    rig.command(CommandCode::Copy);
    rig.rt.wait_idle();
    let first = rig.image();
    primary.write(3 * TRACK_BYTES, &[2; 512]);
    rig.command(CommandCode::Resync);
    rig.rt.wait_idle();
    rig.command(CommandCode::Copy);
    rig.rt.wait_idle();
    let second = rig.image();
    primary.write(5 * TRACK_BYTES, &[3; 512]);
    let name = |image: u64| format!("diptych:changed:00:00-00:1A:{image}");
    let names_of = [name(first), name(second), name(999_999)];
    let queries = names_of.each_ref().map(String::as_str);
    let all = 16 * TRACK_BYTES;

    // The primary as it is now.
    let (mut asked, chosen) = client(rig.port, "00:00", &queries);
    assert_eq!(chosen, names_of);
    let since_first = vec![(3, 0), (1, 1), (1, 0), (1, 1), (10, 0)];
    let since_second = vec![(5, 0), (1, 1), (10, 0)];
    let everything = vec![(16, 1)];
    let expected = [(0, since_first), (1, since_second), (2, everything.clone())];
    assert_eq!(status(&mut asked, 0, 0, all), expected);

    // The secondary: its image, and what hosts have changed on it.
    let (mut asked, _) = client(rig.port, "00:1A", &queries);
    let expected = [(0, vec![(3, 0), (1, 1), (12, 0)]), (1, vec![(16, 0)]), (2, everything)];
    assert_eq!(status(&mut asked, 0, 0, all), expected);
    asked.write(9 * TRACK_BYTES, &[4; 512]);
    let written = status(&mut asked, REQ_ONE, 9 * TRACK_BYTES, 2 * TRACK_BYTES);
    assert_eq!(written[1], (1, vec![(1, 1)]));

    // Another volume has none of it, and a pair that holds no image cannot say.
    let (_, none) = client(rig.port, "00:01", &queries);
    assert_eq!(none, [""; 0]);
    let mut listing = Client::new(rig.port);
    listing.option(STRUCTURED_REPLY, b"");
    let mut list =
        |queries: &[&str]| names(&listing.option(LIST_META_CONTEXT, &contexts("00:00", queries)));
    let [of_first, of_second, _] = names_of.clone();
    assert_eq!(list(&[]), ["base:allocation", &of_second, &of_first]);
    assert_eq!(list(&["base:", "diptych:changed:"]), list(&[]));
    assert_eq!(list(&["base:allocation", "base:", "x:"]), ["base:allocation"]);
    rig.command(CommandCode::Suspend);
    assert_eq!(asked.done(BLOCK_STATUS, 0, 0, all, b"").0, 1);
}

#[test]
fn a_volume_that_may_be_written_becomes_no_secondary() {
    let rig = Rig::new();
    rig.rt.unit().set_reserved(RESERVED, false, Time::ZERO).unwrap();
    let mut client = Client::attached(rig.port, "00:1A");
    client.write(0, &[1; 512]);
    rig.rt.unit().set_reserved(RESERVED, true, Time::ZERO).unwrap();
    let refused = rig.outcome(CommandCode::Create);
    assert!(matches!(refused, Outcome::Refused(Refusal::InUse { .. })), "{refused:?}");
    client.ask(crate::client::DISC, 0, 0, 0, 0, b"");
    assert!(client.is_closed());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while rig.server.connections() > 0 {
        assert!(std::time::Instant::now() < until);
        diptych_sync::thread::yield_now();
    }
    // Who cannot write it does not use it.
    let _reader = Client::attached(rig.port, "00:1A");
    rig.command(CommandCode::Create);
}
