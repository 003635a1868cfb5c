//! `pilotis chart`: Helm's commands on charts and their repositories, with Helm's words, flags and
//! output.

pub mod coverage;
pub mod create;
pub mod dependency;
pub mod diff;
pub mod environment;
pub mod flags;
pub mod helm;
pub mod lint;
mod locate;
mod machine;
pub mod network;
pub mod package;
mod post_render;
pub mod pull;
pub mod push;
pub mod registry;
mod rendering;
pub mod repo;
pub mod search;
pub mod show;
mod signing;
mod table;
mod tell;
pub mod template;
mod terminal;
pub mod test;
pub mod values;
pub mod verify;
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
    /// Work with the charts a chart needs
    #[command(subcommand, visible_alias = "dep", alias = "dependencies")]
    Dependency(dependency::Dependency),
    /// Fetch a chart
    #[command(alias = "fetch")]
    Pull(Box<pull::Pull>),
    /// Send a chart to an OCI registry
    Push(Box<push::Push>),
    /// Work with repositories that have a name
    #[command(subcommand)]
    Repo(repo::Repo),
    /// Find charts
    #[command(subcommand)]
    Search(search::Search),
    /// Work with passwords of OCI registries
    #[command(subcommand)]
    Registry(registry::Registry),
    /// Verify the signed statement about an archive
    Verify(Box<verify::Verify>),
    /// Tell where files are
    Env(Box<environment::Env>),
    /// Tell that there are no plug-ins
    #[command(subcommand)]
    Plugin(environment::Plugin),
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
        Chart::Create(arguments) => create::run(&arguments),
        Chart::Diff(arguments) => diff::run(&arguments),
        Chart::Lint(arguments) => lint::run(&arguments),
        Chart::Show(command) => show::run(&command),
        Chart::Values(command) => values::run(&command),
        Chart::Coverage(arguments) => coverage::run(&arguments),
        Chart::Test(arguments) => test::run(&arguments),
        Chart::Package(arguments) => package::run(&arguments),
        Chart::Dependency(command) => dependency::run(&command),
        Chart::Pull(arguments) => pull::run(&arguments),
        Chart::Push(arguments) => push::run(&arguments),
        Chart::Repo(command) => repo::run(&command),
        Chart::Search(command) => search::run(&command),
        Chart::Registry(command) => registry::run(&command),
        Chart::Verify(arguments) => verify::run(&arguments),
        Chart::Env(arguments) => environment::run(&arguments),
        Chart::Plugin(command) => environment::plugins(&command),
        Chart::Version(arguments) => version::run(&arguments),
    }
}
