//! The botops binary: hands everything to `cli`.
fn main() {}
