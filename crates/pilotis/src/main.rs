//! Cloud π Native in one binary: arguments, output, exit codes, order of start and stop.

fn main() {}
