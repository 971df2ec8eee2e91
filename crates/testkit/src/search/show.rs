//! A state as a trace ends with it.

use super::state::{Job, NONE, PairState, State, Status, TORN, Value};
use std::fmt;

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (no, pair) in self.pairs.iter().enumerate() {
            let PairState { status, c, dp, ds } = pair;
            if *status != Status::NoPair {
                let settling = self.settling[no];
                writeln!(
                    f,
                    "pair {no}: {status:?} C={c:02b} DP={dp:02b} DS={ds:02b} settling={settling:02b}"
                )?;
            }
        }
        let cells = self.drive.iter().enumerate();
        for (volume, track) in
            cells.flat_map(|(volume, tracks)| (0..tracks.len()).map(move |track| (volume, track)))
        {
            let at = |values: &[[Value; 2]; 3]| Shown(values[volume][track]);
            if self.drive[volume][track] == NONE {
                continue;
            }
            writeln!(
                f,
                "volume {volume}, track {track}: expected {}, slot {}, drive {}, log {}",
                at(&self.expected),
                at(&self.slot),
                at(&self.drive),
                at(&self.log)
            )?;
        }
        for (track, job) in self.jobs.iter().enumerate().filter(|(_, job)| **job != Job::None) {
            writeln!(f, "track {track} is held: {job:?}")?;
        }
        Ok(())
    }
}

/// A content; a dash if there is none.
struct Shown(Value);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            NONE => f.pad("-"),
            TORN => f.pad("torn"),
            value => write!(f, "{value}"),
        }
    }
}
