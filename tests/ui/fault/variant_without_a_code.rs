use pitaya_runtime::prelude::*;

#[derive(Fault)]
pub enum JoinError {
    #[fault(code = "GAME-1", message = "full")]
    Full,
    #[fault(message = "closed")]
    Closed,
}

fn main() {}
