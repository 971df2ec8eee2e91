//! The model: what the control unit must do, without cache, drives, jobs and copying.
//!
//! Pairs and volumes as design tables: a volume is a tag for each block, a pair is its status and
//! its maps, a copy command takes the image at once. Copiers are nobody's business here: the model
//! is told what they did ([`Model::observe`]) and says whether they might.

mod commands;
mod group;
mod image;
mod observe;
mod restore;
mod stored;

pub use commands::Expected;
pub use group::ExpectedGroup;
pub use observe::UnderWay;

use crate::Tag;
use diptych_cha::{Forbidden, HostError, Tried};
use diptych_format::{BlockNo, BlockRange, Geometry, ImageNo, LdevId, TrackNo};
use diptych_shared::{PairOptions, PairStatus, Phase};
use image::ImageNumber;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a block of the model holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The data of this write.
    Tag(Tag),
    /// Nobody may tell: a copy was given up, or is under way.
    Unknown,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Unknown => f.write_str("anything"),
        }
    }
}

/// A volume of the model.
#[derive(Debug, Clone)]
struct VolumeModel {
    geometry: Geometry,
    /// One for each block.
    content: Vec<Content>,
    reserved: bool,
    undefined: bool,
}

/// A pair of the model. Maps are sets of tracks.
#[derive(Debug, Clone)]
struct PairModel {
    primary: LdevId,
    secondary: LdevId,
    status: PairStatus,
    phase: Phase,
    options: PairOptions,
    copier: bool,
    c: BTreeSet<u64>,
    dp: BTreeSet<u64>,
    ds: BTreeSet<u64>,
    a: BTreeSet<u64>,
    /// The primary at the copy command.
    image: Vec<Content>,
    image_no: ImageNumber,
    /// The image that A leads from.
    a_from: ImageNo,
}

impl PairModel {
    /// Whether its copier may be copying.
    fn copies(&self) -> bool {
        self.copier
            && matches!(
                self.status,
                PairStatus::PairedNotCopied | PairStatus::CopyInProgress | PairStatus::Restoring
            )
    }
}

/// The executable specification of pairs and host access.
///
/// # Example
///
/// ```
/// use diptych_cha::{Command, CommandCode};
/// use diptych_format::{BlockNo, BlockRange};
/// use diptych_testkit::{Content, Setup, Tag, ldev};
///
/// let mut model = Setup::small().model();
/// let block = BlockRange::new(BlockNo(3), 1);
/// model.write(ldev(0), block, Tag(1)).unwrap();
/// model.command(&Command::new(CommandCode::Create, ldev(0), ldev(1)));
/// model.command(&Command::new(CommandCode::Copy, ldev(0), ldev(1)));
/// model.write(ldev(0), block, Tag(2)).unwrap();
/// assert!(model.read(ldev(1), block).is_err(), "the copy is not ended");
/// model.finish_copies();
/// assert_eq!(model.read(ldev(1), block), Ok(vec![Content::Tag(Tag(1))]));
/// assert_eq!(model.read(ldev(0), block), Ok(vec![Content::Tag(Tag(2))]));
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    needs_reserve: bool,
    secondaries_max: usize,
    volumes: BTreeMap<LdevId, VolumeModel>,
    /// By secondary: a volume is the secondary of one pair at most.
    pairs: BTreeMap<LdevId, PairModel>,
    /// The numbers of images that were seen, and the latest of them at the last look.
    images: BTreeSet<ImageNo>,
    latest_image: ImageNo,
}

impl Model {
    /// A model without volumes.
    pub fn new(needs_reserve: bool, secondaries_max: usize) -> Self {
        let (volumes, pairs) = (BTreeMap::new(), BTreeMap::new());
        let (images, latest_image) = (BTreeSet::new(), ImageNo(0));
        Self { needs_reserve, secondaries_max, volumes, pairs, images, latest_image }
    }

    /// Adds a volume of zeros.
    pub fn add_volume(&mut self, ldev: LdevId, geometry: Geometry, reserved: bool) {
        let content = vec![Content::Tag(Tag::ZERO); geometry.block_count() as usize];
        let volume = VolumeModel { geometry, content, reserved, undefined: false };
        self.volumes.insert(ldev, volume);
    }

    /// What a host's read gives. Tracks that a quick secondary lacks are brought.
    ///
    /// # Errors
    ///
    /// As the unit's.
    pub fn read(&mut self, ldev: LdevId, blocks: BlockRange) -> Result<Vec<Content>, HostError> {
        let volume = self.request(ldev, blocks, Tried::Read)?;
        let content = volume.content[range(blocks)].to_vec();
        for track in volume.geometry.tracks_of(blocks).iter() {
            self.bring(ldev, track);
        }
        Ok(content)
    }

    /// A host's write: every block of the range gets the tag.
    ///
    /// # Errors
    ///
    /// As the unit's.
    pub fn write(&mut self, ldev: LdevId, blocks: BlockRange, tag: Tag) -> Result<(), HostError> {
        self.request(ldev, blocks, Tried::Write)?;
        self.change(ldev, blocks, tag);
        Ok(())
    }

    /// What these blocks hold, whether a host may read them or not; `None` if there are no such blocks.
    pub fn content(&self, ldev: LdevId, blocks: BlockRange) -> Option<&[Content]> {
        self.volumes.get(&ldev)?.content.get(range(blocks))
    }

    /// A host's compare and write: the first byte that differs from `expected`, or else every block of
    /// the range gets the tag. Tracks are brought to be compared.
    ///
    /// # Errors
    ///
    /// As the unit's.
    ///
    /// # Panics
    ///
    /// If nobody may tell what the blocks hold.
    pub fn compare_and_write(
        &mut self,
        ldev: LdevId,
        blocks: BlockRange,
        expected: &[u8],
        tag: Tag,
    ) -> Result<Option<u64>, HostError> {
        let volume = self.request(ldev, blocks, Tried::Write)?;
        let geometry = volume.geometry;
        let data = |(content, block): (&Content, BlockNo)| match content {
            Content::Tag(tag) => tag.block(block),
            Content::Unknown => panic!("block {block} of volume {ldev} is not known"),
        };
        let held = volume.content[range(blocks)].iter().zip(blocks.iter()).flat_map(data);
        let differs = held.zip(expected).position(|(held, byte)| held != *byte);
        match differs {
            Some(_) => geometry.tracks_of(blocks).iter().for_each(|track| self.bring(ldev, track)),
            None => self.change(ldev, blocks, tag),
        }
        Ok(differs.map(|at| at as u64))
    }

    /// A host's OR write of this tag to blocks of zeros, and of zeros to the others.
    ///
    /// # Errors
    ///
    /// As the unit's.
    pub fn or_write(
        &mut self,
        ldev: LdevId,
        blocks: BlockRange,
        tag: Tag,
    ) -> Result<(), HostError> {
        let held = self.request(ldev, blocks, Tried::Write)?.content[range(blocks)].to_vec();
        self.change(ldev, blocks, tag);
        if let Some(volume) = self.volumes.get_mut(&ldev) {
            let stays = |held: &Content| *held != Content::Tag(Tag::ZERO);
            let content = volume.content[range(blocks)].iter_mut().zip(held);
            content.filter(|(_, held)| stays(held)).for_each(|(now, held)| *now = held);
        }
        Ok(())
    }

    fn change(&mut self, ldev: LdevId, blocks: BlockRange, tag: Tag) {
        let geometry = self.volumes[&ldev].geometry;
        for track in geometry.tracks_of(blocks).iter() {
            // A whole track needs no old one, and ends without it all the same.
            self.bring(ldev, track);
            if let Some(pair) = self.pairs.get_mut(&ldev) {
                pair.ds.insert(track.0);
            }
            self.changes(ldev, track);
        }
        if let Some(volume) = self.volumes.get_mut(&ldev) {
            volume.content[range(blocks)].fill(Content::Tag(tag));
        }
    }

    /// A host gives blocks up: a write of zeros.
    ///
    /// # Errors
    ///
    /// As the unit's.
    pub fn unmap(&mut self, ldev: LdevId, blocks: BlockRange) -> Result<(), HostError> {
        self.write(ldev, blocks, Tag::ZERO)
    }

    /// A volume is formatted: a change of all its blocks to zero, whether it is reserved or not. Its
    /// contents are defined from then on. Tracks that read zero before need not be marked as changed:
    /// what was marked of them is observed before.
    ///
    /// # Errors
    ///
    /// As the unit's.
    pub fn format(&mut self, ldev: LdevId) -> Result<(), HostError> {
        match self.access(ldev, Tried::Write) {
            Ok(()) | Err(HostError::Access { why: Forbidden::Reserved, .. }) => {}
            Err(error) => return Err(error),
        }
        let geometry = self.volumes[&ldev].geometry;
        for track in geometry.tracks_of(geometry.all_blocks()).iter() {
            let blocks = self.blocks_of(ldev, track);
            let known =
                |content: &Content| matches!(content, Content::Tag(tag) if *tag != Tag::ZERO);
            let changes = self.volumes[&ldev].content[range(blocks)].iter().any(known);
            if changes || self.brought_by(ldev, track).is_some() {
                self.change(ldev, blocks, Tag::ZERO);
            }
        }
        if let Some(volume) = self.volumes.get_mut(&ldev) {
            volume.content.fill(Content::Tag(Tag::ZERO));
            volume.undefined = false;
        }
        Ok(())
    }

    /// The operator accepts what a volume holds; `false` if there is none.
    pub fn accept_contents(&mut self, ldev: LdevId) -> bool {
        let volume = self.volumes.get_mut(&ldev);
        volume.map(|volume| volume.undefined = false).is_some()
    }

    /// A host's flush changes nothing that a host can see.
    ///
    /// # Errors
    ///
    /// If there is no such volume.
    pub fn flush(&self, ldev: LdevId) -> Result<(), HostError> {
        self.volumes.get(&ldev).map(|_| ()).ok_or(HostError::NoVolume { ldev })
    }

    /// Sets the reserve attribute; `false` if the volume is in a pair or there is none.
    pub fn set_reserved(&mut self, ldev: LdevId, reserved: bool) -> bool {
        let paired = self.pairs.values().any(|p| p.primary == ldev || p.secondary == ldev);
        match self.volumes.get_mut(&ldev) {
            Some(volume) if !paired => {
                volume.reserved = reserved;
                true
            }
            _ => false,
        }
    }

    /// Other pace and lanes; `false` if there is no such pair.
    pub fn change_pace(
        &mut self,
        primary: LdevId,
        secondary: LdevId,
        options: PairOptions,
    ) -> bool {
        match self.pairs.get_mut(&secondary) {
            Some(pair) if pair.primary == primary => {
                pair.options = PairOptions { quick: pair.options.quick, ..options };
                true
            }
            _ => false,
        }
    }

    /// All copiers copy all they can, the first level first.
    pub fn finish_copies(&mut self) {
        // A restore ends with the pair's own copying.
        for _ in 0..3 {
            let work: Vec<(LdevId, u64)> = self
                .pairs
                .values()
                .filter(|pair| pair.copies())
                .flat_map(|pair| pair.c.iter().map(|track| (pair.secondary, *track)))
                .collect();
            let (below, first): (Vec<_>, Vec<_>) =
                work.into_iter().partition(|(ldev, _)| self.is_second_level(*ldev));
            for (secondary, track) in first.into_iter().chain(below) {
                if !self.lacks(secondary, track) {
                    self.copied(secondary, TrackNo(track));
                }
            }
        }
    }

    /// Whether a pair in 802 leaves a track alone, because its primary has not got it from the pair above.
    fn lacks(&self, secondary: LdevId, track: u64) -> bool {
        let pair = &self.pairs[&secondary];
        let above = self.pairs.get(&pair.primary);
        pair.status == PairStatus::PairedNotCopied
            && (self.volumes[&pair.primary].undefined
                || above.is_some_and(|above| above.c.contains(&track)))
    }

    /// The copier of the pair of a secondary copies all it can.
    pub fn finish_copies_of(&mut self, secondary: LdevId) {
        let pair = self.pairs.get(&secondary).filter(|pair| pair.copies());
        let tracks: Vec<u64> =
            pair.map(|pair| pair.c.iter().copied().collect()).unwrap_or_default();
        for track in tracks {
            self.copied(secondary, TrackNo(track));
        }
    }

    /// All pairs, as primary and secondary.
    pub fn pairs(&self) -> impl Iterator<Item = (LdevId, LdevId)> + '_ {
        self.pairs.values().map(|pair| (pair.primary, pair.secondary))
    }

    /// Whether hosts may do that now.
    ///
    /// # Errors
    ///
    /// As the unit's.
    pub fn access(&self, ldev: LdevId, tried: Tried) -> Result<(), HostError> {
        let volume = self.volumes.get(&ldev).ok_or(HostError::NoVolume { ldev })?;
        let no = |why| Err(HostError::Access { ldev, tried, why });
        match self.pairs.get(&ldev) {
            Some(pair) => match pair.status {
                PairStatus::Copied => Ok(()),
                PairStatus::CopyInProgress if pair.options.quick => Ok(()),
                status => no(Forbidden::Secondary(status)),
            },
            None if volume.reserved && tried == Tried::Write && !self.is_primary(ldev) => {
                no(Forbidden::Reserved)
            }
            None => Ok(()),
        }
    }

    fn request(
        &self,
        ldev: LdevId,
        blocks: BlockRange,
        tried: Tried,
    ) -> Result<&VolumeModel, HostError> {
        let volume = self.volumes.get(&ldev).ok_or(HostError::NoVolume { ldev })?;
        let block_count = volume.geometry.block_count();
        if blocks.end.0 > block_count {
            return Err(HostError::OutOfRange { ldev, blocks, block_count });
        }
        // A request for nothing touches nothing that could be forbidden.
        if !blocks.is_empty() {
            self.access(ldev, tried)?;
        }
        Ok(volume)
    }

    fn is_primary(&self, ldev: LdevId) -> bool {
        self.pairs.values().any(|pair| pair.primary == ldev)
    }

    fn is_second_level(&self, secondary: LdevId) -> bool {
        self.pairs.get(&secondary).is_some_and(|pair| self.pairs.contains_key(&pair.primary))
    }

    /// A quick secondary, or a primary that is being restored, gets a track that it lacks.
    fn bring(&mut self, ldev: LdevId, track: TrackNo) {
        if let Some(secondary) = self.brought_by(ldev, track).map(|pair| pair.secondary) {
            self.copied(secondary, track);
        }
    }

    /// The pair that has still to bring this track of a quick secondary, or of a primary that is being
    /// restored.
    fn brought_by(&self, ldev: LdevId, track: TrackNo) -> Option<&PairModel> {
        let image = self.pairs.get(&ldev);
        let image = image.filter(|pair| pair.status == PairStatus::CopyInProgress);
        let bringing = image.or_else(|| self.restored_by(ldev));
        bringing.filter(|pair| pair.c.contains(&track.0))
    }

    /// A track of a volume changes (Fig. 9): every pair of that primary notes it.
    fn changes(&mut self, primary: LdevId, track: TrackNo) {
        let of_primary = |pair: &&PairModel| pair.primary == primary;
        let secondaries: Vec<LdevId> =
            self.pairs.values().filter(of_primary).map(|pair| pair.secondary).collect();
        for secondary in secondaries {
            self.change_for(secondary, track);
        }
    }

    /// A track of the primary changes, as one of its pairs sees it.
    fn change_for(&mut self, secondary: LdevId, track: TrackNo) {
        let pair = self.pairs.get_mut(&secondary).expect("a pair");
        match pair.status {
            PairStatus::PairedNotCopied => {
                pair.c.insert(track.0);
                pair.a.insert(track.0);
                self.forget(secondary, track);
            }
            PairStatus::CopyInProgress => {
                if pair.c.contains(&track.0) {
                    self.copied(secondary, track);
                }
                self.pairs.get_mut(&secondary).expect("a pair").dp.insert(track.0);
            }
            PairStatus::Restoring => {
                if pair.c.contains(&track.0) {
                    self.copied(secondary, track);
                    // That may have been the end of the restore.
                    return self.change_for(secondary, track);
                }
                pair.dp.insert(track.0);
            }
            PairStatus::Copied | PairStatus::Suspended => {
                pair.dp.insert(track.0);
            }
        }
    }

    /// A track was copied, by whomever: the secondary changes, which its own pairs note.
    fn copied(&mut self, secondary: LdevId, track: TrackNo) {
        if self.pairs[&secondary].status == PairStatus::Restoring {
            self.pairs.get_mut(&secondary).expect("a pair").c.remove(&track.0);
            return self.end_restore_if_done(secondary);
        }
        self.changes(secondary, track);
        let pair = self.pairs.get_mut(&secondary).expect("a pair");
        pair.c.remove(&track.0);
        let (primary, status) = (pair.primary, pair.status);
        if pair.c.is_empty() {
            match status {
                PairStatus::CopyInProgress => pair.status = PairStatus::Copied,
                PairStatus::PairedNotCopied if pair.copier => pair.phase = Phase::Duplex,
                _ => {}
            }
        }
        if status == PairStatus::PairedNotCopied {
            // What the primary itself has still to get is not known to be there.
            let lacks = |pair: &PairModel| pair.c.contains(&track.0);
            let blocks = self.blocks_of(primary, track);
            let source = match self.pairs.get(&primary) {
                Some(above) if lacks(above) => vec![Content::Unknown; blocks.count() as usize],
                _ => self.volumes[&primary].content[range(blocks)].to_vec(),
            };
            let volume = self.volumes.get_mut(&secondary).expect("a volume");
            volume.content[range(blocks)].copy_from_slice(&source);
        }
    }

    fn forget(&mut self, ldev: LdevId, track: TrackNo) {
        let blocks = self.blocks_of(ldev, track);
        let volume = self.volumes.get_mut(&ldev).expect("a volume");
        volume.content[range(blocks)].fill(Content::Unknown);
    }

    fn blocks_of(&self, ldev: LdevId, track: TrackNo) -> BlockRange {
        let geometry = self.volumes[&ldev].geometry;
        let whole = BlockRange::new(geometry.first_block(track), geometry.blocks_per_track());
        whole.intersection(geometry.all_blocks())
    }
}

/// The indexes of these blocks.
fn range(blocks: BlockRange) -> std::ops::Range<usize> {
    let BlockRange { start: BlockNo(start), end: BlockNo(end) } = blocks;
    start as usize..end as usize
}
