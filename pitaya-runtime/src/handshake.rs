//! Who may come in: named checks of what a client says of itself.

use parking_lot::Mutex;
use pitaya_core::wire::HandshakeData;
use pitaya_core::{BoxFuture, Session};
use std::collections::VecDeque;
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

/// How many different greetings are remembered.
const REMEMBERED: usize = 8;

/// What clients said lately. Most of a game's clients are of few kinds and say the same: their sessions share it.
#[derive(Default)]
pub(crate) struct Greetings(Mutex<VecDeque<Arc<HandshakeData>>>);

impl Greetings {
    /// The same, shared with those who said it before.
    pub(crate) fn share(&self, data: HandshakeData) -> Arc<HandshakeData> {
        let mut known = self.0.lock();
        let said = match known.iter().position(|known| **known == data) {
            Some(0) => return known[0].clone(),
            Some(place) => known.remove(place),
            None => None,
        };
        let said = said.unwrap_or_else(|| Arc::new(data));
        known.truncate(REMEMBERED - 1);
        known.push_front(said.clone());
        said
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

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: usize) -> HandshakeData {
        let mut data = HandshakeData::default();
        data.sys.client_version = version.to_string();
        data
    }

    #[test]
    fn clients_that_say_the_same_share_it_and_few_are_remembered() {
        let greetings = Greetings::default();
        let first = greetings.share(of(0));
        assert!(Arc::ptr_eq(&first, &greetings.share(of(0))));
        for version in 1..100 {
            assert_eq!(*greetings.share(of(version)), of(version));
            assert!(Arc::ptr_eq(&first, &greetings.share(of(0))), "who comes again and again is remembered");
        }
        for version in 1..=REMEMBERED {
            greetings.share(of(version));
        }
        assert!(!Arc::ptr_eq(&first, &greetings.share(of(0))));
        assert_eq!(greetings.0.lock().len(), REMEMBERED);
    }
}
