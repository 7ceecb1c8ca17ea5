use pitaya_runtime::prelude::*;

#[derive(Fault)]
#[fault(code = "GAME-1")]
pub enum JoinError {
    #[fault(message = "full")]
    Full,
}
