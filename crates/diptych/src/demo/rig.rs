//! The control unit of a demo: two disk adapters with a drive each, a pair's volumes, one channel
//! adapter.
//!
//! Everything a host does goes through the channel adapter, so its counters are all that the host
//! channels carried. Unless they are to be kept, the drives' files have no names from the start:
//! however the program ends, nothing is left behind.

use super::watched::{FirstError, Watched};
use super::{DemoArgs, DemoError, Image};
use bytes::Bytes;
use diptych::cha::{
    ChannelAdapter, ChannelSnapshot, Command, CommandCode, HostReply, HostRequest, LuPath, Lun,
    Outcome, PortId,
};
use diptych::device::{Device, FileDrive};
use diptych::dka::{Drives, Groups, Home};
use diptych::format::{BlockNo, BlockRange, Emulation, Geometry, LdevId, Time};
use diptych::rt::{Rt, RtConfig};
use diptych::shared::{Pair, PairOptions, Volume};
use diptych::sync::{Condvar, Mutex};
use diptych::unit::{HistoryFilter, HistoryQuery, Message, Plant, Unit, UnitConfig};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

const LDEVS: [LdevId; 2] = [LdevId::new(0, 0), LdevId::new(0, 1)];
const FILES: [&str; 2] = ["primary.drive", "secondary.drive"];

/// The least cache: a host write of 1 MiB with the old tracks that have to be copied before it.
const CACHE_MIN_BYTES: u64 = 16 << 20;

/// The two volumes of the pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// CL1-A:0, on the drive of DKA 0.
    Primary,
    /// CL1-A:1, on the drive of DKA 1.
    Secondary,
}

/// See the module.
pub(crate) struct Rig {
    rt: Rt,
    cha: ChannelAdapter,
    port: PortId,
    geometry: Geometry,
    options: PairOptions,
    raw: [File; 2],
    dir: PathBuf,
    kept: Mutex<Option<TempDir>>,
    first_error: FirstError,
    resting: Mutex<()>,
    rested: Condvar,
}

impl Rig {
    /// Makes drives, volumes and paths, and starts the driver.
    pub(crate) fn new(args: &DemoArgs, image: &Image) -> Result<Self, DemoError> {
        let geometry = match Geometry::of(args.emulation) {
            Some(geometry) => geometry,
            None => Geometry::new(Emulation::OpenV, image.block_count())?,
        };
        if args.cache < CACHE_MIN_BYTES {
            let (bytes, least_bytes) = (args.cache, CACHE_MIN_BYTES);
            return Err(DemoError::CacheTooSmall { bytes, least_bytes });
        }
        let dir = args.dir.clone().unwrap_or_else(std::env::temp_dir);
        let first_error = FirstError::default();
        let (drives, raw, made) = make_drives(&dir, geometry, &first_error)?;
        // A directory that is dropped here is gone; the files live as long as they are open.
        let kept = args.keep.then_some(made);

        let plant = Plant::new(Drives::new(drives));
        let slots = usize::try_from(args.cache).unwrap_or(usize::MAX) / geometry.track_bytes();
        let unit = Unit::new(UnitConfig::with_cache(slots, geometry.track_bytes()), &plant)?;
        for (group_no, ldev) in LDEVS.into_iter().enumerate() {
            unit.add_volume(ldev, geometry, group_no)?;
        }
        unit.set_reserved(LDEVS[1], true, Time::ZERO)?;

        let port = PortId::new(1, 0).expect("the first channel of the first cluster");
        let cha = ChannelAdapter::new(0, [port]);
        for (lun, ldev) in (0..).zip(LDEVS) {
            let path = LuPath::new(port, Lun(lun));
            cha.change_lu_map(|map| map.add(path, ldev)).expect("a free path of a port it has");
        }
        let (pace, lanes, limit) = (args.pace, args.lanes, args.limit);
        let options = PairOptions { pace, lanes, limit, ..PairOptions::default() };
        let rt = Rt::start(unit, plant, RtConfig::default())?;
        let (resting, rested, kept) = (Mutex::new(()), Condvar::new(), Mutex::new(kept));
        Ok(Self { rt, cha, port, geometry, options, raw, dir, kept, first_error, resting, rested })
    }

    /// The shape of both volumes.
    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The driver's time.
    pub(crate) fn now(&self) -> Time {
        self.rt.now()
    }

    /// What the host channels carried so far.
    pub(crate) fn counters(&self) -> ChannelSnapshot {
        self.cha.counters()
    }

    /// Waits a moment.
    pub(crate) fn rest(&self, time: Duration) {
        drop(self.rested.wait_for(self.resting.lock(), time));
    }

    /// The pair.
    pub(crate) fn pair(&self) -> Result<Pair, DemoError> {
        self.rt.unit().pair(LDEVS[0], LDEVS[1]).ok_or(DemoError::NoPair)
    }

    /// The volume, as the unit knows it, and where its tracks lie.
    pub(crate) fn volume(&self, side: Side) -> (Volume, Home) {
        let volume = self.rt.unit().volume(LDEVS[side as usize]);
        let volume = volume.expect("a volume that was made and never removed");
        let home = self.rt.unit().home(volume.backing).expect("the place of a volume's backing");
        (volume, home)
    }

    /// The file under the volume's drive, opened apart from the drive.
    pub(crate) fn raw(&self, side: Side) -> &File {
        &self.raw[side as usize]
    }

    /// When the unit last noted this message.
    pub(crate) fn noted_at(&self, message: Message) -> Option<Time> {
        let query = HistoryQuery {
            filters: vec![HistoryFilter::Code(message.code()..=message.code())],
            ..HistoryQuery::newest(1)
        };
        self.rt.unit().history(&query).entries.first().map(|entry| entry.at)
    }

    /// Fails if a drive has failed.
    pub(crate) fn check_drives(&self) -> Result<(), DemoError> {
        match self.first_error.get() {
            Some(source) => Err(DemoError::Drive { dir: self.dir.clone(), source }),
            None => Ok(()),
        }
    }

    /// Writes blocks of the primary as a host does.
    pub(crate) fn write(&self, block: BlockNo, data: Bytes) -> Result<(), DemoError> {
        match self.request(Side::Primary, HostRequest::Write { block, data })? {
            HostReply::Done => Ok(()),
            _ => Err(DemoError::WrongAnswer),
        }
    }

    /// Reads blocks as a host does.
    pub(crate) fn read(&self, side: Side, blocks: BlockRange) -> Result<Bytes, DemoError> {
        match self.request(side, HostRequest::Read { blocks })? {
            HostReply::Data(data) => Ok(data),
            _ => Err(DemoError::WrongAnswer),
        }
    }

    /// Makes everything written so far durable on the volume's drive.
    pub(crate) fn flush(&self, side: Side) -> Result<(), DemoError> {
        match self.request(side, HostRequest::Flush)? {
            HostReply::Done => Ok(()),
            _ => Err(DemoError::WrongAnswer),
        }
    }

    /// Gives a pair command in a command block, by the primary's path.
    pub(crate) fn command(&self, code: CommandCode) -> Result<(), DemoError> {
        self.give(Command::new(code, LDEVS[0], LDEVS[1]).with_options(self.options))
    }

    /// Creates the pair with its copier off.
    pub(crate) fn create_idle(&self) -> Result<(), DemoError> {
        let create = Command::new(CommandCode::Create, LDEVS[0], LDEVS[1]);
        self.give(create.with_options(self.options).without_initial_copy())
    }

    fn give(&self, command: Command) -> Result<(), DemoError> {
        let block = Bytes::copy_from_slice(&command.encode());
        match self.request(Side::Primary, HostRequest::Command { block })? {
            HostReply::Outcome(Outcome::Accepted { .. }) => Ok(()),
            HostReply::Outcome(outcome) => {
                Err(DemoError::NotAccepted { code: command.code, outcome })
            }
            _ => Err(DemoError::WrongAnswer),
        }
    }

    /// One request through the channel adapter, and its answer.
    fn request(&self, side: Side, request: HostRequest) -> Result<HostReply, DemoError> {
        let path = LuPath::new(self.port, Lun(side as u8));
        let op = self.cha.request(path, request)?;
        let reply = self.rt.execute(op);
        self.cha.answer(self.port, &reply);
        match reply {
            // What the drive said tells more than what the unit made of it.
            HostReply::Failed(error) => self.check_drives().and(Err(error.into())),
            reply => Ok(reply),
        }
    }

    /// Stops the driver. The drives' directory stays if it was to be kept.
    pub(crate) fn stop(&self) -> Option<PathBuf> {
        self.rt.stop();
        self.kept.lock().take().map(TempDir::keep)
    }

    /// Removes the drives' directory even if it was to be kept. Writers may hold the rig for as
    /// long as the program runs, so its end is not waited for.
    pub(crate) fn discard(&self) {
        drop(self.kept.lock().take());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // A second time does nothing.
        self.rt.stop();
    }
}

type MadeDrives = (Vec<(u16, Box<dyn Device>)>, [File; 2], TempDir);

/// Two sparse files in a directory of their own, each large enough for one volume.
fn make_drives(
    dir: &Path,
    geometry: Geometry,
    first_error: &FirstError,
) -> Result<MadeDrives, DemoError> {
    let directory = |source| DemoError::Directory { dir: dir.to_owned(), source };
    if !fs::metadata(dir).map_err(directory)?.is_dir() {
        return Err(DemoError::NotDirectory { path: dir.to_owned() });
    }
    let made = TempDir::with_prefix_in("diptych-demo-", dir).map_err(|error| {
        // The path that it adds is of no use: the name was made up.
        directory(error.kind().into())
    })?;
    let sectors = Groups::sectors_for(geometry);
    let make = |no: usize| -> Result<(Box<dyn Device>, File), DemoError> {
        let path = made.path().join(FILES[no]);
        let drive = FileDrive::create(&path, sectors)
            .map_err(|source| DemoError::MakeDrive { dir: dir.to_owned(), source })?;
        let raw = File::open(&path).map_err(directory)?;
        Ok((Box::new(Watched::new(drive, first_error.clone())), raw))
    };
    let ((first, first_raw), (second, second_raw)) = (make(0)?, make(1)?);
    Ok((vec![(0, first), (1, second)], [first_raw, second_raw], made))
}
