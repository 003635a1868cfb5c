//! Which machine the figures are of, and which versions of the peers stand beside.

use std::fs;
use std::process::Command;

use crate::run::output;
use crate::{judges, platform};

/// Lines for the head of the table.
pub fn facts() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let model = after(&read("/proc/cpuinfo"), "model name");
    let memory = after(&read("/proc/meminfo"), "MemTotal");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let pilotis = version(Command::new(platform::release_binary()).arg("--version"));
    let apiserver = version(Command::new(judges::bin().join("kube-apiserver")).arg("--version"));
    let etcd = version(Command::new(judges::bin().join("etcd")).arg("--version"));
    format!(
        "machine: {cores} cores ({model}), memory {memory}, kernel {}, load at start {load}\n\
         programs: {pilotis}; peers: kube-apiserver ({apiserver}) with {etcd}, durable",
        kernel.trim()
    )
}

fn after(text: &str, word: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(word));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or("?", |(_, value)| value.trim()).to_owned()
}

fn version(command: &mut Command) -> String {
    let text = output(command).unwrap_or_default();
    text.lines().next().unwrap_or("?").trim().to_owned()
}
