//! The `burn-ptq` command.
fn main() {}
