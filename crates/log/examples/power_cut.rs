//! What is left of a log when the power goes: all that was synced, and of the rest a part.
//!
//! `cargo run -p diptych-log --example power_cut`

#![allow(clippy::print_stdout, reason = "an example shows something")]

use diptych_device::{MemoryDrive, PowerCut};
use diptych_log::{Log, LogConfig, LogError, LogId, Record};

fn main() -> Result<(), LogError> {
    let drive = PowerCut::new(MemoryDrive::new(1024), 1024);
    let log = Log::create(&drive, LogId(1), LogConfig::default())?;
    for no in 1..=6_u8 {
        let head = format!("write number {no}");
        let written =
            log.append(&[Record { kind: 1, head: head.as_bytes(), payload: &[no; 1024] }])?;
        if no == 3 {
            log.sync(written.end)?;
        }
    }
    println!("appended  6 records, 3 of them synced");
    println!("unflushed {} sectors", drive.unflushed().len());

    // The drive had written the fourth and the sixth record, but not all of the fifth.
    let fifth = drive.unflushed().iter().map(|one| one.write_no).max().map_or(0, |last| last - 1);
    let mut torn = false;
    drive.cut(|one| one.write_no != fifth || std::mem::replace(&mut torn, true));
    drive.restore_power();

    let (log, replayed) = Log::open(&drive, LogConfig::default(), |sequence, record| {
        println!("found     {sequence}: {}", String::from_utf8_lossy(record.head));
    })?;
    println!("torn end  {}", replayed.torn);
    println!("goes on   with record {}", log.end());
    Ok(())
}
