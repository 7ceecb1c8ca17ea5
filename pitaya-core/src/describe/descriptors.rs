//! The protobuf types of an app, by name: what a tool needs to read its messages.

mod file;
mod message;

pub(super) use message::{Field, Message, Type};

use bytes::Bytes;
use file::{FileDescriptor, Set};
use flate2::{Compression, write::GzEncoder};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

/// Protobuf types by name, from what `protoc` knows of them. Cheap to clone.
///
/// Those with which tools ask for it, `protos.Doc`, `protos.ProtoNames` and `protos.ProtoDescriptors`, are always there.
///
/// ```
/// use pitaya_core::describe::Descriptors;
///
/// let descriptors = Descriptors::default();
/// assert!(descriptors.gzipped("protos.ProtoNames").is_some());
/// assert!(descriptors.gzipped("protos.Unknown").is_none());
/// ```
#[derive(Debug, Clone)]
pub struct Descriptors(Arc<Index>);

#[derive(Debug, Clone, Default)]
struct Index {
    files: Vec<File>,
    /// Messages, enums, and the files themselves, by full name: the place of the file.
    names: BTreeMap<String, usize>,
    messages: BTreeMap<String, Message>,
}

#[derive(Debug, Clone)]
struct File {
    name: String,
    imports: Vec<String>,
    gzipped: Bytes,
}

/// Why there are no types in these bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The bytes are something else.
    #[error("this is no file descriptor set, as `protoc --descriptor_set_out` or prost-build write it: {0}")]
    Unreadable(#[from] prost::DecodeError),
    /// There is nothing in it.
    #[error("the file descriptor set is empty: it has no files")]
    Empty,
    /// A file in it has no name.
    #[error("the file descriptor set has a file without a name: is it something else?")]
    Unnamed,
}

impl Default for Descriptors {
    fn default() -> Self {
        let mut index = Index::default();
        for file in file::documentation() {
            index.add(&file, &file.encode_to_vec());
        }
        for message in index.messages.values_mut() {
            // A `Doc` of the app is none of ours.
            message.needed = message.path.len();
        }
        Self(Arc::new(index))
    }
}

impl Descriptors {
    /// Adds the files of a `FileDescriptorSet`, encoded: what prost-build writes to `file_descriptor_set_path`, and
    /// `protoc` to `--descriptor_set_out` (with `--include_imports`). Of a name that comes again the last is meant.
    ///
    /// # Errors
    /// [`DescriptorError`] when the bytes are not such a set; then nothing of it has been added.
    pub fn add(&mut self, set: &[u8]) -> Result<(), DescriptorError> {
        let Set { files } = Set::decode(set)?;
        if files.is_empty() {
            return Err(DescriptorError::Empty);
        }
        let decoded = files.into_iter().map(|raw| Ok((FileDescriptor::decode(&*raw)?, raw)));
        let decoded = decoded.collect::<Result<Vec<_>, prost::DecodeError>>()?;
        if decoded.iter().any(|(file, _)| file.name.is_empty()) {
            return Err(DescriptorError::Unnamed);
        }
        let index = Arc::make_mut(&mut self.0);
        for (file, raw) in decoded {
            index.add(&file, &raw);
        }
        Ok(())
    }

    /// The file that defines the message or enum of this full name, or the file of this path: a `FileDescriptorProto`,
    /// byte for byte as it was given, compressed with gzip. That is how Go's generated code keeps it.
    ///
    /// As in Go (`pkg/docgenerator/descriptors.go`), `types.X` is also a name of `google.protobuf.X`.
    #[must_use]
    pub fn gzipped(&self, name: &str) -> Option<Bytes> {
        let known = |name: &str| self.0.names.get(name);
        let place = known(name).or_else(|| known(&format!("google.protobuf.{}", name.strip_prefix("types.")?)));
        Some(self.0.files.get(*place?)?.gzipped.clone())
    }

    /// The message that a Rust type of this name is made from, if it is one: the last parts of both paths are the same,
    /// in whatever case. Where several are, the one that has the most parts in common; none where that is not clear.
    pub(super) fn message_of(&self, rust: &str) -> Option<&str> {
        let path: Vec<_> = rust.split("::").map(message::plain).collect();
        let mut best = (0, None);
        for (name, message) in &self.0.messages {
            let common = message.path.iter().rev().zip(path.iter().rev()).take_while(|(a, b)| a == b).count();
            if common < message.needed {
                continue;
            }
            if common > best.0 {
                best = (common, Some(&**name));
            } else if common == best.0 {
                best.1 = None;
            }
        }
        best.1
    }

    pub(super) fn message(&self, name: &str) -> Option<&Message> {
        self.0.messages.get(name)
    }

    /// The files that these messages need, directly or not, beside those that define them.
    pub(super) fn imports_of<'a>(&'a self, messages: &BTreeSet<String>) -> BTreeSet<&'a str> {
        let Index { files, names, .. } = &*self.0;
        let own: BTreeSet<usize> = messages.iter().filter_map(|name| names.get(name).copied()).collect();
        let (mut seen, mut next) = (own.clone(), own.iter().copied().collect::<Vec<_>>());
        while let Some(file) = next.pop().and_then(|place| files.get(place)) {
            let imports = file.imports.iter().filter_map(|import| names.get(import).copied());
            next.extend(imports.filter(|place| seen.insert(*place)));
        }
        seen.difference(&own).filter_map(|place| Some(&*files.get(*place)?.name)).collect()
    }
}

impl Index {
    fn add(&mut self, file: &FileDescriptor, raw: &[u8]) {
        let (name, imports, place) = (file.name.clone(), file.imports.clone(), self.files.len());
        self.files.push(File { name: name.clone(), imports, gzipped: gzip(raw) });
        self.names.insert(name, place);
        for (name, message) in message::of(file) {
            self.names.insert(name.clone(), place);
            match message {
                Some(message) => self.messages.insert(name, message),
                None => self.messages.remove(&name),
            };
        }
    }
}

fn gzip(raw: &[u8]) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(raw).and_then(|()| gzip.finish()).expect("a vector takes all that is written").into()
}
