//! Hostile inputs for the chart engine and for the verdict.
//!
//! `cargo run -p pilotis-fuzz -- TARGET SECONDS [SEED]` changes seeds at random and feeds them to
//! one target until the time is over; a panic or an input that takes too long is printed with the
//! input and ends the run. It needs no special compiler. Tests run a fixed number of inputs from a
//! fixed seed, so that they say the same each time. `cargo xtask fuzz` runs the same targets under
//! libFuzzer, from the seeds that `pilotis-fuzz seeds FOLDER` writes, and `cargo xtask helm corpus`
//! gives the charts that `pilotis-fuzz charts TARGET INPUTS FOLDER` writes to the real Helm.

mod change;
mod engine;
mod seeds;
mod targets;
mod verdict;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use change::Random;
use targets::{TARGETS, Target};

/// Time one input may take, debug builds included.
const INPUT_TIME_MAX: Duration = Duration::from_secs(20);
/// Bytes of stack for a target.
const STACK_BYTES: usize = 256 * 1024 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let written = match words.as_slice() {
        ["seeds", folder] => Some(write_seeds(folder.as_ref())),
        ["charts", target, inputs, folder] => Some(write_charts(target, inputs, folder)),
        _ => None,
    };
    if let Some(written) = written {
        return match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("cannot write what was asked for: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let (name, seconds) = match arguments.as_slice() {
        [name, seconds, ..] => (name.as_str(), seconds.parse::<u64>().ok()),
        _ => ("", None),
    };
    let target = TARGETS.iter().find(|target| target.name == name);
    let (Some(target), Some(seconds)) = (target, seconds) else {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("usage: pilotis-fuzz {} SECONDS [SEED]", names.join("|"));
        return ExitCode::from(2);
    };
    let seed = arguments.get(2).and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    let end = Instant::now() + Duration::from_secs(seconds);
    let found = run(target, seed, &mut |_| Instant::now() < end);
    match found {
        Ok(count) => {
            println!("{name}: {count} inputs in {seconds} s from seed {seed}, nothing found");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{name} seed {seed}: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// A folder of seeds for each target.
fn write_seeds(folder: &Path) -> std::io::Result<()> {
    for target in &TARGETS {
        let own = folder.join(target.name);
        std::fs::create_dir_all(&own)?;
        for (index, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(own.join(format!("seed-{index}")), seed)?;
        }
        println!("{}", target.name);
    }
    Ok(())
}

/// A chart for each input of a target whose inputs are charts.
fn write_charts(target: &str, inputs: &str, folder: &str) -> std::io::Result<()> {
    let no_charts = || std::io::Error::other(format!("inputs of {target} are no charts"));
    for entry in std::fs::read_dir(inputs)? {
        let entry = entry?;
        let bytes = std::fs::read(entry.path())?;
        let files = targets::files(target, &bytes).ok_or_else(no_charts)?;
        for (path, data) in files {
            let path = Path::new(folder).join(entry.file_name()).join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(folder)))?;
            std::fs::write(path, data)?;
        }
    }
    Ok(())
}

/// Feeds inputs while `goes_on` says so; gives their number, or the first that failed.
fn run(
    target: &'static Target,
    seed: u64,
    goes_on: &mut dyn FnMut(u64) -> bool,
) -> Result<u64, String> {
    let seeds = (target.seeds)();
    let mut random = Random::new(seed);
    let mut count = 0;
    while goes_on(count) {
        let input = random.change(&seeds);
        let shown = input.escape_ascii().to_string();
        let start = Instant::now();
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || (target.run)(&input))
            .map_err(|error| error.to_string())?;
        if thread.join().is_err() {
            return Err(format!("panic on {shown}"));
        }
        if start.elapsed() > INPUT_TIME_MAX {
            return Err(format!("{:?} spent on {shown}", start.elapsed()));
        }
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_target_panics_on_changed_seeds() {
        const INPUTS: u64 = 400;
        for target in &TARGETS {
            let result = run(target, 7, &mut |count| count < INPUTS);
            assert_eq!(result, Ok(INPUTS), "{}", target.name);
        }
    }
}
