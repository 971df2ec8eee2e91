//! A write that lands in the wrong place, seen from outside and from inside the drive.
//!
//! Two drives stand on one shelf. Each sector begins with the address it belongs to. One write to
//! drive 0 goes to drive 1 instead, and every answer is "ok".
//!
//! `cargo run -p diptych-device --example misdirected`
#![allow(clippy::print_stdout, reason = "an example shows something")]

use diptych_device::{
    Device, DeviceError, Fault, FaultKind, FaultPlan, FaultRule, MemoryDrive, Op, Trace,
};
use diptych_format::{BLOCK_BYTES, DriveNo, SectorNo};
use std::io::{IoSlice, IoSliceMut};

type Drive = Trace<Fault<MemoryDrive>>;

/// A sector that carries its own address, as a block does.
fn sector_of(drive: u16, sector: u64, version: u8) -> [u8; BLOCK_BYTES] {
    let mut data = [version; BLOCK_BYTES];
    data[..8].copy_from_slice(&sector.to_le_bytes());
    data[8..10].copy_from_slice(&drive.to_le_bytes());
    data
}

/// What a read of the sector shows, and whether its address is right.
fn show(drives: &[Drive], drive: u16, sector: u64) -> Result<(), DeviceError> {
    let mut data = [0; BLOCK_BYTES];
    drives[usize::from(drive)].read_at(SectorNo(sector), &mut [IoSliceMut::new(&mut data)])?;
    let found = (u16::from_le_bytes([data[8], data[9]]), data[0]);
    let verdict = if found == (drive, sector as u8) { "address right" } else { "address WRONG" };
    println!(
        "  drive {drive} sector {sector}: says drive {} sector {}, version {}: {verdict}",
        found.0, found.1, data[10]
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let astray = FaultKind::MisdirectedWrite { drive: Some(DriveNo(1)), to: SectorNo(5) };
    let second_write_to_2 =
        FaultRule::new(Op::Write, astray).touching(diptych_device::SectorRange::one(SectorNo(2)));
    let shelf = Fault::shelf([
        (MemoryDrive::new(8), FaultPlan::from(second_write_to_2.nth(2))),
        (MemoryDrive::new(8), FaultPlan::none()),
    ])?;
    let drives: Vec<Drive> = shelf.iter().map(|drive| Trace::new(drive.clone(), 100)).collect();

    for (drive, sector, version) in [(0, 2, 1), (1, 5, 1), (0, 2, 2)] {
        let data = sector_of(drive, sector, version);
        drives[usize::from(drive)].write_at(SectorNo(sector), &[IoSlice::new(&data)])?;
    }

    println!("What the reader gets:");
    show(&drives, 0, 2)?;
    show(&drives, 1, 5)?;
    println!("The victim's address gives it away. The sector that was meant is right in itself,");
    println!("only old: nothing on drive 0 can tell.\n");

    for (drive, (trace, fault)) in drives.iter().zip(&shelf).enumerate() {
        println!("Drive {drive} as its user sees it:\n{trace}and what happened inside:");
        fault.events().iter().for_each(|event| println!("  {event}"));
        println!("  damaged: {:?}\n", fault.damaged());
    }
    Ok(())
}
