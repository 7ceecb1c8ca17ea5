use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(&self, #[cfg(all())] a: u8, #[cfg(not(any()))] b: u8) {
        let _ = (a, b);
    }

    #[cfg(any())]
    pub fn absent(&mut self, a: u8, b: u8) {}
}

fn main() {}
