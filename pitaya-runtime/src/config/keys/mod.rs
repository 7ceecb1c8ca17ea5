//! Every key, once: its name, type, default, meaning, and what differs from Go.
//!
//! The structs, their rustdoc, the loader's list of known names and `docs/config.md` all come from the `section!` blocks
//! in this folder. To add a key, add its line; to add a section, add its block and name it in the section above it.

mod client;
mod cluster;
mod discovery;
mod health;
pub(super) mod legacy;
mod limits;
mod metrics;
mod services;
mod tracing;

use std::time::Duration;

pub use client::*;
pub use cluster::*;
pub use discovery::*;
pub use health::*;
pub use limits::*;
pub use metrics::*;
pub use services::*;
pub use tracing::*;

use super::setting::{SerializerType, Setting};

/// What is known about a key beside its value.
#[derive(Debug)]
pub(crate) struct Key {
    /// The whole name, in lower case.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) meaning: &'static str,
    /// What differs from Go; empty if nothing does.
    pub(crate) go: &'static str,
    /// Whether something secret may stand in it: a login in an address, a key in place of its path.
    pub(crate) redacted: bool,
}

/// A part of the tree. The one way to reach all keys: for loading, for writing and for the reference.
pub(crate) trait Section {
    /// Shows each key with its value, in the order of the declaration.
    fn walk(&mut self, visit: &mut dyn FnMut(&'static Key, &mut dyn Setting));
}

/// Declares one section: `"path" Name { keys.. sections.. }`.
///
/// A key is `/// meaning`, at most one `#[go = "what differs"]`, `#[redacted = "what"]` where something secret may stand in it, and
/// `name: Type = default,`. A section below it is
/// `name: Type,`.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $path:literal $section:ident {
            $(
                $(#[doc = $meaning:literal])+
                $(#[go = $go:literal])?
                $(#[redacted = $redacted:literal])?
                $key:ident: $type:ty = $default:expr,
            )*
            $($part:ident: $below:ty,)*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, PartialEq)]
        #[non_exhaustive]
        pub struct $section {
            $(
                $(#[doc = $meaning])+
                #[doc = concat!("\n\nKey `", $path, ".", stringify!($key), "`, default `", stringify!($default), "`.")]
                $(#[doc = concat!("\n\nIn Go: ", $go)])?
                pub $key: $type,
            )*
            $(
                #[doc = concat!("The keys under `", $path, ".", stringify!($part), "`.")]
                pub $part: $below,
            )*
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($key: $default,)* $($part: <$below>::default(),)* }
            }
        }

        /// Without passwords, and without the logins in addresses.
        impl std::fmt::Debug for $section {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($section))
                    $(.field(stringify!($key), &$crate::config::shown::Shown(&self.$key)))*
                    $(.field(stringify!($part), &self.$part))*
                    .finish()
            }
        }

        impl $crate::config::keys::Section for $section {
            fn walk(
                &mut self,
                visit: &mut dyn FnMut(&'static $crate::config::keys::Key, &mut dyn $crate::config::setting::Setting),
            ) {
                $({
                    const KEY: &$crate::config::keys::Key = &$crate::config::keys::Key {
                        name: concat!($path, ".", stringify!($key)),
                        meaning: concat!($($meaning),+),
                        go: concat!("", $($go)?),
                        redacted: !concat!("", $($redacted)?).is_empty(),
                    };
                    visit(KEY, &mut self.$key);
                })*
                $(self.$part.walk(visit);)*
            }
        }
    };
}
use section;

/// Declares the section `tls` of a service that this server connects to: one scheme of keys for all of them.
macro_rules! client_tls {
    ($about:literal $path:literal $section:ident) => {
        $crate::config::keys::section! {
            #[doc = $about]
            $path $section {
                /// The PEM file of the authorities whose certificates the service may show. Empty: those that the machine
                /// trusts, for NATS; etcd needs the key for `https://`.
                #[go = "has no such key."]
                #[redacted = "PEM"]
                authorities: String = String::new(),
                /// The PEM file of the certificate that this server shows, with its chain; empty: none.
                #[go = "has no such key."]
                #[redacted = "PEM"]
                certificate: String = String::new(),
                /// The PEM file of its private key.
                #[go = "has no such key."]
                #[redacted = "PEM"]
                key: String = String::new(),
                /// The name that the service's certificate must have; empty: the host in the address.
                #[go = "has no such key."]
                servername: String = String::new(),
            }
        }

        impl $section {
            pub(crate) fn files(&self) -> $crate::cluster::tls::ClientTls {
                $crate::cluster::tls::ClientTls {
                    section: $path,
                    authorities: self.authorities.clone(),
                    certificate: self.certificate.clone(),
                    key: self.key.clone(),
                    servername: self.servername.clone(),
                }
            }
        }
    };
}
use client_tls;

section! {
    /// Everything that can be set: the tree below `pitaya`, with the names of Go Pitaya.
    ///
    /// Start from [`default`](Self::default) or [`edge`](Self::edge) and set fields, or [`load`](Self::load) a file.
    /// Serde reads and writes the same tree, so that an application can hold it as a field of its own settings.
    "pitaya" Config {
        /// How the bodies of messages are written: `1` or `json`, `2` or `protobuf`.
        #[go = "knows only the numbers."]
        serializertype: SerializerType = SerializerType::Json,
        defaultpipelines: DefaultPipelines,
        heartbeat: Heartbeat,
        handler: Handler,
        buffer: Buffer,
        session: Session,
        acceptor: Acceptor,
        conn: Conn,
        limits: Limits,
        metrics: Metrics,
        tracing: Tracing,
        log: Log,
        health: Health,
        cluster: Cluster,
        groups: Groups,
        modules: Modules,
        worker: Worker,
    }
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}
