//! The Device trait and drives: memory, file, and wrappers that are devices themselves.
