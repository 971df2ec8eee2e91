//! What a pair's status lets hosts do, as they see it.

use super::bench::{Bench, ldev};
use crate::Forbidden;
use diptych_shared::PairStatus;

const READY: [u8; 6] = [0; 6];
const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const WRITE: [u8; 10] = [0x2A, 0, 0, 0, 0, 0, 0, 0, 1, 0];

fn forbid(bench: &mut Bench, why: Option<Forbidden>) {
    bench.disks.get_mut(&ldev(1)).expect("a volume").forbids = why;
    bench.access.changed(ldev(1));
}

#[test]
fn refusals_say_why() {
    fn check(why: Forbidden, read: &str, write: &str) {
        let mut bench = Bench::new();
        let host = bench.login("host");
        forbid(&mut bench, Some(why));
        bench.check(host, 1, &READ, &[], "UnitAttention 2A/01");
        bench.check(host, 1, &READ, &[], read);
        bench.check(host, 1, &READY, &[], read);
        bench.check(host, 1, &WRITE, &[0; 512], write);
        // Hosts find the volume all the same, and that it is not to be written.
        bench.check(host, 1, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], "good");
        assert_eq!(bench.run(host, 1, &[0x1A, 8, 0x3F, 0, 255, 0], &[]).data_in[2], 0x90);
        bench.check(host, 1, &[0x12, 1, 0xB0, 0, 96, 0], &[], "good");
    }
    use Forbidden::{Blocked, Reserved, Secondary};
    check(Secondary(PairStatus::PairedNotCopied), "NotReady 04/0B", "DataProtect 27/03");
    check(Secondary(PairStatus::CopyInProgress), "NotReady 04/0B", "DataProtect 27/03");
    check(Secondary(PairStatus::Restoring), "NotReady 04/0C", "DataProtect 27/03");
    check(Secondary(PairStatus::Suspended), "NotReady 04/03", "DataProtect 27/04");
    check(Reserved, "good", "DataProtect 27/06");
    check(Blocked, "HardwareError 3E/01", "HardwareError 3E/01");
}

#[test]
fn every_session_is_told_once_of_each_change() {
    let mut bench = Bench::new();
    let hosts = ["a", "b", "c"].map(|name| bench.login(name));
    for why in [Some(Forbidden::Reserved), None] {
        forbid(&mut bench, why);
        forbid(&mut bench, why);
        for host in hosts {
            bench.check(host, 1, &READ, &[], "UnitAttention 2A/01");
            bench.check(host, 1, &READ, &[], "good");
            bench.check(host, 2, &READ, &[], "good");
        }
    }
    let late = bench.login("late");
    bench.check(late, 1, &READ, &[], "good");
}
