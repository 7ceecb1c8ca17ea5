//! Who may come in: named checks of what a client says of itself.

use pitaya_core::wire::HandshakeData;
use pitaya_core::{BoxFuture, Session};
use std::sync::Arc;

/// Why a client may not come in. The client is sent code 400, and this for clients that read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A code for the client to act on.
    pub code: String,
    /// A text for people.
    pub message: String,
}

impl Refusal {
    /// A refusal with a code and a text.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

impl<T: Into<String>> From<T> for Refusal {
    /// A refusal with a text and the code `PIT-400`.
    fn from(message: T) -> Self {
        Self::new(pitaya_core::codes::BAD_REQUEST, message)
    }
}

/// A check that a client passes before it is answered. It runs inside the handshake deadline.
///
/// Any `Fn(&HandshakeData) -> Result<(), Refusal>` is one; implement the trait for a check that must wait.
pub trait Validator: Send + Sync + 'static {
    /// Looks at what the client said.
    fn validate<'a>(&'a self, session: &'a Session, data: &'a HandshakeData) -> BoxFuture<'a, Result<(), Refusal>>;
}

impl<F> Validator for F
where
    F: Fn(&HandshakeData) -> Result<(), Refusal> + Send + Sync + 'static,
{
    fn validate<'a>(&'a self, _: &'a Session, data: &'a HandshakeData) -> BoxFuture<'a, Result<(), Refusal>> {
        let verdict = self(data);
        Box::pin(async move { verdict })
    }
}

/// The checks of an app, in order.
#[derive(Default, Clone)]
pub(crate) struct Validators(Vec<(Arc<str>, Arc<dyn Validator>)>);

impl Validators {
    pub(crate) fn push(&mut self, name: &str, validator: impl Validator) {
        self.0.push((name.into(), Arc::new(validator)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first refusal, with the name of the check.
    pub(crate) async fn check(&self, session: &Session, data: &HandshakeData) -> Result<(), (Arc<str>, Refusal)> {
        for (name, validator) in &self.0 {
            validator.validate(session, data).await.map_err(|refusal| (name.clone(), refusal))?;
        }
        Ok(())
    }
}
