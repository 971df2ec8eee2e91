//! Integration tests over the whole control unit: one binary, one module a subject.

mod differential;
mod docs;
