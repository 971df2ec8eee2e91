//! Removable media.

use super::bench::Bench;
use crate::scsi::{NexusId, TaskManagement};

const READY: [u8; 6] = [0; 6];
const NONE: &str = "NotReady 3A/00";
const PREVENTED: &str = "IllegalRequest 53/02";

fn start_stop(byte: u8) -> [u8; 6] {
    [0x1B, 0, 0, 0, byte, 0]
}

fn prevent(byte: u8) -> [u8; 6] {
    [0x1E, 0, 0, 0, byte, 0]
}

#[test]
fn a_medium_is_ejected_and_loaded() {
    let mut bench = Bench::new();
    let [host, other] = ["host", "other"].map(|name| bench.login(name));
    bench.check(host, 2, &start_stop(2), &[], "good");
    bench.check(host, 2, &READY, &[], NONE);
    bench.check(host, 2, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[], NONE);
    bench.check(host, 2, &[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[], NONE);
    bench.check(host, 2, &[0x35, 6, 0, 0, 0, 0, 0, 0, 1, 0], &[], NONE);
    bench.check(host, 2, &start_stop(1), &[], NONE);
    bench.check(host, 2, &start_stop(3), &[], "good");
    bench.check(host, 2, &READY, &[], "good");
    bench.check(other, 2, &READY, &[], "UnitAttention 28/00");
    bench.check(other, 2, &READY, &[], "good");
    // Without LOEJ, and with power conditions, nothing is ejected.
    for byte in [0, 1, 0x10, 0x12, 0xF2] {
        bench.check(host, 2, &start_stop(byte), &[], "good");
        bench.check(host, 2, &READY, &[], "good");
    }
    bench.check(host, 1, &start_stop(2), &[], "IllegalRequest 24/00");
    bench.check(host, 1, &start_stop(0), &[], "good");
}

#[test]
fn removal_is_prevented() {
    let mut bench = Bench::new();
    let [host, other] = ["host", "other"].map(|name| bench.login(name));
    bench.check(host, 2, &prevent(1), &[], "good");
    bench.check(host, 2, &prevent(2), &[], "IllegalRequest 24/00");
    for nexus in [host, other] {
        bench.check(nexus, 2, &start_stop(2), &[], PREVENTED);
    }
    bench.check(host, 2, &prevent(0), &[], "good");
    bench.check(host, 2, &start_stop(2), &[], "good");
    bench.check(host, 2, &prevent(1), &[], "good");
    bench.check(host, 2, &start_stop(3), &[], PREVENTED);
}

#[test]
fn what_ends_prevention() {
    fn check(end: impl Fn(&Bench, NexusId)) {
        let mut bench = Bench::new();
        let [host, other] = ["host", "other"].map(|name| bench.login(name));
        bench.check(host, 2, &prevent(1), &[], "good");
        bench.check(other, 2, &start_stop(2), &[], PREVENTED);
        end(&bench, host);
        while bench.said(other, 2, &READY, &[]) != "good" {}
        bench.check(other, 2, &start_stop(2), &[], "good");
    }
    check(|bench, host| bench.target.logout(host));
    check(|bench, _| {
        bench.login("host");
    });
    for function in
        [TaskManagement::UnitReset, TaskManagement::WarmReset, TaskManagement::ColdReset]
    {
        check(|bench, host| {
            bench.manage(host, 2, function);
        });
    }
}
