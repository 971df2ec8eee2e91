//! Which secondary is next, and its new image.

use super::{Passed, ScheduleEvent, Scope, Tick};
use crate::Mailbox;
use crate::commands::{first_level_copied, image_of_now, primary_defined};
use crate::core::Core;
use crate::held::{Held, NotHeld};
use diptych_format::{LdevId, PairId, Time};
use diptych_shared::{FamilyState, PairStatus};
use diptych_sync::mutant;

/// A host that wrote a volume so short a time ago uses it.
const IN_USE_NS: u64 = 30_000_000_000;

/// Takes a tick under a claim of the whole family.
pub(super) async fn rotate(m: &Mailbox, core: &Core, tick: &Tick) -> Result<(), NotHeld> {
    let primary = tick.schedule.scope.primary();
    let (mut held, ()) = Held::claim(m, core, primary, None, |_| ()).await?;
    let Some(pair) = held.with(|family| next(m, core, family, tick)) else { return Ok(()) };
    if mutant::removed("tick-one-claim") {
        drop(held);
        (held, ()) = Held::claim(m, core, primary, None, |_| ()).await?;
    }
    held.with(|family| image(m, core, family, tick, pair));
    Ok(())
}

/// The pair that gets the image, if one is to be made; the history says why not.
fn next(m: &Mailbox, core: &Core, family: &FamilyState, tick: &Tick) -> Option<PairId> {
    let primary = tick.schedule.scope.primary();
    let (late_s, left_out) = (tick.late_s, tick.left_out);
    if late_s > 0 {
        core.record(tick.entry(m.now(), ScheduleEvent::Late { late_s, left_out }));
    }
    let allowed = primary_defined(family, primary);
    if let Err(why) = allowed.and_then(|()| first_level_copied(family, primary)) {
        core.record(tick.entry(m.now(), ScheduleEvent::Refused(why)));
        return None;
    }
    let choice = choose(family, &tick.schedule.scope, m.now());
    for (secondary, why) in choice.passed {
        let entry = tick.entry(m.now(), ScheduleEvent::PassedOver(why));
        core.record(entry.of_volumes(primary, secondary));
    }
    if choice.next.is_none() {
        core.record(tick.entry(m.now(), ScheduleEvent::NoneFree));
    }
    choice.next
}

fn image(m: &Mailbox, core: &Core, family: &mut FamilyState, tick: &Tick, pair: PairId) {
    let from = family.pair(pair).map(|pair| pair.status);
    let now = image_of_now(m, core, family, pair, tick.schedule.options);
    let entry = tick.entry(m.now(), ScheduleEvent::Image).of_pair(now);
    core.record(entry.statuses(from, Some(now.status)));
}

/// Whose turn it is.
struct Choice {
    next: Option<PairId>,
    /// Those whose turn it would have been, and why it is not.
    passed: Vec<(LdevId, Passed)>,
}

/// The secondaries in their order: those without an image, the lowest LDEV number first, then those
/// with one, the oldest first. The first that may be taken is.
fn choose(family: &FamilyState, scope: &Scope, now: Time) -> Choice {
    let pair_of = |secondary: LdevId| family.pair_between(scope.primary(), secondary);
    let mut order = scope.secondaries().to_vec();
    order.sort_by_key(|secondary| (pair_of(*secondary).map(|pair| pair.image), *secondary));
    let is_complete =
        |ldev: &&LdevId| pair_of(**ldev).is_some_and(|pair| pair.status == PairStatus::Copied);
    let complete_count = order.iter().filter(is_complete).count();
    let mut choice = Choice { next: None, passed: Vec::new() };
    for secondary in order {
        let (status, id) = match pair_of(secondary) {
            None => {
                choice.passed.push((secondary, Passed::NoPair));
                continue;
            }
            Some(pair) => (pair.status, pair.id),
        };
        match status {
            PairStatus::PairedNotCopied => {}
            PairStatus::Copied if in_use(family, secondary, now) => {
                choice.passed.push((secondary, Passed::InUse));
                continue;
            }
            // The others are too few: it stays.
            PairStatus::Copied if complete_count <= scope.images() => continue,
            PairStatus::Copied => {}
            PairStatus::CopyInProgress | PairStatus::Restoring | PairStatus::Suspended => {
                choice.passed.push((secondary, Passed::Status(status)));
                continue;
            }
        }
        choice.next = Some(id);
        break;
    }
    choice
}

/// Whether a host uses the volume: it wrote it within 30 seconds.
///
/// Protocols that know of open connections and registrations will have their say here.
fn in_use(family: &FamilyState, ldev: LdevId, now: Time) -> bool {
    let written_at = family.volume(ldev).and_then(|volume| volume.host_wrote_at);
    written_at.is_some_and(|at| now.ns_since(at) < IN_USE_NS)
}
