//! `pilotis chart`: Helm's offline commands, with Helm's words, flags and output.

pub mod flags;
pub mod helm;
pub mod lint;
mod locate;
mod machine;
pub mod package;
pub mod show;
mod tell;
pub mod template;
pub mod values;
pub mod version;

use anyhow::Result;
use clap::Subcommand;

use super::Outcome;

/// Commands on charts.
#[derive(Debug, Subcommand)]
pub enum Chart {
    /// Render a chart as `helm template` does
    Template(Box<template::Template>),
    /// Say what is wrong with charts
    Lint(Box<lint::Lint>),
    /// Print what is in a chart
    #[command(subcommand, alias = "inspect")]
    Show(Box<show::Show>),
    /// Tell which value a chart would see, and who set it
    #[command(subcommand)]
    Values(Box<values::Values>),
    /// Pack charts into archives
    Package(Box<package::Package>),
    /// Tell which Helm this is like
    Version(Box<version::Version>),
}

/// Runs a `chart` command; a chart that cannot be used exits with 2, or with Helm's 1 where only
/// Helm's words are wanted.
///
/// # Errors
/// When a file cannot be read.
pub fn run(command: Chart) -> Result<Outcome> {
    pilotis_sandbox::memory::one_arena();
    match command {
        Chart::Template(arguments) => template::run(&arguments),
        Chart::Lint(arguments) => lint::run(&arguments),
        Chart::Show(command) => show::run(&command),
        Chart::Values(command) => values::run(&command),
        Chart::Package(arguments) => package::run(&arguments),
        Chart::Version(arguments) => version::run(&arguments),
    }
}
