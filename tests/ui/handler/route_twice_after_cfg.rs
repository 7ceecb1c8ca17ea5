use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[cfg(all())]
    pub fn join(&self) {}

    #[cfg(not(any()))]
    #[route("join")]
    pub fn enter(&self) {}
}

fn main() {}
