//! `pilotis helm` beside the real Helm, the same command lines, on real servers: what both print,
//! how they end, and what they leave on disk.

mod world;

mod alone;
mod argocd;
mod dependencies;
mod provenance;
mod registries;
mod repositories;
