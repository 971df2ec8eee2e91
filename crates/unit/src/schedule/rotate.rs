//! One tick's work: who is next, and the new images.

use super::choose::{Choice, Member, PassedOver, Seen, SeenPair, Taken, choose};
use super::{Passed, ScheduleEvent, Tick};
use crate::Mailbox;
use crate::commands::{Families, first_level_copied, image_of_now, in_use, primary_defined};
use crate::core::Core;
use crate::drain::Drain;
use crate::held::Room;
use diptych_cha::Refusal;
use diptych_format::{LdevId, PairId, Time};
use diptych_shared::{Change, FamilyState, Pair, PairStatus, Volume};
use diptych_sync::mutant;

/// The pairs of each member, by their volumes.
type Volumes = Vec<Vec<(LdevId, LdevId)>>;

/// Takes a tick: claims all families, looks whose turn it is, and makes the images.
///
/// # Errors
///
/// If the families cannot be claimed, or a rule of the commands forbids the copy.
pub(super) async fn rotate(m: &Mailbox, core: &Core, tick: &Tick) -> Result<(), Refusal> {
    let scope = &tick.schedule.scope;
    let volumes: Volumes = {
        let groups = core.consistency_groups.lock();
        scope.members(|name| groups.get(name).cloned())
    };
    let primaries: Vec<LdevId> = volumes.iter().flatten().map(|(primary, _)| *primary).collect();
    let _room = Room::for_command(m, core, &primaries).await?;
    // A group holds hosts of several families up, so it has the limit of a group command.
    let limit = scope.primary().is_none().then_some(core.config.drain_limit_ns);
    let drain = limit.map(|limit_ns| Drain::new(m, core, m.now() + limit_ns));
    let mut families = Families::claim(m, core, &primaries, drain.as_ref()).await?;
    if drain.as_ref().is_some_and(|drain| m.now() > drain.until()) {
        return Err(Refusal::DrainLimit);
    }
    let Some(pairs) = next(m, core, &families, tick, &volumes)? else { return Ok(()) };
    if mutant::removed("tick-one-claim") {
        drop(families);
        families = Families::claim(m, core, &primaries, None).await?;
    }
    if mutant::removed("tick-one-visit") {
        for Taken { primary, pair } in &pairs {
            families.of(*primary).with(|family| resync(family, *pair));
        }
    }
    families.with_all(|all| {
        for Taken { primary, pair } in pairs {
            image(m, core, all.of(primary), tick, pair);
        }
    });
    core.scheduler.lock().schedules.taken(tick.id, tick.due);
    core.put_schedules();
    core.journal.commit(m).await.map_err(|_| Refusal::Stopping)
}

/// The pairs that get the image, if one is to be made; the history says why not.
fn next(
    m: &Mailbox,
    core: &Core,
    families: &Families<'_>,
    tick: &Tick,
    volumes: &Volumes,
) -> Result<Option<Vec<Taken>>, Refusal> {
    let (late_s, left_out) = (tick.late_s, tick.left_out);
    if late_s > 0 {
        core.record(tick.entry(m.now(), ScheduleEvent::Late { late_s, left_out }));
    }
    for pairs in volumes {
        for &(primary, _) in pairs {
            // What it copies from would begin to change in the same moment.
            if pairs.iter().any(|(_, secondary)| *secondary == primary) {
                return Err(Refusal::GroupConflict { ldev: primary });
            }
            families.of(primary).with(|family| {
                primary_defined(family, primary)?;
                first_level_copied(family, primary)
            })?;
        }
    }
    let look = |&(primary, secondary): &(LdevId, LdevId)| {
        families.of(primary).with(|family| see(core, family, (primary, secondary), m.now()))
    };
    let members: Vec<Member> =
        volumes.iter().map(|pairs| pairs.iter().map(look).collect()).collect();
    let Choice { next, passed } = choose(members, tick.schedule.scope.images());
    for PassedOver { volumes, why } in passed {
        let entry = tick.entry(m.now(), ScheduleEvent::PassedOver(why));
        core.record(match volumes {
            Some((primary, secondary)) => entry.of_volumes(primary, secondary),
            None => entry,
        });
    }
    if next.is_none() {
        core.record(tick.entry(m.now(), ScheduleEvent::NoneFree));
    }
    Ok(next)
}

fn see(
    core: &Core,
    family: &FamilyState,
    (primary, secondary): (LdevId, LdevId),
    now: Time,
) -> Seen {
    let used = |volume: &Volume| in_use(volume, &core.writers, core.config.in_use_ns, now);
    let pair = family.pair_between(primary, secondary).map(|pair| SeenPair {
        id: pair.id,
        status: pair.status,
        image: pair.image,
        in_use: family.volume(secondary).is_some_and(used),
    });
    Seen { primary, secondary, pair }
}

fn image(m: &Mailbox, core: &Core, family: &mut FamilyState, tick: &Tick, pair: PairId) {
    let Some(found) = family.pair(pair) else {
        panic!("invariant: pair {pair} is deleted only under the claim of its family");
    };
    let from = found.status;
    // A destage that fails claims nothing: it may have suspended the pair since it was chosen.
    if !matches!(from, PairStatus::PairedNotCopied | PairStatus::Copied) {
        let why = Passed::Status(from);
        let entry = tick.entry(m.now(), ScheduleEvent::PassedOver(why));
        return core.record(entry.of_pair(found).statuses(Some(from), Some(from)));
    }
    let now = image_of_now(m, core, family, pair, tick.schedule.options);
    let entry = tick.entry(m.now(), ScheduleEvent::Image).of_pair(now);
    core.record(entry.statuses(Some(from), Some(now.status)));
}

/// What [`image_of_now`] does first, in a visit of its own: for the mutant.
fn resync(family: &mut FamilyState, pair: PairId) {
    let Some(Pair { status: PairStatus::Copied, options, .. }) = family.pair(pair) else { return };
    let options = *options;
    family.change(Change::Resync { pair, options });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Role;
    use crate::{HistoryQuery, Plant, Schedule, ScheduleId, Scope, Unit, UnitConfig, Utc, When};
    use diptych_cha::{Command, CommandCode, HostOp};
    use diptych_dka::Drives;
    use diptych_format::{Geometry, OwnerId};

    #[test]
    fn a_pair_may_be_suspended_by_a_failure_after_it_was_chosen() {
        let [primary, secondary] = [LdevId::new(0, 0), LdevId::new(0, 1)];
        let mut config = UnitConfig::with_cache(8, 512);
        config.needs_reserve = false;
        let unit = Unit::new(config, &Plant::new(Drives::new(Vec::new()))).expect("a unit");
        for ldev in [primary, secondary] {
            unit.add_metadata_volume(ldev, Geometry::with_tracks(1, 1)).expect("a new volume");
        }
        let create = Command::new(CommandCode::Create, primary, secondary);
        unit.job(OwnerId(1), HostOp::Command(create)).step(Time::ZERO);
        let pair = unit.pair(primary, secondary).expect("the pair").id;
        let scope = Scope::Pair { primary, secondary };
        let schedule = Schedule::new(scope, When::At(Utc::EPOCH));
        let tick = Tick { id: ScheduleId(1), schedule, due: Utc::EPOCH, late_s: 0, left_out: 0 };
        let (m, core) = (Mailbox::new(OwnerId(2), Role::Background), unit.core());
        let images = core.shared.with_family(primary, |family| {
            family.change(Change::Suspend { pair, all_different: false });
            image(&m, core, family, &tick, pair);
            family.pair(pair).expect("the pair").image
        });
        assert_eq!(images.map(|image| image.0), Ok(0), "no image is made");
        let last = HistoryQuery { descending: true, limit: 1, ..HistoryQuery::default() };
        let entry = unit.history(&last).entries[0];
        insta::assert_snapshot!(entry, @"0.000000 4103 warning     00:00 -> 00:01 schedule 1: passed over, its pair is suspended");
    }
}
