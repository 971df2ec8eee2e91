//! A transfer that owns its buffers: what a job hands to its driver.

use crate::place::{Source, TrackPlace};
use crate::transfer::pass;
use crate::verify::TransferError;
use diptych_format::{BackingId, CheckArea, Resource, TrackBuf, Work};
use diptych_sync::Arc;

/// One transfer through the unit, with all it needs.
///
/// ```
/// use diptych_drr::{Op, TrackPlace, seal_zeros};
/// use diptych_format::{BackingId, BlockNo, Generation, TrackPool};
/// use diptych_sync::Arc;
///
/// let pool = TrackPool::new(2, 48 << 10);
/// assert!(pool.reserve(2));
/// let mut zeros = pool.take_reserved();
/// zeros.bytes_mut().fill(0);
/// let place = TrackPlace { backing: BackingId(1), first_block: BlockNo(0), block_count: 96 };
/// let op = Op {
///     data: Arc::new(zeros),
///     checks: Arc::new(seal_zeros(place, Generation(4))),
///     place,
///     targets: vec![BackingId(2), BackingId(3)],
///     copy_into: Some(pool.take_reserved()),
/// };
/// let done = op.perform();
/// let areas = done.result.unwrap();
/// assert_eq!(areas[1].get(0).la.backing, BackingId(3));
/// assert_eq!(done.copied.unwrap().bytes(), done.data.bytes());
/// ```
#[derive(Debug)]
pub struct Op {
    /// The user data of the source (Fig. 10B: 1022a).
    pub data: Arc<TrackBuf>,
    /// The check fields of the source.
    pub checks: Arc<CheckArea>,
    /// Where the source lies.
    pub place: TrackPlace,
    /// The backings to make check fields for.
    pub targets: Vec<BackingId>,
    /// The second buffer (1022b); without one the transfer is by reference.
    pub copy_into: Option<TrackBuf>,
}

/// What became of an [`Op`]; its buffers come back in it.
#[derive(Debug)]
pub struct Done {
    /// The user data of the source.
    pub data: Arc<TrackBuf>,
    /// The check fields of the source.
    pub checks: Arc<CheckArea>,
    /// The second buffer, if the op had one. After an error its content is undefined.
    pub copied: Option<TrackBuf>,
    /// One check area for each target, in their order.
    pub result: Result<Vec<CheckArea>, TransferError>,
}

impl Op {
    /// Does the transfer.
    ///
    /// # Panics
    ///
    /// As [`transfer`](crate::transfer()): if the buffers are not of one size, or a target is no
    /// backing.
    pub fn perform(self) -> Done {
        let Self { data, checks, place, targets, mut copy_into } = self;
        // A slot may be larger than the track.
        let bytes = place.data_bytes();
        let source = Source { data: &data.bytes()[..bytes], checks: &checks, place };
        let mut areas = vec![CheckArea::zeroed(place.block_count); targets.len()];
        let copy = copy_into.as_mut().map(|buf| &mut buf.bytes_mut()[..bytes]);
        if let Some(copy) = &copy {
            source.assert_fits(copy);
        }
        let result = pass(source, copy, &targets, &mut areas).map(|()| areas);
        Done { data, checks, copied: copy_into, result }
    }

    /// What the transfer costs in the unit `drr_no`: the track's bytes pass through it once.
    pub fn work(&self, drr_no: u16) -> Work {
        Work {
            resource: Resource::Drr(drr_no),
            bytes: self.place.data_bytes() as u64,
            at: None,
            is_write: false,
        }
    }
}
