//! Pairs, and what was copied for them.

use super::text::{Kind, Labels, Text};
use crate::management::App;

pub(super) fn pairs(app: &App, text: &mut Text) {
    let unit = app.rt.unit();
    let pairs = unit.pairs();
    let track_bytes = |pair: &diptych_shared::Pair| {
        unit.volume(pair.primary).map_or(0, |volume| volume.geometry.track_bytes() as u64)
    };
    let mut each = |name, kind, help: &str, value: &dyn Fn(&diptych_shared::Pair) -> u64| {
        let mut family = text.family(name, kind, help);
        for pair in &pairs {
            let labels: Labels<'_> = &[("primary", &pair.primary), ("secondary", &pair.secondary)];
            family.sample(labels, value(pair));
        }
    };
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    each("diptych_pair_tracks", gauge, "Tracks of each volume.", &|pair| pair.c.track_count());
    each("diptych_pair_left_tracks", gauge, "Tracks still to be copied.", &|pair| pair.c.count());
    let help = "Tracks of the primary changed since the image.";
    each("diptych_pair_primary_changed_tracks", gauge, help, &|pair| pair.dp.count());
    let help = "Tracks of the secondary changed since the image.";
    each("diptych_pair_secondary_changed_tracks", gauge, help, &|pair| pair.ds.count());
    let help = "Tracks that cannot be read.";
    each("diptych_pair_unreadable_tracks", gauge, help, &|pair| pair.unreadable.count());
    let help = "Tracks copied since the pair was created.";
    each("diptych_pair_copied_tracks_total", counter, help, &|pair| pair.copied_tracks);
    let help = "Tracks copied before a host's write.";
    each("diptych_pair_protected_tracks_total", counter, help, &|pair| pair.protected_tracks);
    let help = "Bytes copied inside the unit, which crossed no host channel.";
    each("diptych_pair_copied_bytes_total", counter, help, &|pair| {
        pair.copied_tracks * track_bytes(pair)
    });
    let help = "Whether this is the status of the pair.";
    let mut family = text.family("diptych_pair_status", Kind::Gauge, help);
    for pair in &pairs {
        let status = pair.shown_as().to_lowercase();
        let labels: Labels<'_> =
            &[("primary", &pair.primary), ("secondary", &pair.secondary), ("status", &status)];
        family.sample(labels, 1);
    }
}
