//! Bytes by digest on local disk: resumable uploads, atomic publication, garbage collection.
