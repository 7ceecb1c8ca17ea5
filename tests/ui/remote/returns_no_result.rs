use pitaya_runtime::prelude::*;

#[derive(Clone, PartialEq, prost::Message)]
pub struct Seat {
    #[prost(uint32, tag = "1")]
    n: u32,
}

pub struct Room;

#[remote]
impl Room {
    pub fn seat(&self) -> Seat {
        Seat { n: 1 }
    }
}

fn main() {}
