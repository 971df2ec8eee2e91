//! The history, as people read it.

use serde::{Deserialize, Serialize};

/// A part of the history, as the unit gives it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Page {
    entries: Vec<serde_json::Value>,
    oldest: Option<u64>,
    next: u64,
}

/// A line an entry, the oldest first.
pub(super) fn lines(page: &Page) -> String {
    page.entries.iter().map(line).collect()
}

fn line(entry: &serde_json::Value) -> String {
    let text = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
    let at_s = entry["at_ns"].as_u64().unwrap_or(0) as f64 / 1e9;
    let statuses = match (entry["from"].as_str(), entry["to"].as_str()) {
        (Some(from), Some(to)) if from != to => format!("[{from} -> {to}] "),
        _ => String::new(),
    };
    format!(
        "{:>6}  {at_s:>12.3} s  {:<11}  {:<8}  {} -> {}  {statuses}{}\n",
        entry["sequence"].as_u64().unwrap_or(0),
        text("type"),
        text("who"),
        text("primary"),
        text("secondary"),
        text("message"),
    )
}
