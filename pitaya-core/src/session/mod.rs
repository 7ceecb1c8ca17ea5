//! What a server knows of one client.

pub mod state;
