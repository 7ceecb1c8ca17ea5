use pitaya_runtime::prelude::*;

pub struct Seat(pub u8);

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, seats: Vec<Seat>) -> u32 {
        seats.iter().map(|seat| u32::from(seat.0)).sum()
    }
}

fn main() {}
