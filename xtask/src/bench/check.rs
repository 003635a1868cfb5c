//! What a verdict costs: many manifests, a usual repository, secrets by the megabyte.
//!
//! Trees are made here, the same every time. Peers run when they are installed: gitleaks is a
//! Debian package; kube-linter and hadolint have none, and are not measured.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::Bench;
use super::process::Process;
use crate::platform::release_binary;

/// Times a command is run; the median counts.
const RUNS: usize = 5;
const MANIFESTS: usize = 1_000;
/// Bytes of text searched for secrets.
const TEXT_MB: usize = 64;

/// Measures everything of this area.
///
/// # Errors
/// When a tree cannot be written or the binary does not answer.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let root = std::env::temp_dir().join(format!("pilotis-bench-check-{}", std::process::id()));
    let outcome = measure_in(bench, &root);
    fs::remove_dir_all(&root).context("cannot remove the trees")?;
    outcome
}

fn measure_in(bench: &mut Bench, root: &Path) -> Result<()> {
    let manifests = root.join("manifests");
    for index in 0..MANIFESTS {
        write(&manifests.join(format!("{index}.yaml")), &deployment(index))?;
    }
    let (seconds, peak) = judge(&manifests)?;
    let table = &mut bench.table;
    table.noted("1,000 manifests, all rules", seconds, "s", "wanted < 2 s");
    table.noted("peak memory of that", peak, "MB", "wanted < 100 MB");

    let usual = root.join("usual");
    repository(&usual)?;
    let (seconds, _) = judge(&usual)?;
    let note = "chart, Dockerfile, 200 files; wanted < 300 ms";
    table.noted("usual repository, cold", seconds * 1e3, "ms", note);

    let text = root.join("text");
    let line = "let total = order.lines.iter().map(|line| line.price * line.count).sum();\n";
    let file = line.repeat((1 << 20) / line.len());
    for index in 0..TEXT_MB {
        write(&text.join(format!("{index}.rs")), &file)?;
    }
    let (seconds, _) = judge(&text)?;
    #[allow(clippy::cast_precision_loss)] // a small constant
    let speed = TEXT_MB as f64 / seconds;
    let note = "the whole command; wanted ≥ 50 MB/s";
    match gitleaks(&text)? {
        Some(peer) => {
            #[allow(clippy::cast_precision_loss)] // a small constant
            let peer = TEXT_MB as f64 / peer;
            table.beside("secret search", (speed, peer), "MB/s", "peer: gitleaks");
        }
        None => table.noted("secret search", speed, "MB/s", note),
    }
    Ok(())
}

/// Median seconds and the most memory of a verdict.
fn judge(tree: &Path) -> Result<(f64, f64)> {
    let mut seconds = Vec::new();
    let mut peak: f64 = 0.0;
    for _ in 0..RUNS {
        let mut command = Command::new(release_binary());
        command
            .args(["check", "--fail-on", "never", "-o", "json"])
            .arg(tree);
        let start = Instant::now();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run pilotis")?;
        peak = peak.max(Process(child.id()).peak_until_end(&mut child)?);
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok((seconds[RUNS / 2], peak))
}

fn gitleaks(tree: &Path) -> Result<Option<f64>> {
    let start = Instant::now();
    let run = Command::new("gitleaks")
        .args([
            "detect",
            "--no-git",
            "--no-banner",
            "--exit-code",
            "0",
            "--source",
        ])
        .arg(tree)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match run {
        Ok(status) if status.success() => Ok(Some(start.elapsed().as_secs_f64())),
        Ok(status) => bail!("gitleaks ended with {status}"),
        Err(_) => Ok(None),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn deployment(index: usize) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{index}\nspec:\n  replicas: 2\n  \
         selector:\n    matchLabels: {{app: web-{index}}}\n  template:\n    metadata:\n      labels: {{app: \
         web-{index}, env: prod, tier: backend}}\n    spec:\n      containers:\n      - name: web\n        image: \
         ghcr.io/etat/web:1.4.{index}\n        ports:\n        - containerPort: 8080\n        env:\n        - \
         name: LOG_LEVEL\n          value: info\n        securityContext:\n          readOnlyRootFilesystem: \
         true\n        readinessProbe:\n          httpGet: {{path: /health, port: 8080}}\n        resources:\n          \
         requests: {{cpu: 50m, memory: 16Mi}}\n          limits: {{cpu: 50m, memory: 16Mi}}\n"
    )
}

fn repository(root: &Path) -> Result<()> {
    let template = deployment(1).replace("ghcr.io/etat/web:1.4.1", "{{ .Values.image }}");
    write(
        &root.join("chart/Chart.yaml"),
        "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    )?;
    write(
        &root.join("chart/values.yaml"),
        "image: ghcr.io/etat/web:1.4.1\n",
    )?;
    write(
        &root.join("chart/values-dev.yaml"),
        "image: ghcr.io/etat/web:1.4.2\n",
    )?;
    write(
        &root.join("chart/values-prod.yaml"),
        "image: ghcr.io/etat/web:1.4.1\n",
    )?;
    write(&root.join("chart/templates/web.yaml"), &template)?;
    let build = "FROM ghcr.io/etat/build:1.2 AS build\nCOPY src/ src/\nRUN make\n";
    let run = "FROM ghcr.io/etat/base:1.2\nCOPY --from=build /app /app\nUSER 65532\nENTRYPOINT [\"/app\"]\n";
    write(&root.join("Dockerfile"), &format!("{build}\n{run}"))?;
    let source = "int add(int a, int b) {\n    return a + b;\n}\n\n".repeat(40);
    for index in 0..200 {
        write(&root.join(format!("src/part-{index}.c")), &source)?;
    }
    Ok(())
}
