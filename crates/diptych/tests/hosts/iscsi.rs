//! iSCSI initiators of others: libiscsi's own tools, and qemu's, which are over libiscsi too.

use crate::Case;
use crate::served::{Array, Served};
use crate::tool::{self, ran, random_file, run};
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = &[
    ("iscsi_qemu_img_converts_and_compares", QEMU, qemu_img_converts_and_compares),
    ("iscsi_qemu_img_maps", QEMU, qemu_img_maps),
    ("iscsi_a_request_at_a_time_is_quick", QEMU, a_request_at_a_time_is_quick),
    ("iscsi_many_requests_at_a_time", QEMU, many_requests_at_a_time),
    ("iscsi_qemu_io_finds_what_it_wrote", QEMU, qemu_io_finds_what_it_wrote),
    ("iscsi_a_copy_crosses_no_channel", QEMU, a_copy_crosses_no_channel),
    ("iscsi_and_nbd_have_the_same_volumes", QEMU, both_protocols_have_the_same_volumes),
    ("iscsi_fio_verifies_its_writes", FIO, fio_verifies_its_writes),
    ("iscsi_what_hosts_are_told", LIBISCSI, what_hosts_are_told),
    ("iscsi_who_has_to_prove_it_does", LIBISCSI, who_has_to_prove_it_does),
    ("iscsi_extended_copy_by_libiscsi", &["iscsi-test-cu"], extended_copy_by_libiscsi),
];
const QEMU: &[&str] = &["qemu-img", "qemu-io", tool::QEMU_ISCSI];
const FIO: &[&str] = &["fio", "qemu-nbd", tool::QEMU_ISCSI];
const LIBISCSI: &[&str] = &["iscsi-ls", "iscsi-inq", "iscsi-readcapacity16", "iscsi-swp"];

const MIB: usize = 1 << 20;
const RAW: [&str; 4] = ["-f", "raw", "-O", "raw"];

fn text(path: &Path) -> &str {
    path.to_str().expect("a name")
}

/// 32 MiB of data and as much of holes.
fn image(array: &Array, seed: u64) -> PathBuf {
    let path = array.file("image");
    random_file(&path, 32 * MIB, seed);
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    file.set_len(64 * MIB as u64).expect("a length");
    path
}

fn qemu_img_converts_and_compares() {
    let array = Array::new(64);
    let served = array.serve();
    let image = image(&array, 11);
    for lun in [0, 1] {
        let uri = served.iscsi(lun);
        let convert = ["convert", "-n", "-W", "-m", "8"].into_iter().chain(RAW);
        run("qemu-img", convert.chain([text(&image), uri]));
        run("qemu-img", ["compare", "-f", "raw", "-F", "raw", text(&image), uri]);
    }
    let [one, other] = [0, 1].map(|lun| served.iscsi(lun));
    run("qemu-img", ["compare", "-f", "raw", "-F", "raw", one, other]);
    let out = array.file("out.qcow2");
    run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", one, text(&out)]);
    run("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", text(&out), text(&image)]);
    // A reserved volume is none of theirs.
    let convert = ["convert", "-n"].into_iter().chain(RAW);
    let (status, _, said) = ran("qemu-img", convert.chain([text(&image), served.iscsi(2)]));
    assert!(!status.success(), "{said}");
    assert_eq!(served.stop(), 0);
}

fn qemu_img_maps() {
    let array = Array::new(64);
    let served = array.serve();
    let image = image(&array, 12);
    let uri = served.iscsi(0);
    run("qemu-img", ["convert", "-n"].into_iter().chain(RAW).chain([text(&image), uri]));
    let map = run("qemu-img", ["map", "-f", "raw", "--output", "json", uri]);
    let map: Vec<Value> = serde_json::from_str(&map).expect(&map);
    let run_of = |entry: &Value| (entry["start"].as_u64(), entry["zero"].as_bool());
    let found: Vec<_> = map.iter().map(run_of).collect();
    let half = 32 * MIB as u64;
    assert_eq!(found, [(Some(0), Some(false)), (Some(half), Some(true))], "{map:?}");
    assert_eq!(served.stop(), 0);
}

/// As over NBD: nothing waits for a segment to be full.
fn a_request_at_a_time_is_quick() {
    let array = Array::new(64);
    let served = array.serve();
    for writes in [&[][..], &["-w"]] {
        let since = Instant::now();
        let bench = ["bench", "-f", "raw", "-c", "1000", "-d", "1", "-s", "4k"];
        run("qemu-img", bench.iter().chain(writes).copied().chain([served.iscsi(0)]));
        assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    }
    assert_eq!(served.stop(), 0);
}

fn many_requests_at_a_time() {
    let array = Array::new(64);
    let served = array.serve();
    for (size, count) in [("4k", "5000"), ("128k", "400"), ("4M", "16")] {
        for more in [&["-w"][..], &["-w", "--flush-interval", "64"], &[]] {
            let bench = ["bench", "-f", "raw", "-d", "32", "-s", size, "-c", count];
            run("qemu-img", bench.iter().chain(more).copied().chain([served.iscsi(0)]));
        }
    }
    assert_eq!(served.stop(), 0);
}

fn qemu_io_finds_what_it_wrote() {
    let array = Array::new(64);
    let served = array.serve();
    let steps = [
        "write -P 1 0 8M",
        "write -f -P 2 512 512",
        "read -P 1 0 512",
        "read -P 2 512 512",
        "aio_write -P 3 1M 1M",
        "aio_write -P 4 2M 1M",
        "aio_flush",
        "flush",
        "read -P 3 1M 1M",
        "read -P 4 2M 1M",
        "write -z 3M 1000k",
        "write -z -u 4M 1M",
        "read -P 0 3M 1000k",
        "read -P 0 4M 1M",
        "discard 5M 1M",
        "read -P 0 5M 1M",
        "read -P 1 6M 2M",
        "write -P 5 100 1000",
        "read -P 5 100 1000",
        "read -P 1 0 100",
    ];
    let steps: Vec<&str> = steps.iter().flat_map(|step| ["-c", step]).collect();
    // Without and with digests of the headers of PDUs.
    for (lun, digest) in [(0, "none"), (1, "crc32c")] {
        let options = image_options(served.iscsi(lun), &format!("header-digest={digest}"));
        let said = run("qemu-io", [&["--image-opts", &options], &steps[..]].concat());
        assert!(!said.contains("failed"), "{digest}: {said}");
    }
    assert_eq!(served.stop(), 0);
}

/// A logical unit with an option, as qemu has it.
fn image_options(url: &str, option: &str) -> String {
    let parts: Vec<&str> = url.trim_start_matches("iscsi://").split('/').collect();
    let [portal, target, lun] = parts[..] else { panic!("{url}") };
    let file = ["driver=iscsi", "transport=tcp"].map(str::to_owned).into_iter().chain([
        format!("portal={portal}"),
        format!("target={target}"),
        format!("lun={lun}"),
        option.to_owned(),
    ]);
    let file: Vec<String> = file.map(|option| format!("file.{option}")).collect();
    format!("driver=raw,{}", file.join(","))
}

/// What the channels of logical units carried, by the unit's own count.
#[derive(Debug, PartialEq, Eq)]
struct Carried {
    /// Operations and bytes of reads and writes.
    data: [u64; 6],
    /// Bytes that were copied inside.
    copied: u64,
}

fn carried(array: &Array) -> Carried {
    let mut socket = UnixStream::connect(array.dir().join("control.sock")).expect("a socket");
    let ask = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    socket.write_all(ask.as_bytes()).expect("a request");
    let mut said = String::new();
    socket.read_to_string(&mut said).expect("an answer");
    let sum = |name: &str, label: &str| {
        let name = format!("diptych_channel_{name}_total{{");
        let of = |line: &&str| line.starts_with(&name) && line.contains(label);
        let samples: Vec<&str> = said.lines().filter(of).collect();
        assert!(!samples.is_empty(), "{name} {label}: {said}");
        let value = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
        samples.into_iter().map(|line| value(line).expect(line)).sum()
    };
    let data = ["operations", "in_bytes", "out_bytes"]
        .map(|name| [r#"kind="read""#, r#"kind="write""#].map(|kind| sum(name, kind)))
        .concat();
    Carried { data: data.try_into().expect("six"), copied: sum("inside_bytes", "") }
}

/// A host has the unit copy: EXTENDED COPY, and no READ or WRITE.
fn a_copy_crosses_no_channel() {
    let array = Array::new(64);
    let served = array.serve();
    let (image, [from, to]) = (image(&array, 13), [0, 1].map(|lun| served.iscsi(lun)));
    let before = carried(&array);
    run("qemu-img", ["convert", "-n"].into_iter().chain(RAW).chain([text(&image), from]));
    let filled = carried(&array);
    // By way of the host it is counted.
    let bytes = 32 * MIB as u64;
    assert_eq!(filled.data[3] - before.data[3], bytes, "{before:?} {filled:?}");
    assert_eq!(filled.copied, before.copied);
    run("qemu-img", ["convert", "-C", "-n"].into_iter().chain(RAW).chain([from, to]));
    let copied = carried(&array);
    assert_eq!(copied.data, filled.data, "no data on the wire");
    assert_eq!(copied.copied - filled.copied, bytes);
    run("qemu-img", ["compare", "-f", "raw", "-F", "raw", text(&image), to]);
    assert_eq!(served.stop(), 0);
}

fn both_protocols_have_the_same_volumes() {
    let array = Array::new(64);
    let served = array.serve();
    let image = image(&array, 14);
    for (lun, volume) in [(0, "00:00"), (1, "00:01")] {
        let (iscsi, nbd) = (served.iscsi(lun), served.tcp(volume));
        let (by, seen_by) = if lun == 0 { (iscsi, nbd) } else { (nbd, iscsi) };
        run("qemu-img", ["convert", "-n"].into_iter().chain(RAW).chain([text(&image), by]));
        run("qemu-img", ["compare", "-f", "raw", "-F", "raw", text(&image), seen_by]);
    }
    assert_eq!(served.stop(), 0);
}

/// qemu between a client of NBD and a logical unit. It ends when this does.
struct Bridge(Child);

impl Bridge {
    fn new(socket: &Path, url: &str) -> Self {
        let mut qemu = tool::command("qemu-nbd");
        qemu.args(["-f", "raw", "-t", "-e", "4", "-k", text(socket), url]);
        let mut bridge = Self(qemu.spawn().expect("qemu-nbd"));
        let until = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            let runs = matches!(bridge.0.try_wait(), Ok(None));
            assert!(runs && Instant::now() < until, "qemu-nbd");
            diptych::sync::thread::sleep(Duration::from_millis(5));
        }
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// fio has no iSCSI of its own: qemu hands its requests on.
fn fio_verifies_its_writes() {
    let array = Array::new(64);
    let served = array.serve();
    let socket = array.file("qemu-nbd.sock");
    let bridge = Bridge::new(&socket, served.iscsi(0));
    let uri = format!("--uri=nbd+unix:///?socket={}", text(&socket));
    let job = ["--name=verify", "--ioengine=nbd", "--rw=randwrite", "--bs=4k", "--iodepth=32"];
    let bounds = ["--size=16M", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0"];
    let before = carried(&array);
    run("fio", job.iter().chain(&bounds).copied().chain([uri.as_str()]));
    let after = carried(&array);
    let bytes = 16 * MIB as u64;
    assert!(after.data[3] - before.data[3] >= bytes, "it wrote by iSCSI: {before:?} {after:?}");
    drop(bridge);
    assert_eq!(served.stop(), 0);
}

fn portal(served: &Served) -> String {
    let end = served.iscsi(0).find("/iqn.").expect("a target");
    served.iscsi(0)[..end].to_owned()
}

fn what_hosts_are_told() {
    let array = Array::new(64);
    let served = array.serve();
    #[track_caller]
    fn check(said: &str, expected: &[&str]) {
        for line in expected {
            assert!(said.lines().any(|said| said.trim_end() == *line), "{line:?}: {said}");
        }
    }
    let list = run("iscsi-ls", ["-s", &portal(&served)]);
    check(
        &list,
        &[0, 1, 2, 3]
            .map(|lun| format!("Lun:{lun}    Type:DIRECT_ACCESS (Size:63M)"))
            .each_ref()
            .map(String::as_str),
    );
    let target = served.iscsi(0).rsplit('/').nth(1).expect("a target");
    assert!(list.contains(&format!("Target:{target} Portal:127.0.0.1:")), "{list}");
    for more in ["", "?header_digest=crc32c"] {
        let url = format!("{}{more}", served.iscsi(0));
        let inquiry = run("iscsi-inq", [&url]);
        let copies = ["3PC:1", "CmdQue:1"];
        check(
            &inquiry,
            &[&copies[..], &["Vendor:DIPTYCH", "Product:LDEV", "Removable:0"]].concat(),
        );
        let serial = run("iscsi-inq", ["-e", "1", "-c", "128", &url]);
        // The unit's number, then the volume's.
        let is_first = serial.trim_end().ends_with("0000]");
        assert!(serial.starts_with("Unit Serial Number:[") && is_first, "{serial}");
        let capacity = run("iscsi-readcapacity16", [&url]);
        check(&capacity, &["RETURNED LOGICAL BLOCK ADDRESS:131071", "LBPME:1 LBPRZ:1"]);
        check(&capacity, &["LOGICAL BLOCK LENGTH IN BYTES:512", "Total size:67108864"]);
    }
    // Protection by a host holds for all of them until it is taken back.
    let write = ["-f", "raw", "-c", "write 0 64k", served.iscsi(0)];
    let is_written = || tool::is_there(tool::QEMU_ISCSI).then(|| ran("qemu-io", write).0.success());
    for (word, protected) in [("on", true), ("off", false)] {
        run("iscsi-swp", ["-s", word, served.iscsi(0)]);
        check(&run("iscsi-swp", [served.iscsi(0)]), &[&format!("SWP:{}", u8::from(protected))]);
        assert!(is_written().is_none_or(|written| written != protected), "{word}");
    }
    assert_eq!(served.stop(), 0);
}

fn who_has_to_prove_it_does() {
    let array = Array::new(64);
    let settings = r#"[iscsi]
users = [{ name = "host", secret = "secret-of-a-host" }, { name = "other", secret = "secret of another" }]
own = { name = "array", secret = "secret of the array" }
"#;
    std::fs::write(array.dir().join("diptych.toml"), settings).expect("a file");
    let served = array.serve();
    let check = |who: [&str; 2], array: [&str; 2], expected: bool| {
        let names = ["USERNAME", "PASSWORD", "TARGET_USERNAME", "TARGET_PASSWORD"];
        let values = [who, array].concat();
        let env = names.iter().zip(values).filter(|(_, value)| !value.is_empty());
        let env: Vec<_> =
            env.map(|(name, value)| (format!("LIBISCSI_CHAP_{name}"), value)).collect();
        for (program, url) in
            [("iscsi-ls", portal(&served)), ("iscsi-inq", served.iscsi(1).to_owned())]
        {
            let (status, out, err) = tool::ran_with(program, [url], &env);
            // iscsi-ls ends well when a discovery failed, too.
            let done = status.success()
                && out.contains(if program == "iscsi-ls" { "iqn." } else { "Vendor" });
            assert_eq!(done, expected, "{program} {env:?}: {status} {out} {err}");
        }
    };
    let (host, own) = (["host", "secret-of-a-host"], ["array", "secret of the array"]);
    let by_url = served.iscsi(1).replace("iscsi://", "iscsi://host%secret-of-a-host@");
    let told = run("iscsi-inq", [&by_url]);
    assert!(told.contains("DIPTYCH"), "{told}");
    check(["", ""], ["", ""], false);
    check(["host", "secret of nobody"], ["", ""], false);
    check(["nobody", "secret-of-a-host"], ["", ""], false);
    check(host, ["", ""], true);
    check(["other", "secret of another"], ["", ""], true);
    check(host, own, true);
    check(host, ["array", "another secret"], false);
    check(host, ["stranger", "secret of the array"], false);
    assert_eq!(served.stop(), 0);
}

fn extended_copy_by_libiscsi() {
    let array = Array::new(64);
    let served = array.serve();
    let before = carried(&array);
    let said = run("iscsi-test-cu", ["-d", "-v", "-t", "ALL.ExtendedCopy.Simple", served.iscsi(0)]);
    assert!(said.contains("Test: Simple ...passed") && !said.contains("SKIPPED"), "{said}");
    let after = carried(&array);
    assert!(after.copied > before.copied, "{before:?} {after:?}");
    assert_eq!(served.stop(), 0);
}
