//! Operators: the commands of the program against a unit that is served.

use crate::Case;
use crate::served::{Array, Served};
use crate::tool::random_file;
use serde_json::Value;
use std::fs;
use std::process::Command;

pub(crate) const CASES: &[Case] = &[
    ("the_life_of_a_pair", &[], the_life_of_a_pair),
    ("what_is_refused_is_told", &[], what_is_refused_is_told),
    ("what_is_waited_for_in_vain_is_told", &[], what_is_waited_for_in_vain_is_told),
    ("who_asks_nobody_is_told", &[], who_asks_nobody_is_told),
    ("shapes_of_json", &[], shapes_of_json),
    ("volumes_come_and_go", &[], volumes_come_and_go),
    ("paths_of_scsi_hosts", &[], paths_of_scsi_hosts),
    ("host_groups_and_users", &[], host_groups_and_users),
    ("groups_and_schedules", &[], groups_and_schedules),
    ("a_volume_in_use_is_not_taken_from_its_host", &["qemu-io"], a_volume_in_use),
    ("completions_of_shells", &[], completions_of_shells),
    ("it_counts_and_is_healthy", &["curl"], it_counts_and_is_healthy),
];

/// An operator of one unit.
struct Operator {
    array: Array,
    served: Served,
}

impl Operator {
    fn new() -> Self {
        let array = Array::new(16);
        let served = array.serve();
        Self { array, served }
    }

    /// Exit code, output and errors of a command.
    fn ran(&self, args: &[&str]) -> (i32, String, String) {
        let dir = self.array.dir();
        ran(&[args, &["--dir", dir.to_str().expect("a name")]].concat())
    }

    /// The output of a command that ends well.
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

    /// What a command that ends otherwise says, and its exit code.
    #[track_caller]
    fn refused(&self, args: &[&str], expected: (i32, &str)) {
        let (code, out, err) = self.ran(args);
        assert_eq!((code, err.as_str()), expected, "{args:?}: {out}");
    }

    /// A file beside the unit, of random bytes.
    fn image(&self, name: &str, bytes: usize) -> String {
        let path = self.array.file(name);
        random_file(&path, bytes, name.len() as u64);
        path.to_str().expect("a name").to_owned()
    }

    /// The contents of a volume.
    #[track_caller]
    fn content(&self, ldev: &str) -> Vec<u8> {
        let path = self.array.file("content");
        self.run(&["ldev", "export", ldev, path.to_str().expect("a name"), "--force"]);
        fs::read(path).expect("a file")
    }

    #[track_caller]
    fn wait(&self, volumes: [&str; 2], status: &str) {
        let [primary, secondary] = volumes;
        let wait = ["pair", "wait", primary, secondary, "--timeout", "1m", "--status", status];
        let shown = self.run(&wait);
        assert!(shown.contains(&format!("status      {status} (")), "{shown}");
    }
}

fn ran(args: &[&str]) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_diptych"));
    let done = program.args(args).env_remove("DIPTYCH_URL").output().expect("the program");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (done.status.code().unwrap_or(-1), text(done.stdout), text(done.stderr))
}

fn the_life_of_a_pair() {
    let operator = Operator::new();
    let [first, second] = [("first", 16 << 20), ("second-one", 3 << 20)]
        .map(|(name, bytes)| operator.image(name, bytes));
    let is_first = |content: &[u8]| content == fs::read(&first).expect("a file");
    operator.run(&["ldev", "rename", "00:00", "payroll"]);
    assert_eq!(operator.run(&["ldev", "import", "payroll", &first]), "16.00 MiB into payroll\n");

    let made = operator.run(&["pair", "create", "payroll", "--pace", "fast"]);
    assert_eq!(made, "00:00 -> 00:02: no pair -> paired and not copied\n");
    let volumes = ["payroll", "00:02"];
    operator.wait(volumes, "duplex");
    let copied = operator.json(&["pair", "copy", "payroll", "00:02"]);
    assert_eq!(copied["from"], "paired and not copied", "{copied}");
    operator.wait(volumes, "split");
    assert!(is_first(&operator.content("00:02")));

    // An old image is not taken for a new one, unless it is as good.
    let nothing = "diptych: nothing to do: copy of 00:00 -> 00:02 met paired and copied\n";
    operator.refused(&["pair", "copy", "payroll", "00:02"], (1, nothing));
    operator.run(&["pair", "split", "payroll", "00:02", "--or-nothing"]);

    operator.run(&["ldev", "import", "payroll", &second, "--force"]);
    let shown = operator.json(&["pair", "show", "payroll", "00:02"]);
    assert_eq!((&shown["dp_tracks"], &shown["ds_tracks"]), (&48.into(), &0.into()), "{shown}");
    assert!(!is_first(&operator.content("payroll")) && is_first(&operator.content("00:02")));
    operator.run(&["pair", "restore", "payroll", "00:02"]);
    operator.wait(volumes, "duplex");
    assert!(is_first(&operator.content("payroll")));

    operator.run(&["pair", "suspend", "payroll", "00:02"]);
    operator.run(&["ldev", "import", "payroll", &second, "--force"]);
    operator.run(&["pair", "resync", "payroll", "00:02", "--pace", "7", "--limit=5000/s"]);
    operator.wait(volumes, "duplex");
    operator.run(&["pair", "copy", "payroll", "00:02"]);
    operator.wait(volumes, "split");
    assert!(operator.content("payroll") == operator.content("00:02"));
    let paced = operator.json(&["pair", "pace", "payroll", "00:02", "--limit", "none"]);
    assert_eq!((&paced["pace"], &paced["limit"]), (&"7".into(), &Value::Null));

    operator.run(&["pair", "delete", "payroll", "00:02"]);
    operator.run(&["pair", "wait", "payroll", "00:02", "--status", "simplex"]);
    let gone = "diptych: volumes 00:00 and 00:02 are no pair\n  \
                what to do: diptych pair list tells the pairs\n";
    operator.refused(&["pair", "show", "payroll", "00:02"], (1, gone));
    let history = operator.run(&["pair", "history", "payroll", "00:02"]);
    let commands = ["create", "copy", "restore", "suspend", "resync", "delete"];
    for command in commands {
        assert!(history.contains(&format!("{command} accepted")), "{command}\n{history}");
    }
    assert_eq!(operator.served.stop(), 0);
    // Names stay.
    let served = operator.array.serve();
    let operator = Operator { array: operator.array, served };
    assert_eq!(operator.json(&["ldev", "show", "payroll"])["ldev"], "00:00");
}

fn what_is_refused_is_told() {
    let operator = Operator::new();
    let check = |args: &[&str], code: i32, expected: &str| {
        operator.refused(args, (code, expected));
    };
    check(
        &["ldev", "show", "00:99"],
        1,
        "diptych: volume 00:99 does not exist\n  what to do: diptych ldev list tells the volumes\n",
    );
    check(
        &["ldev", "show", "nobody"],
        1,
        "diptych: no volume is called \"nobody\"\n  what to do: diptych ldev list tells the volumes\n",
    );
    check(
        &["ldev", "show", "a/b"],
        2,
        "diptych: \"a/b\" is no volume and no group: 00:1A, or letters, digits, dots, dashes, \
         underscores\n",
    );
    check(
        &["ldev", "show", "00:zz"],
        2,
        "diptych: a volume is written CU:LDEV in hexadecimal, as in 00:1A\n",
    );
    check(
        &["pair", "create", "00:00", "00:01"],
        1,
        "diptych: volume 00:01 is not reserved as a secondary\n  \
         what to do: diptych ldev reserve sets it aside\n",
    );
    check(
        &["pair", "copy", "00:00", "00:02"],
        1,
        "diptych: nothing to do: copy of 00:00 -> 00:02 met no pair\n",
    );
    check(
        &["group", "copy", "none"],
        1,
        "diptych: there is no consistency group none\n  \
         what to do: diptych group list tells the groups\n",
    );
    let nightly = ["schedule", "add", "--cron", "nightly", "--pair", "00:00", "00:02"];
    let (code, _, err) = operator.ran(&nightly);
    assert_eq!(code, 2, "{err}");
}

fn what_is_waited_for_in_vain_is_told() {
    let operator = Operator::new();
    let check = |args: &[&str], code: i32, expected: &str| {
        operator.refused(args, (code, expected));
    };
    operator.run(&["pair", "create", "00:00", "00:02", "--no-copy"]);
    check(
        &["pair", "wait", "00:00", "00:02", "--timeout", "300ms"],
        3,
        "diptych: waited 300ms: the pair of 00:00 and 00:02 is idle\n",
    );
    operator.run(&["pair", "suspend", "00:00", "00:02"]);
    check(
        &["pair", "wait", "00:00", "00:02"],
        1,
        "diptych: the pair of 00:00 and 00:02 is suspend, and will not be split by itself\n",
    );
    check(
        &["pair", "copy", "00:00", "00:02", "--json"],
        1,
        "{\"code\":\"nothing\",\"message\":\"nothing to do: copy of 00:00 -> 00:02 met suspended\"}\n",
    );
    check(
        &["ldev", "export", "00:02", operator.array.file("x").to_str().expect("a name")],
        1,
        "diptych: volume 00:02 may not be read now: it is the secondary of a pair that is suspended\n  \
         what to do: the pair's status decides: split it, or use the other volume\n",
    );
}

fn who_asks_nobody_is_told() {
    let (code, _, err) = ran(&["status"]);
    let nobody = "diptych: which unit? say --dir DIR, --url URL, or set DIPTYCH_URL\n";
    assert_eq!((code, err.as_str()), (2, nobody));
    let (code, _, err) = ran(&["status", "--url", "unix:/nowhere/control.sock"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("diptych: no unit answers at unix:/nowhere/control.sock: "), "{err}");
    assert_eq!(ran(&["status", "--url", "ftp://x"]).0, 2);
    assert_eq!(ran(&["pair", "wait", "a", "b", "--status", "done"]).0, 2);
}

/// Keys and kinds of values; of a list, those of its first.
fn shape(value: &Value) -> String {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    match value {
        Value::Array(list) => list.first().map_or_else(|| "[]".to_owned(), shape),
        Value::Object(object) => {
            let parts = object.iter().map(|(key, value)| format!("{key} {}", kind(value)));
            let parts: Vec<_> = parts.collect();
            parts.chunks(5).map(|line| format!("\n  {}", line.join(", "))).collect()
        }
        other => kind(other).to_owned(),
    }
}

fn shapes_of_json() {
    let operator = Operator::new();
    operator.run(&["pair", "create", "00:00", "00:02", "--split"]);
    operator.wait(["00:00", "00:02"], "split");
    operator.run(&["group", "define", "g", "00:00,00:02"]);
    operator.run(&["schedule", "add", "--every", "1h", "--group", "g"]);
    let commands: [&[&str]; 7] = [
        &["status"],
        &["ldev", "list"],
        &["pair", "show", "00:00", "00:02"],
        &["pair", "resync", "00:00", "00:02"],
        &["group", "list"],
        &["schedule", "list"],
        &["pair", "history"],
    ];
    let shapes =
        commands.map(|args| format!("{}:{}\n", args.join(" "), shape(&operator.json(args))));
    insta::assert_snapshot!(shapes.concat(), @r"
    status:
      blocked_volumes number, cache object, groups number, health object, id text
      log object, pairs object, schedules number, uptime_s number, utc text
      version text, volumes number
    ldev list:
      blocks number, bytes number, drive number, emulation text, in_use bool
      ldev text, name null, reserved bool, role text, state text
      stored_tracks number, tracks number, undefined bool
    pair show 00:00 00:02:
      a_tracks number, c_tracks number, copied_tracks number, copying bool, done_percent number
      dp_tracks number, ds_tracks number, held_by text, image number, image_at text
      lanes number, limit null, number text, pace text, primary text
      primary_name null, protected_tracks number, quick bool, secondary text, secondary_name null
      status text, status_text text, tracks number, tracks_per_second number, unreadable_tracks number
    pair resync 00:00 00:02:
      command text, from text, image null, outcome text, pair text
      primary text, secondary text, to text
    group list:
      name text, pairs list
    schedule list:
      id number, last null, next text, running bool, scope object
      scope_text text, when text
    pair history:
      entries list, next number, oldest number
    ");
}

fn volumes_come_and_go() {
    let operator = Operator::new();
    let made = operator.json(&["ldev", "create", "--size", "1MiB", "--name", "small"]);
    assert_eq!((&made["ldev"], &made["blocks"]), (&"00:04".into(), &2048.into()), "{made}");
    operator.run(&["ldev", "create", "01:10", "--size", "1000", "--reserved"]);
    operator.refused(
        &["ldev", "create", "--size", "1MiB", "--name", "small"],
        (1, "diptych: volume 00:04 is called \"small\" already\n"),
    );
    operator.refused(
        &["ldev", "create", "01:10", "--size", "1MiB"],
        (1, "diptych: there is a volume 01:10 already\n"),
    );
    let (code, _, err) = operator.ran(&["ldev", "create", "--size", "1GiB"]);
    assert_eq!(code, 1);
    assert!(err.contains("free sectors in a row"), "{err}");

    let image = operator.image("image", 1 << 20);
    operator.run(&["ldev", "import", "small", &image]);
    assert!(operator.content("small") == fs::read(&image).expect("a file"));
    let odd = operator.image("odd", 700);
    let (code, _, err) = operator.ran(&["ldev", "import", "00:01", &odd]);
    assert_eq!((code, err.contains("they are whole blocks of 512 bytes")), (2, true), "{err}");
    let large = operator.image("large", 17 << 20);
    assert_eq!(operator.ran(&["ldev", "import", "00:01", &large]).0, 2);
    operator.run(&["ldev", "format", "small", "--force"]);
    assert!(operator.content("small").iter().all(|byte| *byte == 0));
    // Zeroes need no storage.
    fs::write(&image, vec![0; 1 << 20]).expect("a file");
    operator.run(&["ldev", "import", "small", &image, "--force"]);
    assert_eq!(operator.json(&["ldev", "show", "small"])["stored_tracks"], 0);

    operator.run(&["ldev", "reserve", "small"]);
    assert_eq!(operator.json(&["ldev", "show", "small"])["reserved"], true);
    operator.run(&["ldev", "reserve", "small", "--off"]);
    operator.run(&["ldev", "release", "small"]);
    operator.run(&["ldev", "accept", "small"]);
    operator.run(&["ldev", "delete", "small", "--force"]);
    operator.run(&["ldev", "create", "00:04", "--size", "1MiB"]);
    assert_eq!(operator.json(&["ldev", "show", "00:04"])["name"], Value::Null);
    operator.run(&["pair", "create", "00:00", "00:02"]);
    operator.refused(
        &["ldev", "delete", "00:00"],
        (1, "diptych: volume 00:00 is in pair 0.0\n  what to do: delete its pairs first\n"),
    );
    insta::assert_snapshot!(operator.run(&["ldev", "list"]), @r"
    LDEV   NAME  TYPE         SIZE  STORED TRACKS  ROLE       STATE   FLAGS
    00:00  -     OPEN-V  16.00 MiB       0 of 256  primary    normal  -
    00:01  -     OPEN-V  16.00 MiB       0 of 256  simplex    normal  -
    00:02  -     OPEN-V  16.00 MiB       0 of 256  secondary  normal  reserved
    00:03  -     OPEN-V  16.00 MiB       0 of 256  simplex    normal  reserved
    00:04  -     OPEN-V   1.00 MiB        0 of 16  simplex    normal  -
    01:10  -     OPEN-V   1.00 KiB         0 of 1  simplex    normal  reserved
    ");
}

fn paths_of_scsi_hosts() {
    let operator = Operator::new();
    operator.run(&["lu", "remove", "CL1-A:1"]);
    let added = operator.run(&["lu", "add", "CL2-A:7", "00:01", "--write-protected", "true"]);
    assert_eq!(added, "CL2-A:7 leads to volume 00:01\n");
    operator.run(&["lu", "add", "CL2-A:8", "00:02", "--command-device"]);
    let taken = "diptych: logical unit CL1-A:0 is volume 00:00 already\n";
    operator.refused(&["lu", "add", "CL1-A:0", "00:01"], (1, taken));
    operator.run(&["ldev", "delete", "00:03"]);
    assert_eq!(operator.served.stop(), 0);
    let served = operator.array.serve();
    let operator = Operator { array: operator.array, served };
    insta::assert_snapshot!(operator.run(&["lu", "list"]), @r"
    PATH     LDEV   NAME  FLAGS
    CL1-A:0  00:00  -     thin
    CL1-A:2  00:02  -     thin, command device
    CL2-A:7  00:01  -     thin, write-protected
    CL2-A:8  00:02  -     thin, command device
    ");
}

/// Who may log in, and where, is kept; secrets are told by nobody.
fn host_groups_and_users() {
    let operator = Operator::new();
    let made = operator.run(&["host-group", "create", "CL1-A", "--name", "db"]);
    assert!(made.starts_with("made host group CL1-A.1: iqn."), "{made}");
    operator.run(&["host-group", "add", "CL1-A.1", "iqn.2001-04.com.example:db1"]);
    operator.run(&["lu", "add", "CL1-A.1:0", "00:00"]);
    let secret = operator.array.file("secret");
    fs::write(&secret, "twelve bytes or more\n").expect("a file");
    let secret = secret.to_str().expect("a name");
    let added = operator.run(&["user", "add", "db1", "--secret-file", secret]);
    assert_eq!(added, "added user db1\n");
    assert_eq!(operator.ran(&["user", "add", "db2", "--secret", "twelve bytes or more"]).0, 2);
    fs::write(secret, "short").expect("a file");
    let short = "diptych: a secret has 12 to 128 bytes\n";
    operator.refused(&["user", "change", "db1", "--secret-file", secret], (2, short));
    assert_eq!(operator.served.stop(), 0);
    let served = operator.array.serve();
    let operator = Operator { array: operator.array, served };
    insta::assert_snapshot!(operator.run(&["host-group", "list"]), @r"
    GROUP    NAME     LUNS  SESSIONS  ADMITS
    CL1-A    default     4         0  everybody
    CL1-A.1  db          1         0  iqn.2001-04.com.example:db1
    CL1-B    default     0         0  everybody
    CL2-A    default     0         0  everybody
    CL2-B    default     0         0  everybody
    ");
    insta::assert_snapshot!(operator.run(&["user", "list"]), @r"
    USER  KEPT IN
    db1   the unit
    ");
    let last = "diptych: this is the last user: without one, everybody may log in without a proof\n  \
                what to do: add another first, or force it\n";
    operator.refused(&["user", "remove", "db1"], (1, last));
    operator.run(&["user", "remove", "db1", "--force"]);
    operator.run(&["host-group", "delete", "CL1-A.1"]);
    let none = "diptych: there is no host group CL1-A.1\n  \
                what to do: diptych host-group list tells the host groups\n";
    operator.refused(&["host-group", "delete", "CL1-A.1"], (1, none));
}

fn groups_and_schedules() {
    let operator = Operator::new();
    for (primary, secondary) in [("00:00", "00:02"), ("00:01", "00:03")] {
        operator.run(&["pair", "create", primary, secondary]);
        operator.wait([primary, secondary], "duplex");
    }
    operator.run(&["group", "define", "both", "00:00,00:02", "00:01,00:03"]);
    let copied = operator.json(&["group", "copy", "both", "--drain-limit", "10s"]);
    assert_eq!((&copied["outcome"], &copied["pairs"]), (&"accepted".into(), &2.into()));
    insta::assert_snapshot!(operator.run(&["group", "list"]), @r"
    GROUP  PRIMARY  SECONDARY  STATUS
    both   00:00    00:02      split
    both   00:01    00:03      split
    ");
    operator.refused(
        &["group", "copy", "both"],
        (1, "diptych: nothing to do: copy of group both: 00:00 -> 00:02 is paired and copied\n"),
    );
    let wait = |status: &str| {
        operator.run(&["group", "wait", "both", "--status", status, "--timeout", "1m"])
    };
    assert_eq!(wait("split").lines().count(), 3);
    operator.run(&["group", "resync", "both"]);
    wait("duplex");
    operator.run(&["group", "suspend", "both"]);

    let add = ["schedule", "add", "--at", "2199-01-01T00:00:00Z", "--group", "both"];
    assert_eq!(operator.run(&add), "added schedule 1, at 2199-01-01T00:00:00Z: group both\n");
    let at = "2199-01-01T00:00:00Z";
    assert_eq!(operator.json(&["schedule", "list"])[0]["next"], at);
    assert_eq!(operator.ran(&["schedule", "add", "--group", "both"]).0, 2);
    operator.run(&["schedule", "remove", "1"]);
    operator.refused(&["schedule", "remove", "1"], (1, "diptych: there is no schedule 1\n"));
    operator.run(&["group", "remove", "both"]);
    assert_eq!(operator.json(&["group", "list"]), Value::Array(Vec::new()));
}

/// A host writes the secondary of a split pair: it keeps it, unless that is forced.
fn a_volume_in_use() {
    let operator = Operator::new();
    operator.run(&["pair", "create", "00:00", "00:02", "--split"]);
    operator.wait(["00:00", "00:02"], "split");
    let write = ["-f", "raw", "-c", "write -P 7 0 64k"];
    crate::tool::run("qemu-io", write.into_iter().chain([operator.served.tcp("00:02")]));
    let in_use = "diptych: volume 00:02 is in use by a host, who would lose it\n  \
                  what to do: detach it from its hosts first, or force it\n";
    for command in ["resync", "restore", "suspend"] {
        operator.refused(&["pair", command, "00:00", "00:02"], (1, in_use));
    }
    operator.refused(&["ldev", "format", "00:02"], (1, in_use));
    operator.run(&["pair", "resync", "00:00", "00:02", "--force"]);
}

fn completions_of_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = ran(&["completions", shell]);
        assert_eq!(code, 0);
        for word in ["resync", "completions", "--or-nothing"] {
            assert!(out.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
    }
    assert_eq!(ran(&["completions", "other"]).0, 2);
}

fn it_counts_and_is_healthy() {
    let operator = Operator::new();
    let socket = operator.array.dir().join("control.sock");
    let curl = |path: &str| {
        let url = format!("http://localhost{path}");
        let socket = socket.to_str().expect("a name");
        crate::tool::run("curl", ["-sS", "--unix-socket", socket, &url])
    };
    operator.run(&["pair", "create", "00:00", "00:02", "--split"]);
    operator.wait(["00:00", "00:02"], "split");
    let metrics = curl("/metrics");
    let copied =
        "diptych_pair_copied_bytes_total{primary=\"00:00\",secondary=\"00:02\"} 16777216\n";
    assert!(metrics.contains(copied) && metrics.contains("\ndiptych_up 1\n"), "{metrics}");
    assert_eq!(curl("/healthz"), r#"{"healthy":true,"why":null}"#);
    let nothing = r#"{"code":"no-route","message":"there is no GET /v2"}"#;
    assert_eq!(curl("/v2"), nothing);
}
