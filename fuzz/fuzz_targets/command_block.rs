//! See `diptych_testkit::FUZZ_TARGETS`.
#![no_main]

use diptych_testkit::FuzzTarget;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (FuzzTarget::named("command_block").run)(bytes);
});
