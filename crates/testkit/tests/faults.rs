//! Some of the requests to devices go wrong, in a short form. All of them: `cargo xtask faults`.

use diptych_testkit::{FaultReport, fault_cases, run_fault};

/// One case in so many.
const STRIDE: usize = 23;

#[test]
fn a_device_that_goes_wrong_harms_nothing_but_what_hangs_on_it() {
    let cases = fault_cases().unwrap_or_else(|found| panic!("{found}"));
    let mut report = FaultReport::default();
    for case in cases.iter().step_by(STRIDE) {
        report.add(&run_fault(case).unwrap_or_else(|found| panic!("{found}")));
    }
    assert!(report.runs > 700 && report.struck == report.runs, "{report:?}");
    assert!(report.images > 2 * report.runs && report.blocks > 500 * report.runs, "{report:?}");
}

/// Each of these found something once.
#[test]
fn what_was_found_stays_repaired() {
    let cases = fault_cases().unwrap_or_else(|found| panic!("{found}"));
    for text in [
        // Hosts waited for room in a log that had failed for the unit, and not for itself.
        "'small log' (Kill): write 2 of the log, Full",
        // What a read was given was older than what had been answered.
        "'copy' (Kill): write 32 of the log, Fails",
        "'restore' (Kill): write 32 of the log, TimesOut",
        // A flush was answered as done after the end of the log.
        "'copy' (CutBattery): write 30 of the log, PartlyFull",
        // The log was trimmed of what a drive had lost.
        "'small log' (CutBattery): write 18 of drive 0, TimesOut",
        "'small log' (CutWriteBack): write 30 of drive 0, Fails",
        // A late drive held the log's beginning, and the checkpoint and all destages waited for it.
        "'small log' (Kill): write 1 of drive 0, Late",
        "'small log' (CutBattery): write 12 of drive 0, Late",
        // Who needed more of the cache than failed destages left waited for ever.
        "'small cache' (Kill): write 1 of drive 0, StaysFull",
    ] {
        let case = cases.iter().find(|case| case.to_string() == text);
        let case = case.unwrap_or_else(|| panic!("there is no case {text}"));
        run_fault(case).unwrap_or_else(|found| panic!("{found}"));
    }
}
