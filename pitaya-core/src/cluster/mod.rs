//! What a transport or a store must do: the traits between an app and what lies outside of its process.

pub mod groups;

pub use crate::BoxFuture;
pub use groups::{GroupError, GroupStore};
