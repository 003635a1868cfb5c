//! The builder as a program of its own, with the entries the shipped binary has: a step, and the
//! pod's main.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [step, file] if step == pilotis_build::step::ARGUMENT => {
            pilotis_build::step::main(Path::new(file))
        }
        [] => pilotis_build::pod::main(),
        _ => {
            eprintln!("error: the builder takes no arguments");
            ExitCode::from(2)
        }
    }
}
