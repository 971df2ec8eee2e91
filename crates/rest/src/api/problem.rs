//! What went wrong.

use serde::{Deserialize, Serialize};

/// The body of every answer that is none of 2xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which problem it is: a word that stays the same.
    pub code: String,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What could be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what_to_do: Option<String>,
}
