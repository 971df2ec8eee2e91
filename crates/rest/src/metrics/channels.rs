//! Hosts: their connections, and what the ports of logical units carried for them.

use super::text::{Kind, Text};
use crate::management::App;
use crate::server::{Scsi, Servers};
use diptych_cha::{ChannelSnapshot, OpKind, Traffic};
use diptych_rt::net::ServerWatch;
use std::collections::BTreeMap;

/// Connections of each protocol, and what they are attached to.
pub(super) fn connections(app: &App, text: &mut Text) {
    let Servers { watched: servers, budget } = &app.servers;
    let mut each = |name, kind, help: &str, value: &dyn Fn(&ServerWatch) -> u64| {
        let mut family = text.family(name, kind, help);
        for server in servers {
            family.sample(&[("protocol", &server.protocol())], value(server));
        }
    };
    each("diptych_connections", Kind::Gauge, "Connections that there are.", &|server| {
        server.connections().len() as u64
    });
    let help = "Connections that were accepted.";
    each("diptych_connections_accepted_total", Kind::Counter, help, &|server| server.counts().0);
    let help = "Connections that were refused because there were too many.";
    each("diptych_connections_refused_total", Kind::Counter, help, &|server| server.counts().1);
    let help = "Connections attached to a volume (nbd) or logged in at a target (iscsi).";
    let mut family = text.family("diptych_attached_connections", Kind::Gauge, help);
    for server in servers {
        let mut attached: BTreeMap<String, usize> = BTreeMap::new();
        for to in server.connections().into_iter().filter_map(|connection| connection.attached) {
            *attached.entry(to).or_default() += 1;
        }
        for (to, count) in &attached {
            family.sample(&[("protocol", &server.protocol()), ("to", to)], count);
        }
    }
    let Some(budget) = budget else { return };
    let gauges: [(&'static str, &str, usize); 3] = [
        ("diptych_payload_size_bytes", "What all connections may keep together.", budget.bytes()),
        ("diptych_payload_bytes", "What they keep for requests under way.", budget.used()),
        ("diptych_payload_waiters", "Connections that wait for room.", budget.waiters()),
    ];
    for (name, help, value) in gauges {
        text.one(name, Kind::Gauge, help, value);
    }
}

/// What the ports of logical units carried.
pub(super) fn ports(scsi: &Scsi, text: &mut Text) {
    let adapter = scsi.target.adapter();
    let (cha, ports) = (adapter.no(), adapter.counters_by_port().collect::<Vec<_>>());
    let mut kinds = |name, help: &str, value: &dyn Fn(Traffic) -> u64| {
        let mut family = text.family(name, Kind::Counter, help);
        for (port, counts) in &ports {
            for kind in OpKind::ALL {
                let value = value(counts.of(kind));
                family.sample(&[("cha", &cha), ("port", port), ("kind", &kind)], value);
            }
        }
    };
    kinds("diptych_channel_operations_total", "Operations of SCSI hosts.", &|t| t.operations);
    kinds("diptych_channel_in_bytes_total", "Bytes from SCSI hosts.", &|t| t.bytes_in);
    kinds("diptych_channel_out_bytes_total", "Bytes to SCSI hosts.", &|t| t.bytes_out);
    let mut each = |name, help: &str, value: &dyn Fn(&ChannelSnapshot) -> u64| {
        let mut family = text.family(name, Kind::Counter, help);
        for (port, counts) in &ports {
            family.sample(&[("cha", &cha), ("port", port)], value(counts));
        }
    };
    each("diptych_channel_failed_total", "Operations that failed.", &|counts| counts.failed);
    let help = "Bytes that EXTENDED COPY moved inside the unit, which crossed no channel.";
    each("diptych_channel_inside_bytes_total", help, &|counts| counts.inside_bytes);
    let mut family = text.family("diptych_scsi_sessions", Kind::Gauge, "Sessions at a target.");
    for (target, count) in scsi.target.sessions() {
        family.sample(&[("cha", &cha), ("target", &target)], count);
    }
    let lus = adapter.with_lu_map(|map| map.iter().collect::<Vec<_>>());
    let mut family = text.family("diptych_lu_info", Kind::Gauge, "Which volume a path leads to.");
    for (path, ldev) in lus {
        family.sample(&[("port", &path.target()), ("lun", &path.lun), ("ldev", &ldev)], 1);
    }
}
