//! Commands that say what a logical unit is and how it stands: INQUIRY, READ CAPACITY, MODE SENSE, TEST UNIT
//! READY and others (SPC-5, 6; SBC-4, 5).

use super::copy_results;
use super::inquiry::{self, Asked, Inquired};
use super::job::Job;
use super::logical_unit::Sanitizing;
use super::operation::Operation;
use super::reply::{Done, Refused, access};
use super::sense::{Asc, Sense, SenseKey};
use super::table::{Found, OPERATIONS, lookup};
use crate::Tried;
use bytes::Bytes;
use diptych_format::BLOCK_BYTES;

/// Blocks of a track, where the volume could not be asked.
const BLOCKS_PER_TRACK: u32 = 128;

impl Job {
    pub(crate) async fn inquiry(&self) -> Result<Vec<u8>, Refused> {
        let code = match Asked::of(&self.cdb)? {
            Asked::Standard => return Ok(inquiry::standard(0, self.options)),
            Asked::Page(code) => code,
        };
        // An answer is due whatever state the volume is in.
        let blocks_per_track = match code {
            0xB0 => {
                self.facts().await.ok().and_then(|facts| facts.blocks_per_track.try_into().ok())
            }
            _ => None,
        };
        let inquired = Inquired {
            unit: self.target.identity(),
            ldev: self.ldev(),
            target: self.nexus.who.target,
            options: self.options,
        };
        Ok(inquired.page(code, blocks_per_track.unwrap_or(BLOCKS_PER_TRACK)))
    }

    /// TEST UNIT READY: whether a READ would be let in.
    pub(crate) async fn test_ready(&self) -> Done {
        match self.facts().await?.read {
            Some(why) => Err(access(Tried::Read, why).into()),
            None => Ok(Bytes::new()),
        }
    }

    pub(crate) async fn read_capacity(&self) -> Result<Vec<u8>, Refused> {
        let last = self.facts().await?.block_count.saturating_sub(1);
        let block_bytes = (BLOCK_BYTES as u32).to_be_bytes();
        if self.cdb.opcode() == 0x25 {
            let last = u32::try_from(last).unwrap_or(u32::MAX);
            return Ok([last.to_be_bytes(), block_bytes].concat());
        }
        let mut bytes = vec![0; 32];
        bytes[..8].copy_from_slice(&last.to_be_bytes());
        bytes[8..12].copy_from_slice(&block_bytes);
        // LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT.
        bytes[13] = if self.options.physical_4k { 3 } else { 0 };
        // LBPME, LBPRZ.
        bytes[14] = if self.options.thin { 0xC0 } else { 0 };
        Ok(bytes)
    }

    pub(crate) async fn mode_sense(&self) -> Result<Vec<u8>, Refused> {
        // What cannot be asked is not said.
        let facts = self.facts().await.ok();
        let block_count = facts.map_or(0, |facts| facts.block_count);
        let is_refused = facts.is_some_and(|facts| facts.write.is_some());
        let modes = self.unit.state().modes;
        modes.sense(&self.cdb, self.options, is_refused, block_count)
    }

    /// READ DEFECT DATA: there are none; the list has the format asked for.
    pub(crate) fn defects(&self) -> Vec<u8> {
        if self.cdb.opcode() == 0x37 {
            vec![0, self.cdb.byte(2) & 0x1F, 0, 0]
        } else {
            vec![0, self.cdb.byte(1) & 0x1F, 0, 0, 0, 0, 0, 0]
        }
    }

    pub(crate) fn report_luns(&self) -> Result<Vec<u8>, Refused> {
        let bytes = self.nexus.report_luns(&self.cdb)?;
        for seen in self.nexus.units() {
            seen.unit.state().forget_luns_changed(self.nexus.id);
        }
        Ok(bytes)
    }

    /// REQUEST SENSE: a unit attention that waits, or how far it is with what takes long.
    pub(crate) fn request_sense(&self) -> Vec<u8> {
        let mut state = self.unit.state();
        let waits = state.take_attention(self.nexus.id).map(super::Attention::sense);
        let sense = waits.unwrap_or_else(|| match state.sanitizing {
            Sanitizing::Running(done) => {
                Sense::new(SenseKey::NotReady, Asc::SANITIZE_IN_PROGRESS).with_progress(done)
            }
            Sanitizing::Failed { .. } => Sense::new(SenseKey::MediumError, Asc::SANITIZE_FAILED),
            Sanitizing::No if !state.loaded => {
                Sense::new(SenseKey::NotReady, Asc::MEDIUM_NOT_PRESENT)
            }
            Sanitizing::No => Sense::new(SenseKey::NoSense, Asc::NONE),
        });
        Sense { in_descriptors: self.cdb.has(1, 0x01), ..sense }.encode()
    }

    /// RECEIVE COPY RESULTS, by service action.
    pub(crate) fn copy_results(&self) -> Result<Vec<u8>, Refused> {
        let mut state = self.unit.state();
        let copies = state.copies(self.nexus.id);
        let found = copies.as_ref().and_then(|copies| copies.find(self.cdb.byte(2)));
        match self.cdb.action() {
            0x00 => copy_results::status(found),
            0x03 => Ok(copy_results::parameters()),
            _ => {
                let details = copy_results::failure(found)?;
                if let Some(copies) = copies {
                    copies.forget(self.cdb.byte(2));
                }
                Ok(details)
            }
        }
    }

    /// REPORT SUPPORTED OPERATION CODES (SPC-5, 6.34).
    pub(crate) fn report_operations(&self) -> Result<Vec<u8>, Refused> {
        let with_timeouts = self.cdb.has(2, 0x80);
        let (opcode, action) = (self.cdb.byte(3), [self.cdb.byte(4), self.cdb.byte(5)]);
        let has = |operation: &Operation| super::mode::has(self.options, operation.has);
        let asked = self.cdb.byte(2) & 0x07;
        if asked == 0 {
            return Ok(all_operations(OPERATIONS.iter().filter(|row| has(row)), with_timeouts));
        }
        let known = lookup(opcode, 0);
        let has_actions =
            matches!(known, Found::NoAction | Found::Operation(Operation { action: Some(_), .. }));
        let found = match (asked, has_actions) {
            (1, true) => return Err(Sense::in_cdb_bit(2, Some(2)).into()),
            (2, false) if !matches!(known, Found::NoOpcode) => {
                return Err(Sense::in_cdb_bit(2, Some(2)).into());
            }
            (1 | 2, false) => known,
            (2 | 3, true) if action[0] == 0 && action[1] < 0x20 => lookup(opcode, action[1]),
            (2 | 3, true) => Found::NoAction,
            // Without service actions, only the zero asked for is as if none were.
            (3, false) if action == [0, 0] => known,
            (3, false) => Found::NoAction,
            _ => return Err(Sense::in_cdb_bit(2, Some(2)).into()),
        };
        Ok(match found {
            Found::Operation(operation) if has(operation) => {
                one_operation(operation, with_timeouts)
            }
            _ => vec![0, 0x01, 0, 0],
        })
    }
}

/// A command timeouts descriptor (SPC-5, 6.34.4).
fn timeouts(operation: &Operation) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[1] = 0x0A;
    bytes[8..].copy_from_slice(&operation.timeout_s.to_be_bytes());
    bytes
}

fn all_operations<'a>(rows: impl Iterator<Item = &'a Operation>, with_timeouts: bool) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for operation in rows {
        let flags = u8::from(with_timeouts) << 1 | u8::from(operation.action.is_some());
        let action = operation.action.unwrap_or(0);
        bytes.extend([operation.opcode, 0, 0, action, 0, flags, 0, operation.cdb_bytes() as u8]);
        if with_timeouts {
            bytes.extend(timeouts(operation));
        }
    }
    let len = (bytes.len() - 4) as u32;
    bytes[..4].copy_from_slice(&len.to_be_bytes());
    bytes
}

fn one_operation(operation: &Operation, with_timeouts: bool) -> Vec<u8> {
    // SUPPORT: as the standard says.
    let flags = u8::from(with_timeouts) << 7 | 0x03;
    let mut bytes = vec![0, flags, 0, operation.cdb_bytes() as u8];
    bytes.extend(operation.usage());
    if with_timeouts {
        bytes.extend(timeouts(operation));
    }
    bytes
}
