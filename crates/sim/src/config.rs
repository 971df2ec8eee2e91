//! Settings of the driver: what things cost, and what the seed decides.

use diptych_format::{Resource, Work};

/// What things cost in virtual time. A drive's seek and rotation are in its fixed part: where a
/// request lies makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// A request to a drive, whatever its size, in nanoseconds.
    pub drive_request_ns: u64,
    /// A byte to or from a drive, in picoseconds: 5,000 is 200 MB/s.
    pub drive_byte_ps: u64,
    /// A byte through the address change unit, in picoseconds: 100 is 10 GB/s.
    pub drr_byte_ps: u64,
    /// A request to the log, whatever its size, in nanoseconds.
    pub log_request_ns: u64,
    /// A byte into the log, in picoseconds: 1,000 is 1 GB/s.
    pub log_byte_ps: u64,
    /// A host operation before its job begins: channel and protocol, in nanoseconds.
    pub host_op_ns: u64,
}

impl Default for Costs {
    /// Drives of 200 us a request and 200 MB/s, transfers at 10 GB/s, a log of 20 us a request
    /// and 1 GB/s, 20 us a host operation.
    fn default() -> Self {
        Self {
            drive_request_ns: 200_000,
            drive_byte_ps: 5_000,
            drr_byte_ps: 100,
            log_request_ns: 20_000,
            log_byte_ps: 1_000,
            host_op_ns: 20_000,
        }
    }
}

impl Costs {
    /// Nothing costs anything.
    pub const FREE: Self = Self {
        drive_request_ns: 0,
        drive_byte_ps: 0,
        drr_byte_ps: 0,
        log_request_ns: 0,
        log_byte_ps: 0,
        host_op_ns: 0,
    };

    /// Nanoseconds that an effect keeps its resource busy, rounded up.
    pub fn of(&self, work: &Work) -> u64 {
        let (fixed_ns, byte_ps) = match work.resource {
            Resource::Drive(_) => (self.drive_request_ns, self.drive_byte_ps),
            Resource::Drr(_) => (0, self.drr_byte_ps),
            Resource::Log => (self.log_request_ns, self.log_byte_ps),
        };
        fixed_ns.saturating_add(work.bytes.saturating_mul(byte_ps).div_ceil(1_000))
    }
}

/// When an effect is performed, between its submission and its completion. A job must not be able
/// to tell; a crash in between can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Perform {
    /// As it is queued on its resource.
    AtSubmit,
    /// As its resource is done with it.
    #[default]
    AtCompletion,
    /// As the seed says, one by one. A request to sectors of a drive that an earlier request has
    /// still to reach is performed after that one.
    Seeded,
}

/// Which of the jobs that can go on at one instant is turned first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadyOrder {
    /// The one that could go on first.
    #[default]
    Fifo,
    /// As the seed says.
    Seeded,
}

/// Settings of a [`crate::Sim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimConfig {
    /// What all decisions are made from: one seed, one run.
    pub seed: u64,
    /// What things cost.
    pub costs: Costs,
    /// When effects are performed.
    pub perform: Perform,
    /// Which job is turned first.
    pub ready_order: ReadyOrder,
    /// The most requests that are submitted and whose answers are not taken yet.
    pub requests_max: usize,
    /// Entries of the trace; the oldest go first. 0 keeps none and costs nothing.
    pub trace_max: usize,
}

impl Default for SimConfig {
    /// Seed 0, the usual costs, effects at completion, first come first served, 65,536 requests, no
    /// trace.
    fn default() -> Self {
        Self {
            seed: 0,
            costs: Costs::default(),
            perform: Perform::default(),
            ready_order: ReadyOrder::default(),
            requests_max: 1 << 16,
            trace_max: 0,
        }
    }
}

impl SimConfig {
    /// Everything that a seed can decide is decided by this one.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, perform: Perform::Seeded, ready_order: ReadyOrder::Seeded, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_format::DriveNo;

    #[test]
    fn costs_are_rounded_up() {
        let costs = Costs {
            drive_request_ns: 10,
            drive_byte_ps: 1_500,
            drr_byte_ps: 1,
            log_request_ns: 0,
            log_byte_ps: 0,
            host_op_ns: 0,
        };
        let check = |resource, bytes, expected_ns| {
            let work = Work { resource, bytes, at: None, is_write: false };
            assert_eq!(costs.of(&work), expected_ns, "{resource:?}, {bytes} bytes");
        };
        check(Resource::Drive(DriveNo(0)), 0, 10);
        check(Resource::Drive(DriveNo(1)), 3, 15);
        check(Resource::Drr(0), 0, 0);
        check(Resource::Drr(0), 1, 1);
        check(Resource::Drr(0), u64::MAX, u64::MAX.div_ceil(1_000));
    }
}
