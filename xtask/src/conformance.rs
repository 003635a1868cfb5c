//! `cargo xtask conformance [FILTER…]`: upstream's own tests judge the embedded API server.
//!
//! An instance without containers is started in a temporary folder; `e2e.test` runs over the tests
//! named in `data/conformance.txt`, one process for each area, a few at a time. The outcome of
//! every test goes to `docs/conformance.md`; a filter runs some of them and keeps what is known of
//! the others. The command fails when a test that passed before does not pass any more.

mod report;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::judges;
use crate::run::{WrongUse, output, root, run, step, target_dir};
use report::{Outcome, Outcomes, Page};

/// Names of the tests, one a line.
const TESTS: &str = include_str!("../data/conformance.txt");
/// Where the outcome is written, from the root.
const PAGE: &str = "docs/conformance.md";
/// Processes at a time: tests wait more than they work.
const PROCESSES: usize = 6;
/// An area that takes longer is stopped; what it did not reach counts as failed.
const AREA_TIMEOUT: &str = "25m";
/// Slowest start of an instance on a busy machine is well below this.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// Areas and the beginnings of the names that belong to them. Long ones come first, so that they
/// are not the last to end.
const AREAS: [(&str, &[&str]); 18] = [
    // Waits a minute for each of fourteen requests where nothing answers.
    ("proxy", &["[sig-network] Proxy"]),
    ("garbage", &["[sig-api-machinery] Garbage"]),
    ("quota", &["[sig-api-machinery] ResourceQuota"]),
    (
        "cronjobs",
        &["[sig-apps] CronJob", "[sig-apps] ControllerRevision"],
    ),
    ("openapi", &["[sig-api-machinery] CustomResourcePublish"]),
    (
        "definitions",
        &["[sig-api-machinery] CustomResourceDefinition"],
    ),
    ("watch", &["[sig-api-machinery] Watchers"]),
    (
        "namespaces",
        &[
            "[sig-api-machinery] Namespaces",
            "[sig-api-machinery] OrderedNamespaceDeletion",
        ],
    ),
    ("deployments", &["[sig-apps] Deployment"]),
    (
        "replicas",
        &["[sig-apps] ReplicaSet", "[sig-apps] ReplicationController"],
    ),
    ("disruption", &["[sig-apps] DisruptionController"]),
    (
        "network",
        &[
            "[sig-network] EndpointSlice",
            "[sig-network] Ingress",
            "[sig-network] Service",
        ],
    ),
    (
        "discovery",
        &[
            "[sig-api-machinery] API priority",
            "[sig-api-machinery] AggregatedDiscovery",
            "[sig-api-machinery] Discovery",
            "[sig-api-machinery] Servers",
            "[sig-api-machinery] server",
        ],
    ),
    (
        "validation",
        &[
            "[sig-api-machinery] FieldValidation",
            "[sig-api-machinery] ValidatingAdmissionPolicy",
        ],
    ),
    (
        "access",
        &["[sig-auth]", "[sig-cli]", "[sig-instrumentation]"],
    ),
    ("node", &["[sig-node]"]),
    ("storage", &["[sig-storage]"]),
    // Counts what else runs on the node, so it comes when the others are through.
    ("scheduling", &["[sig-scheduling]"]),
];

/// Runs the tests whose names contain a filter, or all of them.
///
/// # Errors
/// When something cannot be built or started, or a test that passed before fails.
pub fn main(arguments: &[String]) -> Result<()> {
    let wanted = |name: &&str| {
        arguments.is_empty()
            || arguments
                .iter()
                .any(|filter| name.contains(filter.as_str()))
    };
    let chosen: Vec<&str> = names().filter(wanted).collect();
    if chosen.is_empty() {
        let text = format!("no test name contains {}", arguments.join(" or "));
        return Err(WrongUse(text).into());
    }
    step("judges", judges::conformance)?;
    step("build", build)?;
    let dir = std::env::temp_dir().join(format!("pilotis-conformance-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let outcomes = {
        let cluster = Cluster::start(&dir)?;
        step(&format!("{} tests", chosen.len()), || {
            run_areas(&cluster, &chosen)
        })?
    };
    conclude(&chosen, &outcomes, &dir)
}

/// Prints what failed and how many passed, writes the page, and fails on a step back.
fn conclude(chosen: &[&str], outcomes: &Outcomes, dir: &Path) -> Result<()> {
    for name in chosen {
        if let Some(Outcome::Failed(cause)) = outcomes.get(*name) {
            println!("failed: {name}\n        {cause}");
        }
    }
    let path = root().join(PAGE);
    let before = fs::read_to_string(&path).unwrap_or_default();
    let page = Page::read(&before);
    let lost = page.lost(outcomes);
    let all: Vec<&str> = names().collect();
    fs::write(&path, page.after(&all, outcomes, &this_run()?))?;
    let passed = outcomes.values().filter(|o| **o == Outcome::Passed).count();
    println!("{passed} of {} passed", chosen.len());
    eprintln!("    logs are in {}", dir.display());
    if !lost.is_empty() {
        bail!("passed before, not any more:\n  {}", lost.join("\n  "));
    }
    Ok(())
}

fn names() -> impl Iterator<Item = &'static str> {
    TESTS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    run(command.current_dir(root()).args(["build", "--workspace"]))
}

/// The date and the commit, as the page names a run.
fn this_run() -> Result<String> {
    let day = output(Command::new("date").args(["-u", "+%F"]))?;
    let mut git = Command::new("git");
    let commit = output(
        git.current_dir(root())
            .args(["rev-parse", "--short", "HEAD"]),
    )?;
    Ok(format!("{} {}", day.trim(), commit.trim()))
}

/// A running instance, stopped when dropped.
struct Cluster {
    process: Child,
    dir: PathBuf,
}

impl Cluster {
    fn start(dir: &Path) -> Result<Self> {
        let data = dir.join("data");
        let process = Command::new(target_dir().join("debug/pilotis"))
            .args(["up", "--no-containers", "--only-cluster", "--api-port", "0"])
            .arg("--data-dir")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(File::create(dir.join("pilotis.out"))?)
            .stderr(File::create(dir.join("pilotis.log"))?)
            .spawn()
            .context("cannot start pilotis")?;
        let cluster = Self {
            process,
            dir: dir.to_owned(),
        };
        let start = Instant::now();
        while !data.join("endpoints.json").exists() {
            if start.elapsed() > START_DEADLINE {
                bail!(
                    "the instance did not start, see {}/pilotis.log",
                    dir.display()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(cluster)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.dir.join("data/kubeconfig")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

type Area<'a> = (&'static str, Vec<&'a str>);

/// Runs all areas but the last a few at a time, then the last.
fn run_areas(cluster: &Cluster, chosen: &[&str]) -> Result<Outcomes> {
    let mut areas = split(chosen);
    let last = areas.iter().position(|(area, _)| *area == "scheduling");
    let last = last.map(|index| areas.remove(index));
    areas.reverse();
    let queue = Mutex::new(areas);
    let outcomes = Mutex::new(Outcomes::new());
    let work = || -> Result<()> {
        while let Some(area) = queue.lock().ok().and_then(|mut queue| queue.pop()) {
            let found = run_area(cluster, &area)?;
            if let Ok(mut outcomes) = outcomes.lock() {
                outcomes.extend(found);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..PROCESSES).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
    })?;
    let mut outcomes = outcomes.into_inner().unwrap_or_default();
    if let Some(area) = last {
        outcomes.extend(run_area(cluster, &area)?);
    }
    Ok(outcomes)
}

/// The chosen tests by area, areas without any left out.
fn split<'a>(chosen: &[&'a str]) -> Vec<Area<'a>> {
    let of_area = |prefixes: &[&str]| -> Vec<&'a str> {
        let belongs = |name: &&&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        chosen.iter().filter(belongs).copied().collect()
    };
    let areas = AREAS
        .iter()
        .map(|(area, prefixes)| (*area, of_area(prefixes)));
    areas.filter(|(_, tests)| !tests.is_empty()).collect()
}

/// Runs the tests of an area in one process and reads its report.
fn run_area(cluster: &Cluster, (area, tests): &Area<'_>) -> Result<Outcomes> {
    let start = Instant::now();
    let junit = cluster.dir.join(format!("{area}.xml"));
    let log = File::create(cluster.dir.join(format!("{area}.log")))?;
    let mut command = Command::new(judges::bin().join("e2e.test"));
    command
        .args([
            "--provider=skeleton",
            "--e2e-verify-service-account=false",
            "--allowed-not-ready-nodes=1000",
            "--minStartupPods=0",
            "--system-pods-startup-timeout=1s",
            "--node-schedulable-timeout=2s",
            "--dump-logs-on-failure=false",
            "--ginkgo.no-color",
        ])
        .arg(format!("--ginkgo.timeout={AREA_TIMEOUT}"))
        .arg(format!("--ginkgo.junit-report={}", junit.display()))
        .arg(format!("--kubeconfig={}", cluster.kubeconfig().display()))
        .arg(format!(
            "--kubectl-path={}",
            judges::bin().join("kubectl").display()
        ))
        .args(
            tests
                .iter()
                .map(|name| format!("--ginkgo.focus={}$", report::quoted(name))),
        )
        .current_dir(&cluster.dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.status().context("cannot run e2e.test")?;
    let found = report::read(&fs::read_to_string(&junit).unwrap_or_default());
    let missing = || Outcome::Failed("the process ended before it".into());
    let outcomes: BTreeMap<String, Outcome> = tests
        .iter()
        .map(|name| {
            let outcome = found.get(*name).cloned().unwrap_or_else(missing);
            ((*name).to_owned(), outcome)
        })
        .collect();
    let passed = outcomes.values().filter(|o| **o == Outcome::Passed).count();
    eprintln!(
        "    {area}: {passed} of {} in {:.0} s",
        tests.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_belongs_to_exactly_one_area() {
        let all: Vec<&str> = names().collect();
        let mut split: Vec<&str> = split(&all)
            .into_iter()
            .flat_map(|(_, tests)| tests)
            .collect();
        split.sort_unstable();
        let mut sorted = all;
        sorted.sort_unstable();
        assert_eq!(split, sorted);
        assert_eq!(sorted.len(), 147);
    }
}
