//! `cargo xtask helm goldens FOLDER`: outputs that upstream projects keep beside their charts, made
//! again by the real Helm and by ours.
//!
//! Helm's own commands with their outputs are read from its tests in the module cache; the others
//! lie below the folder, as `charts` expects it. What two versions of a chart or of Helm differ in
//! is left out as each project's own comparison leaves it out. Where the real Helm of today does
//! not make a file again either, ours must still make the same as it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::Value;

use super::program::{Program, Ran};
use super::tables;
use super::{VERSIONS, charts};
use crate::run::target_dir;

const OPENTELEMETRY: &str = "open-telemetry+opentelemetry-helm-charts/charts";
const HEADLAMP: &str = "headlamp-k8s+headlamp/charts/headlamp";
const DATADOG: &str = "DataDog+helm-charts";

/// Lines OpenTelemetry's comparison leaves out.
const OPENTELEMETRY_IGNORED: [&str; 2] = ["checksum/config", "helm.sh/chart"];

/// What headlamp's comparison replaces: everything after these is a version.
const HEADLAMP_VERSIONS: [&str; 3] = [
    "helm.sh/chart: headlamp-",
    "app.kubernetes.io/version: ",
    "ghcr.io/headlamp-k8s/headlamp:v",
];

/// What an object of the chart itself says of where it comes from.
const DATADOG_SOURCE: &str = "# Source: datadog/templates/";

/// Keys DataDog's comparison leaves out, besides those that begin with `checksum`.
const DATADOG_IGNORED: [&str; 6] = [
    "helm.sh/chart",
    "chart",
    "install_id",
    "install_time",
    "token",
    "install_info",
];

/// The version headlamp's outputs were made with, as their blank lines show.
const OLDER: &str = "3.21.4";

/// Names and places of charts.
type Charts = [(String, PathBuf)];

/// Both programs, as one version.
struct Judged {
    helm: Program,
    ours: Program,
}

impl Judged {
    fn new(version: &str) -> Result<Self> {
        Ok(Self {
            helm: Program::helm(version)?,
            ours: Program::ours(version)?,
        })
    }
}

/// Files made again.
#[derive(Default)]
struct Count {
    files: usize,
    by_helm: usize,
    by_ours: usize,
    same: usize,
    /// Goldens Helm does not make either, by the chart whose examples they are or their name.
    missed: BTreeMap<String, usize>,
}

impl Count {
    /// Takes one file into account: the golden text and what both programs made of it.
    fn add<T: PartialEq>(&mut self, name: &str, golden: &T, helm: &T, ours: &T) {
        self.files += 1;
        self.by_helm += usize::from(golden == helm);
        self.by_ours += usize::from(golden == ours);
        self.same += usize::from(helm == ours);
        if golden != helm {
            let (folder, _) = name.rsplit_once("/examples/").unwrap_or((name, ""));
            *self.missed.entry(folder.to_owned()).or_default() += 1;
        }
        if helm != ours {
            println!("  other than Helm: {name}");
        }
    }

    fn print(&self, what: &str) {
        println!(
            "{what}: {} goldens, Helm makes {} of them, ours {}; ours as Helm's {}",
            self.files, self.by_helm, self.by_ours, self.same
        );
        for (name, count) in &self.missed {
            println!("  {count} by neither: {name}");
        }
    }
}

/// Makes every golden below a folder again, and Helm's own.
///
/// # Errors
/// When a judge is missing, or ours makes something else than Helm.
pub fn compare(folder: &Path) -> Result<()> {
    let judged = Judged::new(VERSIONS[0])?;
    let charts = charts::prepared(folder)?;
    let counts = [
        ("Helm's own", helm(&judged)?),
        ("OpenTelemetry", opentelemetry(&judged, folder, &charts)?),
        ("headlamp", headlamp(&folder.join(HEADLAMP))?),
        ("DataDog", datadog(&judged, folder, &charts)?),
    ];
    let mut different = 0;
    for (what, count) in &counts {
        count.print(what);
        different += count.files - count.same;
    }
    if different > 0 {
        bail!("{different} outputs are other than Helm's");
    }
    Ok(())
}

/// What Helm's test build takes for the Kubernetes version.
const TEST_KUBERNETES: [&str; 2] = ["--kube-version", "1.20.0"];

/// The commands `template` and `lint` of Helm's tests.
fn helm(judged: &Judged) -> Result<Count> {
    let folder = tables::helm_source()?.join("pkg/cmd");
    let mut count = Count::default();
    let mut asked = BTreeSet::new();
    for record in tables::read(&folder)? {
        for row in record.value.rows() {
            let (Some(words), golden) = (row.text_of("cmd"), row.text_of("golden")) else {
                continue;
            };
            let mut words = shell_words(words);
            let is_wanted = matches!(words.first().map(String::as_str), Some("template" | "lint"));
            if !is_wanted || !asked.insert(words.clone()) {
                continue;
            }
            if !words.iter().any(|word| word == "--kube-version") {
                words.extend(TEST_KUBERNETES.map(str::to_owned));
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let (helm, ours) = (
                judged.helm.run(&folder, &words)?,
                judged.ours.run(&folder, &words)?,
            );
            let path = folder.join("testdata").join(golden.unwrap_or_default());
            // A few commands have no output to compare with but Helm's own.
            let golden = fs::read_to_string(path);
            let golden = golden.map_or_else(|_| printed(&helm), |text| together(&text, ""));
            let name = words.join(" ");
            count.add(&name, &golden, &printed(&helm), &printed(&ours));
        }
    }
    Ok(count)
}

/// What a program printed, in the order Helm's tests see it, without log lines and empty ones.
fn printed(ran: &Ran) -> String {
    together(&String::from_utf8_lossy(&ran.stdout), &ran.stderr)
}

fn together(stdout: &str, stderr: &str) -> String {
    let lines = stdout.lines().chain(stderr.lines());
    let shown: Vec<&str> = lines
        .filter(|line| !line.starts_with("level=") && !line.trim().is_empty())
        .collect();
    shown.join("\n")
}

/// Words of a command line, quotes removed.
fn shell_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(String::new()),
            _ => words
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The rendered examples of OpenTelemetry's charts, file by file.
fn opentelemetry(judged: &Judged, folder: &Path, charts: &Charts) -> Result<Count> {
    let mut count = Count::default();
    for (name, chart) in charts {
        let examples = folder.join(name).join("examples");
        if !name.starts_with(OPENTELEMETRY) || !examples.is_dir() {
            continue;
        }
        let (_, chart_name) = name.rsplit_once('/').unwrap_or(("", name));
        for example in folders(&examples)? {
            let golden = read_files(&example.join("rendered"))?;
            if golden.is_empty() {
                continue;
            }
            let make = |program| example_files(program, chart, chart_name, &example);
            let (helm, ours) = (make(&judged.helm)?, make(&judged.ours)?);
            let again = make(&judged.helm)?;
            for (path, text) in &golden {
                if helm.get(path) != again.get(path) {
                    println!("  random: {}/{path}", example.display());
                    continue;
                }
                let shown = format!("{}/{path}", example.display());
                let made = |files: &BTreeMap<String, String>| {
                    files
                        .get(path)
                        .map(|text| normalised(text))
                        .unwrap_or_default()
                };
                count.add(&shown, &normalised(text), &made(&helm), &made(&ours));
            }
        }
    }
    Ok(count)
}

/// The files of one example, where upstream's Makefile moves them.
fn example_files(
    program: &Program,
    chart: &Path,
    chart_name: &str,
    example: &Path,
) -> Result<BTreeMap<String, String>> {
    let out = target_dir().join("helm-goldens");
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out)?;
    let shown = out.display().to_string();
    for values in values_files(example)? {
        let values = values.display().to_string();
        let words = [
            "template",
            "example",
            ".",
            "--namespace",
            "default",
            "--values",
            &values,
            "--kube-version",
            "1.29",
            "--output-dir",
            &shown,
        ];
        let ran = program.run(chart, &words)?;
        if !ran.ok() {
            println!("  {}: {}", example.display(), ran.stderr.trim_end());
        }
    }
    let files = read_files(&out)?.into_iter().map(|(path, text)| {
        let path = path.strip_prefix(chart_name).unwrap_or(&path).to_owned();
        let path = path.trim_start_matches('/');
        let moved = match path.strip_prefix("charts/") {
            Some(below) => below.replacen("/templates/", "/", 1),
            None => path.replacen("templates/", "", 1),
        };
        (moved, text)
    });
    Ok(files.collect())
}

fn values_files(example: &Path) -> Result<Vec<PathBuf>> {
    let files = read_files(example)?;
    let values = files
        .keys()
        .filter(|path| path.ends_with("values.yaml") && !path.starts_with("rendered"));
    Ok(values.map(|path| example.join(path)).collect())
}

/// As upstream's Makefile compares: no blanks before separators and at the end, two lines ignored.
fn normalised(text: &str) -> String {
    let documents = text.split("\n---\n").map(str::trim_end);
    let lines: Vec<&str> = documents
        .flat_map(|document| document.lines().chain(["---"]))
        .filter(|line| !OPENTELEMETRY_IGNORED.iter().any(|part| line.contains(part)))
        .collect();
    lines.join("\n")
}

fn headlamp(chart: &Path) -> Result<Count> {
    let judged = Judged::new(OLDER)?;
    let mut count = Count::default();
    for (name, golden) in read_files(&chart.join("tests/expected_templates"))? {
        let values = match name.as_str() {
            "default.yaml" => "values.yaml".to_owned(),
            _ => format!("tests/test_cases/{name}"),
        };
        let words = ["template", "headlamp", ".", "--values", &values];
        let made = |program: &Program| -> Result<String> {
            let ran = program.run(chart, &words)?;
            Ok(without_versions(&String::from_utf8_lossy(&ran.stdout)))
        };
        let (helm, ours) = (made(&judged.helm)?, made(&judged.ours)?);
        count.add(&name, &without_versions(&golden), &helm, &ours);
    }
    Ok(count)
}

fn without_versions(text: &str) -> String {
    let cut = |line: &str| {
        let marks = HEADLAMP_VERSIONS.iter();
        let end = marks
            .filter_map(|mark| Some(line.find(mark)? + mark.len()))
            .next();
        line[..end.unwrap_or(line.len())].to_owned()
    };
    let lines: Vec<String> = text.trim_end().lines().map(cut).collect();
    lines.join("\n")
}

/// DataDog's baselines, compared as YAML; objects of subcharts are left out, since the subcharts
/// that lie below the folder are other versions than those of the baselines.
fn datadog(judged: &Judged, folder: &Path, charts: &Charts) -> Result<Count> {
    let mut count = Count::default();
    let baseline = folder.join(DATADOG).join("test/datadog/baseline");
    let wanted = format!("{DATADOG}/charts/datadog");
    let chart = charts.iter().find(|(name, _)| *name == wanted);
    let Some((_, chart)) = chart else {
        return Ok(count);
    };
    for (name, golden) in read_files(&baseline.join("manifests"))? {
        let values = baseline.join("values").join(&name).display().to_string();
        let words = [
            "template",
            "datadog",
            ".",
            "--namespace",
            "datadog-agent",
            "--values",
            &values,
        ];
        let made = |program: &Program| -> Result<Objects> {
            let ran = program.run(chart, &words)?;
            let text = String::from_utf8_lossy(&ran.stdout);
            let own = text
                .split("\n---\n")
                .filter(|text| text.contains(DATADOG_SOURCE));
            Ok(objects(&own.collect::<Vec<_>>().join("\n---\n")))
        };
        let (helm, ours) = (made(&judged.helm)?, made(&judged.ours)?);
        let mut golden = objects(&golden);
        golden.retain(|key, _| helm.contains_key(key));
        count.add(&name, &golden, &helm, &ours);
    }
    Ok(count)
}

/// Objects by kind and name, without the keys left out.
type Objects = BTreeMap<String, Value>;

fn objects(text: &str) -> Objects {
    let values = pilotis_yaml::read_json(text).unwrap_or_default();
    let object = |mut value: Value| {
        filter(&mut value);
        (
            format!("{} {}", value["kind"], value["metadata"]["name"]),
            value,
        )
    };
    values.into_iter().map(object).collect()
}

fn filter(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| {
                !DATADOG_IGNORED.contains(&key.as_str()) && !key.starts_with("checksum")
            });
            fields.values_mut().for_each(filter);
        }
        Value::Array(items) => items.iter_mut().for_each(filter),
        _ => {}
    }
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Texts of every file below a folder by their path; none when there is no folder.
fn read_files(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    if folder.is_dir() {
        let mut found = Vec::new();
        tables::walk(folder, "", &mut found)?;
        let texts = found.into_iter();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        files.extend(texts.map(|(path, bytes)| (path, text(bytes))));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        let words = shell_words("template 'a b' --set=\"c d\"  e");
        assert_eq!(words, ["template", "a b", "--set=c d", "e"]);
    }
}
