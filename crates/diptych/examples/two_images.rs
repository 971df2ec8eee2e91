//! A pair's life, through the facade: create, copy, write on, re-synchronize, copy again.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use diptych::cha::{Command, CommandCode, HostOp, HostReply};
use diptych::device::MemoryDrive;
use diptych::dka::Drives;
use diptych::format::{BlockNo, BlockRange, Geometry, LdevId};
use diptych::rt::{Rt, RtConfig};
use diptych::shared::PairStatus;
use diptych::sync::thread;
use diptych::unit::{HistoryQuery, Plant, Unit, UnitConfig};

const PRIMARY: LdevId = LdevId::new(0, 0x1A);
const SECONDARY: LdevId = LdevId::new(0, 0x3B);

fn command(rt: &Rt, code: CommandCode) {
    let reply = rt.execute(HostOp::Command(Command::new(code, PRIMARY, SECONDARY)));
    println!("{code:<8} {reply:?}");
}

fn write(rt: &Rt, block: u64, text: &str) {
    let mut data = text.as_bytes().to_vec();
    data.resize(512, b'.');
    let op = HostOp::Write { ldev: PRIMARY, block: BlockNo(block), data: data.into() };
    assert_eq!(rt.execute(op), HostReply::Done, "the primary takes writes in every status");
}

fn read(rt: &Rt, ldev: LdevId, block: u64) -> String {
    let blocks = BlockRange::one(BlockNo(block));
    match rt.execute(HostOp::Read { ldev, blocks }) {
        HostReply::Data(data) => String::from_utf8_lossy(&data[..6]).into_owned(),
        other => format!("{other:?}"),
    }
}

fn wait_copied(rt: &Rt) {
    let copied = |rt: &Rt| {
        let pair = rt.unit().pair(PRIMARY, SECONDARY);
        pair.is_some_and(|pair| pair.status == PairStatus::Copied)
    };
    while !copied(rt) {
        thread::yield_now();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let drive = || Box::new(MemoryDrive::new(1 << 18));
    let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
    let unit = Unit::new(UnitConfig::with_cache(256, 64 << 10), &plant)?;
    unit.add_volume(PRIMARY, Geometry::with_tracks(128, 1_000), 0)?;
    unit.add_volume(SECONDARY, Geometry::with_tracks(128, 1_000), 1)?;
    unit.set_reserved(SECONDARY, true, diptych::format::Time::ZERO)?;
    let rt = Rt::start(unit, plant, RtConfig::default())?;

    for track in 0..1_000 {
        write(&rt, track * 128, "monday");
    }
    command(&rt, CommandCode::Create);
    command(&rt, CommandCode::Copy);
    // The copy is under way: the old track goes to the secondary before this write.
    write(&rt, 999 * 128, "friday");
    wait_copied(&rt);
    println!(
        "primary {}, secondary {}",
        read(&rt, PRIMARY, 127_872),
        read(&rt, SECONDARY, 127_872)
    );
    let pair = rt.unit().pair(PRIMARY, SECONDARY).ok_or("the pair was created")?;
    println!("{} tracks copied, {} before a write", pair.copied_tracks, pair.protected_tracks);

    command(&rt, CommandCode::Resync);
    command(&rt, CommandCode::Copy);
    wait_copied(&rt);
    println!(
        "primary {}, secondary {}",
        read(&rt, PRIMARY, 127_872),
        read(&rt, SECONDARY, 127_872)
    );
    let again = rt.unit().pair(PRIMARY, SECONDARY).ok_or("the pair is still there")?;
    println!("{} more tracks copied", again.copied_tracks - pair.copied_tracks);

    println!("\nhistory:");
    for entry in rt.unit().history(&HistoryQuery::default()).entries {
        println!("  {entry}");
    }
    rt.stop();
    Ok(())
}
