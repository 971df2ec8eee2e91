//! The status x command table of the design, cell by cell and with every option, host access by status,
//! and every refusal: as the unit answers, with the model beside it.

mod access;
mod bench;
mod commands;
mod epochs;
mod groups;
mod refusals;
mod relatives;
