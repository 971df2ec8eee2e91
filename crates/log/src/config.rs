//! What a log is told when it is made or opened.

/// What a log is told when it is made or opened; none of it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// Sectors that [`Log::admit`](crate::Log::admit) never gives away: for what is put without room,
    /// and the sectors of the largest such group once more.
    pub reserve_sectors: u64,
    /// The most owners that wait, or were granted room and have not fetched it.
    pub waiters_max: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { reserve_sectors: 0, waiters_max: 65_536 }
    }
}
