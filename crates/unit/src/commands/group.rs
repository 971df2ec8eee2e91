//! A command for a consistency group: one instant for several pairs, all or none.
//!
//! All families of its volumes are claimed whole before anything is looked at. So every host change of
//! any of their volumes is either before the command, and acknowledged or at least wholly done, or
//! after it.

use super::Asked;
use super::families::{Families, Locked};
use super::on_pair::{apply, change_of};
use crate::Mailbox;
use crate::core::Core;
use crate::drain::Drain;
use crate::held::Room;
use crate::history::Message;
use crate::settle::settle_family;
use diptych_cha::{CommandCode, GroupCommand, GroupOutcome, GroupedPair, Refusal};
use diptych_format::{FamilyId, LdevId, PairId};
use diptych_shared::{Change, PairStatus};
use diptych_sync::mutant;

/// What is to be done to one of the pairs.
#[derive(Clone)]
struct Planned {
    asked: Asked,
    family: FamilyId,
    pair: PairId,
    from: PairStatus,
    change: Change,
}

/// Carries out a group command and records what it came to, pair by pair.
pub(crate) async fn group(m: &Mailbox, core: &Core, command: GroupCommand) -> GroupOutcome {
    let asked: Vec<Asked> = command
        .pairs
        .iter()
        .map(|pair| Asked { command: command.of_pair(*pair), at: m.now() })
        .collect();
    let outcome = match carry_out(m, core, &command, &asked).await {
        Ok(accepted) => accepted,
        Err(stopped) => stopped,
    };
    for asked in &asked {
        record(m, core, asked, &outcome);
    }
    m.kick();
    outcome
}

/// What stopped it is told of the pair that stopped it, and of all pairs where it is no pair's fault.
fn record(m: &Mailbox, core: &Core, asked: &Asked, outcome: &GroupOutcome) {
    let of_this = |pair: (LdevId, LdevId)| pair == (asked.primary, asked.secondary);
    match *outcome {
        // Recorded where they were accepted.
        GroupOutcome::Accepted { .. } => {}
        GroupOutcome::Nothing { primary, secondary, met } => {
            if of_this((primary, secondary)) {
                let entry = asked.entry(m.now(), Message::Nothing(asked.code));
                core.record(entry.statuses(met, met));
            }
        }
        GroupOutcome::Refused { pair, why } => {
            if pair.is_none_or(of_this) {
                core.record(asked.entry(m.now(), Message::Refused(asked.code, why)));
            }
        }
    }
}

/// `Err`: nothing was done.
async fn carry_out(
    m: &Mailbox,
    core: &Core,
    command: &GroupCommand,
    asked: &[Asked],
) -> Result<GroupOutcome, GroupOutcome> {
    let refused = |why| GroupOutcome::Refused { pair: None, why };
    check(core, command).map_err(refused)?;
    let limit_ns = command.drain_limit_ns.unwrap_or(core.config.drain_limit_ns);
    let began = m.now();
    let volumes: Vec<LdevId> = asked.iter().map(|asked| asked.primary).collect();
    for ldev in &volumes {
        settle_family(m, core, *ldev).await;
    }
    let _room = Room::for_command(m, core, &volumes).await.map_err(refused)?;
    let drain = Drain::new(m, core, began + limit_ns);
    let families = Families::claim(m, core, &volumes, Some(&drain)).await.map_err(refused)?;
    if m.now() > drain.until() {
        return Err(refused(Refusal::DrainLimit));
    }
    let mut plan: Vec<Planned> = Vec::with_capacity(asked.len());
    for asked in asked {
        let planned = plan_pair(core, asked, &families, &plan)?;
        if mutant::removed("plan-before-change") {
            let one = |all: &mut Locked<'_, '_>| carry_out_one(m, core, planned.clone(), all);
            families.with_all(one);
        }
        plan.push(planned);
    }
    let pairs = if mutant::removed("group-barrier") {
        // Neither the barrier nor the one instant that would hide that it is gone.
        let mut one = |planned| families.with_all(|all| carry_out_one(m, core, planned, all));
        plan.into_iter().map(&mut one).collect()
    } else {
        families.with_all(|all| {
            plan.into_iter().map(|planned| carry_out_one(m, core, planned, all)).collect()
        })
    };
    core.journal.commit(m).await.map_err(|_| refused(Refusal::Stopping))?;
    drop(families);
    Ok(GroupOutcome::Accepted { pairs, barrier_ns: m.now().ns_since(began) })
}

/// What the command says without a look at any pair.
fn check(core: &Core, command: &GroupCommand) -> Result<(), Refusal> {
    use CommandCode::{Copy, Create, Delete, QuickRestore, Restore, Resync, Suspend};
    match command.code {
        Copy | Resync | Restore | QuickRestore | Suspend => {}
        Create | Delete => return Err(Refusal::NotForGroups),
    }
    let (asked, most) = (command.pairs.len(), core.config.group_pairs_max);
    if !(1..=most).contains(&asked) {
        return Err(Refusal::GroupSize { asked, most });
    }
    super::lanes(core, &command.of_pair(command.pairs[0]))
}

/// What the command comes to for one pair, after what is planned for those before it.
fn plan_pair(
    core: &Core,
    asked: &Asked,
    families: &Families<'_>,
    before: &[Planned],
) -> Result<Planned, GroupOutcome> {
    let (primary, secondary) = (asked.primary, asked.secondary);
    let refused = |why| GroupOutcome::Refused { pair: Some((primary, secondary)), why };
    if core.shared.with_family(secondary, |_| ()).is_err() {
        return Err(refused(Refusal::NoVolume { ldev: secondary }));
    }
    families.of(primary).with(|family| {
        let nothing = |met| GroupOutcome::Nothing { primary, secondary, met };
        let Some(pair) = family.pair_between(primary, secondary) else {
            return Err(nothing(None));
        };
        let (pair, from) = (pair.id, pair.status);
        // The second time there would be nothing to do; and one volume cannot be restored from two.
        let restores = matches!(asked.code, CommandCode::Restore | CommandCode::QuickRestore);
        let other = before
            .iter()
            .find(|other| other.pair == pair || restores && other.family == family.id());
        if let Some(other) = other {
            return Err(refused(Refusal::GroupConflict { ldev: other.asked.secondary }));
        }
        match change_of(core, family, asked, pair, from).map_err(refused)? {
            None => Err(nothing(Some(from))),
            Some(change) => Ok(Planned { asked: *asked, family: family.id(), pair, from, change }),
        }
    })
}

fn carry_out_one(
    m: &Mailbox,
    core: &Core,
    planned: Planned,
    families: &mut Locked<'_, '_>,
) -> GroupedPair {
    let Planned { asked, pair, from, change, .. } = planned;
    let family = families.of(asked.primary);
    // A destage that fails claims nothing: it may have suspended the pair after the plan was made, as it
    // may right after the command.
    let met = family.pair(pair).expect("a pair is deleted only under the whole claim").status;
    let change = if met == from {
        Some(change)
    } else {
        change_of(core, family, &asked, pair, met).ok().flatten()
    };
    let now = match change {
        Some(change) => apply(m, core, family, &asked, pair, change),
        None => family.pair(pair).expect("the pair is still there"),
    };
    let to = now.status;
    asked.accepted(m, core, now, Some(from), Some(to));
    GroupedPair { pair, from, to }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Role;
    use crate::{Plant, Unit, UnitConfig};
    use diptych_cha::{HostOp, HostReply, Outcome};
    use diptych_dka::Drives;
    use diptych_format::{Geometry, OwnerId, Step, Time};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const PRIMARY: LdevId = LdevId::new(0, 0);
    const SECONDARY: LdevId = LdevId::new(0, 1);

    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("nobody else is here"),
        }
    }

    /// What a group command comes to that was planned in 802 and finds the pair suspended.
    fn check(code: CommandCode, expected: PairStatus) {
        let mut config = UnitConfig::with_cache(8, 512);
        config.needs_reserve = false;
        let unit = Unit::new(config, &Plant::new(Drives::new(Vec::new()))).expect("a unit");
        for ldev in [PRIMARY, SECONDARY] {
            unit.add_metadata_volume(ldev, Geometry::with_tracks(1, 1)).expect("a new volume");
        }
        let give = |code| {
            let command = diptych_cha::Command::new(code, PRIMARY, SECONDARY);
            let step = unit.job(OwnerId(1), HostOp::Command(command)).step(Time::ZERO);
            let accepted = matches!(step, Step::Done(HostReply::Outcome(Outcome::Accepted { .. })));
            assert!(accepted, "{code}: {step:?}");
        };
        give(CommandCode::Create);
        let (m, core) = (Mailbox::new(OwnerId(2), Role::Host), unit.core());
        let asked = diptych_cha::Command::new(code, PRIMARY, SECONDARY);
        let asked = Asked { command: asked, at: m.now() };
        let families = at_once(Families::claim(&m, core, &[PRIMARY], None)).expect("free");
        let planned = plan_pair(core, &asked, &families, &[]).expect("802 allows it");
        let pair = planned.pair;
        let fails = Change::Suspend { pair, all_different: false };
        core.shared.with_family(PRIMARY, |family| family.change(fails)).expect("a family");
        let done = families.with_all(|all| carry_out_one(&m, core, planned, all));
        assert_eq!(done, GroupedPair { pair, from: PairStatus::PairedNotCopied, to: expected });
    }

    #[test]
    fn a_pair_may_be_suspended_by_a_failure_between_plan_and_change() {
        check(CommandCode::Copy, PairStatus::Suspended);
        check(CommandCode::Suspend, PairStatus::Suspended);
    }
}
