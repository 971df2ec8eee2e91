//! The fuzz targets on any toolchain: their corpora replayed and mutated, and what each input takes of
//! memory. What cargo-fuzz finds goes into `fuzz/corpus` and stays there.

use diptych_testkit::{FUZZ_TARGETS, FuzzTarget, mutate_input};
use fastrand::Rng;
use peak_alloc::PeakAlloc;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The largest file of a corpus.
const BYTES_MAX: usize = 4_096;
/// Bytes of inputs that are made of each corpus.
const MUTATED_BYTES: usize = 4 << 20;
/// Inputs made of each corpus, at most.
const MUTATED_MAX: u64 = 4_000;

/// The inputs that are kept, by name.
fn corpus(target: &FuzzTarget) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target.name);
    let read = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("a directory entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, fs::read(&path).expect("a file of a corpus"))
    };
    let mut files: Vec<_> = read.map(file).collect();
    files.sort();
    files
}

/// Runs a target. An input that it cannot bear is kept, and its file named.
fn run(target: &FuzzTarget, name: &str, input: &[u8]) -> bool {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (taken, most) = (MEMORY.peak_usage() - before, target.memory_max(input.len()));
    match ran {
        Ok(done) if taken <= most => done,
        ran => {
            let kept =
                PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", target.name));
            fs::write(&kept, input).expect("a file");
            let what = if ran.is_err() { "panics" } else { "takes too much memory" };
            panic!("{} {what} ({taken} bytes of {most}): give it {}", target.name, kept.display());
        }
    }
}

/// One test, since what is allocated is counted.
#[test]
fn no_input_makes_a_reader_panic_or_take_much_memory() {
    let mut rng = Rng::with_seed(1);
    for target in &FUZZ_TARGETS {
        for (name, input) in (target.seeds)() {
            assert!(run(target, name, &input), "{} refuses {name}", target.name);
        }
        let corpus = corpus(target);
        assert!(!corpus.is_empty(), "{} has no corpus", target.name);
        for (name, input) in &corpus {
            assert!(input.len() < BYTES_MAX, "{}/{name}: {} bytes", target.name, input.len());
            run(target, name, input);
        }
        let (mut made, mut bytes, mut taken) = (0, 0, 0);
        while made < MUTATED_MAX && bytes < MUTATED_BYTES {
            let [one, other] = [(); 2].map(|()| &corpus[rng.usize(..corpus.len())].1);
            let input = mutate_input(one, other, &mut rng);
            taken += u64::from(run(target, "mutated", &input));
            (made, bytes) = (made + 1, bytes + input.len());
        }
        // Else what is behind the first checks was not reached.
        assert!(taken > made / 100, "{}: {taken} of {made} inputs were taken", target.name);
    }
}
