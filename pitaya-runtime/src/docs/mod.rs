//! A server that tells what it exposes: to `pitaya-cli`, to other tools, and to other servers.

pub mod protos;

use crate::App;
use pitaya_core::describe::{DescriptorError, Descriptors};
use pitaya_core::handler::Service;
use pitaya_core::{Error, Handlers, Json, Protobuf, Remotes, Result, codes};
use pitaya_macros::{handler, remote};

/// The component `docs`: what is mounted in its app, and the protobuf types of it.
///
/// | route | takes | answers |
/// |---|---|---|
/// | `docs.docs` | nothing; what is sent is ignored | [`Doc`](protos::Doc): [`Description::to_go_docs`](pitaya_core::describe::Description::to_go_docs) as text |
/// | `docs.descriptor` | [`ProtoNames`](protos::ProtoNames) | [`ProtoDescriptors`](protos::ProtoDescriptors): for each name the file that defines it, a `FileDescriptorProto` compressed with gzip |
///
/// Nothing of it is there unless it is mounted: for clients and servers with
/// [`Builder::component`](crate::Builder::component), for one of them with `handlers` or `remotes`. It tells whoever may
/// ask every route there is, so a public server may want it for other servers only. Those call it through
/// [`DocsClient`], servers in Go as `docs.docs` and `docs.descriptor`.
///
/// ```
/// use pitaya_runtime::docs::Docs;
/// use pitaya_runtime::prelude::*;
///
/// # let set = [0x0a, 8, 0x0a, 6, b'a', b'.', b'p', b'r', b'o', b't'];
/// // let set = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
/// let app = Builder::new("game")
///     .serializer::<Protobuf>()
///     .acceptor(Tcp::bind("127.0.0.1:0"))
///     .component(Docs::new().descriptors(&set)?)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Docs {
    descriptors: Descriptors,
}

impl Docs {
    /// Routes, and no protobuf types but its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds protobuf types: an encoded `FileDescriptorSet`, which prost-build writes to `file_descriptor_set_path`.
    /// Payloads and answers whose Rust types have the names of these messages are described field by field.
    ///
    /// # Errors
    /// When the bytes are no such set.
    pub fn descriptors(mut self, set: &[u8]) -> Result<Self, DescriptorError> {
        self.descriptors.add(set)?;
        Ok(self)
    }

    /// The blocks of this component: an app that does without has forgotten nothing.
    pub(crate) fn services() -> [&'static Service; 2] {
        [<Self as Handlers>::HANDLERS.service, <Self as Remotes>::REMOTES.service]
    }

    fn doc(&self, app: &App) -> protos::Doc {
        protos::Doc { doc: app.describe().to_go_docs(&self.descriptors).to_string() }
    }

    /// All of them or none, as in Go: the answer has no names of its own.
    fn files(&self, names: protos::ProtoNames) -> Result<protos::ProtoDescriptors> {
        let (mut desc, mut unknown) = (Vec::new(), Vec::new());
        for name in names.name {
            match self.descriptors.gzipped(&name) {
                Some(file) => desc.push(file),
                None => unknown.push(name),
            }
        }
        if unknown.is_empty() {
            return Ok(protos::ProtoDescriptors { desc });
        }
        // Go's text, for all of them at once.
        let names = unknown.join("', '");
        let text = format!("failed to get descriptor for '{names}': failed to get protobuf message descriptor");
        Err(Error::new(codes::NOT_FOUND, text).with("names", unknown.join(",")))
    }
}

#[handler(name = "docs", codec(Json, Protobuf), crate = crate)]
impl Docs {
    /// What this server exposes, as JSON.
    pub(crate) fn docs(&self, app: &App) -> protos::Doc {
        self.doc(app)
    }

    /// The files that define these protobuf types.
    pub(crate) fn descriptor(&self, names: protos::ProtoNames) -> Result<protos::ProtoDescriptors> {
        self.files(names)
    }
}

/// What [`Docs`] is to other servers.
#[remote(name = "docs", client = DocsClient, crate = crate)]
pub trait DocsApi {
    /// What the server exposes, as JSON.
    fn docs(&self, app: &App) -> Result<protos::Doc>;

    /// The files that define these protobuf types.
    fn descriptor(&self, names: protos::ProtoNames) -> Result<protos::ProtoDescriptors>;
}

#[remote(crate = crate)]
impl DocsApi for Docs {
    fn docs(&self, app: &App) -> Result<protos::Doc> {
        Ok(self.doc(app))
    }

    fn descriptor(&self, names: protos::ProtoNames) -> Result<protos::ProtoDescriptors> {
        self.files(names)
    }
}
