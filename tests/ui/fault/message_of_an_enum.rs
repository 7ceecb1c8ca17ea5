use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1", message = "full")]
pub enum JoinError {
    #[fault(message = "full")]
    Full,
}

fn main() {}
