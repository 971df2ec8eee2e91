//! How long hosts wait while a pair copies.

use super::client::{FioSaid, Load, fio};
use super::server::Unit;
use std::time::Instant;

const VOLUME: &str = "4GiB";
const VOLUME_BYTES: u64 = 4 << 30;
const LOAD: Load = Load { writes: true, bytes: 4096, depth: 8 };
/// Of a run, in seconds: less than a copy takes.
const SECONDS: u64 = 2;
const WANTED: f64 = 3.0;

pub(crate) fn measure(filter: &str) {
    let kinds =
        [("the secondary follows: pending", None), ("an image: SP-pending", Some("--split"))];
    for (name, more) in kinds {
        let what = format!("{LOAD}, at half the rate, while a pair copies at fast pace ({name})");
        if what.contains(filter) {
            measure_kind(&what, more);
        }
    }
}

fn measure_kind(what: &str, more: Option<&'static str>) {
    let unit = Unit::start(VOLUME, "512MiB", "4GiB");
    let uri = unit.uri("nbd://", "/00:00");
    let size = format!("--size={VOLUME_BYTES}");
    let fill = Load { writes: true, bytes: 128 << 10, depth: 8 };
    fio(uri, fill, VOLUME_BYTES >> 17, std::slice::from_ref(&size));
    unit.settle();
    let run = |rate: Option<u64>, requests: u64| -> FioSaid {
        let rate = rate.map(|rate| format!("--rate_iops={rate}"));
        let more: Vec<String> = [Some(size.clone()), rate].into_iter().flatten().collect();
        fio(uri, LOAD, requests, &more)
    };
    let most = run(None, 50_000).figure.per_second;
    let half = (most / 2.0) as u64;
    unit.settle();
    let alone = run(Some(half), half * SECONDS);
    unit.settle();
    let create = ["pair", "create", "00:00", "00:02", "--pace", "fast"].into_iter().chain(more);
    unit.ask(&create.collect::<Vec<_>>());
    let began = Instant::now();
    let beside = run(Some(half), half * SECONDS);
    let took = began.elapsed().as_secs_f64();
    let pair: serde_json::Value =
        serde_json::from_str(&unit.ask(&["pair", "show", "00:00", "00:02", "--json"]))
            .expect("JSON");
    let ratio = beside.p99_us / alone.p99_us;
    println!(
        "bench|{what}, write-back|p99 {:.0} us, p50 {:.0} us, {:.0}/s for {took:.1} s|\
         p99 {:.0} us, p50 {:.0} us, {:.0}/s without|{ratio:.2}|<= {WANTED:.2}|{}",
        beside.p99_us,
        beside.p50_us,
        beside.figure.per_second,
        alone.p99_us,
        alone.p50_us,
        alone.figure.per_second,
        if ratio <= WANTED { "yes" } else { "no" },
    );
    println!("at its end the pair was: {}", pair["status"]);
}
