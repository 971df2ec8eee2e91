//! How full a log is.

/// How full a log is, and who waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogUsage {
    /// Sectors that batches may take at all.
    pub capacity_sectors: u64,
    /// Of these, sectors that are never promised.
    pub reserve_sectors: u64,
    /// Sectors that are written or queued and not trimmed.
    pub used_sectors: u64,
    /// Sectors promised to owners that have not put them yet.
    pub promised_sectors: u64,
    /// Owners that wait for room.
    pub waiters: usize,
    /// How often an owner had to wait, ever.
    pub log_waits: u64,
}
