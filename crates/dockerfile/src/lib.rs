//! Dockerfiles: syntax tree with positions, variable expansion, stage graph.
