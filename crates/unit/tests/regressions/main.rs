//! Faults that were found by looking, one test each, named for what holds now.

mod auto;
mod bench;
mod blocked;
mod copies;
mod dropped;
mod facts;
mod faults;
mod groups;
mod history;
mod in_use;
mod limits;
mod modify;
mod restore;
mod settings;
mod settling;
mod shapes;
mod undefined;
