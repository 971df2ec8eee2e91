//! A track with a rotten block and a misdirected one, as text.
//!
//! `cargo run -p diptych-format --example print_track`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use diptych_format::{
    BLOCK_BYTES, BackingId, BlockNo, BlockPrinter, CheckArea, CheckField, Generation,
    LogicalAddress, TrackPrinter,
};

fn main() {
    let la = |block| LogicalAddress { backing: BackingId(3), block: BlockNo(block) };
    let first_block = 960;

    // A track of an OPEN-3 volume: text in one block, zeros in the others.
    let mut data = vec![0; 96 * BLOCK_BYTES];
    data[8 * BLOCK_BYTES..][..16].copy_from_slice(b"a host wrote me.");
    let mut checks = CheckArea::zeroed(96);
    for (index, block) in (0..).zip(data.chunks(BLOCK_BYTES)) {
        let generation = Generation(if index == 8 { 12 } else { 11 });
        checks.set(index, CheckField::of(block, la(first_block + index), generation));
    }

    // One bit flips; one block comes from where another track lies.
    data[40 * BLOCK_BYTES + 5] ^= 8;
    checks.set(70, CheckField::of(&[0; BLOCK_BYTES], la(70), Generation(2)));

    println!("{}", TrackPrinter::new(&data, &checks, BackingId(3), BlockNo(first_block)));
    for index in [8, 40, 70] {
        let block = &data[index as usize * BLOCK_BYTES..][..BLOCK_BYTES];
        println!("{}", BlockPrinter::new(block, checks.get(index), la(first_block + index)));
    }
}
