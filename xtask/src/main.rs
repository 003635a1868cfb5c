//! Developer commands: what is not the product but keeps it honest.
//!
//! `cargo xtask` without arguments lists them. CI runs `test`; people run `check` before a commit.

mod bench;
mod browser;
mod conformance;
mod demo;
mod fuzz;
mod helm;
mod judges;
mod kinds;
mod packages;
mod platform;
mod run;
mod test;
mod tidy;

use std::process::ExitCode;

/// A command: its name, its arguments in words, what it does, and the function.
type Command = (
    &'static str,
    &'static str,
    &'static str,
    fn(&[String]) -> anyhow::Result<()>,
);

const COMMANDS: [Command; 11] = [
    (
        "demo",
        "[--until N | --broken]",
        "start the platform and ship the sample application",
        demo::main,
    ),
    (
        "test",
        "[FILTER]",
        "install what tests need and run all of them",
        test::main,
    ),
    (
        "bench",
        "[start|api|delivery|gitops|chart|check]",
        "measure the release binary, beside real peers",
        bench::main,
    ),
    (
        "fuzz",
        "[SECONDS [TARGET]]",
        "feed hostile inputs to everything that parses, under libFuzzer",
        fuzz::main,
    ),
    ("check", "", "format, lints, tidy and tests", test::check),
    (
        "tidy",
        "",
        "check layers, sizes and module docs",
        tidy::main,
    ),
    (
        "judges",
        "",
        "install the real programs tests compare with",
        judges::main,
    ),
    (
        "picture",
        "",
        "take the README's picture of a blocked delivery again",
        |_| browser::picture(),
    ),
    (
        "conformance",
        "[FILTER…]",
        "run upstream's tests that need no container; write docs/conformance.md",
        conformance::main,
    ),
    (
        "helm",
        "charts FOLDER | lint FOLDER | tables | goldens FOLDER | vectors | sample | emitter | argocd | judges",
        "compare the chart engine with the real Helm",
        helm::main,
    ),
    (
        "kinds",
        "[--check]",
        "generate the tables of built-in kinds",
        |_| kinds::generate(),
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        usage();
        return ExitCode::from(2);
    };
    let Some(command) = COMMANDS.iter().find(|c| c.0 == name) else {
        eprintln!("error: no command `{name}`");
        usage();
        return ExitCode::from(2);
    };
    match (command.3)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<run::NeedsPerson>() {
                3
            } else if error.is::<run::WrongUse>() {
                2
            } else {
                1
            })
        }
    }
}

fn usage() {
    eprintln!("usage: cargo xtask COMMAND\n");
    for (name, arguments, what, _) in COMMANDS {
        eprintln!("  {:<35} {what}", format!("{name} {arguments}"));
    }
}
