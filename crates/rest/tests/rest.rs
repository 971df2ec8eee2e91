//! The server as a stranger meets it: what it does not take, and its limits.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]
#![allow(missing_docs)] // a test program has no public items

mod exposition;

use diptych_cha::scsi::{InitiatorPort, ScsiTarget, UnitIdentity};
use diptych_cha::{ChannelAdapter, HostOp, HostReply, LuMap};
use diptych_device::MemoryDrive;
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, Time};
use diptych_rest::api::{
    Admit, CommandAnswer, Done, HostGroupInfo, LuInfo, NewHostGroup, NewLu, NewPair, NewUser,
    PairCommand, PairInfo, UserInfo, VolumeInfo,
};
use diptych_rest::{Client, ClientError, Method, RestLimits, RestServer, Scsi, Served, Servers};
use diptych_rt::net::Address;
use diptych_rt::{Rt, RtConfig};
use diptych_sync::{Arc, thread};
use diptych_unit::{Plant, Unit, UnitConfig};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const BYTES: u64 = 4 << 20;

struct Rig {
    server: RestServer,
    target: Arc<ScsiTarget>,
    rt: Rt,
    at: SocketAddr,
}

impl Rig {
    fn new(limits: RestLimits) -> Self {
        let drive = || Box::new(MemoryDrive::new(1 << 16));
        let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
        let unit = Unit::new(UnitConfig::with_cache(256, 64 << 10), &plant).expect("a unit");
        for no in 0..2 {
            let geometry = Geometry::with_tracks(128, BYTES >> 16);
            let group = usize::from(no);
            unit.add_volume(LdevId::new(0, no), geometry, group).expect("room");
        }
        unit.set_reserved(LdevId::new(0, 1), true, Time::ZERO).expect("a volume");
        let rt = Rt::start(unit, plant, RtConfig::default()).expect("threads");
        let any = "127.0.0.1:0".parse().expect("an address");
        let adapter = ChannelAdapter::new(0, ["CL1-A".parse().expect("a port")]);
        let identity = UnitIdentity { unit_id: 1 };
        let access = rt.unit().access_board();
        let target = Arc::new(ScsiTarget::new(identity, Arc::new(adapter), access));
        let scsi = Some(Scsi {
            target: target.clone(),
            kept_as: "lu-map",
            users: Arc::default(),
            users_kept_as: "users",
            target_name: Arc::new(|target| format!("iqn.unit.{target}")),
        });
        let served = Served { rt: rt.clone(), id: 1, scsi, servers: Servers::default() };
        let server = RestServer::listen(&[any], limits, served).expect("a server");
        let at = match server.addresses().next() {
            Some(Address::Tcp(at)) => *at,
            other => panic!("{other:?}"),
        };
        Self { server, target, rt, at }
    }

    fn client(&self) -> Client {
        let url = self.server.urls().next().expect("an address");
        Client::new(&url.parse().expect("an endpoint")).expect("a client")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        stream
    }

    /// Sends this, and reads until the server ends the connection.
    fn answer(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // It may end the connection before it has all of it.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.stop();
        self.rt.stop();
    }
}

fn few() -> RestLimits {
    let soon = Duration::from_millis(300);
    RestLimits { header: soon, stalled: soon, ..RestLimits::default() }
}

/// The status and the code of the problem.
fn told(answer: &str) -> (&str, String) {
    let status = answer.split_whitespace().nth(1).unwrap_or("-");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or("-").to_owned())
}

#[test]
fn what_makes_no_sense_is_told() {
    let rig = Rig::new(few());
    let check = |line: &str, headers: &str, body: &str, expected: (&str, &str)| {
        let length = body.len();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\
             content-length: {length}\r\n\r\n{body}"
        );
        let answer = rig.answer(request.as_bytes());
        let (status, code) = told(&answer);
        assert_eq!((status, code.as_str()), expected, "{line}: {answer}");
    };
    let json = "content-type: application/json\r\n";
    check("GET /v1/ldevs", "", "", ("200", "-"));
    check("GET /v1/nothing", "", "", ("404", "no-route"));
    check("PUT /v1/ldevs", json, "{}", ("405", "no-method"));
    check("GET /v1/ldevs/00:77", "", "", ("404", "no-volume"));
    check("GET /v1/ldevs/00:7", "", "", ("400", "bad-request"));
    check("DELETE /v1/schedules/x", "", "", ("400", "bad-request"));
    check("POST /v1/pairs", "", "{}", ("415", "bad-request"));
    check("POST /v1/pairs", json, "{", ("400", "bad-request"));
    check("POST /v1/pairs", json, "{\"primry\": 1}", ("400", "bad-request"));
    check("POST /v1/pairs/00:00/00:01/create", json, "{}", ("400", "bad-request"));
    check("POST /v1/pairs/00:00/00:01/mirror", json, "{}", ("400", "bad-request"));
    check("POST /v1/ldevs", json, "{\"bytes\": 99999999}", ("409", "no-space"));
    check("POST /v1/ldevs", json, "{\"drive\": 7, \"bytes\": 512}", ("409", "no-space"));
    check("PUT /v1/ldevs/00:00/content", "", &"x".repeat(100), ("400", "bad-request"));
    check("POST /v1/ldevs/00:00/format", json, "{\"force\": 1}", ("400", "bad-request"));
    check("GET /v1/history?limit=x", "", "", ("400", "bad-request"));
    let origin = "origin: http://example.com\r\n";
    check("GET /v1/ldevs", origin, "", ("403", "foreign-origin"));
    let large = "{".repeat(RestLimits::default().body_bytes + 1);
    check("POST /v1/pairs", json, &large, ("413", "too-large"));
    let name =
        rig.answer(b"GET /healthz HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n");
    assert_eq!(told(&name), ("403", "foreign-host".to_owned()));
    let header = "x".repeat(RestLimits::default().header_bytes + 1);
    let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {header}\r\n\r\n");
    assert_eq!(told(&rig.answer(request.as_bytes())).0, "431");
    assert_eq!(told(&rig.answer(b"\x00\x01\x02\r\n\r\n")).0, "400");
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let rig = Rig::new(few());
    let check = |request: &str, expected: &str| {
        let begun = Instant::now();
        let answer = rig.answer(request.as_bytes());
        assert_eq!(told(&answer).0, expected, "{request:?}: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{request:?}");
    };
    // Nothing, half a header, half a body, half of the contents.
    check("", "-");
    check("GET /healthz HTTP/1.1\r\nho", "-");
    let json = "host: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    check(&format!("POST /v1/pairs HTTP/1.1\r\n{json}content-length: 9\r\n\r\n{{"), "408");
    let put = "PUT /v1/ldevs/00:00/content HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
    check(&format!("{put}content-length: 1024\r\n\r\nabc"), "408");
    check(&format!("{put}transfer-encoding: chunked\r\n\r\n0\r\n\r\n"), "411");
    assert!(rig.client().text("/healthz").is_ok());
}

#[test]
fn one_more_is_closed() {
    let rig = Rig::new(RestLimits { connections: 3, ..RestLimits::default() });
    let mut held: Vec<_> = (0..3).map(|_| rig.connect()).collect();
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut byte = [0; 1];
    for stream in &mut held {
        stream.write_all(request).expect("it is served");
        assert_eq!(stream.read(&mut byte).expect("an answer"), 1);
    }
    assert_eq!(rig.answer(request), "");
    drop(held);
    let until = Instant::now() + Duration::from_secs(10);
    while rig.client().text("/healthz").is_err() {
        assert!(Instant::now() < until, "those that ended make room");
    }
}

#[test]
fn transfers_are_few() {
    let rig = Rig::new(RestLimits { transfers: 1, ..few() });
    let put =
        "PUT /v1/ldevs/00:00/content HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1024\r\n\r\n";
    let mut held = rig.connect();
    held.write_all(put.as_bytes()).expect("it is served");
    let mut into = Vec::new();
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        match rig.client().export("/v1/ldevs/00:01/content", &mut into, &mut |_, _| {}) {
            Err(ClientError::Refused { status: 503, problem }) => {
                assert_eq!(problem.code, "busy");
                break;
            }
            other => assert!(Instant::now() < until, "{other:?}"),
        }
    }
    // The one that stands still ends, and makes room.
    while rig.client().export("/v1/ldevs/00:01/content", &mut into, &mut |_, _| {}).is_err() {
        assert!(Instant::now() < until);
    }
}

#[test]
fn contents_come_back() {
    let rig = Rig::new(RestLimits::default());
    let client = rig.client();
    let data: Vec<u8> = (0..BYTES).map(|at| (at / 1000) as u8).collect();
    let mut steps = Vec::new();
    let path = "/v1/ldevs/00:00/content";
    let done: serde_json::Value = client
        .import(path, &mut data.as_slice(), BYTES, &mut |sent, all| steps.push((sent, all)))
        .expect("room");
    assert_eq!((&done["bytes"], steps.last()), (&BYTES.into(), Some(&(BYTES, BYTES))));
    let mut back = Vec::new();
    let bytes = client.export(path, &mut back, &mut |_, _| {}).expect("a volume");
    assert!(bytes == BYTES && back == data);
    // What does not fit is refused before it is sent, and that arrives.
    for _ in 0..50 {
        let twice = data.repeat(2);
        let mut sent = 0;
        let answer = client.import::<serde_json::Value>(
            path,
            &mut twice.as_slice(),
            2 * BYTES,
            &mut |bytes, _| sent = bytes,
        );
        assert!(matches!(answer, Err(ClientError::Refused { status: 400, .. })), "{answer:?}");
        assert_eq!(sent, 0);
    }
    // A source that ends early is this side's failure, and the unit goes on.
    let short = client.import::<serde_json::Value>(
        &format!("{path}?force=true"),
        &mut &data[..1000],
        BYTES,
        &mut |_, _| {},
    );
    assert!(matches!(short, Err(ClientError::Local(_))), "{short:?}");
    assert!(client.text("/healthz").is_ok());
}

#[test]
fn a_stopped_unit_is_not_healthy() {
    let rig = Rig::new(RestLimits::default());
    let client = rig.client();
    let wanted = NewPair { primary: "00:00".to_owned(), ..NewPair::default() };
    let made: CommandAnswer = client.call(Method::Post, "/v1/pairs", &wanted).expect("a pair");
    assert_eq!((made.secondary.as_str(), made.is_accepted()), ("00:01", true));
    let pair: PairInfo = client.call(Method::Get, "/v1/pairs/00:00/00:01", &()).expect("a pair");
    assert_eq!(pair.tracks, BYTES >> 16);
    rig.rt.stop();
    let check = |answer: Result<serde_json::Value, ClientError>, expected: &str| match answer {
        Err(ClientError::Refused { status: 503, problem }) => assert_eq!(problem.code, expected),
        other => panic!("{other:?}"),
    };
    check(client.call(Method::Get, "/healthz", &()), "unknown");
    let resync = "/v1/pairs/00:00/00:01/suspend";
    check(client.call(Method::Post, resync, &serde_json::json!({})), "stopping");
    // It can be looked at all the same.
    let volumes: Vec<VolumeInfo> = client.call(Method::Get, "/v1/ldevs", &()).expect("a list");
    assert_eq!(volumes.len(), 2);
}

#[test]
fn paths_are_kept() {
    let rig = Rig::new(RestLimits::default());
    let client = rig.client();
    let add = |path: &str, ldev: &str| {
        let (path, ldev) = (path.to_owned(), ldev.to_owned());
        let wanted = NewLu { path, ldev, removable: Some(true), ..NewLu::default() };
        client.call::<LuInfo>(Method::Post, "/v1/lus", &wanted)
    };
    let kept = || {
        let bytes = rig.rt.unit().kept("lu-map").expect("it is kept");
        let map: LuMap = postcard::from_bytes(&bytes).expect("a map");
        map.iter().map(|(path, ldev)| format!("{path} {ldev}")).collect::<Vec<_>>()
    };
    let made = add("CL1-A:3", "00:01").expect("a free path");
    assert_eq!((made.path.as_str(), made.removable, made.thin), ("CL1-A:3", true, true));
    add("cl1-a:0", "00:00").expect("a free path");
    assert_eq!(kept(), ["CL1-A:0 00:00", "CL1-A:3 00:01"]);
    let refused = |done: Result<LuInfo, ClientError>, expected: (u16, &str)| match done {
        Err(ClientError::Refused { status, problem }) => {
            assert_eq!((status, problem.code.as_str()), expected);
        }
        other => panic!("{other:?}"),
    };
    refused(add("CL1-A:0", "00:01"), (409, "lu-taken"));
    refused(add("CL9-A:0", "00:01"), (400, "bad-request"));
    refused(add("CL2-A:0", "00:01"), (404, "no-lu"));
    let metrics = client.text("/metrics").expect("text");
    assert!(
        metrics.contains("diptych_lu_info{port=\"CL1-A\",lun=\"3\",ldev=\"00:01\"} 1\n"),
        "{metrics}"
    );
    let Done {} = client.call(Method::Delete, "/v1/lus/CL1-A:0", &()).expect("a path");
    assert_eq!(kept(), ["CL1-A:3 00:01"]);
    // A volume that goes takes its paths with it.
    let Done {} = client.call(Method::Delete, "/v1/ldevs/00:01", &()).expect("a volume");
    assert_eq!(kept(), [""; 0]);
    let lus: Vec<LuInfo> = client.call(Method::Get, "/v1/lus", &()).expect("a list");
    assert_eq!(lus, []);
}

#[test]
fn a_unix_socket_is_its_owners() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("control.sock");
    let rig = Rig::new(RestLimits::default());
    let address = Address::Unix(path.clone());
    let served = || Served { rt: rig.rt.clone(), id: 1, scsi: None, servers: Servers::default() };
    let mut server =
        RestServer::listen(std::slice::from_ref(&address), RestLimits::default(), served())
            .expect("a server");
    let mode = std::fs::metadata(&path).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let client = |server: &RestServer| {
        let url = server.urls().next().expect("an address");
        Client::new(&url.parse().expect("an endpoint")).expect("a client")
    };
    assert!(client(&server).text("/metrics").expect("text").contains("diptych_up 1\n"));
    // One that is served is not taken over.
    let again = RestServer::listen(&[address], RestLimits::default(), served());
    assert!(again.is_err());
    assert!(client(&server).text("/healthz").is_ok());
    server.stop();
    assert!(!path.exists());
}

#[test]
fn metrics_are_as_prometheus_reads_them() {
    let rig = Rig::new(RestLimits::default());
    let client = rig.client();
    let name = serde_json::json!({ "name": "payroll" });
    let _: VolumeInfo = client.call(Method::Patch, "/v1/ldevs/00:00", &name).expect("a volume");
    let wanted = NewPair { primary: "00:00".to_owned(), ..NewPair::default() };
    let _: CommandAnswer = client.call(Method::Post, "/v1/pairs", &wanted).expect("a pair");
    let ldev = LdevId::new(0, 0);
    let write = HostOp::Write { ldev, block: BlockNo(0), data: vec![7; 8192].into() };
    assert_eq!(rig.rt.execute(write), HostReply::Done);
    let read = HostOp::Read { ldev, blocks: BlockRange::new(BlockNo(0), 8) };
    // The cache serves it, on this thread.
    rig.rt.submit(read, |reply| assert!(matches!(reply, HostReply::Data(_)))).expect("it runs");
    assert_eq!(rig.rt.execute(HostOp::Flush { ldev }), HostReply::Done);

    let text = client.text("/metrics").expect("metrics");
    let families = exposition::read(&text).unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
    let value = |family: &str, labels: &[(&str, &str)]| {
        let is_it = |found: &exposition::Labels| {
            labels.iter().all(|(name, value)| found.get(*name).is_some_and(|of| of == value))
        };
        let samples = &families[family].samples;
        samples.iter().filter(|(_, found, _)| is_it(found)).map(|(.., value)| value).sum::<f64>()
    };
    let of = |kind| [("ldev", "00:00"), ("kind", kind)];
    for (kind, bytes) in [("read", 4096.0), ("write", 8192.0), ("flush", 0.0), ("unmap", 0.0)] {
        assert_eq!(value("diptych_volume_bytes_total", &of(kind)), bytes, "{kind}");
        let count = if kind == "unmap" { 0.0 } else { 1.0 };
        assert_eq!(value("diptych_volume_operations_total", &of(kind)), count, "{kind}");
    }
    assert!(value("diptych_volume_seconds_total", &of("write")) > 0.0);
    let drive = |kind| [("drive", "0"), ("kind", kind)];
    assert!(value("diptych_drive_operations_total", &drive("flush")) >= 1.0);
    assert!(value("diptych_drive_bytes_total", &drive("write")) >= 8192.0);
    assert!(value("diptych_drive_busy_seconds_total", &[("drive", "0")]) > 0.0);
    assert_eq!(value("diptych_volume_size_bytes", &[("name", "payroll")]), BYTES as f64);
    assert_eq!(value("diptych_scsi_sessions", &[("target", "CL1-A")]), 0.0);

    let listed = include_str!("../../../docs/rest.md");
    let unlisted: Vec<_> =
        families.keys().filter(|name| !listed.contains(&format!("`{name}`"))).collect();
    assert!(unlisted.is_empty(), "docs/rest.md does not list {unlisted:?}");
}

#[test]
fn a_status_is_waited_for() {
    let rig = Rig::new(RestLimits { waits: 1, ..RestLimits::default() });
    let client = rig.client();
    let wanted = NewPair { primary: "00:00".to_owned(), no_copy: true, ..NewPair::default() };
    let _: CommandAnswer = client.call(Method::Post, "/v1/pairs", &wanted).expect("a pair");
    let path = "/v1/pairs/00:00/00:01";
    let status = |asked: &str| -> Result<String, ClientError> {
        let pair: PairInfo = client.call(Method::Get, &format!("{path}?{asked}"), &())?;
        Ok(pair.status)
    };
    let refused = |asked: &str, expected: &str| match status(asked) {
        Err(ClientError::Refused { problem, .. }) => assert_eq!(problem.code, expected, "{asked}"),
        other => panic!("{asked}: {other:?}"),
    };
    assert_eq!(status("wait=idle").expect("a pair"), "idle");
    let begun = Instant::now();
    assert_eq!(status("wait=split&timeout=0.2").expect("a pair"), "idle");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    refused("wait=there", "bad-request");
    refused("wait=split&timeout=61", "bad-request");
    refused("wait=split&timeout=-1", "bad-request");
    refused("wait=split&until=1", "bad-request");

    // A look has the only place for a moment, too.
    let waits = |asked: &str| {
        let (other, path) = (rig.client(), format!("{path}?{asked}&timeout=60"));
        thread::spawn(move || {
            loop {
                match other.call::<PairInfo>(Method::Get, &path, &()) {
                    Err(ClientError::Refused { status: 503, .. }) => {}
                    answer => return answer.expect("a pair").status,
                }
            }
        })
    };
    let waiting = waits("wait=split");
    // Its place is the only one.
    let until = Instant::now() + Duration::from_secs(20);
    while status("wait=split&timeout=0.01").is_ok() {
        assert!(Instant::now() < until && !waiting.is_finished());
    }
    refused("wait=split&timeout=1", "busy");
    let _: CommandAnswer = client
        .call(Method::Post, &format!("{path}/copy"), &PairCommand::default())
        .expect("it copies");
    assert_eq!(waiting.join().expect("an answer"), "split");
    // What would be waited for in vain is told at once, and so is the end of the server.
    let _: CommandAnswer = client
        .call(Method::Post, &format!("{path}/suspend"), &PairCommand::default())
        .expect("it is suspended");
    assert_eq!(status("wait=split&timeout=60").expect("a pair"), "suspend");
    let waiting = waits("wait=simplex");
    while status("wait=simplex&timeout=0.01").is_ok() {
        assert!(Instant::now() < until && !waiting.is_finished());
    }
    drop(rig);
    assert_eq!(waiting.join().expect("an answer"), "suspend");
    assert!(begun.elapsed() < Duration::from_secs(40));
}

#[test]
fn host_groups_and_users() {
    let rig = Rig::new(RestLimits::default());
    let client = rig.client();
    let refused = |done: Result<serde_json::Value, ClientError>, expected: &str| match done {
        Err(ClientError::Refused { problem, .. }) => assert_eq!(problem.code, expected),
        other => panic!("{expected}: {other:?}"),
    };
    let group = |port: &str, name: &str| NewHostGroup { port: port.into(), name: name.into() };
    let groups = "/v1/host-groups";
    let made: HostGroupInfo =
        client.call(Method::Post, groups, &group("CL1-A", "db")).expect("room");
    assert_eq!((made.group.as_str(), made.target.as_str()), ("CL1-A.1", "iqn.unit.CL1-A.1"));
    refused(client.call(Method::Post, groups, &group("CL1-A.1", "db")), "host-group-exists");
    refused(client.call(Method::Post, groups, &group("CL9-A", "db")), "bad-request");
    refused(client.call(Method::Post, groups, &group("CL1-A", "two words")), "bad-request");
    let at = "/v1/host-groups/CL1-A.1";
    let admit = |name: &str| Admit { initiator: name.to_owned() };
    let path = format!("{at}/initiators");
    let named: HostGroupInfo =
        client.call(Method::Post, &path, &admit("iqn.2001-04.com.example:DB1")).expect("room");
    assert_eq!(named.initiators, ["iqn.2001-04.com.example:db1"]);
    // Who is logged in is not cut off by mistake.
    let host = InitiatorPort::new("iqn.2001-04.com.example:db1".parse().expect("a name"), [1; 6]);
    let nexus = rig.target.login(host, "CL1-A.1".parse().expect("a group")).expect("admitted");
    let dismiss = format!("{path}/iqn.2001-04.com.example:db1");
    refused(client.call(Method::Delete, &dismiss, &()), "last-initiator");
    let _: HostGroupInfo = client.call(Method::Post, &path, &admit("iqn.other")).expect("room");
    refused(client.call(Method::Delete, &dismiss, &()), "in-use");
    refused(client.call(Method::Delete, at, &()), "in-use");
    refused(client.call(Method::Delete, "/v1/host-groups/CL1-A", &()), "first-host-group");
    refused(client.call(Method::Delete, &format!("{path}/iqn.nobody"), &()), "no-initiator");
    let shown: HostGroupInfo = client.call(Method::Get, at, &()).expect("a group");
    assert_eq!(shown.sessions, ["iqn.2001-04.com.example:db1"]);
    let _: HostGroupInfo =
        client.call(Method::Delete, &format!("{dismiss}?force=true"), &()).expect("by force");
    assert!(!rig.target.is_logged_in(nexus));
    let Done {} = client.call(Method::Delete, at, &()).expect("nobody is there");
    refused(client.call(Method::Get, at, &()), "no-host-group");

    let users = "/v1/users";
    let user = |name: &str, secret: &str| NewUser { name: name.into(), secret: secret.into() };
    let host = user("host", "a secret of it");
    let made: UserInfo = client.call(Method::Post, users, &host).expect("room");
    assert_eq!(made, UserInfo { name: "host".to_owned(), fixed: false });
    refused(client.call(Method::Post, users, &host), "user-exists");
    refused(client.call(Method::Post, users, &user("short", "short")), "bad-request");
    let secret = serde_json::json!({ "secret": "another secret" });
    let _: UserInfo = client.call(Method::Patch, "/v1/users/host", &secret).expect("a user");
    refused(client.call(Method::Patch, "/v1/users/nobody", &secret), "no-user");
    assert!(!client.text(users).expect("a list").contains("secret"));
    assert_eq!(rig.rt.unit().kept("users").map(|kept| kept.len()), Some(21));
    refused(client.call(Method::Delete, "/v1/users/host", &()), "last-user");
    let Done {} = client.call(Method::Delete, "/v1/users/host?force=true", &()).expect("by force");
}
