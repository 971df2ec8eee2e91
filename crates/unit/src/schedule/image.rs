//! The images that a primary's secondaries hold.

use super::{Scope, Utc};
use crate::core::Core;
use diptych_format::{ImageNo, LdevId, Time};
use diptych_shared::{MapName, Pair, PairStatus};

/// An image of a primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The volume that it is of.
    pub primary: LdevId,
    /// The volume that holds it.
    pub secondary: LdevId,
    /// Its number. Images were made in the order of their numbers.
    pub image: ImageNo,
    /// Its instant: the primary was like this then.
    pub at: Time,
    /// The civil time of that.
    pub utc: Utc,
    /// Whether the copy has ended.
    pub complete: bool,
    /// Whether a host has changed the secondary since.
    pub changed: bool,
}

impl Image {
    fn of(pair: &Pair, start: Utc) -> Option<Self> {
        let holds = matches!(pair.status, PairStatus::CopyInProgress | PairStatus::Copied);
        holds.then(|| Self {
            primary: pair.primary,
            secondary: pair.secondary,
            image: pair.image,
            at: pair.begun_at,
            utc: start.at(pair.begun_at),
            complete: pair.status == PairStatus::Copied,
            changed: !pair.map(MapName::Ds).is_empty(),
        })
    }
}

/// The images of a primary, all as of one instant, the oldest first.
pub(super) fn images_of(core: &Core, primary: LdevId) -> Vec<Image> {
    let start = core.config.utc_at_start;
    let images = core.shared.with_family(primary, |family| {
        family.pairs_of_primary(primary).filter_map(|pair| Image::of(pair, start)).collect()
    });
    let mut images: Vec<Image> = images.unwrap_or_default();
    images.sort_by_key(|image| image.image);
    images
}

/// The images in the secondaries of a schedule, the oldest first.
pub(super) fn images_in(core: &Core, scope: &Scope) -> Vec<Image> {
    let start = core.config.utc_at_start;
    let members = {
        let groups = core.consistency_groups.lock();
        scope.members(|name| groups.get(name).cloned())
    };
    let look = |(primary, secondary): (LdevId, LdevId)| {
        let image = core.shared.with_family(primary, |family| {
            family.pair_between(primary, secondary).and_then(|pair| Image::of(pair, start))
        });
        image.ok().flatten()
    };
    let mut images: Vec<Image> = members.into_iter().flatten().filter_map(look).collect();
    images.sort_by_key(|image| image.image);
    images
}
