//! OCI vocabulary: digests, references, descriptors, manifests.
