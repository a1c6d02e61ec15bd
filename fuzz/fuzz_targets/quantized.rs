//! The target `quantized` for cargo-fuzz; see the README of this folder.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    (burn_ptq_fuzz::target("quantized").expect("it is listed").run)(data);
});
