//! Shared memory: pair information, track maps and claims of a family.
