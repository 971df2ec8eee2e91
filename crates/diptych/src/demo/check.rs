//! The full check of a volume, behind the control unit's back: from the file under its drive.

use super::ledger::{Cut, InFlight, Judge, Ledger, Origin};
use super::progress::Bar;
use super::rig::Side;
use super::{DemoError, Image, Rig, marked};
use diptych::drr::{TrackPlace, TransferError, verify};
use diptych::format::{BLOCK_BYTES, BlockMask, BlockNo, BlockRange, CheckArea};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io;
use std::os::unix::fs::FileExt;

/// What a full check found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CheckReport {
    /// Tracks of the volume.
    pub(crate) tracks: u64,
    /// Of these, tracks that have storage; the others read zero.
    pub(crate) allocated_tracks: u64,
    /// Blocks whose content was compared.
    pub(crate) blocks: u64,
    /// Blocks whose LA or CD is wrong.
    pub(crate) wrong_codes: u64,
    /// Blocks that hold what the image cannot hold.
    pub(crate) wrong_contents: u64,
    /// Writes in flight at the instant: in or out, both are right.
    pub(crate) writes_in_flight: u64,
    /// Of these, writes that show in the image.
    pub(crate) writes_in_flight_in: u64,
    /// Of these, writes of which only a part is in the image, or which are in out of order.
    pub(crate) writes_torn: u64,
    /// SHA-256 of the image at the instant, made of the import and of the writes the ledger has in
    /// it; where a write was in flight, as it went.
    pub(crate) image_sha256: String,
    /// SHA-256 of the image's blocks, as they lie on the drive.
    pub(crate) sha256: String,
}

impl CheckReport {
    /// All that is wrong.
    pub(crate) fn wrong(&self) -> u64 {
        let digests = u64::from(self.image_sha256 != self.sha256);
        self.wrong_codes + self.wrong_contents.max(digests) + self.writes_torn
    }
}

/// What a volume is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) image: &'a Image,
    pub(crate) ledger: &'a Ledger,
    pub(crate) seed: u64,
    pub(crate) cut: Cut,
}

/// Checks every track of a volume. What it wrote must have been flushed.
pub(crate) fn check(
    rig: &Rig,
    side: Side,
    expected: Expected<'_>,
    bar: &Bar,
) -> Result<CheckReport, DemoError> {
    let (volume, home) = rig.volume(side);
    let geometry = volume.geometry;
    let image_blocks = expected.image.block_count();
    let mut judge = Judge::new(expected.ledger, expected.cut, image_blocks);
    let (mut digest, mut image_digest) = (Sha256::new(), Sha256::new());
    let (mut wrong_codes, mut wrong_contents, mut blocks) = (0, 0, 0);
    let mut wanted = vec![0; geometry.track_bytes()];
    let mut found = vec![0; geometry.track_bytes()];
    let mut checks = CheckArea::zeroed(geometry.blocks_per_track());
    for track in geometry.all_tracks().iter() {
        bar.at(track.0);
        let first_block = geometry.first_block(track);
        if volume.allocated.get(track) {
            let sector = home.place(track).data.0;
            read_track(rig, side, sector, &mut found, &mut checks)?;
            let block_count = geometry.blocks_per_track();
            let place = TrackPlace { backing: volume.backing, first_block, block_count };
            wrong_codes += count_wrong(&found, &checks, place);
        } else if track.0 >= expected.image.track_count(geometry) {
            // Reads zero, and the image has nothing here.
            blocks += geometry.blocks_per_track();
            continue;
        } else {
            found.fill(0);
        }
        let whole = BlockRange::new(first_block, geometry.blocks_per_track());
        expected.image.read(whole, &mut wanted)?;
        blocks += whole.count();
        let both = found.chunks_exact(BLOCK_BYTES).zip(wanted.chunks_exact_mut(BLOCK_BYTES));
        for (no, (found, wanted)) in whole.iter().zip(both) {
            let origin = origin(&judge, expected.seed, no, found, wanted);
            match origin {
                _ if !judge.allows(no.0, origin) => wrong_contents += 1,
                Origin::Write(id) => marked::fill(wanted, expected.seed, id, no),
                Origin::Imported | Origin::Unknown => {}
            }
        }
        let of_image = image_blocks.saturating_sub(first_block.0).min(whole.count());
        let of_image = ..of_image as usize * BLOCK_BYTES;
        digest.update(&found[of_image]);
        image_digest.update(&wanted[of_image]);
    }
    let InFlight { writes, writes_in, torn } = judge.in_flight();
    Ok(CheckReport {
        tracks: geometry.track_count(),
        allocated_tracks: volume.allocated.count(),
        blocks,
        wrong_codes,
        wrong_contents,
        writes_in_flight: writes,
        writes_in_flight_in: writes_in,
        writes_torn: torn,
        image_sha256: hex(&image_digest.finalize()),
        sha256: hex(&digest.finalize()),
    })
}

fn read_track(
    rig: &Rig,
    side: Side,
    sector: u64,
    data: &mut [u8],
    checks: &mut CheckArea,
) -> Result<(), DemoError> {
    let (file, at_byte) = (rig.raw(side), sector * BLOCK_BYTES as u64);
    let read: io::Result<()> = file
        .read_exact_at(data, at_byte)
        .and_then(|()| file.read_exact_at(checks.as_bytes_mut(), at_byte + data.len() as u64));
    read.map_err(DemoError::ReadDrive)
}

fn count_wrong(data: &[u8], checks: &CheckArea, place: TrackPlace) -> u64 {
    match verify(data, checks, place, BlockMask::first(place.block_count)) {
        Ok(()) => 0,
        Err(TransferError::WrongBlocks { bad, .. }) => u64::from(bad.count()),
        Err(_) => place.block_count,
    }
}

fn origin(judge: &Judge<'_>, seed: u64, no: BlockNo, found: &[u8], imported: &[u8]) -> Origin {
    match marked::origin(found, seed, no).filter(|id| judge.covers(*id, no.0)) {
        Some(id) => Origin::Write(id),
        None if found == imported => Origin::Imported,
        None => Origin::Unknown,
    }
}

/// A digest in hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(all(test, not(any(diptych_loom, diptych_shuttle))))]
mod tests {
    use super::super::ledger::{HostWrite, Stamps};
    use super::super::marked::WriteId;
    use super::super::progress::Progress;
    use super::super::writers::Target;
    use super::super::{DemoArgs, import};
    use super::*;
    use clap::Parser;
    use diptych::cha::CommandCode;
    use diptych::format::CheckField;
    use diptych::shared::PairStatus;
    use diptych::sync::Arc;
    use std::fs::{self, File};
    use std::time::Duration;
    use tempfile::TempDir;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        demo: DemoArgs,
    }

    /// A secondary of two tracks, copied after one write of blocks 10 to 12.
    struct Copied {
        rig: Arc<Rig>,
        image: Image,
        ledger: Ledger,
        cut: Cut,
        drive: File,
        _dir: TempDir,
    }

    fn copied() -> Copied {
        let dir = TempDir::new().expect("a temporary directory");
        let image_path = dir.path().join("image");
        fs::write(&image_path, vec![9; 200 * BLOCK_BYTES]).expect("an image");
        let (image, drives) = (image_path.as_os_str(), dir.path().as_os_str());
        let args = ["demo", "--keep", "--image"].map(AsRef::as_ref);
        let args = args.into_iter().chain([image, "--dir".as_ref(), drives]);
        let args = Options::parse_from(args).demo;
        let image = Image::of(&args).expect("an image");
        let rig = Arc::new(Rig::new(&args, &image).expect("a control unit"));
        import::import(&rig, &image, &Progress::new()).expect("an import");
        let stamps = Arc::new(Stamps::default());
        let target = Target { rig: rig.clone(), stamps, seed: 1, block_count: 200 };
        let id = WriteId { writer: 0, no: 0 };
        let write: HostWrite = target.write(id, BlockRange::new(BlockNo(10), 3)).expect("a write");
        let mut ledger = Ledger::default();
        ledger.add(vec![write]);
        rig.command(CommandCode::Create).expect("a pair");
        let submitted = target.stamps.next();
        rig.command(CommandCode::Copy).expect("a copy");
        let cut = Cut { submitted, answered: target.stamps.next() };
        while rig.pair().expect("a pair").status != PairStatus::Copied {
            rig.rest(Duration::from_millis(1));
        }
        rig.flush(Side::Secondary).expect("a flush");
        let made = fs::read_dir(dir.path()).expect("a directory").flatten();
        let made = made.map(|entry| entry.path()).find(|path| path.is_dir());
        let path = made.expect("the drives' directory").join("secondary.drive");
        let drive = File::options().read(true).write(true).open(path).expect("the drive's file");
        Copied { rig, image, ledger, cut, drive, _dir: dir }
    }

    impl Copied {
        /// Wrong codes, wrong contents, torn writes.
        fn check(&self, cut: Cut) -> (u64, u64, u64) {
            let (image, ledger) = (&self.image, &self.ledger);
            let expected = Expected { image, ledger, seed: 1, cut };
            let bar = Progress::new().step("check", 2);
            let report = check(&self.rig, Side::Secondary, expected, &bar).expect("a check");
            (report.wrong_codes, report.wrong_contents, report.writes_torn)
        }

        /// Overwrites block `no` of the first track on the drive, its code made to match if asked.
        fn damage(&self, no: u64, data: &[u8; BLOCK_BYTES], seal: bool) {
            let (volume, home) = self.rig.volume(Side::Secondary);
            let place = home.place(diptych::format::TrackNo(0));
            let at_byte = (place.data.0 + no) * BLOCK_BYTES as u64;
            self.drive.write_all_at(data, at_byte).expect("a file that takes it");
            if seal {
                let fields = diptych::format::CHECK_FIELD_BYTES as u64;
                let at_byte = place.checks.0 * BLOCK_BYTES as u64 + no * fields;
                let mut bytes = [0; diptych::format::CHECK_FIELD_BYTES];
                self.drive.read_exact_at(&mut bytes, at_byte).expect("a field");
                let old = CheckField::from_bytes(&bytes);
                assert_eq!(old.la.backing, volume.backing);
                let field = CheckField::of(data, old.la, old.generation);
                self.drive.write_all_at(&field.to_bytes(), at_byte).expect("a field");
            }
        }
    }

    #[test]
    fn a_check_finds_what_is_wrong() {
        let copied = copied();
        let cut = copied.cut;
        assert_eq!(copied.check(cut), (0, 0, 0));
        // The instant is moved before the write: then none of its blocks may be in the image.
        assert_eq!(copied.check(Cut { submitted: 0, answered: 0 }), (0, 3, 0));
        // The write is said to be in flight: all of it is in, which is right.
        let in_flight = Cut { submitted: 2, answered: 3 };
        assert_eq!(copied.check(in_flight), (0, 0, 0));
        // Part of it is taken back, with a good code: wrong or torn.
        copied.damage(11, &[9; BLOCK_BYTES], true);
        assert_eq!(copied.check(cut), (0, 1, 0));
        assert_eq!(copied.check(in_flight), (0, 0, 1));
        // A block from nowhere, with its old code.
        copied.damage(11, &[7; BLOCK_BYTES], false);
        assert_eq!(copied.check(cut), (1, 1, 0));
        // The right content under a wrong code.
        copied.damage(11, &[9; BLOCK_BYTES], true);
        copied.damage(20, &[8; BLOCK_BYTES], true);
        copied.damage(20, &[9; BLOCK_BYTES], false);
        assert_eq!(copied.check(in_flight), (1, 0, 1));
    }
}
