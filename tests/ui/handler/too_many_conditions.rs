use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    pub fn join(
        &self,
        #[cfg(unix)] _: &Session,
        #[cfg(windows)] _: &Context,
        #[cfg(test)] _: &Session,
        #[cfg(debug_assertions)] _: &Context,
        #[cfg(panic = "abort")] _: &Session,
    ) {
    }
}

fn main() {}
