//! The whole product, driven as its users drive it: the `pilotis` binary, kubectl, Helm, Git.
//!
//! One binary, one file per story. Every test has its own data directory and ports.

mod instance;

mod api;
mod charts;
mod check;
mod console;
mod crash;
mod delivery;
mod git;
mod input;
mod kubectl;
mod mirror;
mod pods;
mod seam;
mod trust;
