//! The shim alone, as a program: what `pilotis __shim` runs, for tests that have no `pilotis` at
//! hand.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == pilotis_node::SHIM_ARGUMENT => {
            pilotis_node::shim_main(rest)
        }
        _ => {
            eprintln!(
                "error: this program only answers to `{}`",
                pilotis_node::SHIM_ARGUMENT
            );
            ExitCode::from(2)
        }
    }
}
