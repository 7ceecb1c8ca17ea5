use pitaya_runtime::prelude::*;

pub struct Shelf<S>(pub S);

#[handler]
impl<S: Clone> Shelf<S> {
    pub fn len(&self) -> u32 {
        0
    }
}

fn main() {}
