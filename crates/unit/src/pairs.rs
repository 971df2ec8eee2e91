//! What a host is told of pairs (Fig. 3).

use crate::Mailbox;
use crate::core::Core;
use diptych_cha::{HostError, PairFacts, PairTable, PairsOf};
use diptych_shared::FamilyState;

/// The pairs asked about. Each is as it is at one instant; two families are looked at one after the other.
pub(crate) async fn pairs(m: &Mailbox, core: &Core, of: PairsOf) -> Result<PairTable, HostError> {
    // What was changed and not recorded was never so.
    if core.journal.has_failed() {
        return Err(HostError::Stopping);
    }
    let table = match of {
        PairsOf::Volumes { primary, secondary } => {
            let find = |family: &mut FamilyState| {
                family.pair_between(primary, secondary).map(PairFacts::of)
            };
            let pair = core.shared.with_family(primary, find).ok().flatten();
            PairTable { pairs: pair.into_iter().collect(), ..PairTable::default() }
        }
        PairsOf::Numbers { first, last } => by_number(core, first, last),
        _ => PairTable::default(),
    };
    // An image that is told of is there after the death of the process too.
    core.journal.append_seen(m).await.map_err(|_| HostError::Stopping)?;
    Ok(table)
}

fn by_number(core: &Core, first: u16, last: u16) -> PairTable {
    let mut table = PairTable::default();
    for ldev in core.shared.volumes() {
        let look = |family: &mut FamilyState| {
            for pair in family.pairs_of_primary(ldev) {
                table.count += 1;
                table.numbers_end = table.numbers_end.max(u32::from(pair.id.no) + 1);
                if (first..=last).contains(&pair.id.no) {
                    table.pairs.push(PairFacts::of(pair));
                }
            }
        };
        // A volume that has just gone has no pair.
        let _ = core.shared.with_family(ldev, look);
    }
    // A number may have come back while others were looked at: the later use of it counts.
    table.pairs.sort_by_key(|pair| (pair.id.no, std::cmp::Reverse(pair.id.epoch)));
    table.pairs.dedup_by_key(|pair| pair.id.no);
    table
}
