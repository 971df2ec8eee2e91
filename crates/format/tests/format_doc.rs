//! `docs/format.md` against the code: every row of its tables.

use diptych_format::{
    BLOCK_BYTES, BackingId, BlockNo, CHECK_FIELD_BYTES, CheckArea, CheckField, Emulation,
    Generation, Geometry, LogicalAddress, MAX_BLOCKS_PER_TRACK,
};

const DOC: &str = include_str!("../../../docs/format.md");
const PAGE_BYTES: usize = 4096;

const FIELD: CheckField = CheckField {
    la: LogicalAddress { backing: BackingId(0xA1A2_A3A4), block: BlockNo(0xB1B2_B3B4_B5B6_B7B8) },
    generation: Generation(0xC1C2_C3C4_C5C6_C7C8),
    code: 0xD1D2_D3D4,
};

/// The rows of the table below a heading, without its head.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let section = DOC.split("\n## ").find(|section| section.lines().next() == Some(heading));
    let section = section.unwrap_or_else(|| panic!("docs/format.md has a section {heading}"));
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "section {heading} has a table");
    rows
}

fn number(cell: &str) -> usize {
    cell.parse().unwrap_or_else(|_| panic!("{cell:?} is a number"))
}

/// The bytes of a part of a field, by the name the document gives it.
fn part(name: &str) -> Vec<u8> {
    match name {
        "backing" => FIELD.la.backing.0.to_le_bytes().to_vec(),
        "code" => FIELD.code.to_le_bytes().to_vec(),
        "block" => FIELD.la.block.0.to_le_bytes().to_vec(),
        "generation" => FIELD.generation.0.to_le_bytes().to_vec(),
        "data" => (0..BLOCK_BYTES).map(|at| (at * 7) as u8).collect(),
        _ => panic!("docs/format.md names a part {name:?} that the code has not"),
    }
}

#[test]
fn check_field() {
    let bytes = FIELD.to_bytes();
    let mut end = 0;
    for row in table("Check field") {
        let (name, offset, width) = (row[0], number(row[1]), number(row[2]));
        assert_eq!(offset, end, "{name} starts where the field before it ends");
        end = offset + width;
        assert_eq!(&bytes[offset..end], part(name), "{name}");
    }
    assert_eq!(end, CHECK_FIELD_BYTES, "the rows are the whole field");
    assert_eq!(CheckField::from_bytes(&bytes), FIELD);
}

#[test]
fn check_code() {
    let mut covered = Vec::new();
    for (row, order) in table("Check code").iter().zip(1..) {
        assert_eq!(number(row[0]), order);
        let bytes = part(row[1]);
        assert_eq!(number(row[2]), bytes.len(), "{}", row[1]);
        covered.extend(bytes);
    }
    let field = CheckField::of(&part("data"), FIELD.la, FIELD.generation);
    assert_eq!(field.code, crc32fast::hash(&covered));
    // Bit by bit, as the words above the table define it.
    let bitwise = |bytes: &[u8]| {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0x04C1_1DB7_u32.reverse_bits() & (crc & 1).wrapping_neg())
            })
        })
    };
    assert_eq!(bitwise(b"123456789"), 0xCBF4_3926);
    assert_eq!(bitwise(&covered), field.code);
}

#[test]
fn check_area() {
    for row in table("Check area") {
        let (block_count, bytes, sectors) = (number(row[0]), number(row[1]), number(row[2]));
        assert_eq!(block_count * CHECK_FIELD_BYTES, bytes, "{block_count} blocks");
        let mut area = CheckArea::zeroed(block_count as u64);
        assert_eq!(CheckArea::sectors_for(block_count as u64) as usize, sectors);
        assert_eq!(area.as_bytes().len(), sectors * BLOCK_BYTES);
        (0..block_count as u64).for_each(|index| area.set(index, FIELD));
        let (fields, rest) = area.as_bytes().split_at(bytes);
        assert!(fields.chunks(CHECK_FIELD_BYTES).all(|field| field == FIELD.to_bytes()));
        assert!(rest.iter().all(|byte| *byte == 0));
    }
    assert!(DOC.contains(&format!("at most {MAX_BLOCKS_PER_TRACK} blocks")));
}

#[test]
fn track() {
    let rows = table("Track");
    assert_eq!(rows.len(), Emulation::ALL.len(), "a row for every type");
    for (row, emulation) in rows.iter().zip(Emulation::ALL) {
        assert_eq!(row[0], emulation.name());
        let geometry = Geometry::with_tracks(emulation.blocks_per_track(), 1);
        let data_bytes = geometry.track_bytes();
        let check_bytes = geometry.check_sectors() as usize * BLOCK_BYTES;
        let stride_bytes = (data_bytes + check_bytes).next_multiple_of(PAGE_BYTES);
        let expected = [data_bytes, check_bytes, stride_bytes];
        assert_eq!(row[1..].iter().map(|cell| number(cell)).collect::<Vec<_>>(), expected);
    }
}
