//! A wrapper that makes a drive go wrong, as a plan says.

mod damage;
mod event;
mod kind;
mod plan;

pub use event::{FaultEffect, FaultEvent};
pub use kind::FaultKind;
pub use plan::{FaultPlan, FaultRule, PlanError};

use crate::buffers::{sector, sector_mut};
use crate::ring::Ring;
use crate::{Device, DeviceError, Op, SectorRange};
use damage::{Damage, MAX_SECTORS, Sector};
use diptych_format::{DriveNo, SectorNo};
use diptych_sync::{Arc, Mutex};
use plan::{Rules, Strike};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};

/// The latest events that a drive keeps.
const EVENT_CAPACITY: usize = 1024;

/// A drive that goes wrong as a [`FaultPlan`] says.
///
/// Damage is laid over the drive within, which gets every accepted write in full: it holds what
/// the drive would hold had no write been lost, torn or misdirected, and no bit been flipped. A
/// checker reads that as [`pristine`](Self::pristine). A good write to a sector mends it, and
/// [`heal`](Self::heal) takes all damage away, so that a test can inject first and then demand that
/// all ends well.
///
/// Drives that are wrapped together stand on a shelf, and a write to one can land on another.
///
/// Clones are handles of the same drive. Requests to one drive are carried out one at a time.
///
/// ```
/// use diptych_device::{Device, DeviceError, Fault, FaultKind, FaultRule, MemoryDrive, Op};
/// use diptych_format::SectorNo;
/// use std::io::{IoSlice, IoSliceMut};
///
/// let rot = FaultRule::new(Op::Read, FaultKind::BitRot { bit: 9 });
/// let drive = Fault::new(MemoryDrive::new(8), rot.into()).unwrap();
/// let mut data = [0; 512];
/// drive.write_at(SectorNo(3), &[IoSlice::new(&[7; 512])]).unwrap();
/// drive.read_at(SectorNo(3), &mut [IoSliceMut::new(&mut data)]).unwrap();
/// assert_eq!(data[..3], [7, 5, 7]);
/// assert_eq!(drive.damaged(), [SectorNo(3)]);
/// drive.write_at(SectorNo(3), &[IoSlice::new(&[8; 512])]).unwrap();
/// drive.read_at(SectorNo(3), &mut [IoSliceMut::new(&mut data)]).unwrap();
/// assert_eq!(data[..3], [8, 8, 8]);
/// ```
pub struct Fault<D> {
    shelf: Arc<Vec<Bay<D>>>,
    no: DriveNo,
}

/// A drive's place on the shelf.
struct Bay<D> {
    drive: D,
    // Held during requests to the drive within. One bay's state is locked at a time.
    state: Mutex<State>,
}

struct State {
    rules: Rules,
    damage: Damage,
    /// What sectors held before they were last written, where a stale read may ask for it.
    former: BTreeMap<SectorNo, Box<Sector>>,
    /// The answer to everything, once the drive has failed.
    ended: Option<DeviceError>,
    delay_ns: u64,
    events: Ring<FaultEvent>,
}

/// A write on its way to where it does not belong.
struct Stray {
    drive: Option<DriveNo>,
    to: SectorNo,
    kind: FaultKind,
    data: Vec<Sector>,
}

impl<D: Device> Fault<D> {
    /// `drive`, going wrong as `plan` says.
    ///
    /// # Errors
    ///
    /// If the plan cannot be followed.
    pub fn new(drive: D, plan: FaultPlan) -> Result<Self, PlanError> {
        let rules = Rules::new(plan, 1)?;
        let bay = Bay { drive, state: Mutex::new(State::new(rules)) };
        Ok(Self { shelf: Arc::new(vec![bay]), no: DriveNo(0) })
    }

    /// Drives that a misdirected write may reach one from another, numbered from 0 in this order.
    ///
    /// # Errors
    ///
    /// If a plan cannot be followed, or there are more drives than numbers.
    pub fn shelf(drives: impl IntoIterator<Item = (D, FaultPlan)>) -> Result<Vec<Self>, PlanError> {
        let drives: Vec<_> = drives.into_iter().collect();
        let drive_count = drives.len();
        let max = usize::from(u16::MAX);
        if drive_count > max {
            return Err(PlanError::TooManyDrives { max, drive_count });
        }
        let mut bays = Vec::with_capacity(drive_count);
        for (drive, plan) in drives {
            let state = Mutex::new(State::new(Rules::new(plan, drive_count)?));
            bays.push(Bay { drive, state });
        }
        let shelf = Arc::new(bays);
        Ok((0..drive_count as u16)
            .map(|no| Self { shelf: shelf.clone(), no: DriveNo(no) })
            .collect())
    }

    /// The drive's number on its shelf.
    pub fn drive_no(&self) -> DriveNo {
        self.no
    }

    /// Adds a rule, which counts requests from now on.
    ///
    /// # Errors
    ///
    /// If the rule cannot be followed, or the drive has too many.
    pub fn push(&self, rule: FaultRule) -> Result<(), PlanError> {
        self.bay().state.lock().rules.push(rule, self.shelf.len())
    }

    /// The latest 1,024 faults that struck, the oldest first.
    pub fn events(&self) -> Vec<FaultEvent> {
        self.bay().state.lock().events.to_vec()
    }

    /// The sectors that do not hold what they should, or cannot be read; ascending.
    pub fn damaged(&self) -> Vec<SectorNo> {
        self.bay().state.lock().damage.sectors()
    }

    /// The drive within: what this drive would be without damage.
    pub fn pristine(&self) -> &D {
        &self.bay().drive
    }

    /// Ends all trouble: damage, failure, and the rules that have not struck yet.
    pub fn heal(&self) {
        let mut state = self.bay().state.lock();
        state.rules = Rules::default();
        state.damage = Damage::default();
        state.former.clear();
        state.ended = None;
    }

    fn bay(&self) -> &Bay<D> {
        &self.shelf[usize::from(self.no.0)]
    }
}

impl<D: Device> Device for Fault<D> {
    fn sector_count(&self) -> u64 {
        self.bay().drive.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|b| b.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count())?;
        let Bay { drive, state } = self.bay();
        let mut state = state.lock();
        let strikes = state.meet(Op::Read, range)?;
        state.verdict(Op::Read, &strikes)?;
        state.decay(drive, &strikes)?;
        drive.read_at(sector, bufs)?;
        state.damage.show(range, bufs)?;
        state.show_former(&strikes, range, bufs);
        Ok(())
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|b| b.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count())?;
        let Bay { drive, state } = self.bay();
        let mut state = state.lock();
        let strikes = state.meet(Op::Write, range)?;
        let verdict = state.verdict(Op::Write, &strikes);
        let torn = strikes.iter().any(|s| matches!(s.kind, FaultKind::TornWrite { .. }));
        let refused = !matches!(verdict, Ok(()) | Err(DeviceError::TimedOut));
        if refused && !torn {
            return verdict;
        }
        state.write(drive, range, bufs, &strikes)?;
        drop(state);
        for strike in strikes {
            if let Some(stray) = Stray::of(strike, range, bufs) {
                self.shelf[usize::from(stray.drive.unwrap_or(self.no).0)].land(stray);
            }
        }
        verdict
    }

    fn flush(&self) -> Result<(), DeviceError> {
        let Bay { drive, state } = self.bay();
        let mut state = state.lock();
        let strikes = state.meet(Op::Flush, SectorRange::default())?;
        match state.verdict(Op::Flush, &strikes) {
            Err(DeviceError::TimedOut) => drive.flush().and(Err(DeviceError::TimedOut)),
            Err(error) => Err(error),
            Ok(()) => drive.flush(),
        }
    }

    fn take_delay_ns(&self) -> u64 {
        let Bay { drive, state } = self.bay();
        let own_ns = std::mem::take(&mut state.lock().delay_ns);
        own_ns.saturating_add(drive.take_delay_ns())
    }
}

impl<D: Device> Bay<D> {
    /// A write meant for elsewhere lands here.
    fn land(&self, stray: Stray) {
        let mut state = self.state.lock();
        if state.ended.is_some() {
            return;
        }
        let end = stray.to.0.saturating_add(stray.data.len() as u64);
        let whole = SectorRange { start: stray.to, end: SectorNo(end) };
        let all = SectorRange::new(SectorNo(0), self.drive.sector_count());
        let sectors = whole.intersection(all);
        let has_room = state.damage.has_room(sectors.count());
        if has_room {
            for (sector, data) in sectors.iter().zip(stray.data) {
                state.damage.hold(sector, Box::new(data));
            }
        }
        let effect = if has_room { FaultEffect::Landed } else { FaultEffect::NoRoom };
        state.events.push(FaultEvent { op: Op::Write, sectors, kind: stray.kind, effect });
    }
}

impl Stray {
    /// What a misdirected write takes elsewhere; `None` for other faults.
    fn of(strike: Strike, request: SectorRange, bufs: &[IoSlice<'_>]) -> Option<Self> {
        let FaultKind::MisdirectedWrite { drive, to } = strike.kind else {
            return None;
        };
        let written = |no: SectorNo| -> Sector {
            let data = sector(bufs, no.0 - request.start.0);
            data.try_into().expect("a sector has 512 bytes")
        };
        Some(Self {
            drive,
            to,
            kind: strike.kind,
            data: strike.sectors.iter().map(written).collect(),
        })
    }
}

impl State {
    fn new(rules: Rules) -> Self {
        Self {
            rules,
            damage: Damage::default(),
            former: BTreeMap::new(),
            ended: None,
            delay_ns: 0,
            events: Ring::new(EVENT_CAPACITY),
        }
    }

    /// Lets the rules see a request. Those that strike and have room are recorded and returned.
    fn meet(&mut self, op: Op, request: SectorRange) -> Result<Vec<Strike>, DeviceError> {
        if let Some(error) = self.ended {
            return Err(error);
        }
        let mut strikes = self.rules.meet(op, request);
        // Every strike of one request may damage all of its sectors.
        let mut room_taken = 0;
        strikes.retain(|Strike { kind, sectors }| {
            let needed = if kind.damages() { sectors.count() } else { 0 };
            let has_room = self.damage.has_room(room_taken + needed);
            let effect = if has_room { FaultEffect::Struck } else { FaultEffect::NoRoom };
            room_taken += if has_room { needed } else { 0 };
            let (kind, sectors) = (kind.clone(), *sectors);
            self.events.push(FaultEvent { op, sectors, kind, effect });
            has_room
        });
        Ok(strikes)
    }

    /// The answer to the request as far as the faults decide it.
    fn verdict(&mut self, op: Op, strikes: &[Strike]) -> Result<(), DeviceError> {
        let mut verdict = Ok(());
        for strike in strikes {
            match strike.kind {
                FaultKind::Slow { delay_ns } => {
                    self.delay_ns = self.delay_ns.saturating_add(delay_ns);
                }
                FaultKind::Fail => {
                    self.ended = Some(match op {
                        Op::Read | Op::Write => DeviceError::Failed,
                        Op::Flush => {
                            DeviceError::FlushFailed { kind: io::ErrorKind::Other, os_code: None }
                        }
                    });
                }
                FaultKind::StorageFull => verdict = Err(DeviceError::StorageFull),
                FaultKind::TimeOut => verdict = verdict.and(Err(DeviceError::TimedOut)),
                _ => {}
            }
        }
        self.ended.map_or(verdict, Err)
    }

    /// Carries a write out as far as the faults let it.
    fn write(
        &mut self,
        drive: &impl Device,
        request: SectorRange,
        bufs: &[IoSlice<'_>],
        strikes: &[Strike],
    ) -> Result<(), DeviceError> {
        self.remember(drive, request)?;
        let mut kept = BTreeMap::new();
        for sector in strikes.iter().flat_map(missed) {
            kept.insert(sector, self.damage.seen(drive, sector)?);
        }
        drive.write_at(request.start, bufs)?;
        self.damage.mend(request);
        for (sector, data) in kept {
            match data {
                Some(data) => self.damage.hold(sector, data),
                None => self.damage.make_unreadable(SectorRange::one(sector)),
            }
        }
        self.decay(drive, strikes)
    }

    /// Sectors go bad by themselves.
    fn decay(&mut self, drive: &impl Device, strikes: &[Strike]) -> Result<(), DeviceError> {
        strikes.iter().try_for_each(|Strike { kind, sectors }| match *kind {
            FaultKind::LatentError => {
                self.damage.make_unreadable(*sectors);
                Ok(())
            }
            FaultKind::BitRot { bit } => self.damage.flip(drive, *sectors, bit),
            _ => Ok(()),
        })
    }

    /// Keeps what the sectors hold before a write, where a rule may ask for it.
    fn remember(&mut self, drive: &impl Device, request: SectorRange) -> Result<(), DeviceError> {
        let watched = self.rules.watched(request).flat_map(SectorRange::iter);
        for sector in watched {
            let known = self.former.contains_key(&sector);
            if !known && self.former.len() == MAX_SECTORS {
                continue;
            }
            match self.damage.seen(drive, sector)? {
                Some(data) => drop(self.former.insert(sector, data)),
                None => drop(self.former.remove(&sector)),
            }
        }
        Ok(())
    }

    /// Puts former content into what a stale read gets.
    fn show_former(&self, strikes: &[Strike], request: SectorRange, bufs: &mut [IoSliceMut<'_>]) {
        for strike in strikes.iter().filter(|s| s.kind == FaultKind::StaleRead) {
            for (sector, data) in self.former.range(strike.sectors.start..strike.sectors.end) {
                let to = sector_mut(bufs, sector.0 - request.start.0);
                to.copy_from_slice(&data[..]);
            }
        }
    }
}

/// The sectors that a write does not reach because of this fault.
fn missed(strike: &Strike) -> Vec<SectorNo> {
    let all = strike.sectors.iter();
    match &strike.kind {
        FaultKind::LostWrite | FaultKind::MisdirectedWrite { .. } => all.collect(),
        FaultKind::TornWrite { survivors } => {
            let at = |sector: &SectorNo| sector.0 - strike.sectors.start.0;
            all.filter(|sector| !survivors.contains(&at(sector))).collect()
        }
        _ => Vec::new(),
    }
}

impl<D> Clone for Fault<D> {
    fn clone(&self) -> Self {
        Self { shelf: self.shelf.clone(), no: self.no }
    }
}

impl<D: Device> fmt::Debug for Fault<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fault").field(self.pristine()).finish()
    }
}
