use pitaya_runtime::prelude::*;

mod my_game {
    pub use pitaya_runtime as pitaya;
}

#[derive(Fault)]
#[fault(code = "GAME-1", message = "full", crate = my_game::pitaya)]
pub struct Full;
