//! Cron texts: what is understood, what is not, and where.

use super::*;
use proptest::prelude::*;

fn utc(text: &str) -> Utc {
    text.parse().expect("a time")
}

#[test]
fn the_next_times() {
    #[track_caller]
    fn check(text: &str, after: &str, expected: &[&str]) {
        let cron: Cron = text.parse().expect("a cron text");
        let mut at = utc(after);
        for next in expected {
            at = cron.next(at).expect("a next time");
            assert_eq!(at.to_string(), *next, "{text:?}");
        }
    }
    let noon = "2026-01-30T12:00:00Z"; // a Friday
    check("* * * * *", noon, &["2026-01-30T12:01:00Z", "2026-01-30T12:02:00Z"]);
    check("*/15 * * * *", noon, &["2026-01-30T12:15:00Z", "2026-01-30T12:30:00Z"]);
    check("5,35 8-17/3 * * *", noon, &["2026-01-30T14:05:00Z", "2026-01-30T14:35:00Z"]);
    check("0 12 * * *", noon, &["2026-01-31T12:00:00Z"]);
    check("0 12 * * *", "2026-01-30T11:59:59Z", &[noon]);
    check("0 2 * * MON-FRI", noon, &["2026-02-02T02:00:00Z", "2026-02-03T02:00:00Z"]);
    check("0 2 * * mon,Wed", noon, &["2026-02-02T02:00:00Z", "2026-02-04T02:00:00Z"]);
    check("0 0 * * 0", noon, &["2026-02-01T00:00:00Z"]);
    check("0 0 * * 7", noon, &["2026-02-01T00:00:00Z"]);
    check("0 0 29 2 *", noon, &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    check("0 0 29 2 *", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]);
    check("0 0 31 * *", noon, &["2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"]);
    check("0 0 L * *", noon, &["2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"]);
    check("0 0 1W * *", noon, &["2026-02-02T00:00:00Z"]);
    check("0 0 * * FRI#2", noon, &["2026-02-13T00:00:00Z"]);
    check("0 0 * * FRIL", noon, &["2026-02-27T00:00:00Z"]);
    check("0 0 1 JAN,jul ?", noon, &["2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
    // Either day, or both.
    check("0 0 13 * FRI", noon, &["2026-02-06T00:00:00Z", "2026-02-13T00:00:00Z"]);
    check("0 0 13 * +FRI", noon, &["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z"]);
    check("@hourly", noon, &["2026-01-30T13:00:00Z"]);
    check(" @Daily ", noon, &["2026-01-31T00:00:00Z"]);
    check("@weekly", noon, &["2026-02-01T00:00:00Z"]);
    check("@monthly", noon, &["2026-02-01T00:00:00Z"]);
    check("@yearly", noon, &["2027-01-01T00:00:00Z"]);
    check("0 0 1 1 *", "1969-06-01T00:00:00Z", &["1970-01-01T00:00:00Z"]);
}

#[test]
fn what_is_wrong_and_where() {
    #[track_caller]
    fn check(text: &str, field: CronField, at: Range<usize>) {
        let error = text.parse::<Cron>().expect_err("a wrong text");
        assert_eq!(error, CronError::Field { field, at }, "{text:?}");
    }
    use CronField::{DayOfMonth, DayOfWeek, Hour, Minute, Month};
    check("60 * * * *", Minute, 0..2);
    check("-1 * * * *", Minute, 0..2);
    check("JAN * * * *", Minute, 0..3);
    check("*/0 * * * *", Minute, 0..3);
    check("5/10 * * * *", Minute, 0..4);
    check("0,15,75 * * * *", Minute, 5..7);
    check("1,,2 * * * *", Minute, 2..2);
    check("0 24 * * *", Hour, 2..4);
    check("0   17-8 * * *", Hour, 4..8);
    check("0 0 0 * *", DayOfMonth, 4..5);
    check("0 0 32W * *", DayOfMonth, 4..7);
    check("0 0 W * *", DayOfMonth, 4..5);
    check("0 0 * 13 *", Month, 6..8);
    check("0 0 * 1JAN *", Month, 6..10);
    check("0 0 * MON *", Month, 6..9);
    check("0 0 * JANUARY *", Month, 6..13);
    check("0 0 * * 8", DayOfWeek, 8..9);
    check("0 0 * * SUNMON", DayOfWeek, 8..14);
    check("0 0 * * MON5", DayOfWeek, 8..12);
    check("0 0 * * FRI#6", DayOfWeek, 8..13);
    check("0 0 * * MON,JAN", DayOfWeek, 12..15);
    check("0 0 * * +", DayOfWeek, 9..9);
    check("0 0 * * \u{661}", DayOfWeek, 8..10);
    check("0 0 +1 * *", DayOfMonth, 4..6);
}

#[test]
fn errors_say() {
    let long = "1,".repeat(200);
    let wrong = [
        "",
        "* * * *",
        "0 * * * * *",
        "@reboot",
        "@daily 5",
        "0 0 30 2 *",
        "x * * * *",
        "0 25 * * *",
        "0 0 32 * *",
        "0 0 1 0 *",
        "0 0 1 1 FRI#7",
        &long,
    ];
    let line = |text: &&str| format!("{}\n", text.parse::<Cron>().expect_err("a wrong text"));
    insta::assert_snapshot!(wrong.iter().map(line).collect::<String>(), @"
    a cron text has five fields (minute, hour, day of the month, month, day of the week), this one has 0
    a cron text has five fields (minute, hour, day of the month, month, day of the week), this one has 4
    a cron text has five fields (minute, hour, day of the month, month, day of the week), this one has 6
    the names are @hourly, @daily, @weekly, @monthly and @yearly
    the names are @hourly, @daily, @weekly, @monthly and @yearly
    there is no such date in any year
    column 1: the minute is 0 to 59, or a list, range or step of these
    column 3: the hour is 0 to 23, or a list, range or step of these
    column 5: the day of the month is 1 to 31, L or 1W to 31W, or a list, range or step of these
    column 7: the month is 1 to 12 or JAN to DEC, or a list, range or step of these
    column 9: the day of the week is 0 to 7 or SUN to SAT, perhaps with L or #1 to #5, or a list, range or step of these
    a cron text has at most 256 bytes, not 400
    ");
}

#[test]
fn a_text_is_kept_as_it_was_but_for_blanks() {
    let cron: Cron = "  0  2\t* * Mon ".parse().expect("a cron text");
    assert_eq!(cron.to_string(), "0 2 * * Mon");
    assert_eq!(cron.to_string().parse(), Ok(cron));
}

proptest! {
    /// Whatever the bytes: an answer, and one that lies within the text.
    #[test]
    fn any_text_is_answered(text in "[*/,0-9A-Za-z#+? @-]{0,24}") {
        match text.parse::<Cron>() {
            Ok(cron) => {
                let next = cron.next(Utc::EPOCH);
                prop_assert!(next.is_some_and(|at| at > Utc::EPOCH && at.seconds % 60 == 0));
            }
            Err(CronError::Field { at, .. }) => prop_assert!(text.get(at).is_some()),
            Err(_) => {}
        }
    }

    /// Texts that are right but for what is changed in them.
    #[test]
    fn any_field_is_answered(
        fields in prop::collection::vec("[*?]|[0-9]{1,2}|[0-9]{1,2}-[0-9]{1,2}(/[0-9])?|[A-Z]{1,4}", 5),
    ) {
        let text = fields.join(" ");
        if let Ok(cron) = text.parse::<Cron>() {
            let first = cron.next(Utc::EPOCH).expect("checked when it was read");
            prop_assert!(cron.next(first).is_none_or(|second| second > first));
        }
    }
}
