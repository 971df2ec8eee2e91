//! The channel adapter: command block, host operations, port and LUN map, access answers.
