//! The history.

use super::Query;
use crate::management::{App, answer};
use crate::problem::Failure;
use axum::Json;
use axum::extract::State;
use diptych_unit::{HistoryEntry, HistoryFilter, HistoryPage, HistoryQuery};
use serde::{Deserialize, Serialize};

/// Entries of one answer.
const ENTRIES_MAX: usize = 1_000;

/// What may stand behind the question mark.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// Entries about this volume.
    ldev: Option<String>,
    /// Entries about the pair of this primary...
    primary: Option<String>,
    /// ...and this secondary.
    secondary: Option<String>,
    /// From this number on, the oldest first; without it, the newest.
    since: Option<u64>,
    /// So many at most.
    limit: Option<usize>,
}

/// The answer. The entries are those of the history's own lines of JSON.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    entries: Vec<HistoryEntry>,
    oldest: Option<u64>,
    next: u64,
}

pub(super) async fn history(
    State(app): State<App>,
    Query(asked): Query<Asked>,
) -> Result<Json<Page>, Failure> {
    answer(&app, move |app| {
        let mut query = HistoryQuery {
            since: asked.since.unwrap_or(0),
            descending: asked.since.is_none(),
            limit: asked.limit.unwrap_or(100).min(ENTRIES_MAX),
            ..HistoryQuery::default()
        };
        type Filter = fn(diptych_format::LdevId) -> HistoryFilter;
        let filters: [(&Option<String>, Filter); 3] = [
            (&asked.ldev, HistoryFilter::Volume),
            (&asked.primary, HistoryFilter::Primary),
            (&asked.secondary, HistoryFilter::Secondary),
        ];
        for (text, filter) in filters {
            if let Some(text) = text {
                query.filters.push(filter(app.ldev(text)?));
            }
        }
        let mut page = app.rt.unit().history(&query);
        if query.descending {
            // The newest were asked for, and they are read as they happened.
            page.entries.reverse();
        }
        let HistoryPage { entries, oldest, next } = page;
        Ok(Page { entries, oldest, next })
    })
    .await
}
