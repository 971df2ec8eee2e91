//! The model alone: a pair is created, copied, changed on both sides and re-synchronized, and each
//! block is shown as the tag of the write that made it.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use diptych_cha::{Command, CommandCode};
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId};
use diptych_testkit::{Content, Model, Tag, ldev};

const BLOCKS: u64 = 6;

fn main() {
    let mut model = Model::new(false, 16);
    let geometry = Geometry::with_tracks(1, BLOCKS);
    model.add_volume(ldev(0), geometry, false);
    model.add_volume(ldev(1), geometry, false);

    write(&mut model, 0, 0, BLOCKS, 1);
    command(&mut model, CommandCode::Create);
    command(&mut model, CommandCode::Copy);
    write(&mut model, 0, 2, 2, 2);
    println!("the primary goes on, the image stays what it was at the copy command:");
    show(&mut model);
    model.finish_copies();
    println!("the copy has ended:");
    show(&mut model);

    write(&mut model, 1, 5, 1, 3);
    command(&mut model, CommandCode::Resync);
    model.finish_copies();
    command(&mut model, CommandCode::Copy);
    println!("re-synchronized and copied again, the secondary's own change is gone:");
    show(&mut model);
}

fn write(model: &mut Model, volume: u8, start: u64, count: u64, tag: u64) {
    let blocks = BlockRange::new(BlockNo(start), count);
    match model.write(ldev(volume), blocks, Tag(tag)) {
        Ok(()) => println!("write {tag} to blocks {blocks} of {}", ldev(volume)),
        Err(error) => println!("write {tag}: {error}"),
    }
}

fn command(model: &mut Model, code: CommandCode) {
    let came_to = model.command(&Command::new(code, ldev(0), ldev(1)));
    println!("{code}: {came_to:?}");
}

fn show(model: &mut Model) {
    for volume in [ldev(0), ldev(1)] {
        println!("  {volume}  {}", contents(model, volume));
    }
}

fn contents(model: &mut Model, volume: LdevId) -> String {
    match model.read(volume, BlockRange::new(BlockNo(0), BLOCKS)) {
        Ok(blocks) => blocks.iter().map(Content::to_string).collect::<Vec<_>>().join(" "),
        Err(error) => error.to_string(),
    }
}
