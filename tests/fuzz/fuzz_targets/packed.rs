#![no_main]

#[path = "../panics.rs"]
mod panics;
#[path = "../reader.rs"]
mod reader;

libfuzzer_sys::fuzz_target!(
    init: panics::allow_those_of_the_engine(),
    |bytes: &[u8]| reader::read("data.txt", bytes)
);
