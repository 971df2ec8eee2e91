//! Times by the calendar, written as `cron` has them.
//!
//! `croner` reads the fields and finds the dates. It takes more than it should (`SUNMON`, `1JAN`) and
//! does not say where a text is wrong, so here a text is cut into its fields and items first: letters
//! have to be names that belong to the field, and each item is tried alone when the whole is wrong.

use super::Utc;
use croner::parser::{CronParser, Seconds, Year};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The longest text.
const TEXT_BYTES_MAX: usize = 256;
const NICKNAMES: [&str; 6] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"];
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Times by the calendar, in UTC.
///
/// Five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). A field
/// is `*` or a list of numbers, ranges `1-5` and steps `*/15`; months and days of the week have names
/// of three letters. `L` is the last day of a month, `15W` the working day next to the 15th, `FRI#2`
/// the second Friday, `FRIL` the last. Where both days are given, either will do; with `+` before the
/// day of the week, both must fit. `@hourly`, `@daily`, `@weekly`, `@monthly` and `@yearly` stand for
/// what they say.
///
/// ```
/// use diptych_unit::{Cron, Utc};
///
/// let nights: Cron = "30 2 * * MON-FRI".parse()?;
/// let friday: Utc = "2026-01-30T12:00:00Z".parse()?;
/// let next = nights.next(friday).map(|at| at.to_string());
/// assert_eq!(next.as_deref(), Some("2026-02-02T02:30:00Z"));
///
/// let wrong = "30 24 * * *".parse::<Cron>().map_err(|error| error.to_string());
/// assert_eq!(wrong, Err("column 4: the hour is 0 to 23, or a list, range or step of these".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cron {
    text: String,
    pattern: Box<croner::Cron>,
}

impl Cron {
    /// The first of its times later than `after`; `None` if there is none before the year 5000.
    pub fn next(&self, after: Utc) -> Option<Utc> {
        let found = self.pattern.find_next_occurrence(&after.civil()?, false).ok()?;
        Utc::of_civil(found)
    }

    /// The text it was made of.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

impl TryFrom<String> for Cron {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        text.parse()
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A field of a cron text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CronField {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12, or a name.
    Month,
    /// 0 to 7, or a name.
    DayOfWeek,
}

impl CronField {
    /// All fields, in their order.
    pub const ALL: [Self; 5] =
        [Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    /// What the field is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of the month",
            Self::Month => "month",
            Self::DayOfWeek => "day of the week",
        }
    }

    const fn values(self) -> &'static str {
        match self {
            Self::Minute => "0 to 59",
            Self::Hour => "0 to 23",
            Self::DayOfMonth => "1 to 31, L or 1W to 31W",
            Self::Month => "1 to 12 or JAN to DEC",
            Self::DayOfWeek => "0 to 7 or SUN to SAT, perhaps with L or #1 to #5",
        }
    }

    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
        }
    }

    /// Whether a part of an item, between `-`, `/` and `#`, can stand in this field. Whether its
    /// numbers can, `croner` says.
    fn has_word(self, word: &str) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_name = |text: &str| self.names().iter().any(|name| name.eq_ignore_ascii_case(text));
        let day = |text: &str| is_number(text) || is_name(text);
        match self {
            _ if word == "*" || day(word) => true,
            Self::DayOfMonth if word == "?" => true,
            Self::DayOfMonth if word.eq_ignore_ascii_case("L") => true,
            Self::DayOfMonth => {
                word.eq_ignore_ascii_case("LW")
                    || word.strip_suffix(['W', 'w']).is_some_and(is_number)
            }
            Self::DayOfWeek => word == "?" || word.strip_suffix(['L', 'l']).is_some_and(day),
            Self::Minute | Self::Hour | Self::Month => false,
        }
    }

    /// Whether an item of a list can stand in this field.
    fn has_item(self, item: &str) -> bool {
        item.split(['-', '/', '#']).all(|word| self.has_word(word)) && self.has(item)
    }

    /// Whether `croner` takes the text as this field.
    fn has(self, text: &str) -> bool {
        let fields = Self::ALL.map(|field| if field == self { text } else { "*" });
        parse(&fields.join(" ")).is_ok()
    }
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What is wrong with a cron text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// It is too long.
    #[error("a cron text has at most {most} bytes, not {bytes}")]
    TooLong {
        /// Its bytes.
        bytes: usize,
        /// The most there can be.
        most: usize,
    },
    /// It has too few fields, or too many.
    #[error(
        "a cron text has five fields (minute, hour, day of the month, month, day of the week), \
         this one has {found}"
    )]
    Fields {
        /// Fields found.
        found: usize,
    },
    /// A field, or an item of its list, makes no sense.
    #[error("column {}: the {field} is {}, or a list, range or step of these", at.start + 1, field.values())]
    Field {
        /// Which field.
        field: CronField,
        /// The bytes of the text that are wrong.
        at: Range<usize>,
    },
    /// There is no such name.
    #[error("the names are @hourly, @daily, @weekly, @monthly and @yearly")]
    Nickname,
    /// There is no such date, in any year.
    #[error("there is no such date in any year")]
    Never,
}

impl FromStr for Cron {
    type Err = CronError;

    /// Reads a cron text.
    ///
    /// # Errors
    ///
    /// Says what is wrong, and where.
    fn from_str(text: &str) -> Result<Self, CronError> {
        let (bytes, most) = (text.len(), TEXT_BYTES_MAX);
        if bytes > most {
            return Err(CronError::TooLong { bytes, most });
        }
        if text.trim_start().starts_with('@') {
            let known = NICKNAMES.iter().any(|name| name.eq_ignore_ascii_case(text.trim()));
            if !known {
                return Err(CronError::Nickname);
            }
        } else {
            check_fields(text)?;
        }
        // What is left to go wrong lies between the fields, and there is nothing there.
        let pattern = parse(text).map_err(|_| CronError::Never)?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let cron = Self { text, pattern: Box::new(pattern) };
        cron.next(Utc::EPOCH).ok_or(CronError::Never)?;
        Ok(cron)
    }
}

fn parse(text: &str) -> Result<croner::Cron, croner::errors::CronError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text)
}

/// Each field by itself.
fn check_fields(text: &str) -> Result<(), CronError> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != CronField::ALL.len() {
        return Err(CronError::Fields { found: fields.len() });
    }
    let mut end = 0;
    for (field, of_text) in CronField::ALL.into_iter().zip(fields) {
        let start = end + text[end..].find(of_text).unwrap_or(0);
        end = start + of_text.len();
        check_field(field, of_text, start)?;
    }
    Ok(())
}

fn check_field(field: CronField, text: &str, start: usize) -> Result<(), CronError> {
    let plus = usize::from(field == CronField::DayOfWeek && text.starts_with('+'));
    let mut at = start + plus;
    for item in text[plus..].split(',') {
        let end = at + item.len();
        if !field.has_item(item) {
            return Err(CronError::Field { field, at: at..end });
        }
        at = end + 1;
    }
    if field.has(text) {
        Ok(())
    } else {
        Err(CronError::Field { field, at: start..start + text.len() })
    }
}

#[cfg(test)]
mod tests;
