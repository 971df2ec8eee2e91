//! `unit.toml`: what a unit directory says of itself (`docs/format.md`).

use crate::UnitDirError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The version of unit directories. One that a later program made is refused.
pub(crate) const VERSION: u16 = 1;
/// The most drives of a unit directory.
pub(crate) const DRIVES_MAX: usize = 1_024;

/// A drive of a unit directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriveShape {
    /// The disk adapter that owns it.
    pub dka_no: u16,
    /// Sectors of 512 bytes.
    pub sectors: u64,
}

/// What a unit directory is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitShape {
    /// The unit's id: its log carries it, so that another unit's is not taken for it. Make it up.
    pub id: u64,
    /// Sectors of the log.
    pub log_sectors: u64,
    /// The drives; their numbers are their places here.
    pub drives: Vec<DriveShape>,
}

impl UnitShape {
    /// The text of `unit.toml`.
    pub fn to_text(&self) -> String {
        encode(self)
    }

    /// Reads the text of the `unit.toml` at `path`.
    ///
    /// # Errors
    ///
    /// If it is none, or a later program's.
    pub fn from_text(text: &str, path: &Path) -> Result<Self, UnitDirError> {
        decode(text, path)
    }
}

/// The file as it stands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u16,
    id: String,
    log_sectors: u64,
    drive: Vec<DriveEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DriveEntry {
    number: usize,
    dka: u16,
    sectors: u64,
}

/// What every version has.
#[derive(Debug, Deserialize)]
struct Versioned {
    version: u64,
}

const COMMENT: &str = "\
# A unit directory of Diptych (docs/format.md). Written once, when the unit is made: do not change it.
";

/// The text of the file.
pub(crate) fn encode(shape: &UnitShape) -> String {
    let entry = |(number, drive): (usize, &DriveShape)| DriveEntry {
        number,
        dka: drive.dka_no,
        sectors: drive.sectors,
    };
    let manifest = Manifest {
        version: VERSION,
        id: format!("{:016x}", shape.id),
        log_sectors: shape.log_sectors,
        drive: shape.drives.iter().enumerate().map(entry).collect(),
    };
    let text = toml::to_string(&manifest).expect("numbers and texts make a file");
    format!("{COMMENT}{text}")
}

/// Reads the text of the file at `path`.
pub(crate) fn decode(text: &str, path: &Path) -> Result<UnitShape, UnitDirError> {
    let bad = |source| UnitDirError::Manifest { path: path.to_owned(), source };
    // The version first: a later one may have other fields.
    let Versioned { version } = toml::from_str(text).map_err(bad)?;
    if version > u64::from(VERSION) {
        let (path, found, known) = (path.to_owned(), version, VERSION);
        return Err(UnitDirError::Version { path, found, known });
    }
    let manifest: Manifest = toml::from_str(text).map_err(bad)?;
    let contradicts = |what| UnitDirError::Contradicts { path: path.to_owned(), what };
    if manifest.version == 0 {
        return Err(contradicts("there is no version 0"));
    }
    if manifest.id.len() != 16 {
        return Err(contradicts("id is not 16 hexadecimal digits"));
    }
    let id = u64::from_str_radix(&manifest.id, 16);
    let id = id.map_err(|_| contradicts("id is not 16 hexadecimal digits"))?;
    if manifest.drive.iter().zip(0..).any(|(drive, number)| drive.number != number) {
        return Err(contradicts("drives are not numbered from 0 on"));
    }
    let shape_of = |drive: &DriveEntry| DriveShape { dka_no: drive.dka, sectors: drive.sectors };
    let drives: Vec<DriveShape> = manifest.drive.iter().map(shape_of).collect();
    if drives.is_empty() || drives.len() > DRIVES_MAX {
        return Err(UnitDirError::DriveCount { count: drives.len(), most: DRIVES_MAX });
    }
    Ok(UnitShape { id, log_sectors: manifest.log_sectors, drives })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> UnitShape {
        let drive = |dka_no, sectors| DriveShape { dka_no, sectors };
        UnitShape {
            id: 0x0123_4567_89AB_CDEF,
            log_sectors: 131_072,
            drives: vec![drive(0, 2_097_152), drive(1, 2_097_152)],
        }
    }

    fn read(text: &str) -> Result<UnitShape, String> {
        decode(text, Path::new("u/unit.toml")).map_err(|error| error.to_string())
    }

    /// The example of `docs/format.md` is what is written.
    #[test]
    fn the_document_has_the_file() {
        const DOC: &str = include_str!("../../../docs/format.md");
        let section = DOC.split("\n## ").find(|s| s.starts_with("Unit directory\n"));
        let example = section.expect("a section").split("```toml\n").nth(1).expect("an example");
        let example = example.split("```").next().expect("its end");
        assert_eq!(encode(&shape()), example);
        assert_eq!(read(example), Ok(shape()));
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let sound = encode(&shape());
        #[track_caller]
        fn check(sound: &str, from: &str, to: &str, expected: &str) {
            assert!(sound.contains(from), "{from}");
            let error = read(&sound.replacen(from, to, 1)).expect_err("a refusal");
            assert!(error.contains(expected), "{error}");
        }
        check(
            &sound,
            "version = 1",
            "version = 2\nshelves = 3",
            "u/unit.toml has version 2, this program knows 1: use the newer program",
        );
        check(&sound, "version = 1\n", "", "missing field `version`");
        check(&sound, "version = 1", "version = 0", "there is no version 0");
        check(&sound, "0123456789abcdef", "0123456789abcde", "16 hexadecimal digits");
        check(&sound, "0123456789abcdef", "0123456789abcdeg", "16 hexadecimal digits");
        check(&sound, "number = 1", "number = 2", "not numbered from 0 on");
        check(&sound, "log_sectors", "log_bytes", "unknown field");
        check(&sound, "dka = 1", "dka = -1", "invalid value");
        let none = "version = 1\nid = \"0123456789abcdef\"\nlog_sectors = 1\ndrive = []\n";
        check(&format!("{sound}\n"), &sound, none, "1 to 1024 drives, not 0");
    }
}
