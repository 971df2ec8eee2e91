//! What EXTENDED COPY commands came to, for RECEIVE COPY RESULTS (SPC-5, 6.23 to 6.26).

use super::limits;
use super::reply::Refused;
use super::sense::Sense;
use std::collections::VecDeque;

/// How one copy stands, or ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CopyResult {
    pub(crate) list_id: u8,
    pub(crate) ended: bool,
    pub(crate) failed: Option<Sense>,
    pub(crate) segments: u16,
    pub(crate) bytes: u64,
}

/// The results of one initiator at one logical unit: the newest of them.
#[derive(Debug, Default)]
pub(crate) struct CopyResults(VecDeque<CopyResult>);

impl CopyResults {
    pub(crate) fn find(&self, list_id: u8) -> Option<&CopyResult> {
        self.0.iter().find(|result| result.list_id == list_id)
    }

    /// Notes how a copy stands; the oldest that has ended makes room for a new one.
    pub(crate) fn put(&mut self, result: CopyResult) {
        if let Some(found) = self.0.iter_mut().find(|found| found.list_id == result.list_id) {
            *found = result;
            return;
        }
        if self.0.len() >= limits::COPY_RESULTS {
            let oldest = self.0.iter().position(|found| found.ended).unwrap_or(0);
            self.0.remove(oldest);
        }
        self.0.push_back(result);
    }

    pub(crate) fn forget(&mut self, list_id: u8) {
        self.0.retain(|result| result.list_id != list_id);
    }
}

/// RECEIVE COPY STATUS(LID1).
pub(crate) fn status(of: Option<&CopyResult>) -> Result<Vec<u8>, Refused> {
    let result = of.ok_or(Refused::from(Sense::in_cdb(2)))?;
    let status = match (result.ended, result.failed) {
        (false, _) => 0,
        (true, None) => 1,
        (true, Some(_)) => 2,
    };
    let mut bytes = vec![0, 0, 0, 8, status];
    bytes.extend(result.segments.to_be_bytes());
    // Units of KiB, as bytes may not fit.
    bytes.push(1);
    let kib = u32::try_from(result.bytes >> 10).unwrap_or(u32::MAX);
    bytes.extend(kib.to_be_bytes());
    Ok(bytes)
}

/// RECEIVE COPY FAILURE DETAILS(LID1): of a copy that failed.
pub(crate) fn failure(of: Option<&CopyResult>) -> Result<Vec<u8>, Refused> {
    let failed = of.and_then(|result| result.failed);
    let sense = failed.ok_or(Refused::from(Sense::in_cdb(2)))?.encode();
    let mut bytes = vec![0; 60];
    bytes[56] = 0x02;
    bytes[58..60].copy_from_slice(&(sense.len() as u16).to_be_bytes());
    bytes.extend(sense);
    let available = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&available.to_be_bytes());
    Ok(bytes)
}

/// RECEIVE COPY OPERATING PARAMETERS.
pub(crate) fn parameters() -> Vec<u8> {
    let mut bytes = vec![0; 44];
    // SNLID: a copy need not have a list id.
    bytes[4] = 0x01;
    bytes[8..10].copy_from_slice(&limits::COPY_TARGETS.to_be_bytes());
    bytes[10..12].copy_from_slice(&limits::COPY_SEGMENTS.to_be_bytes());
    bytes[12..16].copy_from_slice(&limits::COPY_LIST_BYTES.to_be_bytes());
    // As many blocks as a segment can name.
    bytes[16..20].copy_from_slice(&(65_535_u32 * 512).to_be_bytes());
    let concurrent = limits::COPY_RESULTS as u8;
    bytes[34..36].copy_from_slice(&u16::from(concurrent).to_be_bytes());
    bytes[36] = concurrent;
    // Blocks of 512 bytes.
    bytes[37] = 9;
    // What there is: block to block, and identification descriptors.
    bytes[43] = 2;
    bytes.extend([0x02, 0xE4]);
    let available = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&available.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scsi::sense::{Asc, SenseKey};

    #[test]
    fn the_newest_are_kept() {
        let mut results = CopyResults::default();
        for list_id in 0..=limits::COPY_RESULTS as u8 {
            results.put(CopyResult { list_id, ended: list_id != 0, ..CopyResult::default() });
        }
        // The first still runs, so the second went.
        assert!(results.find(0).is_some() && results.find(1).is_none());
        results.put(CopyResult { list_id: 0, ended: true, segments: 3, ..CopyResult::default() });
        assert_eq!(results.find(0).map(|result| result.segments), Some(3));
        results.forget(0);
        assert_eq!(results.find(0), None);
    }

    #[test]
    fn what_is_reported() {
        let done =
            CopyResult { list_id: 1, ended: true, segments: 2, bytes: 3 << 20, failed: None };
        assert_eq!(status(Some(&done)), Ok(vec![0, 0, 0, 8, 1, 0, 2, 1, 0, 0, 0x0C, 0]));
        assert_eq!(status(None), Err(Sense::in_cdb(2).into()));
        assert_eq!(failure(Some(&done)), Err(Sense::in_cdb(2).into()));
        let sense = Sense::new(SenseKey::CopyAborted, Asc::UNREACHABLE_COPY_TARGET);
        let failed = CopyResult { failed: Some(sense), ..done };
        let bytes = failure(Some(&failed)).expect("it failed");
        assert_eq!(
            (bytes.len(), &bytes[..4], &bytes[56..62]),
            (78, &[0, 0, 0, 74][..], &[2, 0, 0, 18, 0x70, 0][..])
        );
        assert_eq!(status(Some(&failed)).map(|bytes| bytes[4]), Ok(2));
        assert_eq!(parameters().len(), 46);
    }
}
