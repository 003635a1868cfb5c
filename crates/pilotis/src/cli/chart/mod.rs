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
pub mod pflag;
mod post_render;
pub mod pull;
pub mod push;
pub mod registry;
mod rendering;
pub mod repo;
pub mod search;
pub mod show;
mod signing;
mod strategy;
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
use super::deferred::Deferred;

/// Commands on charts.
#[derive(Debug, Subcommand)]
pub enum Chart {
    /// Render a chart as `helm template` does
    Template(Deferred<template::Template>),
    /// Make a new chart that passes every check
    Create(Deferred<create::Create>),
    /// Say what is wrong with charts
    Lint(Deferred<lint::Lint>),
    /// Print what is in a chart
    #[command(subcommand, alias = "inspect")]
    Show(Deferred<show::Show>),
    /// Tell which value a chart would see, and who set it
    #[command(subcommand)]
    Values(Deferred<values::Values>),
    /// Run the tests of a chart
    Test(Deferred<test::Test>),
    /// Tell which lines of the templates run
    Coverage(Deferred<coverage::Coverage>),
    /// Tell what changes between charts, values or commits
    Diff(Deferred<diff::Diff>),
    /// Pack charts into archives
    Package(Deferred<package::Package>),
    /// Work with the charts a chart needs
    #[command(subcommand, visible_alias = "dep", alias = "dependencies")]
    Dependency(Deferred<dependency::Dependency>),
    /// Fetch a chart
    #[command(alias = "fetch")]
    Pull(Deferred<pull::Pull>),
    /// Send a chart to an OCI registry
    Push(Deferred<push::Push>),
    /// Work with repositories that have a name
    #[command(subcommand)]
    Repo(Deferred<repo::Repo>),
    /// Find charts
    #[command(subcommand)]
    Search(Deferred<search::Search>),
    /// Work with passwords of OCI registries
    #[command(subcommand)]
    Registry(Deferred<registry::Registry>),
    /// Verify the signed statement about an archive
    Verify(Deferred<verify::Verify>),
    /// Tell where files are
    Env(Deferred<environment::Env>),
    /// Tell that there are no plug-ins
    #[command(subcommand)]
    Plugin(Deferred<environment::Plugin>),
    /// Tell which Helm this is like
    Version(Deferred<version::Version>),
}

/// Runs a `chart` command; a chart that cannot be used exits with 2, or with Helm's 1 where only
/// Helm's words are wanted.
///
/// # Errors
/// When a file cannot be read.
pub fn run(command: Chart) -> Result<Outcome> {
    pilotis_sandbox::memory::short_command();
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
