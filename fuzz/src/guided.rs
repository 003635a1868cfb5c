//! The same targets under libFuzzer, which follows coverage: built and run by `cargo xtask fuzz`.
//!
//! `PILOTIS_FUZZ_TARGET` names the target; the arguments are libFuzzer's.
#![no_main]
#![expect(dead_code, reason = "seeds are written by the other program")]

mod change;
mod engine;
mod seeds;
mod targets;
mod verdict;

use std::sync::OnceLock;

use change::Random;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use targets::{TARGETS, Target};

fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        std::panic::set_hook(Box::new(stop));
        let name = std::env::var("PILOTIS_FUZZ_TARGET").unwrap_or_default();
        let found = TARGETS.iter().find(|target| target.name == name);
        found.unwrap_or_else(|| panic!("PILOTIS_FUZZ_TARGET={name} names no target"))
    })
}

/// Every panic is a finding, caught or not.
fn stop(panic: &std::panic::PanicHookInfo<'_>) {
    eprintln!("{panic}");
    std::process::abort();
}

fuzz_target!(|input: &[u8]| (target().run)(input));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut random = Random::new(seed.into());
    if random.below(2) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let seeds = SEEDS.get_or_init(|| (target().seeds)());
    let mut input = data[..size].to_vec();
    for _ in 0..=random.below(3) {
        random.change_once(&mut input, seeds);
    }
    input.truncate(max_size);
    data[..input.len()].copy_from_slice(&input);
    input.len()
});
