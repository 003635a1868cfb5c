//! Times one chart in process.
//!
//! `cargo run --release -p pilotis-chart --example render CHART [RUNS]` prints three numbers of
//! milliseconds: loading, the first rendering, and the median of the following ones, as `cargo
//! xtask bench chart` shows them. It renders as GitOps does: trees, and origins for errors alone.

use std::path::PathBuf;
use std::time::Instant;

use pilotis_chart::{
    Capabilities, Chart, Compat, Options, Printing, Release, Values, print, render,
};
use pilotis_template::NoEnvironment;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let root = PathBuf::from(words.next().ok_or("which chart?")?);
    let runs = words.next().map_or(Ok(20), |word| word.parse())?;
    let start = Instant::now();
    let chart = Chart::load(pilotis_chart::read_dir(&root)?)?;
    let load = milliseconds(start);
    let capabilities = Capabilities::new(&Compat::default(), None, &[])?;
    let options = Options {
        origins_for_errors: true,
        ..Options::default()
    };
    let mut times = Vec::new();
    for _ in 0..=runs {
        let start = Instant::now();
        let rendered = render(
            &chart,
            &Values::default(),
            &Release::default(),
            &capabilities,
            (&options, &NoEnvironment),
        )?;
        std::hint::black_box(print(&rendered, Printing::default()));
        times.push(milliseconds(start));
    }
    let first = times.remove(0);
    times.sort_by(f64::total_cmp);
    println!(
        "{load:.2} {first:.2} {:.2}",
        times.get(times.len() / 2).unwrap_or(&0.0)
    );
    Ok(())
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
