//! One program for all targets, since linking it takes longer than most findings. `MARRAM_TARGET` names the target.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use marram_fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("MARRAM_TARGET").expect("MARRAM_TARGET names a target");
    Target::named(&name).unwrap_or_else(|| panic!("{name} is no target"))
});

fuzz_target!(|bytes: &[u8]| {
    TARGET.run(bytes);
});
