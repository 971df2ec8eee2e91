//! Commands on a pair that exists: copy 213, re-synchronize 214, restore and quick restore, suspend
//! 1509, delete 212.

use super::Asked;
use super::rules::{both_usable, first_level_copied, follows_nothing, primary_defined, restorable};
use crate::Mailbox;
use crate::change::activate_followers;
use crate::core::Core;
use crate::held::Held;
use crate::ledger;
use diptych_cha::{Command, CommandCode, Outcome, Refusal};
use diptych_format::{ImageNo, PairId, TrackNo, TrackRange};
use diptych_shared::{Change, FamilyState, Pair, PairOptions, PairStatus};
use diptych_sync::mutant;

pub(super) async fn on_pair(m: &Mailbox, core: &Core, command: &Asked) -> Outcome {
    for ldev in [command.primary, command.secondary] {
        if core.shared.with_family(ldev, |_| ()).is_err() {
            return Outcome::Refused(Refusal::NoVolume { ldev });
        }
    }
    let barrier = mutant::removed("command-barrier").then(|| TrackRange::one(TrackNo(0)));
    let held = match Held::claim(m, core, command.primary, barrier, |_| ()).await {
        Ok((held, ())) => held,
        Err(error) => return Outcome::Refused(error.refusal(command.primary)),
    };
    if command.code == CommandCode::Delete {
        return delete(m, core, command, held).await;
    }
    // One visit: a destage that fails claims nothing, and may suspend the pair at any time.
    let outcome = held.with(|family| {
        let Some((pair, status)) = find(family, command) else {
            return Outcome::Nothing { met: None };
        };
        match change_of(core, family, command, pair, status) {
            Err(refusal) => Outcome::Refused(refusal),
            Ok(None) => Outcome::Nothing { met: Some(status) },
            Ok(Some(change)) => {
                let now = apply(m, core, family, command, pair, change);
                command.accepted(m, core, now, Some(status), Some(now.status))
            }
        }
    });
    committed(m, core, outcome).await
}

/// What a command changed is durable before anybody acts on it: before its claim is released.
pub(super) async fn committed(m: &Mailbox, core: &Core, outcome: Outcome) -> Outcome {
    let accepted = matches!(outcome, Outcome::Accepted { .. });
    if accepted && core.journal.commit(m).await.is_err() {
        return Outcome::Refused(Refusal::Stopping);
    }
    outcome
}

fn find(family: &FamilyState, command: &Command) -> Option<(PairId, PairStatus)> {
    let pair = family.pair_between(command.primary, command.secondary)?;
    Some((pair.id, pair.status))
}

/// Makes the change of a command, and sees to what copies because of it. Returns the pair as it is now.
pub(super) fn apply<'f>(
    m: &Mailbox,
    core: &Core,
    family: &'f mut FamilyState,
    command: &Command,
    pair: PairId,
    change: Change,
) -> &'f Pair {
    use CommandCode::{Copy, QuickRestore, Restore, Resync};
    if matches!(command.code, Copy | Resync | Restore | QuickRestore) {
        family.change(Change::CopyBegins { pair, at: m.now() });
    }
    family.change(change);
    let now = family.pair(pair).expect("the pair just changed");
    // After an exchange: destages know only the backing.
    for ldev in [now.primary, now.secondary] {
        let volume = family.volume(ldev).expect("a volume of this family");
        core.backings.lock().insert(volume.backing, ldev);
    }
    // What the level below waited for may not come any more.
    activate_followers(m, core, family, now.secondary);
    let mut scheduler = core.scheduler.lock();
    if now.is_copying() {
        scheduler.start(pair, now.primary, now.options);
    } else {
        scheduler.stop(pair);
    }
    now
}

/// The secondary of a pair in 802 or 804 gets the image of this instant: resync, if it holds one, and
/// copy. Nobody sees the status between, since it is one visit to the family. Returns the pair as it
/// is now.
pub(crate) fn image_of_now<'f>(
    m: &Mailbox,
    core: &Core,
    family: &'f mut FamilyState,
    pair: PairId,
    options: Option<PairOptions>,
) -> &'f Pair {
    let entry = family.pair(pair).expect("a pair of this family");
    let (status, options) = (entry.status, options.unwrap_or(entry.options));
    let copy = Command::new(CommandCode::Copy, entry.primary, entry.secondary);
    if status == PairStatus::Copied {
        family.change(Change::Resync { pair, options }); // 263
    }
    let image = ImageNo(core.next_sequence());
    apply(m, core, family, &copy, pair, Change::Copy { pair, image, options }) // 252
}

/// The status x command table: what changes, if anything does.
pub(super) fn change_of(
    core: &Core,
    family: &FamilyState,
    command: &Asked,
    pair: PairId,
    status: PairStatus,
) -> Result<Option<Change>, Refusal> {
    use CommandCode::{Copy, Create, Delete, QuickRestore, Restore, Resync, Suspend};
    use PairStatus::{Copied, CopyInProgress, PairedNotCopied, Restoring, Suspended};
    let (primary, options) = (command.primary, command.options);
    match (command.code, status) {
        // 252
        (Copy, PairedNotCopied) => {
            primary_defined(family, primary)?;
            first_level_copied(family, primary)?;
            let image = ImageNo(core.next_sequence());
            Ok(Some(Change::Copy { pair, image, options }))
        }
        // 263
        (Resync, Copied | Suspended) => {
            both_usable(family, command)?;
            primary_defined(family, primary)?;
            Ok(Some(Change::Resync { pair, options }))
        }
        (Restore, Copied) => {
            restorable(family, command, pair)?;
            Ok(Some(Change::Restore { pair, options }))
        }
        (QuickRestore, Copied) => {
            restorable(family, command, pair)?;
            if command.freeze {
                primary_defined(family, primary)?;
            }
            let freeze = command.freeze.then(|| ImageNo(core.next_sequence()));
            Ok(Some(Change::Exchange { pair, freeze, options }))
        }
        (Suspend, PairedNotCopied) => {
            let all_different = follows_nothing(family, primary);
            Ok(Some(Change::Suspend { pair, all_different }))
        }
        (Suspend, CopyInProgress | Copied) => {
            Ok(Some(Change::Suspend { pair, all_different: false }))
        }
        (Suspend, Restoring) => Err(Refusal::Restoring),
        (Copy, CopyInProgress | Copied | Restoring | Suspended)
        | (Resync, PairedNotCopied | CopyInProgress | Restoring)
        | (Suspend, Suspended)
        | (Restore | QuickRestore, PairedNotCopied | CopyInProgress | Restoring | Suspended)
        | (Create | Delete, _) => Ok(None),
    }
}

/// Delete: the entry goes, and a volume that lacks tracks means nothing from now on.
async fn delete(m: &Mailbox, core: &Core, command: &Asked, held: Held<'_>) -> Outcome {
    let Command { primary, secondary, force, .. } = **command;
    let deleted = held.with(|family| {
        let Some((pair, status)) = find(family, command) else {
            return Err(Outcome::Nothing { met: None });
        };
        if status == PairStatus::Restoring && !force {
            return Err(Outcome::Refused(Refusal::Restoring));
        }
        let entry = family.pair(pair).expect("the pair was just found");
        let bytes = ledger::of_pair(entry.c.track_count());
        let (lacking, lacks) = (entry.direction().1, !entry.c.is_empty());
        let follows = status == PairStatus::PairedNotCopied && follows_nothing(family, primary);
        let outcome = command.accepted(m, core, entry, Some(status), None);
        family.change(Change::RemovePair(pair)); // 242, 243
        if lacks || follows {
            family.change(Change::Undefined { ldev: lacking, undefined: true });
        }
        core.scheduler.lock().stop(pair);
        activate_followers(m, core, family, secondary);
        Ok((pair, bytes, outcome))
    });
    let (pair, bytes, outcome) = match deleted {
        Ok(deleted) => deleted,
        Err(outcome) => return outcome,
    };
    let (parts, wakes) = core.shared.split(held.into_claim());
    m.wake(wakes);
    let parts: Vec<Held<'_>> = parts.into_iter().map(|part| Held::new(m, part)).collect();
    let outcome = committed(m, core, outcome).await;
    drop(parts);
    core.shared.free_pair(pair);
    core.ledger.put_back(bytes);
    outcome
}
