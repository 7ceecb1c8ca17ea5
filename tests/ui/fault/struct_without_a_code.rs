use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(message = "full")]
pub struct Full;

fn main() {}
