//! Reference model, checkers and storm programs for tests.
