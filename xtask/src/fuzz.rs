//! `cargo xtask fuzz [SECONDS [TARGET]]`: the hostile inputs of `fuzz/` under libFuzzer.
//!
//! The stable compiler instruments the code; seeds are written anew and what libFuzzer adds to them
//! stays in `target/fuzz/corpus`, so that each run goes on where the last one stopped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::run::{output, root, run, step, target_dir};

/// Seconds of each target in continuous integration.
const SECONDS: &str = "60";
/// Inputs of each target in continuous integration, if the time allows as many: a fast machine
/// shall not try what a slow one did not. `cargo xtask fuzz SECONDS` has no such end.
const RUNS: &str = "-runs=300000";
/// The first inputs of a run from the seeds alone are the same everywhere, as tests should be; a
/// run that goes on from an older corpus finds other ones.
const SEED: &str = "-seed=1";
/// Targets running side by side.
const AT_ONCE: usize = 2;
/// What makes the compiler count edges and comparisons, as libFuzzer reads them.
const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1 \
    -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Runs every target, or one.
///
/// # Errors
/// When it cannot be built, or an input panics, hangs or takes too much memory.
pub fn main(arguments: &[String]) -> Result<()> {
    let seconds = arguments.first().map_or(SECONDS, String::as_str);
    let only = arguments.get(1).map(String::as_str);
    let program = step("instrumented targets", build)?;
    let corpus = folder().join("corpus");
    let names = seeds(&corpus)?;
    let mut wanted: Vec<&str> = names.lines().collect();
    wanted.retain(|name| only.is_none_or(|only| only == *name));
    if wanted.is_empty() {
        bail!("no such target; there are: {}", names.replace('\n', " "));
    }
    let runs = if arguments.is_empty() {
        RUNS
    } else {
        "-runs=-1"
    };
    let queue = Mutex::new(wanted);
    let what = format!("every target for {seconds} s");
    step(&what, || {
        std::thread::scope(|scope| {
            let worker = || {
                loop {
                    let next = queue.lock().ok().and_then(|mut queue| queue.pop());
                    match next {
                        Some(name) => fuzz(&program, name, [seconds, runs], &corpus)?,
                        None => return Ok(()),
                    }
                }
            };
            let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| match worker.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })
    })
}

fn folder() -> PathBuf {
    target_dir().join("fuzz")
}

fn build() -> Result<PathBuf> {
    let host = output(Command::new("rustc").arg("-vV"))?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not name its host")?;
    // Naming the target keeps the flags away from build scripts.
    let words = [
        "build",
        "--release",
        "--package",
        "pilotis-fuzz",
        "--features",
        "guided",
    ];
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .args(words)
        .args(["--bin", "guided", "--target", host])
        .env("CARGO_TARGET_DIR", folder())
        .env("RUSTFLAGS", FLAGS);
    run(&mut cargo)?;
    Ok(folder().join(host).join("release"))
}

/// Writes the seeds, and gives the names of the targets.
fn seeds(corpus: &Path) -> Result<String> {
    output(targets().arg("seeds").arg(corpus))
}

/// The program that knows the targets.
pub fn targets() -> Command {
    let words = [
        "run",
        "--quiet",
        "--package",
        "pilotis-fuzz",
        "--bin",
        "pilotis-fuzz",
        "--",
    ];
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(words);
    cargo
}

fn fuzz(programs: &Path, name: &str, [seconds, runs]: [&str; 2], corpus: &Path) -> Result<()> {
    let findings = folder().join("findings").join(name);
    std::fs::create_dir_all(&findings)?;
    // Templates nest: the stack is that of the engine's own threads.
    let script = "ulimit -s 524288; exec \"$0\" \"$@\"";
    let found = Command::new("sh")
        .args(["-c", script])
        .arg(programs.join("guided"))
        .arg(corpus.join(name))
        .args([SEED, runs, &format!("-max_total_time={seconds}")])
        .args([
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-max_len=8192",
            "-print_final_stats=1",
        ])
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .env("PILOTIS_FUZZ_TARGET", name)
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&found.stderr);
    if !found.status.success() {
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(25)..].join("\n");
        bail!(
            "{name}: an input was found, in {}\n{tail}",
            findings.display()
        );
    }
    let runs = text.lines().rev().find(|line| line.starts_with("Done "));
    println!("{name}: {}", runs.unwrap_or("done"));
    Ok(())
}
