//! Pair commands in band: `diptych inband` against a unit that is served, over iSCSI alone.

use crate::Case;
use crate::served::{Array, Served};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = &[
    ("a_pair_in_band", &[], a_pair_in_band),
    ("a_request_in_band_is_carried_out_once", &[], a_request_is_carried_out_once),
    ("who_proves_himself_gives_commands_in_band", &[], who_proves_himself),
    ("what_is_wrong_in_band_is_told", &[], what_is_wrong_is_told),
];

/// A host that sees a unit's command device.
struct Host {
    array: Array,
    served: Served,
    url: String,
}

impl Host {
    fn new() -> Self {
        let array = Array::new(16);
        let served = array.serve();
        let dir = array.dir();
        let dir = dir.to_str().expect("a name");
        let made = ran(&["lu", "add", "CL1-A:9", "00:03", "--command-device", "--dir", dir]);
        assert_eq!(made.0, 0, "{made:?}");
        Self::at(array, served)
    }

    fn at(array: Array, served: Served) -> Self {
        let is_first = |uri: &&String| uri.starts_with("iscsi://") && uri.ends_with("/0");
        let first = served.uris.iter().find(is_first).expect("a LUN 0");
        let url = format!("{}/9", first.strip_suffix("/0").expect("LUN 0"));
        Self { array, served, url }
    }

    /// The same unit, served anew after `end`.
    fn again(self, end: impl FnOnce(Served)) -> Self {
        let Self { array, served, .. } = self;
        end(served);
        let served = array.serve();
        Self::at(array, served)
    }

    fn ran(&self, args: &[&str]) -> (i32, String, String) {
        ran(&[&["inband"], args, &["--url", &self.url]].concat())
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> String {
        let (code, out, err) = self.ran(args);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}: {out}");
        out
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        let out = self.run(&[args, &["--json"]].concat());
        serde_json::from_str(&out).expect(&out)
    }

    #[track_caller]
    fn refused(&self, args: &[&str], expected: (i32, &str)) {
        let (code, out, err) = self.ran(args);
        assert_eq!((code, err.as_str()), expected, "{args:?}: {out}");
    }

    #[track_caller]
    fn wait(&self, status: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let pair = self.json(&["show", "00:00", "00:02"]);
            if pair["status"] == status {
                return;
            }
            assert!(Instant::now() < until, "{pair}");
            diptych::sync::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn ran(args: &[&str]) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_diptych"));
    program.args(args).env_remove("DIPTYCH_URL").env_remove("DIPTYCH_DEVICE");
    let done = program.output().expect("the program");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (done.status.code().unwrap_or(-1), text(done.stdout), text(done.stderr))
}

fn a_pair_in_band() {
    let host = Host::new();
    assert_eq!(
        host.run(&["list"]),
        "PRIMARY  SECONDARY  STATUS  DONE  C  DP  DS  PACE  IMAGE OF\n"
    );
    let pair = ["00:00", "00:02"];
    let of = |command: &'static str| [command, pair[0], pair[1]];
    // The unit chooses the first reserved volume.
    let made = host.run(&["create", "00:00", "--pace", "fast"]);
    assert_eq!(made, "00:00 -> 00:02: no pair -> paired and not copied\n");
    host.wait("duplex");
    let copied = host.json(&of("split"));
    assert_eq!((&copied["outcome"], &copied["command"]), (&"accepted".into(), &"copy".into()));
    assert!(copied["image"].is_u64(), "{copied}");
    host.wait("split");
    let shown = host.json(&of("show"));
    // What was not said stays.
    assert_eq!((&shown["pace"], &shown["c_tracks"]), (&"fast".into(), &0.into()), "{shown}");
    assert_eq!((&shown["tracks"], &shown["image"]), (&256.into(), &copied["image"]), "{shown}");
    let nothing = "diptych: nothing to do: copy of 00:00 -> 00:02 met paired and copied\n";
    host.refused(&of("copy"), (1, nothing));
    host.run(&["copy", "00:00", "00:02", "--or-nothing"]);
    host.run(&["resync", "00:00", "00:02", "--pace", "7", "--digests"]);
    host.wait("duplex");
    assert_eq!(host.json(&of("show"))["pace"], "7");
    host.run(&of("suspend"));
    host.run(&of("resync"));
    host.wait("duplex");
    host.run(&of("copy"));
    host.wait("split");
    host.run(&of("restore"));
    host.wait("duplex");
    let pairs = host.json(&["list", "--volume", "00:02"]);
    assert_eq!(pairs.as_array().map(Vec::len), Some(1), "{pairs}");
    // The operator is told the same, and more: times, speeds, names.
    let dir = host.array.dir();
    let (_, told, _) = ran(&["pair", "list", "--json", "--dir", dir.to_str().expect("a name")]);
    let mut told: Value = serde_json::from_str(&told).expect(&told);
    for unknown in ["image_at", "tracks_per_second", "held_by"] {
        told[0][unknown] = Value::Null;
    }
    assert_eq!(told, pairs);
    assert_eq!(host.json(&["list", "--volume", "00:01"]), Value::Array(Vec::new()));
    host.run(&of("delete"));
    let gone = "diptych: volumes 00:00 and 00:02 are no pair\n  \
                what to do: diptych inband list tells the pairs\n";
    host.refused(&of("show"), (1, gone));
    assert_eq!(host.served.stop(), 0);
}

fn a_request_is_carried_out_once() {
    let mut host = Host::new();
    host.run(&["create", "00:00", "00:02", "--split", "--sequence", "5"]);
    host.wait("split");
    host.run(&["resync", "00:00", "00:02", "--sequence", "6"]);
    host.wait("duplex");
    let copied = host.run(&["copy", "00:00", "00:02", "--sequence", "7"]);
    host.wait("split");
    host.run(&["resync", "00:00", "00:02", "--sequence", "8"]);
    host.wait("duplex");
    let asks_again = |host: &Host| {
        let again = host.run(&["copy", "00:00", "00:02", "--sequence", "7"]);
        let up_to_image = |text: &str| text.split(", image").next().unwrap_or_default().to_owned();
        assert_eq!(up_to_image(again.trim()), up_to_image(copied.trim()));
        // It is not split a second time.
        host.wait("duplex");
        let other = "diptych: request 7 was another command\n  \
                     what to do: say another --sequence, or none\n";
        host.refused(&["delete", "00:00", "00:02", "--sequence", "7"], (2, other));
    };
    asks_again(&host);
    host = host.again(|served| assert_eq!(served.stop(), 0));
    asks_again(&host);
    // Dropped, it is killed.
    host = host.again(drop);
    asks_again(&host);
    host.run(&["copy", "00:00", "00:02", "--sequence", "9"]);
    host.wait("split");
    assert_eq!(host.served.stop(), 0);
}

fn who_proves_himself() {
    let host = Host::new();
    let settings = "[[iscsi.users]]\nname = \"host\"\nsecret = \"secret secret\"\n";
    std::fs::write(host.array.dir().join("diptych.toml"), settings).expect("a file");
    let host = host.again(|served| assert_eq!(served.stop(), 0));
    let [right, wrong, short] =
        [("right", "secret secret\n"), ("wrong", "another secret"), ("short", "secret")].map(
            |(name, password)| {
                let path = host.array.file(name);
                std::fs::write(&path, password).expect("a file");
                path.to_str().expect("a name").to_owned()
            },
        );
    let list =
        |path: &str| host.ran(&["list", "--json", "--user", "host", "--password-file", path]);
    assert_eq!(list(&right), (0, "[]\n".to_owned(), String::new()));
    let (code, _, said) = list(&wrong);
    assert_eq!(code, 2);
    assert!(said.contains("a wrong user or password"), "{said}");
    let (code, _, said) = list(&short);
    assert!(code == 2 && said.contains("a password has 12 to 128 bytes"), "{code}: {said}");
    let none = "diptych: the target wants a user and a password\n  \
                what to do: say --user and --password-file\n";
    host.refused(&["list"], (2, none));
}

fn what_is_wrong_is_told() {
    let host = Host::new();
    host.refused(
        &["create", "00:00", "00:01"],
        (1, "diptych: volume 00:01 is not reserved as a secondary\n"),
    );
    let check = |args: &[&str], code: i32, expected: &str| {
        let (found, out, said) = ran(&[&["inband"], args].concat());
        assert_eq!(found, code, "{out}{said}");
        assert!(said.contains(expected), "{said}");
    };
    check(&["list"], 2, "which command device?");
    check(&["list", "--url", "http://127.0.0.1/"], 2, "iscsi://HOST:PORT/TARGET/LUN");
    let plain = format!("{}/0", host.url.strip_suffix("/9").expect("LUN 9"));
    let is_plain = format!("{plain} is no command device: it is \"DIPTYCH LDEV\"");
    check(&["list", "--url", &plain], 2, &is_plain);
    check(&["list", "--url", &plain], 2, "diptych lu add PATH LDEV --command-device");
    let nothing = format!("{}/8", host.url.strip_suffix("/9").expect("LUN 9"));
    check(&["list", "--url", &nothing], 2, "is no command device: it is \"\"");
    let elsewhere = host.url.replace(".cl1-a", ".cl9-a");
    check(&["list", "--url", &elsewhere], 2, "there is no such target");
    let url = host.url.clone();
    assert_eq!(host.served.stop(), 0);
    check(&["list", "--url", &url], 2, "nobody answers at 127.0.0.1:");
    check(&["show", "00:00", "payroll", "--url", &url], 2, "invalid value 'payroll'");
}
