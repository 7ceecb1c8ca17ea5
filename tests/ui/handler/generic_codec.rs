use pitaya_runtime::prelude::*;

pub struct Room<C>(pub C);

#[handler(codec = C)]
impl<C: Send + Sync + 'static> Room<C> {
    pub fn join(&self) {}
}

fn main() {}
