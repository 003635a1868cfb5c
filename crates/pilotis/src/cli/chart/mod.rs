//! `pilotis chart`: Helm's offline commands, with Helm's words, flags and output.

pub mod coverage;
pub mod create;
pub mod diff;
pub mod flags;
pub mod helm;
pub mod lint;
mod locate;
mod machine;
pub mod package;
mod post_render;
mod rendering;
pub mod show;
mod tell;
pub mod template;
pub mod test;
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
    /// Make a new chart that passes every check
    Create(Box<create::Create>),
    /// Say what is wrong with charts
    Lint(Box<lint::Lint>),
    /// Print what is in a chart
    #[command(subcommand, alias = "inspect")]
    Show(Box<show::Show>),
    /// Tell which value a chart would see, and who set it
    #[command(subcommand)]
    Values(Box<values::Values>),
    /// Run the tests of a chart
    Test(Box<test::Test>),
    /// Tell which lines of the templates run
    Coverage(Box<coverage::Coverage>),
    /// Tell what changes between charts, values or commits
    Diff(Box<diff::Diff>),
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
    match command {
        Chart::Template(arguments) => template::run(&arguments),
        Chart::Create(arguments) => create::run(&arguments),
        Chart::Diff(arguments) => diff::run(&arguments),
        Chart::Lint(arguments) => lint::run(&arguments),
        Chart::Show(command) => show::run(&command),
        Chart::Values(command) => values::run(&command),
        Chart::Coverage(arguments) => coverage::run(&arguments),
        Chart::Test(arguments) => test::run(&arguments),
        Chart::Package(arguments) => package::run(&arguments),
        Chart::Version(arguments) => version::run(&arguments),
    }
}
