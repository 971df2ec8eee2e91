//! The smallest search of the rules of pairs, and every rule broken. The long ones are `cargo xtask search`.

use diptych_testkit::{BrokenRule, SearchConfig, search};
use std::fmt::Write as _;

#[test]
fn the_rules_hold_for_one_track() {
    let config = SearchConfig::all().next().expect("a configuration");
    let report = search(config, None, |_, _| ());
    if let Some(wrong) = &report.wrong {
        panic!("{wrong}");
    }
    insta::assert_snapshot!(
        format!("{} states, {} transitions", report.states, report.transitions),
        @r"669731 states, 3280986 transitions"
    );
}

#[test]
fn every_broken_rule_is_found() {
    let mut table = String::new();
    for &rule in BrokenRule::ALL {
        let report = search(rule.config(), Some(rule), |_, _| ());
        let wrong = report.wrong.unwrap_or_else(|| panic!("{} is not found", rule.name()));
        let _ = writeln!(table, "{:<30} {:>2}  {}", rule.name(), report.depth, wrong.wrong);
        assert_eq!(wrong.actions.len() as u64, report.depth, "{}", rule.name());
    }
    insta::assert_snapshot!(table, @r"
    primary-before-copy             5  I1: the image is not the primary at the copy command
    mark-after-answer               5  I1: the image is not the primary at the copy command
    answer-before-record            3  I5: a volume does not hold what was acknowledged
    command-before-record           3  I5: a command that was answered is not there
    settle-without-flush            7  I2: primary and secondary differ, and no map says so
    settling-before-write           5  I5: a volume does not hold what was acknowledged
    settling-survives-change        7  I2: primary and secondary differ, and no map says so
    settle-clears-later-copies     11  I2: primary and secondary differ, and no map says so
    settle-keeps-records            9  I2: primary and secondary differ, and no map says so
    resume-at-pointer               5  I2: primary and secondary differ, and no map says so
    lane-before-record             10  I2: primary and secondary differ, and no map says so
    lane-before-status             17  I5: a volume does not hold what was acknowledged
    lane-keeps-slot                 7  I2: primary and secondary differ, and no map says so
    lane-beside-destage             9  I2: primary and secondary differ, and no map says so
    destage-before-record           6  I5: a volume does not hold what was acknowledged
    trim-before-flush               7  I5: a volume does not hold what was acknowledged
    trim-unseen-record              4  I5: a volume does not hold what was acknowledged
    merge-in-two-records            6  I2: primary and secondary differ, and no map says so
    quick-write-in-two-records      5  I1: the image is not the primary at the copy command
    clear-before-slot               5  I1: a read hits what is not the volume's content
    command-beside-lane             4  I3: a lane writes for a pair that is deleted
    restore-forgets-writes         13  I2: primary and secondary differ, and no map says so
    loss-keeps-copying              6  I1: the image is not the primary at the copy command
    failed-copy-settles             5  I2: primary and secondary differ, and no map says so
    failed-destage-cleans           4  I5: a volume does not hold what was acknowledged
    delete-leaves-defined           2  I5: a volume does not hold what was acknowledged
    accept-without-flush            7  I5: a volume does not hold what was acknowledged
    accept-keeps-records            9  I1: a read hits what is not the volume's content
    protects-first-pair             5  I1: the image is not the primary at the copy command
    restore-forgets-siblings       11  I2: primary and secondary differ, and no map says so
    restore-beside-copy             7  a map contradicts the status
    copies-from-unsplit             3  I5: a volume counts as defined and holds nobody's data
    suspend-trusts-first-level     13  I5: a volume does not hold what was acknowledged
    lane-forgets-below             10  I1: the image is not the primary at the copy command
    lane-before-marks-below        17  I2: primary and secondary differ, and no map says so
    second-level-copies-unsettled  16  I2: primary and secondary differ, and no map says so
    second-level-copies-suspended  17  I2: primary and secondary differ, and no map says so
    ");
}
