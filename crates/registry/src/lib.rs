//! The OCI registry: the distribution API over blobs, with tokens per project.
