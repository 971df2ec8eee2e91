//! NBD clients of others.

use crate::Case;
use crate::served::Array;
use crate::tool::{ran, random_file, run};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = &[
    ("qemu_img_converts_and_compares", &["qemu-img"], qemu_img_converts_and_compares),
    ("qemu_img_maps", &["qemu-img"], qemu_img_maps),
    ("a_request_at_a_time_is_quick", &["qemu-img"], a_request_at_a_time_is_quick),
    ("many_requests_at_a_time", &["qemu-img"], many_requests_at_a_time),
    ("qemu_io_finds_what_it_wrote", &["qemu-io"], qemu_io_finds_what_it_wrote),
    ("nbdinfo_knows_the_volumes", &["nbdinfo"], nbdinfo_knows_the_volumes),
    ("nbdcopy_over_four_connections", &["nbdcopy"], nbdcopy_over_four_connections),
    ("nbdsh_is_told_what_is_wrong", &["nbdsh"], nbdsh_is_told_what_is_wrong),
    ("fio_verifies_its_writes", &["fio"], fio_verifies_its_writes),
    ("who_has_to_encrypt_does", &["nbdinfo", "nbdcopy", "openssl"], who_has_to_encrypt_does),
];

const MIB: usize = 1 << 20;

fn text(path: &Path) -> &str {
    path.to_str().expect("a name")
}

/// A third of it is holes.
fn image(array: &Array, seed: u64) -> std::path::PathBuf {
    let path = array.file("image");
    random_file(&path, 48 * MIB, seed);
    let file = std::fs::File::options().write(true).open(&path).expect("a file");
    file.set_len(32 * MIB as u64).expect("a length");
    file.set_len(64 * MIB as u64).expect("a length");
    path
}

fn qemu_img_converts_and_compares() {
    let array = Array::new(64);
    let served = array.serve();
    let image = image(&array, 1);
    let raw = ["-f", "raw", "-O", "raw"];
    for uri in [served.tcp("00:00"), served.unix("00:01")] {
        let convert = ["convert", "-n", "-W", "-m", "8"].into_iter().chain(raw);
        run("qemu-img", convert.chain([text(&image), uri]));
        run("qemu-img", ["compare", "-f", "raw", "-F", "raw", text(&image), uri]);
    }
    let [one, other] = [served.tcp("00:00"), served.tcp("00:01")];
    run("qemu-img", ["compare", "-f", "raw", "-F", "raw", one, other]);
    // Out again, without its zeroes.
    let out = array.file("out.qcow2");
    run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", served.unix("00:00"), text(&out)]);
    run("qemu-img", ["compare", "-f", "qcow2", "-F", "raw", text(&out), text(&image)]);
    // A reserved volume is none of theirs.
    let convert = ["convert", "-n"].into_iter().chain(raw);
    let (status, _, said) = ran("qemu-img", convert.chain([text(&image), served.tcp("00:02")]));
    assert!(!status.success(), "{said}");
    assert_eq!(served.stop(), 0);
}

fn qemu_img_maps() {
    let array = Array::new(64);
    let served = array.serve();
    let image = image(&array, 2);
    let uri = served.tcp("00:00");
    run("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", text(&image), uri]);
    let map = run("qemu-img", ["map", "-f", "raw", "--output", "json", uri]);
    let map: Vec<Value> = serde_json::from_str(&map).expect(&map);
    let run_of = |entry: &Value| (entry["start"].as_u64(), entry["zero"].as_bool());
    let found: Vec<_> = map.iter().map(run_of).collect();
    let half = 32 * MIB as u64;
    assert_eq!(found, [(Some(0), Some(false)), (Some(half), Some(true))], "{map:?}");
    assert_eq!(served.stop(), 0);
}

/// Some servers lose 40 ms a request by TCP: header and data in two writes, and no TCP_NODELAY.
fn a_request_at_a_time_is_quick() {
    let array = Array::new(64);
    let served = array.serve();
    for writes in [&[][..], &["-w"]] {
        let since = Instant::now();
        let bench = ["bench", "-f", "raw", "-c", "1000", "-d", "1", "-s", "4k"];
        let args = bench.iter().chain(writes).copied().chain([served.tcp("00:00")]);
        run("qemu-img", args);
        // 1,000 times 40 ms would be 40 s.
        assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    }
    assert_eq!(served.stop(), 0);
}

fn many_requests_at_a_time() {
    let array = Array::new(64);
    let served = array.serve();
    for uri in [served.tcp("00:00"), served.unix("00:00")] {
        for (size, count) in [("4k", "5000"), ("128k", "400"), ("4M", "16")] {
            for more in [&["-w"][..], &["-w", "--flush-interval", "64"], &[]] {
                let bench = ["bench", "-f", "raw", "-d", "32", "-s", size, "-c", count];
                run("qemu-img", bench.iter().chain(more).copied().chain([uri]));
            }
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
    for uri in [served.tcp("00:00"), served.unix("00:01")] {
        let args = steps.iter().flat_map(|step| ["-c", step]);
        let said = run("qemu-io", ["-f", "raw"].into_iter().chain(args).chain([uri]));
        assert!(!said.contains("failed"), "{said}");
    }
    assert_eq!(served.stop(), 0);
}

fn nbdinfo_knows_the_volumes() {
    let array = Array::new(64);
    let served = array.serve();
    let info = |args: &[&str]| -> Value {
        let text = run("nbdinfo", [&["--json"], args].concat());
        serde_json::from_str(&text).expect(&text)
    };
    let root = served.tcp("00:00").trim_end_matches("00:00");
    let list = info(&["--list", root]);
    let names: Vec<_> = list["exports"].as_array().expect("exports").iter().collect();
    let names: Vec<_> = names.iter().map(|export| export["export-name"].as_str()).collect();
    assert_eq!(names, ["00:00", "00:01", "00:02", "00:03"].map(Some));
    for (volume, read_only) in [("00:00", false), ("00:02", true)] {
        let export = &info(&[served.unix(volume)])["exports"][0];
        assert_eq!(export["export-size"], 64 * MIB, "{export}");
        assert_eq!(export["is_read_only"], read_only, "{export}");
        for can in ["can_multi_conn", "can_fast_zero", "can_fua", "can_df", "can_cache"] {
            assert_eq!(export[can], true, "{can}: {export}");
        }
        assert_eq!(export["block_size_minimum"], 512, "{export}");
        assert_eq!(export["contexts"], serde_json::json!(["base:allocation"]), "{export}");
    }
    let map = run("nbdinfo", ["--map", served.tcp("00:00")]);
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "67108864", "3", "hole,zero"]);
    assert_eq!(served.stop(), 0);
}

fn nbdcopy_over_four_connections() {
    let array = Array::new(64);
    let served = array.serve();
    let (image, out) = (image(&array, 3), array.file("out"));
    let uri = served.tcp("00:00");
    run("nbdcopy", ["-C", "4", "--requests", "32", "--flush", text(&image), uri]);
    run("nbdcopy", ["-C", "4", uri, served.unix("00:01")]);
    run("nbdcopy", ["-C", "4", served.unix("00:01"), text(&out)]);
    assert!(std::fs::read(&out).expect("a file") == std::fs::read(&image).expect("a file"));
    assert_eq!(served.stop(), 0);
}

fn nbdsh_is_told_what_is_wrong() {
    let array = Array::new(64);
    let served = array.serve();
    let check = |uri: &str, call: &str, expected: &str| {
        // What is not allowed is sent all the same.
        let script = format!(
            "h.set_strict_mode(0)\nh.connect_uri(\"{uri}\")\n\
             try:\n {call}\n print('done')\nexcept nbd.Error as e:\n print(e.errno)\n"
        );
        let said = run("nbdsh", ["-c", &script]);
        assert_eq!(said.trim(), expected, "{call}");
    };
    let (primary, reserved) = (served.tcp("00:00"), served.tcp("00:02"));
    check(primary, "h.pwrite(b'x' * 1024, 512, nbd.CMD_FLAG_FUA)", "done");
    check(primary, "assert h.pread(512, 512) == b'x' * 512", "done");
    check(primary, "h.pread(512, 3)", "EINVAL");
    check(primary, "h.pread(512, h.get_size())", "EINVAL");
    check(primary, "h.pwrite(b'x' * 512, h.get_size())", "ENOSPC");
    check(primary, "h.zero(h.get_size(), 0, nbd.CMD_FLAG_FAST_ZERO)", "done");
    check(primary, "h.zero(512, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)", "ENOTSUP");
    check(reserved, "h.pwrite(b'x' * 512, 0)", "EPERM");
    check(reserved, "h.trim(512, 0)", "EPERM");
    check(reserved, "h.pread(512, 0)", "done");
    assert_eq!(served.stop(), 0);
}

fn fio_verifies_its_writes() {
    let array = Array::new(64);
    let served = array.serve();
    let uri = format!("--uri={}", served.tcp("00:00"));
    let job = ["--name=verify", "--ioengine=nbd", "--rw=randwrite", "--bs=4k", "--iodepth=32"];
    let bounds = [
        "--size=16M",
        "--io_size=16M",
        "--verify=crc32c",
        "--verify_fatal=1",
        "--verify_state_save=0",
        "--output-format=terse",
    ];
    run("fio", job.iter().chain(&bounds).copied().chain([uri.as_str()]));
    assert_eq!(served.stop(), 0);
}

fn who_has_to_encrypt_does() {
    let array = Array::new(64);
    // An authority, and what it has signed: for the server, and for one client of two.
    let pki = array.file("pki");
    std::fs::create_dir(&pki).expect("a directory");
    let at = |name: &str| pki.join(name).to_str().expect("a name").to_owned();
    let certificate = |name: &str, subject: &str, authority: Option<&str>| {
        let (key, out) = (at(&format!("{name}-key.pem")), at(&format!("{name}-cert.pem")));
        let make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let about = ["-nodes", "-days", "2", "-subj", subject, "-keyout", &key, "-out", &out];
        let mut args = [&make[..], &about].concat();
        let by =
            authority.map(|name| [at(&format!("{name}-cert.pem")), at(&format!("{name}-key.pem"))]);
        let names = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        match &by {
            Some([cert, key]) => args.extend([
                "-CA",
                cert,
                "-CAkey",
                key,
                "-addext",
                names,
                "-addext",
                "basicConstraints=CA:FALSE",
            ]),
            None => args.extend(["-addext", "keyUsage=keyCertSign"]),
        }
        run("openssl", args);
    };
    certificate("ca", "/CN=authority", None);
    certificate("server", "/CN=localhost", Some("ca"));
    certificate("client", "/CN=client", Some("ca"));
    let settings = format!(
        "[nbd.tls]\ncertificate = {:?}\nkey = {:?}\nclient-authority = {:?}\nrequired = true\n",
        at("server-cert.pem"),
        at("server-key.pem"),
        at("ca-cert.pem")
    );
    std::fs::write(array.dir().join("diptych.toml"), settings).expect("a file");
    let served = array.serve();

    let plain = served.tcp("00:00");
    let (status, _, said) = ran("nbdinfo", [plain]);
    assert!(!status.success(), "{said}");
    let encrypted = |with: &Path| {
        let uri = plain.replace("nbd://", "nbds://");
        format!("{uri}?tls-certificates={}", with.display())
    };
    let info = run("nbdinfo", ["--json", &encrypted(&pki)]);
    let info: Value = serde_json::from_str(&info).expect(&info);
    assert_eq!(info["TLS"], true, "{info}");
    let (image, out) = (image(&array, 9), array.file("out"));
    run("nbdcopy", ["--flush", text(&image), &encrypted(&pki)]);
    run("nbdcopy", [&encrypted(&pki), text(&out)]);
    assert!(std::fs::read(&out).expect("a file") == std::fs::read(&image).expect("a file"));

    // Without a certificate of its own a client is not let in.
    let bare = array.file("bare");
    std::fs::create_dir(&bare).expect("a directory");
    std::fs::copy(at("ca-cert.pem"), bare.join("ca-cert.pem")).expect("a file");
    let (status, _, said) = ran("nbdinfo", [encrypted(&bare)]);
    assert!(!status.success(), "{said}");
    assert_eq!(served.stop(), 0);
}
