//! A scenario file: TOML, read with the place of everything that is wrong.

use super::PlayError;
use super::answer::Expect;
use super::verb::{self, Act};
use super::words::{Ldev, Size, Span, UtcWord};
use diptych::format::{BLOCK_BYTES, Emulation, Geometry, GeometryError, LdevId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Which driver plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TimeKind {
    /// One thread, virtual time: the same run every time, and years take milliseconds
    Virtual,
    /// Worker threads, wall time
    Real,
}

impl TimeKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Real => "real",
        }
    }
}

/// A scenario: volumes, and what is done with them.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) path: PathBuf,
    pub(crate) title: String,
    pub(crate) about: Option<String>,
    /// `None`: it comes out alike in both.
    pub(crate) time: Option<TimeKind>,
    pub(crate) unit: UnitTable,
    pub(crate) volumes: Vec<VolumeRow>,
    pub(crate) steps: Vec<Step>,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    /// From 1.
    pub(crate) no: usize,
    pub(crate) line: usize,
    pub(crate) verb: &'static str,
    pub(crate) act: Box<dyn Act>,
    pub(crate) expect: Option<Expect>,
    pub(crate) note: Option<String>,
}

/// A volume of a scenario.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VolumeRow {
    pub(crate) ldev: LdevId,
    pub(crate) geometry: Geometry,
    pub(crate) drive: usize,
    pub(crate) reserved: bool,
    /// Without payload.
    pub(crate) metadata: bool,
}

/// `[unit]`: settings of the control unit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct UnitTable {
    /// Cache memory, in slots of a track.
    pub(crate) cache: usize,
    pub(crate) needs_reserve: bool,
    pub(crate) secondaries_max: usize,
    pub(crate) pairs_max: usize,
    pub(crate) lanes_max: u8,
    pub(crate) group_pairs_max: usize,
    pub(crate) groups_max: usize,
    pub(crate) schedules_max: usize,
    pub(crate) queued_claims_max: usize,
    pub(crate) history_max: usize,
    /// The civil time at which it starts.
    pub(crate) start: Option<UtcWord>,
    pub(crate) in_use: Span,
    pub(crate) copy_rest: Span,
    pub(crate) destage_delay: Span,
}

impl Default for UnitTable {
    fn default() -> Self {
        let unit = diptych::unit::UnitConfig::with_cache(1, BLOCK_BYTES);
        Self {
            cache: 256,
            needs_reserve: unit.needs_reserve,
            secondaries_max: unit.secondaries_max,
            pairs_max: unit.limits.pairs,
            lanes_max: unit.lanes_max,
            group_pairs_max: unit.group_pairs_max,
            groups_max: unit.groups_max,
            schedules_max: unit.schedules_max,
            queued_claims_max: unit.limits.queued_claims,
            history_max: unit.history_max,
            start: None,
            in_use: Span { ns: unit.in_use_ns },
            copy_rest: Span { ns: unit.copy_rest_ns },
            // Short, so that a scenario that settles in real time does not stand still.
            destage_delay: Span { ns: 5_000_000 },
        }
    }
}

/// All of the file but its steps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    title: String,
    about: Option<String>,
    time: Option<TimeKind>,
    #[serde(default)]
    unit: UnitTable,
    volumes: BTreeMap<Ldev, Spanned<VolumeTable>>,
}

/// A line of `[volumes]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VolumeTable {
    emulation: Option<Spanned<String>>,
    tracks: Option<u64>,
    size: Option<Size>,
    #[serde(default)]
    reserved: bool,
    drive: Option<usize>,
    #[serde(default)]
    metadata: bool,
}

/// What is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Mistake {
    #[error("{}", .0.message())]
    Toml(#[from] toml::de::Error),
    #[error("there is no [[step]]: say what is to happen")]
    NoSteps,
    #[error("a step begins with [[step]], or steps are a list of tables")]
    NotSteps,
    #[error("there are no volumes: name them under [volumes], as in \"00:00\" = {{ tracks = 12 }}")]
    NoVolumes,
    #[error("this step has no verb: it has to have one of {}", verbs.join(", "))]
    NoVerb { verbs: Vec<&'static str> },
    #[error("this step has two verbs, {first} and {second}: make two steps of it")]
    TwoVerbs { first: &'static str, second: &'static str },
    #[error(
        "{verb} is answered nothing that could be expected: say in its own fields what it has to find"
    )]
    NothingToExpect { verb: &'static str },
    #[error("a volume of {emulation} has one size: leave tracks and size away")]
    FixedSize { emulation: Emulation },
    #[error("say how large the volume is: tracks = 12, or size = \"768 KiB\"")]
    NoSize,
    #[error("a volume has tracks or a size, not both")]
    TwoSizes,
    #[error("{bytes} bytes are not whole blocks of 512")]
    NotWholeBlocks { bytes: u64 },
    #[error(transparent)]
    Emulation(#[from] diptych::format::UnknownEmulation),
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    #[error("drive {drive} is not one of 0 to {most}: drives are numbered like volumes")]
    Drive { drive: usize, most: usize },
}

/// A mistake, and the byte of the file at which it is.
type Found = (Mistake, usize);

impl Scenario {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, PlayError> {
        let unreadable = |source| PlayError::Read { path: path.to_owned(), source };
        let bytes = fs::metadata(path).map_err(unreadable)?.len();
        if bytes > FILE_BYTES_MAX {
            let most_bytes = FILE_BYTES_MAX;
            return Err(PlayError::FileTooLarge { path: path.to_owned(), bytes, most_bytes });
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(path, &text).map_err(|(mistake, at)| {
            let line = line_of(&text, at);
            PlayError::Scenario { path: path.to_owned(), line, mistake }
        })
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Found> {
        let root = DeTable::parse(text).map_err(toml_at)?;
        let mut table = root.into_inner();
        let steps = table.remove("step").ok_or((Mistake::NoSteps, text.len()))?;
        let whole = Spanned::new(0..text.len().min(1), DeValue::Table(table));
        let head = Head::deserialize(ValueDeserializer::from(whole)).map_err(toml_at)?;
        if head.volumes.is_empty() {
            return Err((Mistake::NoVolumes, 0));
        }
        let count = head.volumes.len();
        let volumes = head.volumes.into_iter().enumerate();
        let volumes = volumes.map(|(no, (Ldev(ldev), table))| {
            let at = table.span().start;
            let row = table.into_inner().row(ldev, no, count);
            row.map_err(|(mistake, exactly)| (mistake, exactly.unwrap_or(at)))
        });
        Ok(Self {
            path: path.to_owned(),
            title: head.title,
            about: head.about,
            time: head.time,
            unit: head.unit,
            volumes: volumes.collect::<Result<_, _>>()?,
            steps: read_steps(steps, text)?,
        })
    }
}

impl VolumeTable {
    fn row(
        self,
        ldev: LdevId,
        no: usize,
        count: usize,
    ) -> Result<VolumeRow, (Mistake, Option<usize>)> {
        let drive = self.drive.unwrap_or(no);
        if drive >= count {
            return Err((Mistake::Drive { drive, most: count - 1 }, None));
        }
        let (reserved, metadata) = (self.reserved, self.metadata);
        Ok(VolumeRow { ldev, geometry: self.geometry()?, drive, reserved, metadata })
    }

    fn geometry(self) -> Result<Geometry, (Mistake, Option<usize>)> {
        let emulation = match &self.emulation {
            None => Emulation::OpenV,
            Some(name) => {
                let unknown = |error| (Mistake::from(error), Some(name.span().start));
                name.get_ref().parse().map_err(unknown)?
            }
        };
        let fixed = Geometry::of(emulation);
        let blocks = match (self.tracks, self.size, fixed) {
            (None, None, Some(geometry)) => return Ok(geometry),
            (_, _, Some(_)) => return Err((Mistake::FixedSize { emulation }, None)),
            (Some(tracks), None, _) => tracks.saturating_mul(emulation.blocks_per_track()),
            (None, Some(Size { bytes }), _) if bytes % BLOCK_BYTES as u64 != 0 => {
                return Err((Mistake::NotWholeBlocks { bytes }, None));
            }
            (None, Some(Size { bytes }), _) => bytes / BLOCK_BYTES as u64,
            (None, None, _) => return Err((Mistake::NoSize, None)),
            (Some(_), Some(_), _) => return Err((Mistake::TwoSizes, None)),
        };
        Geometry::new(emulation, blocks).map_err(|error| (error.into(), None))
    }
}

fn toml_at(error: toml::de::Error) -> Found {
    let at = error.span().map_or(0, |span| span.start);
    (error.into(), at)
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

fn read_steps(steps: Spanned<DeValue<'_>>, text: &str) -> Result<Vec<Step>, Found> {
    let at = steps.span().start;
    let DeValue::Array(steps) = steps.into_inner() else { return Err((Mistake::NotSteps, at)) };
    (1..).zip(steps).map(|(no, step)| read_step(no, step, text)).collect()
}

fn read_step(no: usize, step: Spanned<DeValue<'_>>, text: &str) -> Result<Step, Found> {
    let span = step.span();
    let DeValue::Table(mut table) = step.into_inner() else {
        return Err((Mistake::NotSteps, span.start));
    };
    let mut found = verb::names().filter(|name| table.contains_key(*name));
    let verb =
        found.next().ok_or((Mistake::NoVerb { verbs: verb::names().collect() }, span.start))?;
    if let Some(second) = found.next() {
        return Err((Mistake::TwoVerbs { first: verb, second }, span.start));
    }
    let at = table.get_key_value(verb).map_or(span.start, |(key, _)| key.span().start);
    let note = table.remove("note").map(text_of::<String>).transpose()?;
    let expect = table.remove("expect");
    let expected_at = expect.as_ref().map(|expect| expect.span().start);
    let expect = expect.map(text_of::<Expect>).transpose()?;
    let act = verb::read(verb, Spanned::new(span, DeValue::Table(table))).map_err(toml_at)?;
    if let (Some(at), None) = (expected_at, act.default_expect()) {
        return Err((Mistake::NothingToExpect { verb }, at));
    }
    let expect = expect.or(act.default_expect());
    Ok(Step { no, line: line_of(text, at), verb, act, expect, note })
}

fn text_of<T: for<'de> Deserialize<'de>>(value: Spanned<DeValue<'_>>) -> Result<T, Found> {
    let at = value.span().start;
    T::deserialize(ValueDeserializer::from(value)).map_err(|error| (error.into(), at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "title = \"t\"\n[volumes]\n\"00:00\" = { tracks = 2 }\n";

    /// The line and the text of what is wrong.
    fn mistake(text: &str) -> String {
        match Scenario::parse(Path::new("x.toml"), text) {
            Ok(_) => "nothing is wrong".to_owned(),
            Err((mistake, at)) => format!("{}: {mistake}", line_of(text, at)),
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        fn check(text: &str, expected: &str) {
            assert_eq!(mistake(text), expected, "{text}");
        }
        let step = |fields: &str| format!("{HEAD}\n[[step]]\n{fields}\n");
        check("title = ", "1: string values must be quoted, expected literal string");
        check(HEAD, "4: there is no [[step]]: say what is to happen");
        check(
            &format!("step = 4\n{HEAD}"),
            "1: a step begins with [[step]], or steps are a list of tables",
        );
        check("title = \"t\"\n[[step]]\nflush = \"00:00\"", "1: missing field `volumes`");
        check("[volumes]\n[[step]]\nflush = \"00:00\"", "1: missing field `title`");
        let unit = step("flush = \"00:00\"").replace("[volumes]", "[unit]\ncash = 3\n[volumes]");
        assert!(mistake(&unit).starts_with("3: unknown field `cash`, expected one of `cache`"));
        let volume = |row: &str| step("flush = \"00:00\"").replace("{ tracks = 2 }", row);
        check(&volume("{}"), "3: say how large the volume is: tracks = 12, or size = \"768 KiB\"");
        check(
            &volume("{ emulation = \"OPEN-4\", tracks = 2 }"),
            "3: the emulation types are OPEN-3, OPEN-8, OPEN-9, OPEN-E, OPEN-L and OPEN-V",
        );
        check(
            &volume("{ emulation = \"OPEN-3\", tracks = 2 }"),
            "3: a volume of OPEN-3 has one size: leave tracks and size away",
        );
        check(
            &volume("{ tracks = 2, drive = 1 }"),
            "3: drive 1 is not one of 0 to 0: drives are numbered like volumes",
        );
        assert!(
            mistake(&step("wirte = \"00:00\"")).starts_with("5: this step has no verb: it has")
        );
        check(
            &step("flush = \"00:00\"\nread = \"00:00\""),
            "5: this step has two verbs, read and flush: make two steps of it",
        );
        check(
            &step("flush = \"0:0\""),
            "6: a volume is written CU:LDEV in hexadecimal, as in \"00:1A\"",
        );
        check(
            &step("write = \"00:00\"\n\ntrack = 3"),
            "8: unknown field `track`, expected one of `write`, `tracks`, `blocks`, `fill`",
        );
        check(
            &step("settle = true\nexpect = \"done\""),
            "7: settle is answered nothing that could be expected: say in its own fields what it \
             has to find",
        );
        check(
            &step("flush = \"00:00\"\nexpect = \"fine\""),
            "7: a step is expected to be \"done\", \"accepted\", \"nothing\", \"refused: reason\" \
             or \"failed: reason\"",
        );
    }

    #[test]
    fn steps_may_be_a_list() {
        let text = format!("step = [\n{{ flush = \"00:00\" }},\n{{ settle = true }},\n]\n{HEAD}");
        let scenario = Scenario::parse(Path::new("x.toml"), &text).expect("a scenario");
        let steps: Vec<_> = scenario.steps.iter().map(|s| (s.no, s.line, s.verb)).collect();
        assert_eq!(steps, [(1, 2, "flush"), (2, 3, "settle")]);
    }
}
