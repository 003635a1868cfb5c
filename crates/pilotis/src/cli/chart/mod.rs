//! `pilotis chart`: Helm's commands on charts and their repositories, with Helm's words, flags and
//! output.

pub mod dependency;
pub mod environment;
pub mod flags;
pub mod helm;
pub mod lint;
mod locate;
mod machine;
pub mod network;
pub mod package;
pub mod pull;
pub mod push;
pub mod registry;
pub mod repo;
pub mod search;
pub mod show;
mod signing;
mod table;
mod tell;
pub mod template;
mod terminal;
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
        Chart::Lint(arguments) => lint::run(&arguments),
        Chart::Show(command) => show::run(&command),
        Chart::Values(command) => values::run(&command),
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
