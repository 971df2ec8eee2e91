//! Hosts made by others, against a unit and against servers made by others: ratios of one run, the same
//! client for both.
//!
//! The unit runs in write-back mode with a log of 4 GiB, its volumes in cache; each row of writes has a
//! unit of its own, that begins with an empty log and with everything on its drives. The servers take
//! turns, and each figure is the best of its turns. Beside it stands what the client itself took: CPU time
//! an operation, and the part of its one core. A client that takes 95 % of it is what the row measures: such
//! a row is met as `client-bound`.
//!
//! | server | what |
//! |---|---|
//! | nbdkit | its memory plugin: no file, no log |
//! | qsd | qemu-storage-daemon over a file in the page cache, no log |
//! | tgtd | tgt over a file in the page cache, no log |
//!
//! `cargo bench -p diptych --bench hosts [-- FILTER]`; servers and clients that are not there leave their
//! rows out, and it says so.
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

mod client;
mod disk;
mod latency;
mod server;

use client::{Client, Figure, Load};
use server::{Server, Servers};
use std::env;

/// Turns of each server.
const TURNS: usize = 3;
/// From here on it is the client that is measured.
const CLIENT_BOUND_PERCENT: f64 = 95.0;

/// A load, and what is wanted of it beside others.
struct Row {
    client: Client,
    load: Load,
    beside: &'static [(Server, f64)],
}

const NBD: &[(Server, f64)] = &[(Server::Nbdkit, 1.3), (Server::Qsd, 2.0)];
const NBD_ALONE: &[(Server, f64)] = &[(Server::Nbdkit, 1.0), (Server::Qsd, 2.0)];
const NBD_READS: &[(Server, f64)] = &[(Server::Nbdkit, 1.0), (Server::Qsd, 2.0)];
const NBD_BURSTS: &[(Server, f64)] = &[(Server::Nbdkit, 0.8), (Server::Qsd, 2.0)];
const ISCSI: &[(Server, f64)] = &[(Server::Tgtd, 3.0)];
const ISCSI_LARGE: &[(Server, f64)] = &[(Server::Tgtd, 2.5)];

const fn load(writes: bool, bytes: u32, depth: u32) -> Load {
    Load { writes, bytes, depth }
}

const ROWS: [Row; 17] = {
    use Client::{Fio, QemuImg, QemuImgIscsi};
    let large = 128 << 10;
    [
        Row { client: Fio, load: load(false, 4096, 32), beside: NBD },
        Row { client: Fio, load: load(true, 4096, 32), beside: NBD },
        Row { client: Fio, load: load(false, 4096, 1), beside: NBD_ALONE },
        Row { client: Fio, load: load(true, 4096, 1), beside: NBD_ALONE },
        Row { client: Fio, load: load(false, large, 8), beside: NBD_READS },
        Row { client: Fio, load: load(true, large, 8), beside: NBD_BURSTS },
        Row { client: QemuImg, load: load(false, 4096, 32), beside: NBD },
        Row { client: QemuImg, load: load(true, 4096, 32), beside: NBD },
        Row { client: QemuImg, load: load(false, 4096, 1), beside: NBD_ALONE },
        Row { client: QemuImg, load: load(true, 4096, 1), beside: NBD_ALONE },
        Row { client: QemuImg, load: load(false, large, 8), beside: NBD_READS },
        Row { client: QemuImg, load: load(true, large, 8), beside: NBD_BURSTS },
        Row { client: QemuImgIscsi, load: load(false, 4096, 32), beside: ISCSI },
        Row { client: QemuImgIscsi, load: load(true, 4096, 32), beside: ISCSI },
        Row { client: QemuImgIscsi, load: load(false, large, 8), beside: ISCSI_LARGE },
        Row { client: QemuImgIscsi, load: load(true, large, 8), beside: ISCSI_LARGE },
        Row { client: QemuImgIscsi, load: load(false, large, 1), beside: ISCSI_LARGE },
    ]
};

fn main() {
    let filter = env::args().skip(1).find(|arg| !arg.starts_with("--")).unwrap_or_default();
    for row in ROWS {
        let what = format!("{}: {}", row.client, row.load);
        if what.contains(&filter) {
            measure(&row, &what);
        }
    }
    disk::measure(&filter);
    latency::measure(&filter);
}

/// Measures a row, and prints a line for each server beside ours.
fn measure(row: &Row, what: &str) {
    if let Some(missing) = row.client.missing() {
        println!("{what}: left out, {missing}");
        return;
    }
    let others = row.beside.iter().filter(|(server, _)| server.is_there());
    let others: Vec<(Server, f64)> = others.copied().collect();
    let servers = Servers::start(others.iter().map(|(server, _)| *server));
    let fill = Load { writes: true, bytes: 128 << 10, depth: 8 };
    let all = || std::iter::once(Server::Ours).chain(others.iter().map(|(server, _)| *server));
    for server in all() {
        row.client.run(servers.uri(row.client, server), fill, client::Length::Volume);
    }
    let mut best: Vec<Option<Figure>> = vec![None; 1 + others.len()];
    for _ in 0..TURNS {
        for (server, best) in all().zip(&mut best) {
            servers.settle();
            let length = client::Length::of(row.load);
            let figure = row.client.run(servers.uri(row.client, server), row.load, length);
            if best.is_none_or(|best| best.per_second < figure.per_second) {
                *best = Some(figure);
            }
        }
    }
    let figures: Vec<Figure> = best.into_iter().flatten().collect();
    for ((server, wanted), theirs) in others.iter().zip(&figures[1..]) {
        print_row(what, row.load, figures[0], (*server, *theirs), *wanted);
    }
}

fn print_row(
    what: &str,
    load: Load,
    ours: Figure,
    (server, theirs): (Server, Figure),
    wanted: f64,
) {
    let ratio = ours.per_second / theirs.per_second;
    let bound = ours.client_percent >= CLIENT_BOUND_PERCENT;
    let met = if bound || ratio >= wanted { "yes" } else { "no" };
    let note = if bound { ", client-bound" } else { "" };
    println!(
        "bench|{what}, write-back|{}{note}|{} {server}|{ratio:.2}|>= {wanted:.2}|{met}",
        ours.text(load),
        theirs.text(load),
    );
}
