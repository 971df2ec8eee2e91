//! How staging and destaging reach the drives.

use crate::{Done, Op};
use std::future::Future;

/// The door to the drives for [`crate::read_track`] and [`crate::write_track`]. The control unit's
/// mailbox is one: it hands each request to the driver, so that several requests of one track (the
/// members of a parity group) show in the timing model.
pub trait Port: Sync {
    /// Hands one request to its drive and comes back with the answer.
    fn perform(&self, op: Op) -> impl Future<Output = Done> + Send;

    /// Hands over several requests at once and comes back when all are answered, in their order.
    fn perform_all(&self, ops: Vec<Op>) -> impl Future<Output = Vec<Done>> + Send;
}
