use pitaya_runtime::prelude::*;

#[derive(Clone, PartialEq, prost::Message)]
pub struct Seat {
    #[prost(uint32, tag = "1")]
    n: u32,
}

pub struct Shelf<T>(T);

#[remote]
impl<T: prost::Message + Default + Clone + 'static> Shelf<T> {
    pub fn get(&self, seat: Seat) -> Result<T> {
        drop(seat);
        Ok(self.0.clone())
    }
}

fn main() {}
