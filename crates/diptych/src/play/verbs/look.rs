//! Looking at volumes, pairs and the history, and comparing with what is expected.

use super::option;
use crate::play::PlayError;
use crate::play::answer::StatusName;
use crate::play::content::Content;
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{CountWanted, Ldev, PairName, Tracks, TracksWanted, WordError};
use diptych::cha::{NameError, Who};
use diptych::format::TrackNo;
use diptych::shared::{MapName, SIMPLEX, TrackMap};
use diptych::unit::HistoryFilter;
use serde::Deserialize;
use std::fmt;

/// Remembers what a volume holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    mark: Ldev,
    name: String,
}

/// Compares a volume with a mark or with another volume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Same {
    same: Ldev,
    #[serde(rename = "as")]
    other: String,
    tracks: Option<Tracks>,
    #[serde(rename = "but")]
    unlike: Option<TracksWanted>,
}

/// Looks at a pair: its status and its maps.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairIs {
    pair: PairName,
    status: Option<StatusName>,
    #[serde(rename = "C")]
    c: Option<TracksWanted>,
    #[serde(rename = "DP")]
    dp: Option<TracksWanted>,
    #[serde(rename = "DS")]
    ds: Option<TracksWanted>,
    #[serde(rename = "A")]
    a: Option<TracksWanted>,
    unreadable: Option<TracksWanted>,
    copied: Option<CountWanted>,
    protected: Option<CountWanted>,
    /// What holds the copy back.
    #[serde(rename = "held-by")]
    held_by: Option<String>,
}

/// Looks at a volume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeIs {
    volume: Ldev,
    state: Option<String>,
    reserved: Option<bool>,
    undefined: Option<bool>,
    stored: Option<TracksWanted>,
}

/// The codes that the history got since it was last looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryIs {
    history: Vec<u16>,
    of: Option<Subject>,
    who: Option<WhoWord>,
}

/// Who asked for something, as the history says it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct WhoWord(Who);

impl TryFrom<String> for WhoWord {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

/// Looks at every stored block behind the unit's back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Verify {
    verify: Ldev,
    #[serde(default)]
    bad_blocks: usize,
    #[serde(default)]
    unreadable_tracks: usize,
}

/// Whose entries of the history: a pair's, or a volume's.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
enum Subject {
    Pair(PairName),
    Volume(Ldev),
}

impl TryFrom<String> for Subject {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        if text.contains("->") {
            text.try_into().map(Self::Pair)
        } else {
            text.try_into().map(Self::Volume)
        }
    }
}

impl Subject {
    fn filters(self) -> Vec<HistoryFilter> {
        match self {
            Self::Pair(PairName { primary, secondary }) => {
                vec![HistoryFilter::Primary(primary), HistoryFilter::Secondary(secondary)]
            }
            Self::Volume(Ldev(ldev)) => vec![HistoryFilter::Volume(ldev)],
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(pair) => pair.fmt(f),
            Self::Volume(ldev) => ldev.fmt(f),
        }
    }
}

/// `name is found, expected wanted`, if they differ.
fn unequal<T: PartialEq + fmt::Display>(name: &str, wanted: &T, found: &T) -> Option<String> {
    (wanted != found).then(|| format!("{name} is {found}, expected {wanted}"))
}

impl Act for Mark {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let written = stage.mark(&self.name, self.mark.0)?;
        Ok(Happened::seen(format!("{written} tracks with data")))
    }
}

impl Same {
    fn other(&self, stage: &mut Stage) -> Result<Content, PlayError> {
        match self.other.parse() {
            Ok(ldev) => stage.content(ldev),
            Err(_) => {
                let mark = stage.marks.get(&self.other).map(|mark| mark.content.clone());
                mark.ok_or_else(|| PlayError::NoMark { name: self.other.clone() })
            }
        }
    }
}

impl Act for Same {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let other = self.other(stage)?;
        let mut unlike = stage.content(self.same.0)?.unlike(&other).ok_or(PlayError::Shapes)?;
        if let Some(tracks) = &self.tracks {
            let all = 0..unlike.track_count();
            for track in all.filter(|track| !tracks.contains(*track)) {
                unlike.clear(TrackNo(track));
            }
        }
        let mut happened = Happened::seen(match unlike.count() {
            0 => "the same".to_owned(),
            _ => format!("but for tracks {}", Tracks::of_map(&unlike)),
        });
        let wanted = self.unlike.as_ref().unwrap_or(&TracksWanted::Count(0));
        happened.compare(wanted.difference("the difference", &unlike));
        Ok(happened)
    }
}

impl Act for PairIs {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let PairName { primary, secondary } = self.pair;
        let pair = stage.unit().pair(primary, secondary);
        let shown = pair.as_ref().map_or(SIMPLEX, |pair| pair.shown_as());
        let mut happened = Happened::seen(shown);
        if let Some(wanted) = self.status {
            let other = !wanted.is_of(pair.as_ref());
            happened.compare(other.then(|| format!("the pair is {shown}, expected {wanted}")));
        }
        let Some(pair) = pair else {
            let looked_at = [&self.c, &self.dp, &self.ds, &self.a, &self.unreadable];
            if looked_at.iter().any(|wanted| wanted.is_some()) {
                happened.compare(Some("there is no pair, so it has no maps".to_owned()));
            }
            return Ok(happened);
        };
        let wanted = [&self.c, &self.dp, &self.ds, &self.a];
        for (name, wanted) in MapName::ALL.into_iter().zip(wanted) {
            let found = pair.map(name);
            happened.found += &format!(", {name} {}", found.count());
            if let Some(wanted) = wanted {
                happened.compare(wanted.difference(&name.to_string(), found));
            }
        }
        if let Some(wanted) = &self.unreadable {
            happened.compare(wanted.difference("unreadable", &pair.unreadable));
        }
        if let Some(wanted) = self.copied {
            happened.compare(wanted.difference("copied", pair.copied_tracks));
        }
        if let Some(wanted) = self.protected {
            happened.compare(wanted.difference("protected", pair.protected_tracks));
        }
        let speed = stage.unit().copy_speed(primary, secondary, stage.now());
        if let Some(speed) = speed {
            happened.found += &format!(
                ", {:.0} tracks/s, held back by {}",
                speed.tracks_per_second, speed.held_by
            );
        }
        if let Some(wanted) = &self.held_by {
            let found = speed.map_or("nothing to copy".to_owned(), |s| s.held_by.to_string());
            happened.compare(unequal("held by", wanted, &found));
        }
        Ok(happened)
    }
}

impl Act for VolumeIs {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let volume = stage.volume(self.volume.0)?;
        let stored: &TrackMap = &volume.allocated;
        let mut happened = Happened::seen(format!(
            "{}{}{}, {} tracks stored",
            volume.state,
            if volume.reserved { ", reserved" } else { "" },
            if volume.undefined { ", contents undefined" } else { "" },
            stored.count(),
        ));
        if let Some(wanted) = &self.state {
            happened.compare(unequal("the state", wanted, &volume.state.to_string()));
        }
        if let Some(wanted) = &self.reserved {
            happened.compare(unequal("reserved", wanted, &volume.reserved));
        }
        if let Some(wanted) = &self.undefined {
            happened.compare(unequal("undefined", wanted, &volume.undefined));
        }
        if let Some(wanted) = &self.stored {
            happened.compare(wanted.difference("stored", stored));
        }
        Ok(happened)
    }
}

impl Act for HistoryIs {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let mut filters = self.of.map_or_else(Vec::new, Subject::filters);
        filters.extend(self.who.map(|WhoWord(who)| HistoryFilter::Who(who)));
        let entries = stage.take_history(filters);
        let codes: Vec<u16> = entries.iter().map(|entry| entry.message.code()).collect();
        let mut happened = Happened::seen(format!("{codes:?}"));
        happened.compare((codes != self.history).then(|| {
            let lines: Vec<_> = entries.iter().map(|entry| format!("\n      {entry}")).collect();
            format!("the history is {codes:?}, expected {:?}:{}", self.history, lines.concat())
        }));
        Ok(happened)
    }
}

impl Act for Verify {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let found = stage.verify(self.verify.0)?;
        let mut happened = Happened::seen(format!(
            "{} tracks stored, {} blocks wrong, {} tracks unreadable",
            found.tracks, found.bad_blocks, found.unreadable_tracks
        ));
        happened.compare(unequal("wrong blocks", &self.bad_blocks, &found.bad_blocks));
        let unreadable = unequal("unreadable", &self.unreadable_tracks, &found.unreadable_tracks);
        happened.compare(unreadable);
        Ok(happened)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mark {} as {}", self.mark, self.name)
    }
}

impl fmt::Display for Same {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "same {} as {}", self.same, self.other)?;
        option(f, "tracks", self.tracks.as_ref())
    }
}

impl fmt::Display for PairIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pair {}", self.pair)
    }
}

impl fmt::Display for VolumeIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "volume {}", self.volume)
    }
}

impl fmt::Display for HistoryIs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("history")?;
        option(f, "of", self.of.as_ref())?;
        option(f, "by", self.who.map(|WhoWord(who)| who).as_ref())
    }
}

impl fmt::Display for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "verify {}", self.verify)
    }
}
