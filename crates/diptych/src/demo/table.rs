//! The report as a table for people.

use super::check::CheckReport;
use super::report::{AgainReport, ChannelUse, Report, Throughput};
use std::fmt::Write;

/// Lines of a name and a value, aligned.
#[derive(Default)]
struct Table(String);

impl Table {
    fn head(&mut self, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "\n{text}");
    }

    fn row(&mut self, name: &str, value: &str) {
        let _ = writeln!(self.0, "  {name:<34} {value}");
    }

    fn count(&mut self, name: &str, value: u64) {
        let _ = writeln!(self.0, "  {name:<34} {:>18}", grouped(value));
    }

    fn throughput(&mut self, what: &str, done: Throughput) {
        self.count(&format!("tracks {what}"), done.tracks);
        self.count("bytes", done.bytes);
        self.row("seconds", &format!("{:>18.6}", done.seconds));
        self.row("GB/s", &format!("{:>18.3}", done.gb_per_second));
    }

    fn channel(&mut self, channel: ChannelUse) {
        self.count("host-channel bytes of the copying", channel.copying_bytes);
        self.count("  of a host-driven copy", channel.host_driven_bytes);
    }

    fn check(&mut self, check: &CheckReport) {
        self.count("blocks compared", check.blocks);
        self.count("  wrong LA or CD", check.wrong_codes);
        self.count("  wrong content", check.wrong_contents);
        self.count("writes in flight at the instant", check.writes_in_flight);
        self.count("  of these in the image", check.writes_in_flight_in);
        self.count("  torn or out of order", check.writes_torn);
        self.row("SHA-256 of the image", &check.image_sha256);
        self.row("SHA-256 on the drive", &check.sha256);
    }

    fn again(&mut self, head: &str, again: &AgainReport) {
        self.head(head);
        self.count("tracks rewritten", again.rewritten_tracks);
        self.count("tracks unequal", again.unequal_tracks);
        self.throughput("copied", again.copied);
        self.channel(again.channel);
    }
}

/// The whole report.
pub(crate) fn of(report: &Report) -> String {
    let mut table = Table::default();
    volume(&mut table, report);
    table.head("Copy alone, to the drive's file without a flush");
    table.count("full copies", report.alone.rounds);
    table.throughput("copied", report.alone.copied);
    table.channel(report.alone.channel);
    first(&mut table, report);
    table.again("Re-sync of the writers' changes, second copy", &report.again[0]);
    table.again("Re-sync of the tracks rewritten, third copy", &report.again[1]);
    table.head("Check of the secondary, third image");
    table.check(&report.last_check);
    table.head("Check of the primary, everything acknowledged");
    table.check(&report.primary_check);
    table.head("Secondary read through the host channel");
    table.count("bytes", report.read.bytes);
    table.row("SHA-256", &report.read.sha256);
    if let Some(path) = &report.read.exported_to {
        table.row("exported to", &path.display().to_string());
    }
    if let Some(path) = &report.drives_kept_in {
        table.row("drives kept in", &path.display().to_string());
    }
    table.head(if report.all_right {
        "Every block is right."
    } else {
        "WRONG: see the rows above that should be zero, and the tracks copied."
    });
    table.0
}

fn volume(table: &mut Table, report: &Report) {
    let volume = &report.volume;
    table.head("Image");
    table
        .row(if volume.is_packed { "packed" } else { "file" }, &volume.image.display().to_string());
    table.count("bytes", volume.image_bytes);
    table.row("SHA-256", &report.import.sha256);
    table.row("volumes", &format!("{} of {} tracks", volume.emulation, grouped(volume.tracks)));
    table.count("bytes a track", volume.track_bytes);
    table.row("pace, lanes", &format!("{}, {}", volume.pace, volume.lanes));
    volume.limit.iter().for_each(|limit| table.row("limit", limit));
    table.count("writers", u64::from(volume.writers));
    table.count("cache bytes", volume.cache_bytes);
    table.row("seed", &report.seed.to_string());
    table.head("Import");
    table.throughput("written", report.import.written);
    table.count("tracks of zeros, not written", report.import.zero_tracks);
}

fn first(table: &mut Table, report: &Report) {
    let first = &report.first;
    table.head("First copy, under writers");
    let exact = first.empty_tracks == 0;
    table.throughput(if exact { "copied, some again" } else { "copied, at least" }, first.copied);
    table.count("tracks without storage", first.empty_tracks);
    table.count("copies, those by a bit alone too", first.all_copied_tracks);
    table.count("  of these before a write", first.protected_tracks);
    table.count("tracks left at the instant", first.left_at_instant);
    table.row("seconds of the copy command", &format!("{:>18.6}", first.command_seconds));
    table.count("writes before the instant", first.writes_before);
    table.count("writes after", first.writes_after);
    table.count("  bytes written", first.channel.written_bytes);
    table.channel(first.channel);
    table.head("Check of the secondary, first image");
    table.check(&report.first_check);
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_in_groups() {
        fn check(number: u64, expected: &str) {
            assert_eq!(grouped(number), expected);
        }
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(1_234_567, "1,234,567");
    }
}
