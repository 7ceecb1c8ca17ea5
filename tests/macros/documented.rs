//! What a user's documentation is made of: see `docs.rs`.

use pitaya_runtime::prelude::*;

/// One sort of question.
#[derive(Clone, PartialEq, Eq, prost::Message, serde::Deserialize, serde::Serialize)]
pub struct Question {
    /// What is asked.
    #[prost(string, tag = "1")]
    pub text: String,
}

/// Where people meet.
#[derive(Debug)]
pub struct Room;

#[handler]
impl Room {
    /// Asks everybody who is in the room.
    pub async fn ask(&self, session: &Session, question: Question) -> Result<Question> {
        session.bind(&question.text).await?;
        Ok(question)
    }

    /// Heard by nobody.
    #[route("whisper", notify)]
    pub fn whisper(&self, cx: &Context) {
        let _ = cx.route();
    }

    #[on(init)]
    fn open(&self) {}
}

#[remote]
impl Room {
    /// Asks from another server.
    pub async fn remotely(&self, question: Question) -> Result<Question> {
        Ok(question)
    }
}

/// What halls do.
#[remote]
pub trait HallApi {
    /// Asks a hall.
    async fn inside(&self, question: Question) -> Result<Question>;
}

/// Where more people meet.
#[derive(Debug)]
pub struct Hall<T>(pub T);

#[remote]
impl<T: Send + Sync + 'static> HallApi for Hall<T> {
    async fn inside(&self, question: Question) -> Result<Question> {
        Ok(question)
    }
}
