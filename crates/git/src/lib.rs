//! Git repositories on disk: read commits and trees, mirror, serve, commit and push.
