//! Pairs, and the commands for them.

use serde::{Deserialize, Serialize};

/// A pair by its volumes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairRef {
    /// The primary volume.
    pub primary: String,
    /// The secondary volume.
    pub secondary: String,
}

/// A pair as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairInfo {
    /// The pair number, a point, which use of the number it is.
    pub number: String,
    /// The primary volume.
    pub primary: String,
    /// The name of the primary.
    pub primary_name: Option<String>,
    /// The secondary volume.
    pub secondary: String,
    /// The name of the secondary.
    pub secondary_name: Option<String>,
    /// `idle`, `pending`, `re-sync`, `duplex`, `sp-pending`, `split`, `resync-reverse` or `suspend`.
    pub status: String,
    /// The same in the words of the patent, as `paired and copied`.
    pub status_text: String,
    /// Whether tracks are copied in this status.
    pub copying: bool,
    /// `slow`, `medium`, `fast`, or tracks an elemental copy.
    pub pace: String,
    /// Jobs that copy at once.
    pub lanes: u8,
    /// Whether hosts may use the secondary before the copy has ended.
    pub quick: bool,
    /// What holds the copy back beyond its pace, as `200/s` or `500us`.
    pub limit: Option<String>,
    /// Tracks of each volume.
    pub tracks: u64,
    /// Tracks still to be copied (C).
    pub c_tracks: u64,
    /// Tracks of the primary changed since the image (DP).
    pub dp_tracks: u64,
    /// Tracks of the secondary changed since the image (DS).
    pub ds_tracks: u64,
    /// Tracks changed between the image before and this one (A).
    pub a_tracks: u64,
    /// Tracks that cannot be read, and so cannot be copied.
    pub unreadable_tracks: u64,
    /// Tracks that need not be copied any more, in percent.
    pub done_percent: u8,
    /// The image that the secondary holds or will hold; `null` while there is none.
    pub image: Option<u64>,
    /// The instant of that image, as RFC 3339 has it.
    pub image_at: Option<String>,
    /// Tracks copied since the pair was created.
    pub copied_tracks: u64,
    /// How many of them were copied before a host's write.
    pub protected_tracks: u64,
    /// Tracks copied in the last second; `null` if nothing was to be copied since the last command.
    pub tracks_per_second: Option<f64>,
    /// What holds the copy back.
    pub held_by: Option<String>,
}

/// How a pair is copied; what is left out stays as it is usual.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CopyOptions {
    /// `slow`, `medium`, `fast`, or 1 to 15 tracks an elemental copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<String>,
    /// Jobs that copy at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u8>,
    /// Whether hosts may use the secondary before the copy has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quick: Option<bool>,
    /// A limit: tracks a second, as `200/s`, or added latency, as `500us`; `none` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// A pair to be created whose secondary the unit may choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewPair {
    /// The primary volume.
    pub primary: String,
    /// The secondary volume; without it, the unit takes the first reserved one that fits.
    pub secondary: Option<String>,
    /// How it is copied.
    pub options: CopyOptions,
    /// Leave the copier off.
    pub no_copy: bool,
    /// Give the copy command with it.
    pub split: bool,
}

/// A command for a pair, or for all pairs of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PairCommand {
    /// How it is copied. What is left out stays as the pair has it.
    pub options: CopyOptions,
    /// Restore: the volumes exchange their storage.
    pub quick_restore: bool,
    /// Quick restore: the pair stays split, the secondary holds the primary's old content.
    pub freeze: bool,
    /// Delete: also while restoring, the primary's contents are undefined then. Others: also if hosts
    /// that use the secondary are cut off it.
    pub force: bool,
    /// Of a group: how long hosts may have to wait for it, in milliseconds.
    pub drain_limit_ms: Option<u64>,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandAnswer {
    /// `accepted`, or `nothing`: there was nothing to do in the status met, and nothing changed.
    pub outcome: String,
    /// The command.
    pub command: String,
    /// The primary volume.
    pub primary: String,
    /// The secondary volume.
    pub secondary: String,
    /// The pair number.
    pub pair: Option<String>,
    /// The status met, in the words of the patent; `no pair` where there was none.
    pub from: String,
    /// The status now.
    pub to: String,
    /// The image, if the secondary holds one or will.
    pub image: Option<u64>,
}

impl CommandAnswer {
    /// Whether something was done.
    pub fn is_accepted(&self) -> bool {
        self.outcome == "accepted"
    }
}
