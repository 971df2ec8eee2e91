//! A short run of crash images, and drives that lie. The long one is `cargo xtask crash-images`.

use diptych_testkit::{CrashImages, LyingDrive, run_crash_images};

fn run(what: CrashImages) -> diptych_testkit::CrashImagesReport {
    run_crash_images(what, |_| ()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_unit_comes_back_on_every_image_with_what_was_durable() {
    let report = run(CrashImages { seed: 5_000, images: 12_000, lying: None });
    if let Some((seed, wrong)) = report.first_wrong {
        panic!("{} wrong images, the first of program {seed}: {wrong}", report.wrong);
    }
    assert!(report.images >= 12_000 && report.second_images > 1_000, "{report:?}");
}

#[test]
fn a_drive_that_has_not_flushed_and_says_so_is_found_out() {
    for lying in [LyingDrive::Log, LyingDrive::OfVolumes] {
        let report = run(CrashImages { seed: 1, images: 100_000, lying: Some(lying) });
        assert!(report.wrong > 0, "{lying:?} was not found: {report:?}");
    }
}
