//! What rendering a chart costs, beside the real Helm: fresh processes, an empty home, no cache.
//!
//! The sample's chart is always measured. `PILOTIS_CHARTS` names a folder of public charts, one
//! folder for each repository, as `cargo xtask helm charts` takes it; none is part of this
//! repository.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Bench;
use super::process::Process;
use crate::helm::prepared;
use crate::judges;
use crate::platform::{cargo_build, release_binary};
use crate::run::{output, root, target_dir};

/// Times each program renders each chart, one after the other; the median counts.
const RUNS: usize = 7;
/// Charts measured at most, spread over the folder.
const CHARTS_MAX: usize = 40;
/// Renderings in one process.
const WARM_RUNS: &str = "30";

/// One chart's medians, in seconds.
struct Timed {
    name: String,
    path: PathBuf,
    ours: f64,
    helm: f64,
    output_bytes: usize,
    template_bytes: u64,
    /// Whether it makes RSA keys, which take what luck gives: such charts count apart.
    makes_keys: bool,
}

/// Measures everything of this area.
///
/// # Errors
/// When a program is missing or the sample does not render.
pub fn measure(bench: &mut Bench) -> Result<()> {
    judges::helm()?;
    // With the whole workspace's features, so that what the binary is made of is not built again.
    cargo_build(&["--workspace", "--example", "render"])?;
    let helm = judges::bin().join("helm");
    let mut all = Vec::new();
    for (name, path) in charts()? {
        all.extend(time(name, path, &helm)?);
    }
    for one in &all {
        let (ours, peer) = (one.ours * 1e3, one.helm * 1e3);
        let keys = if one.makes_keys { ", RSA keys" } else { "" };
        let note = format!("{} kB of output{keys}", one.output_bytes / 1000);
        bench.table.beside(&one.name, (ours, peer), "ms", &note);
    }
    let (with_keys, others): (Vec<&Timed>, Vec<&Timed>) =
        all.iter().partition(|one| one.makes_keys);
    for (charts, of, wanted) in [
        (others, "", "wanted ≥ 10"),
        (with_keys, " with RSA keys", "wanted ≥ 0.83"),
    ] {
        if !charts.is_empty() {
            let what = format!("geometric mean of {} charts{of}", charts.len());
            bench
                .table
                .noted(&what, times_faster(&charts), "× faster", wanted);
        }
    }
    let by_output = all.iter().max_by_key(|one| one.output_bytes);
    let by_templates = all.iter().max_by_key(|one| one.template_bytes);
    let by_output = by_output.context("no chart rendered")?;
    in_process(bench, by_output, &helm)?;
    match by_templates.filter(|other| other.path != by_output.path) {
        Some(other) => in_process(bench, other, &helm),
        None => Ok(()),
    }
}

/// The geometric mean of how many times faster ours is.
fn times_faster(charts: &[&Timed]) -> f64 {
    let logarithms: f64 = charts.iter().map(|one| (one.helm / one.ours).ln()).sum();
    #[allow(clippy::cast_precision_loss)] // at most CHARTS_MAX
    let mean = logarithms / charts.len() as f64;
    mean.exp()
}

/// Whether two renderings by Helm differ in a private key, as PEM or in base64.
fn makes_keys(once: &[u8], again: &[u8]) -> bool {
    let text = String::from_utf8_lossy(once);
    once != again && (text.contains("PRIVATE KEY") || text.contains("LS0tLS1CRUdJTiB"))
}

/// A large chart again: its memory, and what it costs in a process that has it parsed.
fn in_process(bench: &mut Bench, chart: &Timed, helm: &Path) -> Result<()> {
    let table = &mut bench.table;
    let peaks = (
        peak(&mut render(&release_binary(), &["chart"], &chart.path)?)?,
        peak(&mut render(helm, &[], &chart.path)?)?,
    );
    table.beside(&format!("{}: peak memory", chart.name), peaks, "MB", "");
    let example = target_dir().join("release/examples/render");
    let text = output(Command::new(example).arg(&chart.path).arg(WARM_RUNS))?;
    let numbers: Vec<f64> = text.split_whitespace().flat_map(str::parse).collect();
    let [load, first, warm] = numbers[..] else {
        bail!("the example printed {text:?}");
    };
    let what = |how: &str| format!("{} in process: {how}", chart.name);
    table.noted(&what("load and parse"), load + first, "ms", "");
    table.noted(&what("parsed before"), warm, "ms", "");
    Ok(())
}

/// The sample, and charts of the folder a person names.
fn charts() -> Result<Vec<(String, PathBuf)>> {
    let sample = root().join("examples/bonjour/chart");
    let mut charts = vec![("sample".to_owned(), sample)];
    let Some(folder) = std::env::var_os("PILOTIS_CHARTS") else {
        eprintln!("    PILOTIS_CHARTS names no folder: only the sample is measured");
        return Ok(charts);
    };
    let public = prepared(Path::new(&folder))?;
    let step = public.len().div_ceil(CHARTS_MAX).max(1);
    charts.extend(public.into_iter().step_by(step));
    Ok(charts)
}

/// Medians of both programs; nothing for a chart Helm itself refuses.
fn time(name: String, path: PathBuf, helm: &Path) -> Result<Option<Timed>> {
    let wanted = render(helm, &[], &path)?.output()?;
    let again = render(helm, &[], &path)?.output()?;
    let found = render(&release_binary(), &["chart"], &path)?.output()?;
    if !wanted.status.success() {
        return Ok(None);
    }
    if !found.status.success() {
        bail!("pilotis does not render {name}");
    }
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(seconds(&mut render(&release_binary(), &["chart"], &path)?)?);
        peer.push(seconds(&mut render(helm, &[], &path)?)?);
    }
    Ok(Some(Timed {
        template_bytes: template_bytes(&path, false)?,
        name,
        path,
        ours: median(ours),
        helm: median(peer),
        output_bytes: wanted.stdout.len(),
        makes_keys: makes_keys(&wanted.stdout, &again.stdout),
    }))
}

/// Bytes of the files in folders called `templates`.
fn template_bytes(folder: &Path, inside: bool) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        let inside = inside || entry.file_name() == "templates";
        if about.is_dir() {
            bytes += template_bytes(&entry.path(), inside)?;
        } else if inside {
            bytes += about.len();
        }
    }
    Ok(bytes)
}

fn render(program: &Path, before: &[&str], chart: &Path) -> Result<Command> {
    let home = std::env::temp_dir().join("pilotis-empty-home");
    std::fs::create_dir_all(&home)?;
    let mut command = Command::new(program);
    command
        .args(before)
        .args(["template", "release"])
        .arg(chart)
        .env_clear()
        .env("HOME", home)
        .stderr(Stdio::null());
    Ok(command)
}

fn seconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    command.stdout(Stdio::null()).status()?;
    Ok(start.elapsed().as_secs_f64())
}

fn peak(command: &mut Command) -> Result<f64> {
    let mut child = command.stdout(Stdio::null()).spawn()?;
    Process(child.id()).peak_until_end(&mut child)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
