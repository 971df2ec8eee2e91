//! Answers on stdout: tables that fit the terminal, or JSON.

use super::error::CliError;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{self, Write};

/// Tells an answer: as it is, or in words. A table or a line has its end already.
pub(super) fn write_answer<T: Serialize>(
    json: bool,
    answer: &T,
    words: impl FnOnce(&T) -> String,
) -> Result<(), CliError> {
    let mut text = match json {
        true => serde_json::to_string_pretty(answer).map_err(CliError::Json)?,
        false => words(answer),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    io::stdout().write_all(text.as_bytes()).map_err(CliError::Tell)
}

/// A table of these rows. Columns whose heading ends in a blank are numbers, and stand to the right.
pub(super) fn table<const N: usize>(
    headings: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.map(str::trim_end));
    table.add_rows(rows);
    for (heading, column) in headings.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, 2));
        if heading.ends_with(' ') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned() + "\n");
    lines.collect()
}

/// A list of what things are.
pub(super) fn facts<const N: usize>(facts: [(&str, String); N]) -> String {
    let wide = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): (&str, String)| format!("{name:wide$}  {value}\n");
    facts.into_iter().map(line).collect()
}

/// What is there, or a dash.
pub(super) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// The words of what is so, or a dash.
pub(super) fn flags<const N: usize>(flags: [(bool, &str); N]) -> String {
    let words: Vec<&str> = flags.into_iter().filter_map(|(is, word)| is.then_some(word)).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let rows = [["a", "1"], ["bcd", "234"]].map(|row| row.map(str::to_owned));
        insta::assert_snapshot!(table(["NAME", "COUNT "], rows), @r"
        NAME  COUNT
        a         1
        bcd     234
        ");
        insta::assert_snapshot!(facts([("a", "1".to_owned()), ("bc", "2".to_owned())]), @r"
        a   1
        bc  2
        ");
    }
}
