//! Numbers of images: every accepted copy and every freeze takes a new one, never used again by any
//! pair, and A names the image that it leads from.

use super::{Model, PairModel};
use crate::Violation;
use diptych_format::ImageNo;
use diptych_shared::{Pair, PairStatus, Phase};

/// What is known of the number of a pair's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImageNumber {
    /// There is no image.
    None,
    /// It is the unit's to choose, and later than all before.
    New,
    /// This.
    No(ImageNo),
}

impl ImageNumber {
    /// The number, which was seen when the image was made; 0 if there is none.
    pub(super) fn known(self) -> ImageNo {
        match self {
            Self::None => ImageNo(0),
            Self::New => panic!("the unit was not looked at since its image was made"),
            Self::No(no) => no,
        }
    }
}

impl PairModel {
    /// The image is given up.
    pub(super) fn forget_number(&mut self) {
        self.image.clear();
        self.image_no = ImageNumber::None;
    }
}

impl Model {
    /// Compares the numbers, and learns a new one. Those of one look are later than those of the look
    /// before, in any order.
    pub(super) fn compare_image(&mut self, real: &Pair) -> Result<(), Violation> {
        let Pair { primary, secondary, image, a_from, .. } = *real;
        let pair = self.pairs.get_mut(&secondary).expect("a pair");
        let (right, expected) = match pair.image_no {
            ImageNumber::None => (image == ImageNo(0), Some(ImageNo(0))),
            ImageNumber::New => (self.images.insert(image) && image > self.latest_image, None),
            ImageNumber::No(no) => (image == no, Some(no)),
        };
        if !right || a_from != pair.a_from {
            let from = pair.a_from;
            return Err(Violation::Image { primary, secondary, image, a_from, expected, from });
        }
        if pair.image_no == ImageNumber::New {
            pair.image_no = ImageNumber::No(image);
        }
        Ok(())
    }
}

impl Model {
    /// Learns the numbers of images that were made, and whether a copier had caught up before, which the
    /// model cannot know where it was not asked just then. Nothing else of these pairs.
    pub(crate) fn learn_images(&mut self, pairs: &[Pair]) {
        for real in pairs {
            let Some(pair) = self.pairs.get_mut(&real.secondary) else { continue };
            let has_image = matches!(pair.status, PairStatus::CopyInProgress | PairStatus::Copied);
            if real.phase == Phase::Duplex && has_image {
                pair.phase = Phase::Duplex;
            }
            if pair.image_no == ImageNumber::New && real.image != ImageNo(0) {
                pair.image_no = ImageNumber::No(real.image);
            }
        }
    }
}
