use pitaya_runtime::prelude::*;

use pitaya_runtime::Codec;

pub struct Own<const N: u8>;

impl<const N: u8> Codec for Own<N> {
    const NAME: &'static str = "own";
}

pub struct Room;

#[handler(codec(Json, Protobuf, Own<1>, Own<2>))]
impl Room {
    pub fn join(&self, raw: Raw) -> Raw {
        raw
    }
}

fn main() {}
