//! A few kills of a real process, in both modes. The long run is `cargo xtask kill`.
//!
//! A test program without a harness, since it is the process that is killed too.
#![allow(clippy::print_stdout, reason = "the figures, and the line that says how the test ended")]
#![allow(clippy::print_stderr, reason = "what a child cannot do is for whoever looks at the test")]

#[cfg(not(any(diptych_loom, diptych_shuttle)))]
fn main() -> std::process::ExitCode {
    kills::main()
}

/// Model checkers run no processes.
#[cfg(any(diptych_loom, diptych_shuttle))]
fn main() {}

#[cfg(not(any(diptych_loom, diptych_shuttle)))]
mod kills {
    use diptych_testkit::{KillConfig, Life, live, run_kills};
    use diptych_unit::Durability;
    use std::process::{Command, ExitCode};

    /// In each mode.
    const KILLS: u64 = 6;

    pub(super) fn main() -> ExitCode {
        let args: Vec<String> = std::env::args().skip(1).collect();
        if args.first().is_some_and(|arg| arg == "child") {
            let life = Life::from_args(&args[1..]).expect("what the parent says");
            let ended = live(&life);
            eprintln!("kill: {ended:?}");
            return ExitCode::FAILURE;
        }
        let is_asked_for =
            args.iter().filter(|arg| !arg.starts_with('-')).all(|filter| "kill".contains(filter));
        if !is_asked_for || args.iter().any(|arg| arg == "--list") {
            println!("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out");
            return ExitCode::SUCCESS;
        }
        let failed = [Durability::WriteBack, Durability::Battery]
            .into_iter()
            .filter(|durability| !is_sound(*durability))
            .count();
        let (word, passed) = if failed == 0 { ("ok", 2) } else { ("FAILED", 2 - failed) };
        println!(
            "test result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
        );
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn is_sound(durability: Durability) -> bool {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().join("unit");
        let config = KillConfig { dir, seed: 1, times: KILLS, durability, life_ms_max: 300 };
        let exe = std::env::current_exe().expect("this program");
        let program = |life: &Life| {
            let mut program = Command::new(&exe);
            program.arg("child").args(life.args());
            program
        };
        let report = run_kills(&config, program, |_| ());
        println!("{durability:?}: {report:?}");
        report.is_ok_and(|report| report.first_wrong.is_none() && report.kills == KILLS)
    }
}
