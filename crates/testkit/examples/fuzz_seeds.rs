//! Writes the seeds of the fuzz targets into their corpora: `fuzz_seeds fuzz/corpus`, from the root of the
//! tree. A seed that is there already is left: what an earlier version wrote stays an input.

use diptych_testkit::FUZZ_TARGETS;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let corpora = std::env::args_os().nth(1).ok_or("where are the corpora?")?;
    for target in &FUZZ_TARGETS {
        let dir = PathBuf::from(&corpora).join(target.name);
        fs::create_dir_all(&dir)?;
        for (name, input) in (target.seeds)() {
            let path = dir.join(name);
            if !path.exists() {
                fs::write(path, input)?;
            }
        }
    }
    Ok(())
}
