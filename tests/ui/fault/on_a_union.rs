use pitaya_runtime::prelude::*;

#[derive(Fault)]
pub union Full {
    pub a: u8,
}

fn main() {}
