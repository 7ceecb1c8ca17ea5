use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = 7, message = "full")]
pub struct Full;

fn main() {}
