//! Pairs as bytes: all but what ends with the unit, and nothing that is no pair.

use crate::{Pair, TrackMap};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Stands for a map until it is known how many tracks there are.
pub(crate) fn no_tracks() -> TrackMap {
    TrackMap::new(0)
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // What is derived for the type itself comes first.
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Pair {
    /// Nothing is settling: nobody knows what was flushed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut pair = Self::deserialize(deserializer)?;
        let track_count = pair.c.track_count();
        let maps = [&pair.dp, &pair.ds, &pair.a, &pair.unreadable];
        if maps.iter().any(|map| map.track_count() != track_count) {
            return Err(D::Error::custom("the maps of a pair are of one size"));
        }
        pair.settling = TrackMap::new(track_count);
        Ok(pair)
    }
}
