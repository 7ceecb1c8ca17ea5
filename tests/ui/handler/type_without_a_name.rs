use pitaya_runtime::prelude::*;

pub trait Chat {}

#[handler]
impl dyn Chat {
    pub fn join(&self) {}
}

fn main() {}
