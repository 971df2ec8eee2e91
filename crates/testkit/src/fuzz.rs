//! What is read from devices, files and channels, handed anything: the bodies of the fuzz targets.
//!
//! `fuzz/` has a program for each, for cargo-fuzz; `tests/fuzz.rs` replays their corpora and mutates them
//! on any toolchain.
//!
//! | target | what it hands to whom | file |
//! |---|---|---|
//! | `log_replay` | the sectors of a log's device, to `Log::open` and `Log::salvage` | `log_replay` |
//! | `checkpoint` | a log's records, to `Unit::open`; the unit goes on, and comes back once more | `checkpoint` |
//! | `map_pages` | track maps, states and changes, to shared memory | `map_pages` |
//! | `command_block` | command and answer blocks | `blocks` |
//! | `unit_toml` | the text of a unit directory | `unit_toml` |
//!
//! Invariants:
//! - A body panics if, and only if, what it handed on was dealt with wrongly.
//! - Check codes are made right on the way, unless the input says otherwise: what is behind them is to be
//!   reached.
//! - What a body takes of memory is bounded by its input: [`FuzzTarget::memory_max`].

mod blocks;
mod checkpoint;
mod input;
mod log_replay;
mod map_pages;
mod mutate;
mod records;
mod seeds;
mod unit_toml;

pub use mutate::mutate_input;

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct FuzzTarget {
    /// What it is called, in `fuzz/` too.
    pub name: &'static str,
    /// Hands an input on. Returns whether it was taken, or refused as making no sense.
    ///
    /// # Panics
    ///
    /// If it was dealt with wrongly.
    pub run: fn(&[u8]) -> bool,
    /// Inputs that real logs, units and memories make: each with a name, and taken.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
    /// Bytes that it takes whatever the input is: the unit and the devices it makes.
    base_bytes: usize,
    /// Bytes that it takes for each byte of the input.
    bytes_each: usize,
}

impl FuzzTarget {
    /// The target of this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn named(name: &str) -> &'static Self {
        let named = FUZZ_TARGETS.iter().find(|target| target.name == name);
        named.unwrap_or_else(|| panic!("there is no fuzz target {name}"))
    }

    /// The most bytes of memory at once for an input of so many bytes.
    pub fn memory_max(&self, input_bytes: usize) -> usize {
        self.base_bytes + self.bytes_each * input_bytes
    }
}

/// All of them.
pub static FUZZ_TARGETS: [FuzzTarget; 5] = [
    FuzzTarget {
        name: "log_replay",
        run: log_replay::run,
        seeds: seeds::log_replay,
        base_bytes: 192 << 10,
        bytes_each: 16,
    },
    FuzzTarget {
        name: "checkpoint",
        run: checkpoint::run,
        seeds: seeds::checkpoint,
        base_bytes: 4 << 20,
        bytes_each: 2_048,
    },
    FuzzTarget {
        name: "map_pages",
        run: map_pages::run,
        seeds: seeds::map_pages,
        base_bytes: 64 << 10,
        bytes_each: 2_048,
    },
    FuzzTarget {
        name: "command_block",
        run: blocks::run,
        seeds: seeds::command_block,
        base_bytes: 1 << 10,
        bytes_each: 0,
    },
    FuzzTarget {
        name: "unit_toml",
        run: unit_toml::run,
        seeds: seeds::unit_toml,
        base_bytes: 16 << 10,
        bytes_each: 128,
    },
];
