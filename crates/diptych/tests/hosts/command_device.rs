//! Pair commands in band, by an initiator that knows nothing of them: a host writes a block, and reads what
//! came of it.

use crate::Case;
use crate::served::{Array, Served};
use crate::tool::{self, ran, random_file, run};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] =
    &[("pair_commands_by_qemu", &["qemu-img", "qemu-io", tool::QEMU_ISCSI], pair_commands_by_qemu)];

/// The command device.
const LUN: u16 = 1;
const BLOCK_BYTES: usize = 512;
/// Command codes, as `docs/format.md` has them.
const CREATE: u16 = 211;
const DELETE: u16 = 212;
const COPY: u16 = 213;
const RESYNC: u16 = 214;
const SUSPEND: u16 = 1509;
/// Flag of create: the initial copy.
const INITIAL_COPY: u8 = 0x02;
/// Results of an answer block.
const ACCEPTED: u16 = 1;
const NOTHING: u16 = 2;
const REFUSED: u16 = 3;

/// A request: a sequence number, and a command block for 00:00 and the volume.
fn request(sequence: u64, code: u16, secondary: u8, flags: u8) -> Vec<u8> {
    let mut block = Vec::new();
    block.extend(b"DCRQ");
    block.extend([1, 0, 0, 0]);
    block.extend(sequence.to_le_bytes());
    block.extend(b"DCMB");
    block.extend([1, 0]);
    block.extend(code.to_le_bytes());
    let (pace, lanes) = (15, 1);
    block.extend([0, 0, 0, secondary, pace, lanes, flags, 0]);
    block.extend([0; 8]);
    block.resize(BLOCK_BYTES, 0);
    block
}

/// What a host finds in a block of the command device.
struct Answer(Vec<u8>);

impl Answer {
    fn number(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.0[at..at + 2].try_into().expect("two bytes"))
    }

    fn sequence(&self) -> u64 {
        u64::from_le_bytes(self.0[8..16].try_into().expect("eight bytes"))
    }

    /// Result, status met and status now, of the outcome.
    fn outcome(&self) -> [u16; 3] {
        assert_eq!((&self.0[..4], &self.0[16..20]), (&b"DCAN"[..], &b"DCOB"[..]));
        assert_eq!(self.number(6), 2, "done");
        [22, 32, 34].map(|at| self.number(at))
    }

    /// Status of the pair now, and tracks that are still to be copied.
    fn pair(&self) -> Option<(u16, u64)> {
        let pair = &self.0[64..64 + 128];
        if pair.iter().all(|&byte| byte == 0) {
            return None;
        }
        assert_eq!(pair[..4], *b"DCPI");
        let left = u64::from_le_bytes(pair[48..56].try_into().expect("eight bytes"));
        Some((self.number(64 + 6), left))
    }
}

struct Host {
    array: Array,
    served: Served,
}

impl Host {
    fn new() -> Self {
        let array = Array::new(16);
        let served = array.serve();
        let host = Self { array, served };
        host.operate(&["lu", "add", "CL1-B:0", "00:01", "--command-device", "true"]);
        host
    }

    fn operate(&self, args: &[&str]) -> String {
        let mut diptych = Command::new(env!("CARGO_BIN_EXE_diptych"));
        let done = diptych.args(args).arg("--dir").arg(self.array.dir()).output();
        let done = done.expect("the program");
        assert!(done.status.success(), "{args:?}: {done:?}");
        String::from_utf8(done.stdout).expect("text")
    }

    /// Writes a request and reads the newest answer, by one initiator in one session.
    #[track_caller]
    fn ask(&self, request: &[u8]) -> Answer {
        let path = self.array.file("request");
        std::fs::write(&path, request).expect("a file");
        let write = format!("write -s {} 0 {BLOCK_BYTES}", text(&path));
        let url = self.served.iscsi(LUN);
        block_of(&run("qemu-io", ["-f", "raw", "-c", &write, "-c", "read -v 0 512", url]))
    }

    /// Reads a block.
    fn block(&self, no: usize) -> Answer {
        let read = format!("read -v {} {BLOCK_BYTES}", no * BLOCK_BYTES);
        block_of(&run("qemu-io", ["-f", "raw", "-c", &read, self.served.iscsi(LUN)]))
    }

    /// Asks for the pair until it has the status.
    fn wait(&self, status: u16) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let pair = self.block(0).pair();
            if pair.is_some_and(|(now, left)| now == status && left == 0) {
                return;
            }
            assert!(Instant::now() < until, "{pair:?}");
            diptych::sync::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a name")
}

/// The block out of what `read -v` prints: an offset, 16 bytes and their letters a line.
fn block_of(said: &str) -> Answer {
    let mut bytes = Vec::new();
    for line in said.lines() {
        let Some((offset, rest)) = line.split_once(":  ") else { continue };
        assert_eq!(
            usize::from_str_radix(offset, 16).ok().map(|at| at % BLOCK_BYTES),
            Some(bytes.len())
        );
        let words = rest.split(' ').take(16);
        bytes.extend(words.map(|word| u8::from_str_radix(word, 16).expect(line)));
    }
    assert_eq!(bytes.len(), BLOCK_BYTES, "{said}");
    Answer(bytes)
}

fn pair_commands_by_qemu() {
    let host = Host::new();
    let image = host.array.file("image");
    random_file(&image, 16 << 20, 21);
    let (primary, secondary) = (host.served.iscsi(0), host.served.iscsi(2));
    let copied = |to: &str| {
        run("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", text(&image), to]);
    };
    copied(primary);

    let create = request(7, CREATE, 2, INITIAL_COPY);
    let created = host.ask(&create);
    assert_eq!((created.sequence(), created.outcome()), (7, [ACCEPTED, 801, 802]));
    let copy = host.ask(&request(8, COPY, 2, 0));
    let [result, met, _] = copy.outcome();
    assert_eq!((copy.sequence(), result, met), (8, ACCEPTED, 802));
    host.wait(804);
    run("qemu-img", ["compare", "-f", "raw", "-F", "raw", text(&image), secondary]);

    // A request of a number that is known is not carried out again.
    let again = host.ask(&create);
    assert_eq!((again.sequence(), again.pair()), (8, Some((804, 0))));
    let known = host.block(1 + 7);
    assert_eq!((known.sequence(), known.outcome()), (7, created.outcome()));
    // Another of that number is none.
    let path = host.array.file("request");
    std::fs::write(&path, request(7, DELETE, 2, 0)).expect("a file");
    let write = format!("write -s {} 0 512", text(&path));
    let (status, out, err) = ran("qemu-io", ["-f", "raw", "-c", &write, host.served.iscsi(LUN)]);
    assert!(!status.success() && format!("{out}{err}").contains("write failed"), "{out}{err}");

    assert_eq!(host.ask(&request(9, COPY, 2, 0)).outcome()[..2], [NOTHING, 804]);
    // 00:03 is in no pair; 00:01 is not reserved.
    assert_eq!(host.ask(&request(10, SUSPEND, 3, 0)).outcome()[0], NOTHING);
    assert_eq!(host.ask(&request(11, CREATE, 1, INITIAL_COPY)).outcome()[0], REFUSED);
    assert_eq!(host.ask(&request(12, RESYNC, 2, 0)).outcome(), [ACCEPTED, 804, 802]);
    assert_eq!(host.ask(&request(13, SUSPEND, 2, 0)).outcome(), [ACCEPTED, 802, 806]);
    let deleted = host.ask(&request(14, DELETE, 2, 0));
    assert_eq!((deleted.outcome(), deleted.pair()), ([ACCEPTED, 806, 801], None));
    assert_eq!(host.operate(&["pair", "list", "--json"]).trim(), "[]");
    assert_eq!(host.served.stop(), 0);
}
