//! The tables of `docs/format.md`, for tests.

const DOC: &str = include_str!("../../../docs/format.md");

/// Field, offset and width of each row of the table below a heading.
pub(crate) fn table(heading: &str) -> Vec<(&'static str, usize, usize)> {
    let section = DOC.split("\n## ").find(|section| section.lines().next() == Some(heading));
    let section = section.unwrap_or_else(|| panic!("docs/format.md has a section {heading}"));
    let number = |cell: &str| cell.parse().unwrap_or_else(|_| panic!("{cell:?} is a number"));
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2).map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        (cells[0], number(cells[1]), number(cells[2]))
    });
    let rows: Vec<_> = rows.collect();
    assert!(!rows.is_empty(), "section {heading} has a table");
    rows
}
