use pitaya_runtime::prelude::*;

pub struct Room;

#[handler]
impl Room {
    #[cfg(unix)]
    pub fn join(&self, _: &Session, #[cfg(test)] _: &Context) {}
    #[cfg(not(unix))]
    pub fn join(&self, _: &Context) {}
}
