use pitaya_runtime::prelude::*;

#[derive(Fault)]
pub enum JoinError {
    #[fault(code = "GAME-1", message = "full")]
    Full,
    #[fault(message = "closed")]
    #[fault(code = "GAME-1")]
    Closed,
}

#[derive(Fault)]
#[fault(code = "GAME-1")]
pub enum LeaveError {
    #[fault(message = "closed")]
    Closed,
}
