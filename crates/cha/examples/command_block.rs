//! Builds a command block, shows its bytes and what they mean, and the answer's; then sends one by
//! a path of a channel adapter.
//!
//! `cargo run -p diptych-cha --example command_block`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use diptych_cha::{
    ChannelAdapter, Command, CommandBlock, CommandCode, HostReply, HostRequest, OpKind, Outcome,
    Refusal,
};
use diptych_format::{LdevId, PairId};
use diptych_shared::{Pace, PairOptions, PairStatus};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let [primary, secondary] = ["00:1A".parse::<LdevId>()?, "02:3B".parse()?];
    let options = PairOptions { pace: Pace::FAST, quick: true, ..PairOptions::default() };
    let command = Command::new(CommandCode::Copy, primary, secondary).with_options(options);

    let block = command.encode();
    println!("command block   {}", hexadecimal(&block));
    let fields = CommandBlock::new_checked(&block)?;
    println!("  code 701      {} = {}", fields.code(), command.code);
    println!("  primary 702   {}", fields.primary());
    println!("  secondary 703 {}", fields.secondary());
    println!("  pace          {} tracks an elemental copy", fields.pace());
    println!("  lanes         {}", fields.lanes());
    println!("  quick         {}", fields.is_quick());
    println!("  initial copy  {}", fields.has_initial_copy());

    println!("\nwhat is no command");
    for (at, byte) in [(0, b'?'), (4, 9), (6, 1), (12, 99), (13, 0), (14, 0xF0)] {
        let mut wrong = block;
        wrong[at] = byte;
        match Command::decode(&wrong) {
            Ok(command) => println!("  byte {at:2}: {command:?}"),
            Err(error) => println!("  byte {at:2}: {error}"),
        }
    }

    println!("\nanswers");
    let accepted = Outcome::Accepted {
        pair: PairId { no: 7, epoch: 0 },
        from: Some(PairStatus::PairedNotCopied),
        to: Some(PairStatus::CopyInProgress),
    };
    let nothing = Outcome::Nothing { met: Some(PairStatus::Copied) };
    let refused = Outcome::Refused(Refusal::NotReserved { ldev: secondary });
    for outcome in [accepted, nothing, refused] {
        println!("  {}", hexadecimal(&outcome.encode()));
        println!("  {:?}", Outcome::decode(&outcome.encode())?);
    }

    let adapter = ChannelAdapter::new(0, ["CL1-A".parse()?, "CL2-A".parse()?]);
    adapter.change_lu_map(|map| {
        map.add("CL1-A:0".parse()?, primary)?;
        map.add("CL2-A:0".parse()?, primary)?;
        map.add("CL1-A:1".parse()?, secondary)?;
        Ok::<_, Box<dyn Error>>(())
    })?;
    println!("\nlogical units of channel adapter {}", adapter.no());
    adapter.with_lu_map(|map| map.iter().for_each(|(path, ldev)| println!("  {path} is {ldev}")));

    let block = block.to_vec().into();
    let op = adapter.request("CL1-A:0".parse()?, HostRequest::Command { block })?;
    println!("\nto the control unit: {op:?}");
    adapter.answer("CL1-A".parse()?, &HostReply::Outcome(accepted));
    let carried = adapter.counters().of(OpKind::Command);
    println!("host channel: {} bytes in, {} bytes out", carried.bytes_in, carried.bytes_out);
    Ok(())
}

fn hexadecimal(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.chunks(4).map(hex_word).collect();
    words.join(" ")
}

fn hex_word(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
