//! Model of a block that follows every rule: the emitters read this and nothing else.

use proc_macro2::{Ident, Span, TokenStream};
use std::fmt::{self, Display};
use syn::{Attribute, Generics, Path, Type, Visibility};

/// Senders of the messages that a block answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Clients, through `#[handler]`.
    Handler,
    /// Other servers, through `#[remote]`.
    Remote,
}

impl Side {
    /// The codec of a block that names none.
    pub(crate) fn codec(self) -> &'static str {
        match self {
            Self::Handler => "Json",
            Self::Remote => "Protobuf",
        }
    }

    /// The trait that carries the table, and its constant.
    pub(crate) fn table(self) -> (&'static str, &'static str) {
        match self {
            Self::Handler => ("Handlers", "HANDLERS"),
            Self::Remote => ("Remotes", "REMOTES"),
        }
    }
}

/// The word for one method of a block, which is also the name of the attribute.
impl Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handler => "handler",
            Self::Remote => "remote",
        })
    }
}

/// Routes with their service and codecs: the same for a block and for a contract.
pub(crate) struct Table {
    pub(crate) side: Side,
    pub(crate) krate: Path,
    /// Serializers that the table may be mounted with; never empty.
    pub(crate) codecs: Vec<Type>,
    /// The user wrote them.
    pub(crate) codecs_given: bool,
    /// Where the user asked for the schemas of the types, if so.
    pub(crate) schema: Option<Span>,
    pub(crate) service: String,
    pub(crate) type_name: String,
    pub(crate) routes: Vec<Route>,
    pub(crate) hooks: Vec<Hook>,
    /// Owner of the methods: `Self`, or `<Self as RoomApi>`.
    pub(crate) owner: TokenStream,
    /// `#[cfg]` of the whole item.
    pub(crate) cfg: Vec<Attribute>,
    /// The user deals with deprecated things here and knows it: the table names them a second time.
    pub(crate) names_deprecated: bool,
    pub(crate) stub: Option<Stub>,
}

/// An `impl` block with its attribute.
pub(crate) struct Component {
    pub(crate) table: Table,
    pub(crate) ty: Type,
    pub(crate) generics: Generics,
}

/// An `impl` of a contract: the contract has the table.
pub(crate) struct Server {
    pub(crate) krate: Path,
    pub(crate) contract: Path,
    pub(crate) ty: Type,
    pub(crate) type_name: String,
    pub(crate) generics: Generics,
    pub(crate) cfg: Vec<Attribute>,
}

/// The type through which other servers call the remotes of a table.
pub(crate) struct Stub {
    pub(crate) name: Ident,
    /// The widest of its methods.
    pub(crate) vis: Visibility,
    /// Routes of the table that a caller can name, by their place.
    pub(crate) routes: Vec<usize>,
}

/// A method that messages reach.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) vis: Visibility,
    pub(crate) name: String,
    /// Where the user wrote it.
    pub(crate) place: Span,
    pub(crate) kind: Kind,
    pub(crate) docs: String,
    /// The pinned code of the dictionary, and where it was written.
    pub(crate) code: Option<(u16, Span)>,
    /// How long a forwarding frontend waits for the answer, in milliseconds.
    pub(crate) timeout: Option<u64>,
    /// `concurrent`, `cancel`, `internal`: as written, for each is a method of the row's description.
    pub(crate) flags: Vec<Ident>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Notify,
}

/// A method that the framework calls at a point in the life of the app or of a session.
pub(crate) struct Hook {
    pub(crate) method: Method,
    /// One of [`HOOKS`].
    pub(crate) event: Ident,
}

/// Events that `#[on(..)]` takes.
pub(crate) const HOOKS: [&str; 6] =
    ["init", "after_init", "before_shutdown", "shutdown", "session_bound", "session_closed"];

/// Signature of a method, as far as a call needs it.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) cfg: Vec<Attribute>,
    pub(crate) is_async: bool,
    /// Without `self`, in the order of the signature.
    pub(crate) args: Vec<Arg>,
    /// `None` for `()`.
    pub(crate) output: Option<Type>,
}

impl Method {
    pub(crate) fn payload(&self) -> Option<&Type> {
        self.args.iter().find_map(|arg| match arg {
            Arg::Payload(ty) => Some(&**ty),
            Arg::Borrowed(_) => None,
        })
    }

    pub(crate) fn borrows(&self) -> bool {
        self.args.iter().any(|arg| matches!(arg, Arg::Borrowed(_)))
    }
}

pub(crate) enum Arg {
    /// From the framework: the type behind the `&`, without the method's own lifetimes.
    Borrowed(TokenStream),
    /// From the wire.
    Payload(Box<Type>),
}
