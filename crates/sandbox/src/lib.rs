//! One container: namespaces, cgroups, seccomp and the per-pod shim that outlives the server.
