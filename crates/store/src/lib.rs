//! The object store of the embedded API server: ordered keys, one resource version, a watchable log.
