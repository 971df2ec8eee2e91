//! The text of a unit directory.

use diptych_rt::UnitShape;
use std::path::Path;

pub(super) fn run(bytes: &[u8]) -> bool {
    let path = Path::new("unit.toml");
    let text = String::from_utf8_lossy(bytes);
    let Ok(shape) = UnitShape::from_text(&text, path) else { return false };
    let again = UnitShape::from_text(&shape.to_text(), path);
    assert_eq!(again.ok(), Some(shape), "what is written is read");
    true
}
