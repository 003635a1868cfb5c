//! Charts written here, rendered by us and by the real Helm 4.2.4: standard output, or the error,
//! must be equal byte for byte. The judge is required; a machine without it fails.

mod cases;
mod failures;
mod late;
mod mistakes;
mod origins;
mod vectors;

use std::path::{Path, PathBuf};
use std::process::Command;

use pilotis_chart::cli::{TemplateRequest, template};
use pilotis_chart::{Chart, File, Input};
use pilotis_template::NoEnvironment;

/// A chart and the arguments of one rendering.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Path and content; without `Chart.yaml` a minimal one named `demo` is added.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Values files and flags, as Helm takes them. `-f` names one of `files` below `input/`.
    pub(crate) args: &'static [&'static str],
}

const CHART: &str = "apiVersion: v2\nname: demo\nversion: 0.1.0\nappVersion: \"1.16\"\n";

impl Case {
    fn files(&self) -> Vec<(&str, &str)> {
        let mut files = self.files.to_vec();
        if !files.iter().any(|(path, _)| *path == "Chart.yaml") {
            files.push(("Chart.yaml", CHART));
        }
        files
    }

    pub(crate) fn chart_files(&self) -> Vec<File> {
        let files = self.files().into_iter();
        let inside = files.filter(|(path, _)| !path.starts_with("input/"));
        inside.map(|(path, text)| File::new(path, text)).collect()
    }

    pub(crate) fn request(&self) -> TemplateRequest {
        let mut request = TemplateRequest::default();
        request.release.name = "rel".to_string();
        let mut args = self.args.iter();
        while let Some(flag) = args.next() {
            let mut next = || args.next().map_or(String::new(), ToString::to_string);
            match *flag {
                "-f" => {
                    let path = next();
                    let text = self.files.iter().find(|(name, _)| *name == path);
                    let text = text.map_or("", |(_, text)| text).to_string();
                    request.inputs.push(Input::File(path, text.into()));
                }
                "--set" => request.inputs.push(Input::Set(next())),
                "--set-string" => request.inputs.push(Input::SetString(next())),
                "--set-json" => request.inputs.push(Input::SetJson(next())),
                "--set-literal" => request.inputs.push(Input::SetLiteral(next())),
                "--set-file" => {
                    let text = next();
                    let files = self.files.iter();
                    let files = files.map(|(name, text)| (name.to_string(), text.to_string()));
                    request.inputs.push(Input::SetFile(text, files.collect()));
                }
                "--namespace" => request.release.namespace = next(),
                "--kube-version" => request.kube_version = Some(next()),
                "--api-versions" => request.api_versions.push(next()),
                "--show-only" => request.show_only.push(next()),
                "--include-crds" => request.printing.include_crds = true,
                "--skip-tests" => request.printing.skip_tests = true,
                "--no-hooks" => request.printing.no_hooks = true,
                "--is-upgrade" => request.release.is_upgrade = true,
                other => unreachable!("unknown argument {other}"),
            }
        }
        request
    }

    fn ours(&self) -> Result<String, String> {
        let chart = Chart::load(self.chart_files()).map_err(|error| error.message)?;
        let mut request = self.request();
        let printed = template(&chart, &request, &NoEnvironment);
        // What the command line asks for takes shorter ways; they must lead to the same place.
        request.options.text_only = true;
        let short = template(&chart, &request, &NoEnvironment);
        assert_eq!(short.result, printed.result, "{}", self.name);
        assert_eq!(short.warnings, printed.warnings, "{}", self.name);
        let said = |error: pilotis_chart::Error| error.message.trim_end().to_string();
        printed.result.map(|text| text.to_string()).map_err(said)
    }

    fn judged(&self) -> Result<String, String> {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (path, text) in self.files() {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        }
        let output = Command::new(helm())
            .args(["template", "rel", "."])
            .args(self.args)
            .current_dir(root.path())
            .env_clear()
            .env("HOME", root.path().join("home"))
            .output()
            .expect("the real helm runs");
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let start = text.find("Error: ").expect("an error text") + "Error: ".len();
        let text = text[start..].trim_end();
        let advice = "\n\nUse --debug flag to render out invalid YAML";
        Err(text.strip_suffix(advice).unwrap_or(text).to_string())
    }
}

fn helm() -> PathBuf {
    let home = std::env::var("HOME").expect("HOME is set");
    let path = Path::new(&home).join(".cache/pilotis-judges/bin/helm-v4.2.4");
    assert!(
        path.exists(),
        "the judge {} is missing: install it",
        path.display()
    );
    path
}

pub(crate) fn compare(cases: &[Case]) {
    let mut different = Vec::new();
    for case in cases {
        let (ours, judged) = (case.ours(), case.judged());
        if ours != judged {
            let show = |result: &Result<String, String>| match result {
                Ok(text) => text.clone(),
                Err(text) => format!("Error: {text}"),
            };
            different.push(format!(
                "=== {}\n--- ours\n{}\n--- helm\n{}",
                case.name,
                show(&ours),
                show(&judged)
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
