//! What each verb does, by subject.

pub(crate) mod changed;
pub(crate) mod command;
pub(crate) mod group;
pub(crate) mod host;
pub(crate) mod load;
pub(crate) mod look;
pub(crate) mod operator;
pub(crate) mod schedule;
pub(crate) mod time;

use std::fmt;

/// Adds ` name value` if there is a value.
fn option(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    value: Option<&impl fmt::Display>,
) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {name} {value}"))
}

/// Adds ` name` if it is so.
fn flag(f: &mut fmt::Formatter<'_>, name: &str, is_so: bool) -> fmt::Result {
    if is_so { write!(f, " {name}") } else { Ok(()) }
}
