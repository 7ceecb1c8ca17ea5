//! The name and password for etcd, and the token they are exchanged for.

use crate::config::Secret;
use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};

pub(super) type Token = MetadataValue<Ascii>;

/// A login. The token is asked for when it is first needed, and anew when etcd refuses it.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) pass: Secret,
    /// `Some(None)` when etcd wants no login.
    pub(super) token: Mutex<Option<Option<Token>>>,
}

impl Login {
    /// The login of these settings; none when they are empty.
    pub(super) fn of(user: &str, pass: &Secret) -> Option<Self> {
        let given = !user.is_empty() && !pass.expose().is_empty();
        given.then(|| Self { user: user.to_owned(), pass: pass.clone(), token: Mutex::new(None) })
    }
}
