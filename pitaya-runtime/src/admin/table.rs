//! What is answered, by path.

use super::Answer;
use super::request::{Method, Request};
use pitaya_core::BoxFuture;
use std::fmt;
use std::sync::Arc;

type Look = Box<dyn Fn() -> Answer + Send + Sync>;
type Act = Box<dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync>;

/// The paths of one app.
#[derive(Default)]
pub(crate) struct Table(Vec<(&'static str, Endpoint)>);

enum Endpoint {
    Look(Look),
    Heavy(Arc<Look>),
    Act(Act),
}

/// What becomes of a request.
pub(super) enum Outcome {
    Now(Answer),
    /// This costs something, and is long.
    Heavy(Arc<Look>),
    /// This may take as long as it likes.
    Later(BoxFuture<'static, Answer>),
}

impl Table {
    /// Nobody would ever be answered anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Serves what can be said at once, to GET and HEAD. It runs on a worker of the app: a few milliseconds are fine.
    pub(crate) fn look(&mut self, path: &'static str, answer: impl Fn() -> Answer + Send + Sync + 'static) {
        self.0.push((path, Endpoint::Look(Box::new(answer))));
    }

    /// Serves what costs more than a probe may wait for, or is longer than a socket takes at once, to GET and HEAD.
    pub(crate) fn heavy(&mut self, path: &'static str, answer: impl Fn() -> Answer + Send + Sync + 'static) {
        self.0.push((path, Endpoint::Heavy(Arc::new(Box::new(answer)))));
    }

    /// Serves what does something and may take long, to POST and GET. It is dropped when whoever asked has gone.
    pub(crate) fn act(
        &mut self,
        path: &'static str,
        answer: impl Fn() -> BoxFuture<'static, Answer> + Send + Sync + 'static,
    ) {
        self.0.push((path, Endpoint::Act(Box::new(answer))));
    }

    pub(super) fn ask(&self, request: &Request) -> Outcome {
        let Some((_, endpoint)) = self.0.iter().find(|(path, _)| *path == request.path) else {
            return Outcome::Now(Answer::text("404 Not Found", format!("there is {self}\n")));
        };
        match (endpoint, request.method) {
            (Endpoint::Look(answer), Method::Get | Method::Head) => Outcome::Now(answer()),
            (Endpoint::Heavy(answer), Method::Get | Method::Head) => Outcome::Heavy(answer.clone()),
            (Endpoint::Act(answer), Method::Get | Method::Post) => Outcome::Later(answer()),
            (Endpoint::Look(_) | Endpoint::Heavy(_), _) => {
                Outcome::Now(Answer::text("405 Method Not Allowed\r\nAllow: GET, HEAD", "GET or HEAD\n"))
            }
            (Endpoint::Act(_), _) => {
                Outcome::Now(Answer::text("405 Method Not Allowed\r\nAllow: GET, POST", "POST or GET\n"))
            }
        }
    }
}

/// The paths.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.0.iter().map(|(path, _)| *path).collect();
        f.write_str(&paths.join(", "))
    }
}
