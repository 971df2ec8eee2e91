//! REPORT SUPPORTED OPERATION CODES, MODE SENSE, READ CAPACITY and other reports.

use super::bench::Bench;
use crate::scsi::OPERATIONS;

fn report(options: u8, opcode: u8, action: u16) -> [u8; 12] {
    let [high, low] = action.to_be_bytes();
    [0xA3, 0x0C, options, opcode, high, low, 0, 0, 0xFF, 0xFF, 0, 0]
}

#[test]
fn all_commands_with_and_without_timeouts() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    for (lun, without) in [(1, 1), (2, 0), (4, 4)] {
        let plain = bench.run(host, lun, &report(0, 0, 0), &[]).data_in;
        assert_eq!(plain.len(), 4 + 8 * (OPERATIONS.len() - without), "LUN {lun}");
        assert!(
            plain[4..].chunks(8).all(|row| row[5] & 2 == 0 && (row[5] & 1 == 1 || row[3] == 0))
        );
        let timed = bench.run(host, lun, &report(0x80, 0, 0), &[]).data_in;
        assert_eq!(timed.len(), 4 + 20 * (OPERATIONS.len() - without));
        assert!(timed[4..].chunks(20).all(|row| row[5] & 2 != 0 && row[8..10] == [0, 0x0A]));
    }
}

#[test]
fn each_command_by_itself() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    for row in OPERATIONS {
        let action = u16::from(row.action.unwrap_or(0));
        let [right, wrong] = if row.action.is_some() { [2, 1] } else { [1, 2] };
        for options in [right, 3, right | 0x80] {
            let one = bench.run(host, 2, &report(options, row.opcode, action), &[]).data_in;
            assert_eq!((one[1] & 0x07, usize::from(one[3])), (3, row.cdb_bytes()), "{}", row.name);
            assert_eq!(one[4..4 + row.cdb_bytes()], *row.usage(), "{}", row.name);
            assert_eq!(one.len() - 4 - row.cdb_bytes(), if options & 0x80 != 0 { 12 } else { 0 });
        }
        let refused = bench.run(host, 2, &report(wrong, row.opcode, action), &[]);
        let sense = refused.sense.expect("sense data").encode();
        // The field is REPORTING OPTIONS: in byte 1 it would mean that there is no such command.
        assert_eq!((sense[12], sense[17]), (0x24, 2), "{}", row.name);
    }
    for (options, opcode, action) in [(1, 0x04, 0), (2, 0x48, 9), (3, 0x28, 1), (2, 0x04, 0)] {
        assert_eq!(bench.run(host, 2, &report(options, opcode, action), &[]).data_in[..2], [0, 1]);
    }
    assert_eq!(bench.run(host, 1, &report(1, 0x1E, 0), &[]).data_in[..2], [0, 1]);
    bench.check(host, 1, &report(4, 0x28, 0), &[], "IllegalRequest 24/00");
}

#[test]
fn data_is_cut_to_its_allocation_length() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    for len in 0..=255 {
        let inquiry = bench.run(host, 1, &[0x12, 0, 0, 0, len, 0], &[]).data_in.len();
        assert_eq!(inquiry, usize::from(len).min(96));
        let capacity = [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, len, 0, 0];
        assert_eq!(bench.run(host, 1, &capacity, &[]).data_in.len(), usize::from(len).min(32));
        let modes = bench.run(host, 1, &[0x1A, 0, 0x3F, 0, len, 0], &[]).data_in.len();
        assert_eq!(modes, usize::from(len).min(4 + 8 + 56));
    }
    assert_eq!(bench.run(host, 1, &[0x12, 0, 0, 2, 0, 0], &[]).data_in.len(), 96);
}

#[test]
fn capacities() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let ten = bench.run(host, 1, &[0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[]).data_in;
    assert_eq!(ten[..], [0, 0, 0x0F, 0xFF, 0, 0, 2, 0]);
    let mut sixteen = |lun| {
        let cdb = [0x9E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
        bench.run(host, lun, &cdb, &[]).data_in[6..16].to_vec()
    };
    assert_eq!(sixteen(1), [0x0F, 0xFF, 0, 0, 2, 0, 0, 3, 0xC0, 0]);
    assert_eq!(sixteen(2), [0x0F, 0xFF, 0, 0, 2, 0, 0, 0, 0xC0, 0]);
    assert_eq!(sixteen(4), [0x0F, 0xFF, 0, 0, 2, 0, 0, 0, 0, 0]);
}

#[test]
fn defects_and_pages() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let ten = bench.run(host, 1, &[0x37, 0, 0x18, 0, 0, 0, 0, 0, 32, 0], &[]).data_in;
    assert_eq!(ten[..], [0, 0x18, 0, 0]);
    let twelve = bench.run(host, 1, &[0xB7, 0x18, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], &[]).data_in;
    assert_eq!(twelve[..], [0, 0x18, 0, 0, 0, 0, 0, 0]);
    let pages = bench.run(host, 1, &[0x12, 1, 0, 0, 255, 0], &[]).data_in;
    for &page in &pages[4..] {
        let found = bench.run(host, 1, &[0x12, 1, page, 0, 255, 0], &[]).data_in;
        assert_eq!((found[1], usize::from(found[3]) + 4), (page, found.len()));
    }
    bench.check(host, 1, &[0x12, 0, 1, 1, 0, 0], &[], "IllegalRequest 24/00");
    bench.check(host, 1, &[0xA0, 0, 5, 0, 0, 0, 0, 0, 1, 0, 0, 0], &[], "IllegalRequest 24/00");
}

#[test]
fn sense_data_has_the_format_asked_for() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let out_of_range = [0x88, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0, 0];
    let mut first_byte = || {
        let sense = bench.run(host, 1, &out_of_range, &[]).sense.expect("sense data");
        sense.encode()[0]
    };
    assert_eq!(first_byte(), 0x70);
    let list = [0, 0, 0, 0, 0x0A, 10, 4, 0x10, 0, 0x40, 0, 0, 0xFF, 0xFF, 0, 0];
    bench.check(host, 1, &[0x15, 0x11, 0, 0, 16, 0], &list, "good");
    let sense = bench.run(host, 1, &out_of_range, &[]).sense.expect("sense data");
    assert_eq!(sense.encode()[0], 0x72);
    // It was saved, so a unit that comes up again has it too.
    let mut after = Bench::with_kept(bench.kept);
    let host = after.login("host");
    let sense = after.run(host, 1, &out_of_range, &[]).sense.expect("sense data");
    assert_eq!(sense.encode()[0], 0x72);
}

#[test]
fn ports_of_a_volume_and_their_groups() {
    fn ask(format: u8, length: u8) -> [u8; 12] {
        [0xA3, format << 5 | 0x0A, 0, 0, 0, 0, 0, 0, 0, length, 0, 0]
    }
    let mut bench = Bench::new();
    let host = bench.login("host");
    // 00:01 is behind two host groups of CL1-A, 00:02 behind one.
    let both = [0, 0, 0, 16, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 1, 1];
    assert_eq!(bench.run(host, 1, &ask(0, 255), &[]).data_in[..], both);
    let one = [0, 0, 0, 16, 0x10, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    assert_eq!(bench.run(host, 2, &ask(1, 255), &[]).data_in[..], one);
    assert_eq!(bench.run(host, 1, &ask(0, 8), &[]).data_in[..], both[..8]);
    bench.check(host, 1, &ask(2, 255), &[], "IllegalRequest 24/00");
    // The same numbers as in the identification of each path, whose standard data says to ask.
    for (target, relative_port) in [("CL1-A", [0, 1]), ("CL1-A.2", [1, 1])] {
        let host = bench.login_at("host", target);
        let page = bench.run(host, 1, &[0x12, 1, 0x83, 0, 255, 0], &[]).data_in;
        let found = |kind: u8| page.windows(8).find(|part| part[..2] == [0x51, kind]);
        assert_eq!(found(0x94).map(|part| &part[6..]), Some(&relative_port[..]));
        assert_eq!(found(0x95).map(|part| &part[6..]), Some(&[0, 1][..]));
        assert_eq!(bench.run(host, 1, &[0x12, 0, 0, 0, 96, 0], &[]).data_in[5] & 0x30, 0x10);
    }
}
