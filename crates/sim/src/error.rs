//! What can go wrong in the virtual-time driver.

use crate::{RequestNo, Seen};
use diptych_format::LdevId;
use diptych_unit::UnitError;

/// An error of the driver, or of a scenario that it plays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// As many requests are open as may be.
    #[error("{limit} requests are open, the most there can be")]
    TooManyRequests {
        /// The limit.
        limit: usize,
    },
    /// The unit refused to be set up as the scenario says.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// A request was not answered, and nothing is left to happen: a wait that never ends.
    #[error("request {request} is never answered")]
    NeverAnswered {
        /// The request.
        request: RequestNo,
    },
    /// A pair does not come to the status that the scenario waits for, and nothing is left to happen.
    #[error("step {step_no}: pair {primary} -> {secondary} is {found}, never {wanted}")]
    NeverReached {
        /// The step of the scenario, from 0.
        step_no: usize,
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// What is waited for.
        wanted: Seen,
        /// What it is.
        found: Seen,
    },
}
