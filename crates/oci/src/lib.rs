//! OCI vocabulary: digests, references, descriptors, manifests.
//!
//! **Noun:** the image as everyone names it. **Invariant:** a [`Digest`] or [`Reference`] that
//! exists is well formed, so nobody below checks again. Nothing here reads a file or a network.
//! The trap: a manifest is identified by its *bytes*. The types here are a reading of those bytes;
//! writing one back may give another digest, so keep and pass on the bytes you were given.

mod digest;
pub mod media;
mod model;
mod reference;

pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use model::{
    Config, Descriptor, Document, DocumentError, Health, History, Image, Index, MANIFEST_BYTES_MAX,
    Manifest, Platform, RootFs,
};
pub use reference::{Reference, ReferenceError, is_repository, is_tag};
