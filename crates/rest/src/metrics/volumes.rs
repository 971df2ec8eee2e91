//! Volumes, and what hosts did with them.

use super::BLOCK;
use super::text::{Kind, Text, seconds};
use crate::management::App;
use diptych_rt::{Carried, TrafficKind};

pub(super) fn volumes(app: &App, text: &mut Text) {
    let (unit, names) = (app.rt.unit(), app.names());
    let volumes = unit.volumes();
    let mut each = |name, help: &str, value: &dyn Fn(&diptych_shared::Volume) -> u64| {
        let mut family = text.family(name, Kind::Gauge, help);
        for volume in &volumes {
            let called = names.get(&volume.ldev).map_or("", String::as_str);
            family.sample(&[("ldev", &volume.ldev), ("name", &called)], value(volume));
        }
    };
    each("diptych_volume_size_bytes", "Size of the volume.", &|v| v.geometry.block_count() * BLOCK);
    each("diptych_volume_stored_bytes", "Tracks that have storage, in bytes.", &|v| {
        v.allocated.count() * v.geometry.track_bytes() as u64
    });
    each("diptych_volume_blocked", "Whether hosts are kept off it by a failure.", &|v| {
        u64::from(v.state == diptych_shared::VolumeState::Blocked)
    });
    each("diptych_volume_undefined", "Whether its contents mean nothing.", &|v| {
        u64::from(v.undefined)
    });
    let now = app.rt.now();
    each("diptych_volume_in_use", "Whether a host uses it.", &|v| {
        u64::from(unit.is_in_use(v.ldev, now))
    });
    traffic(app, text, &volumes);
}

fn traffic(app: &App, text: &mut Text, volumes: &[diptych_shared::Volume]) {
    let mut all = [Carried::default(); TrafficKind::ALL.len()];
    let mut rows = Vec::with_capacity(volumes.len() * all.len());
    for volume in volumes {
        for (kind, all) in TrafficKind::ALL.into_iter().zip(&mut all) {
            let carried = app.rt.carried(volume.ldev, kind);
            *all = all.plus(&carried);
            rows.push((volume.ldev, kind.as_str(), carried));
        }
    }
    let mut each = |name, help: &str, value: &dyn Fn(&Carried) -> String| {
        let mut family = text.family(name, Kind::Counter, help);
        for (ldev, kind, carried) in &rows {
            family.sample(&[("ldev", ldev), ("kind", kind)], value(carried));
        }
    };
    each("diptych_volume_operations_total", "Operations of hosts that were answered.", &|c| {
        c.operations().to_string()
    });
    each("diptych_volume_bytes_total", "Bytes that they read, wrote or gave up.", &|c| {
        c.bytes.to_string()
    });
    each("diptych_volume_failed_total", "Operations that failed.", &|c| c.failed.to_string());
    each("diptych_volume_seconds_total", "How long the operations took together.", &|c| {
        seconds(c.time_ns)
    });
    let help = "How long operations of hosts took, on all volumes.";
    let mut family = text.family("diptych_host_operation_seconds", Kind::Histogram, help);
    for (kind, all) in TrafficKind::ALL.into_iter().zip(all) {
        let kind = ("kind", &kind.as_str() as &dyn std::fmt::Display);
        family.histogram(kind, &Carried::BOUNDS_NS, &all.took, all.time_ns);
    }
}
