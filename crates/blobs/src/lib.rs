//! Bytes by digest on local disk: resumable uploads, atomic publication, garbage collection.
//!
//! **Noun:** a [`Store`] of blobs, and beside them small named *objects* (who holds which blob,
//! what a tag points to). **Invariant:** what is served under a digest has that digest, is whole
//! and is on disk, whatever instant the process died. It knows nothing of repositories, users or
//! HTTP.
//!
//! # Collecting without stopping the world
//! A blob becomes reachable only through [`Store::link`], which first renews the blob's age and
//! does both inside the gate. A sweep closes the gate for each deletion, and deletes only what was
//! linked by nothing when it looked *and* has not been renewed since it began to look. So a blob
//! linked after the look is always younger, and survives. Rejected: reference counts (they drift
//! after a crash), and a read-only registry while collecting.

mod content;
mod durable;
mod objects;
mod sweep;
mod upload;

pub use content::{Error, Reader, Store};
pub use sweep::Swept;
pub use upload::{Upload, UploadError};
