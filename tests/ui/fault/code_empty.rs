use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "", message = "full")]
pub struct Full;

fn main() {}
