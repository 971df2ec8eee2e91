//! One track on its way from backing 1 to backings 2 and 3, and what happens when it has rotted.
//!
//! `cargo run -p diptych-drr --example transfer`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use diptych_drr::{
    Source, TrackPlace, TransferError, data_codes, parity, seal_blocks, transfer, verify,
};
use diptych_format::{BackingId, BlockMask, BlockNo, CheckArea, Generation};

fn main() -> Result<(), TransferError> {
    // A host writes a track: the codes of its data first, the rest once the claim is held.
    let mut data: Vec<u8> = (0..96 * 512_u32).map(|at| (at / 512) as u8).collect();
    let place = TrackPlace { backing: BackingId(1), first_block: BlockNo(96), block_count: 96 };
    let mut codes = Vec::new();
    data_codes(&data, &mut codes);
    let mut checks = CheckArea::zeroed(96);
    seal_blocks(&codes, place, 0, Generation(41), &mut checks);
    show("primary", &checks);

    // Two pairs want the old track: verified and copied once, addressed twice.
    let targets = [BackingId(2), BackingId(3)];
    let mut copy = vec![0; data.len()];
    let mut areas = [CheckArea::zeroed(96), CheckArea::zeroed(96)];
    let source = Source { data: &data, checks: &checks, place };
    transfer(source, &mut copy, &targets, &mut areas)?;
    show("secondary", &areas[0]);
    show("secondary", &areas[1]);

    // CRC is linear: for two backings, the codes of all blocks differ by one number.
    for index in [0, 50, 95] {
        let [one, two] = [checks.get(index).code, areas[0].get(index).code];
        println!("block {index:2}: {one:08x} xor {two:08x} = {:08x}", one ^ two);
    }

    // A bit of the primary rots. The next transfer stops, and its check area is worth nothing.
    data[17 * 512 + 100] ^= 4;
    let source = Source { data: &data, checks: &checks, place };
    if let Err(error) = transfer(source, &mut copy, &targets, &mut areas) {
        println!("transfer stopped: {error}");
    }
    show("secondary", &areas[0]);

    // The block comes back from parity, and is verified before it is used.
    let good = vec![17; 512];
    let neighbour = vec![0xC3; 512];
    let mut stripe = vec![0; 512];
    parity::generate(&mut stripe, &[&good, &neighbour]);
    parity::reconstruct(&mut data[17 * 512..18 * 512], &[&neighbour, &stripe]);
    verify(&data, &checks, place, BlockMask::first(96))?;
    println!("rebuilt from parity, verified");
    Ok(())
}

fn show(name: &str, area: &CheckArea) {
    let field = area.get(0);
    println!(
        "{name:<10} LA {:<6} CD {:08x} {}",
        field.la.to_string(),
        field.code,
        field.generation
    );
}
