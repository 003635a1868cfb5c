//! Cloud π Native in one binary: arguments, output, exit codes, order of start and stop.

mod cli;
mod client;
mod doctor;
mod lifecycle;
mod platform;
mod settings;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tracing_subscriber::EnvFilter;

use cli::{Arguments, Command, Down, Outcome};

fn main() -> ExitCode {
    if let Some(code) = other_life() {
        return code;
    }
    pilotis_sandbox::memory::limit_arenas();
    let arguments = match Arguments::try_parse_from(words()) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            eprint!("{}", cli::problem::of_arguments(&error));
            return Outcome::Usage.into();
        }
        // Help or the version, which were asked for.
        Err(asked) => {
            let _ = asked.print();
            return Outcome::Done.into();
        }
    };
    start_logs();
    match run(arguments.command) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            let (text, outcome) = cli::problem::describe(&error);
            eprint!("{text}");
            outcome.into()
        }
    }
}

/// Logs go to standard error, from the level `PILOTIS_LOG` says, or `info`.
fn start_logs() {
    let logs = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match EnvFilter::try_from_env("PILOTIS_LOG") {
        Ok(wanted) => logs.with_env_filter(wanted).init(),
        Err(_) => logs.with_max_level(tracing::Level::INFO).init(),
    }
}

/// The command line; a program called `helm` is one that runs `helm`.
fn words() -> Vec<std::ffi::OsString> {
    let mut words: Vec<_> = std::env::args_os().collect();
    let name = words.first().and_then(|first| Path::new(first).file_name());
    if name.is_some_and(|name| name == "helm") {
        words.insert(1, "helm".into());
    }
    words
}

/// The program under another name: a pod's shim, the builder pod, one step of a build. Decided
/// before any thread starts.
fn other_life() -> Option<ExitCode> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (first, rest) = arguments.split_first()?;
    if first == pilotis_node::SHIM_ARGUMENT {
        return Some(pilotis_node::shim_main(rest));
    }
    if first == platform::images::BUILDER_ARGUMENT {
        pilotis_sandbox::names::from_files_and_dns();
        return Some(pilotis_build::pod::main());
    }
    if first == pilotis_build::step::ARGUMENT {
        let file = rest.first()?;
        return Some(pilotis_build::step::main(std::path::Path::new(file)));
    }
    None
}

/// What the process needs before its first connection. `chart` commands do it when they fetch
/// something (`cli::chart::network::wait`): a small chart renders in 3 ms and connects to nothing.
pub(crate) fn before_network() {
    pilotis_sandbox::names::from_files_and_dns();
    // Two providers are linked in through dependencies; this one is ours.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn run(command: Command) -> Result<Outcome> {
    if !matches!(command, Command::Chart(_) | Command::Helm(_)) {
        before_network();
    }
    match command {
        Command::Up(arguments) => platform::up(&arguments),
        Command::Serve(arguments) => platform::serve::serve(&arguments),
        Command::Chart(command) => cli::chart::run(command.into_inner()),
        Command::Helm(command) => cli::chart::helm::run(&command),
        Command::Down(arguments) => down(&arguments),
        Command::Status(arguments) => lifecycle::status(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Check(arguments) => block_on(async move { cli::check::run(&arguments).await }),
        Command::Project(command) => block_on(cli::project::project(command.into_inner())),
        Command::Repository(command) => block_on(cli::project::repository(command.into_inner())),
        Command::Login(arguments) => block_on(cli::access::login(arguments.into_inner())),
        Command::Deliver(command) => block_on(cli::deliver::run(command.into_inner())),
    }
}

fn block_on(work: impl Future<Output = Result<Outcome>>) -> Result<Outcome> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn down(arguments: &Down) -> Result<Outcome> {
    if lifecycle::stop(&arguments.data_dir)? {
        eprintln!("stopped");
    } else {
        eprintln!("nothing runs in {}", arguments.data_dir.display());
    }
    platform::node::clean(&arguments.data_dir, arguments.purge)?;
    if arguments.purge && arguments.data_dir.join("instance").exists() {
        std::fs::remove_dir_all(&arguments.data_dir)?;
        eprintln!("removed {}", arguments.data_dir.display());
        eprintln!(
            "these Debian packages stay, remove those that nothing else uses: {}",
            PACKAGES.join(" ")
        );
    }
    Ok(Outcome::Done)
}

/// Debian packages the platform runs with, which a demonstration may have installed.
const PACKAGES: [&str; 3] = ["nftables", "iproute2", "git"];
