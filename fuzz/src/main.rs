//! Hostile inputs for the chart engine and for the verdict.
//!
//! `cargo run -p pilotis-fuzz -- TARGET SECONDS [SEED]` changes seeds at random and feeds them to
//! one target until the time is over; a panic or an input that takes too long is printed with the
//! input and ends the run. It needs no special compiler. Tests run a fixed number of inputs from a
//! fixed seed, so that they say the same each time. `cargo xtask fuzz` runs the same targets under
//! libFuzzer, from the seeds that `pilotis-fuzz seeds FOLDER` writes.

mod engine;
mod seeds;
mod targets;
mod verdict;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use targets::{TARGETS, Target};

/// Time one input may take, debug builds included.
const INPUT_TIME_MAX: Duration = Duration::from_secs(20);
/// Bytes of stack for a target.
const STACK_BYTES: usize = 256 * 1024 * 1024;
/// Longest input.
const INPUT_BYTES_MAX: usize = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder] = arguments.as_slice()
        && word == "seeds"
    {
        return match write_seeds(folder.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("cannot write seeds to {folder}: {error}");
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
fn write_seeds(folder: &std::path::Path) -> std::io::Result<()> {
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

/// Feeds inputs while `goes_on` says so; gives their number, or the first that failed.
fn run(
    target: &'static Target,
    seed: u64,
    goes_on: &mut dyn FnMut(u64) -> bool,
) -> Result<u64, String> {
    let seeds = (target.seeds)();
    let mut random = Random(seed | 1);
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

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap_or(0) % limit.max(1)
    }

    /// A seed with a few changes: bytes flipped, pieces dropped, doubled or taken from another.
    fn change(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..self.below(6) {
            let at = self.below(input.len() + 1);
            let end = (at + 1 + self.below(12)).min(input.len()).max(at);
            match self.below(6) {
                0 if !input.is_empty() => {
                    let at = at.min(input.len() - 1);
                    input[at] ^= 1 << self.below(8);
                }
                1 => {
                    input.drain(at..end);
                }
                2 => {
                    let piece = input[at..end].to_vec();
                    input.splice(at..at, piece);
                }
                3 => {
                    let other = &seeds[self.below(seeds.len())];
                    let from = self.below(other.len() + 1);
                    let to = (from + self.below(24)).min(other.len());
                    input.splice(at..at, other[from..to].iter().copied());
                }
                4 => {
                    let word = seeds::WORDS[self.below(seeds::WORDS.len())];
                    input.splice(at..at, word.bytes());
                }
                _ => input.insert(at, u8::try_from(self.below(256)).unwrap_or(0)),
            }
        }
        input.truncate(INPUT_BYTES_MAX);
        input
    }
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
