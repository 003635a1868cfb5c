//! A Helm chart in a repository: its values by upstream's precedence, its objects and hooks.
//!
//! Parameters win over `valuesObject` or `values`, these over `valueFiles`, these over the chart.
//! The rendering is a function of commit and settings: the clock stands at the commit, and random
//! values come from a secret seed and the application's name. So a chart that generates a password
//! keeps it, and no rendering differs from the one before for no reason.

use std::sync::{Arc, Mutex};

use pilotis_chart::{Capabilities, Chart, Compat, Input, Options, Release, Values};
use pilotis_git::File;
use pilotis_kinds::argo::{HelmParameter, HelmSource};
use pilotis_template::Environment;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{RenderError, relative};

/// A rendering, everything read.
pub(super) struct Job {
    pub(super) chart: Arc<Chart>,
    /// Where it lies.
    pub(super) root: String,
    /// Values files in order: name and text.
    pub(super) values_files: Vec<(String, String)>,
    /// Files of file parameters: path and text.
    pub(super) parameter_files: Vec<(String, String)>,
    pub(super) helm: HelmSource,
    pub(super) release: String,
    pub(super) namespace: String,
    /// Version of the cluster and what it serves.
    pub(super) kube_version: String,
    pub(super) api_versions: Vec<String>,
    /// Seconds since 1970 of the commit.
    pub(super) time_seconds: i64,
    /// Source of random values.
    pub(super) seed: Vec<u8>,
}

/// Reads a chart.
pub(super) fn load(files: &[File], root: &str) -> Result<Chart, RenderError> {
    let files = files
        .iter()
        .map(|file| pilotis_chart::File::new(relative(file, root), file.bytes.clone()));
    Chart::load(files.collect()).map_err(|error| refused(root, error))
}

/// Points at the template, or at the chart as a whole.
fn refused(root: &str, error: pilotis_chart::Error) -> RenderError {
    let place = error.position.map(|position| position.file);
    RenderError::Manifest {
        path: place.unwrap_or_else(|| format!("{root}/Chart.yaml")),
        message: error.message,
    }
}

/// The objects a chart makes, definitions of kinds first, hooks last.
pub(super) fn objects(job: Job) -> Result<Vec<Value>, RenderError> {
    let failed = |error| refused(&job.root, error);
    let values = Values::merge(&inputs(&job)).map_err(failed)?;
    let compat = Compat::default();
    let kube_version = job
        .helm
        .kube_version
        .as_deref()
        .unwrap_or(&job.kube_version);
    let more = [job.api_versions.as_slice(), &job.helm.api_versions].concat();
    let capabilities = Capabilities::new(&compat, Some(kube_version), &more).map_err(failed)?;
    let release = Release {
        name: job.release.clone(),
        namespace: job.namespace.clone(),
        ..Release::default()
    };
    let options = Options {
        compat,
        skip_schema: job.helm.skip_schema_validation,
        origins_for_errors: true,
        ..Options::default()
    };
    let fixed = Fixed {
        time_seconds: job.time_seconds,
        seed: job.seed,
        count: Mutex::new(0),
    };
    let run: (&Options, &(dyn Environment + Sync)) = (&options, &fixed);
    let rendered =
        pilotis_chart::render(&job.chart, &values, &release, &capabilities, run).map_err(failed)?;
    let mut objects = Vec::new();
    for definition in rendered.crds.iter().filter(|_| !job.helm.skip_crds) {
        let invalid = |message: String| RenderError::Manifest {
            path: definition.path.clone(),
            message,
        };
        let text =
            std::str::from_utf8(definition.data()).map_err(|_| invalid("not UTF-8".to_owned()))?;
        let read = pilotis_yaml::read_json(text).map_err(|error| invalid(error.to_string()))?;
        objects.extend(read);
    }
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    for manifest in rendered.manifests.iter().chain(hooks) {
        let Some(node) = &manifest.node else { continue };
        let object = pilotis_yaml::to_json(node).map_err(|error| RenderError::Manifest {
            path: manifest.source.clone(),
            message: error.to_string(),
        })?;
        objects.push(object);
    }
    Ok(objects)
}

/// The inputs, weakest first.
fn inputs(job: &Job) -> Vec<Input> {
    let files = job.values_files.iter();
    let mut inputs: Vec<Input> = files
        .map(|(name, text)| Input::File(name.clone(), text.clone().into()))
        .collect();
    match (&job.helm.values_object, &job.helm.values) {
        (Some(object), _) => {
            inputs.push(Input::File(
                "valuesObject".to_owned(),
                object.to_string().into(),
            ));
        }
        (None, Some(text)) => inputs.push(Input::File("values".to_owned(), text.clone().into())),
        (None, None) => {}
    }
    inputs.extend(job.helm.parameters.iter().map(parameter));
    for one in &job.helm.file_parameters {
        let text = format!("{}={}", one.name, one.path);
        inputs.push(Input::SetFile(text, job.parameter_files.clone()));
    }
    inputs
}

/// A comma in a value is part of it, unless the value is a list in braces.
fn parameter(one: &HelmParameter) -> Input {
    let list = one.value.starts_with('{') && one.value.ends_with('}');
    let mut value = String::with_capacity(one.value.len());
    let mut escaped = false;
    for character in one.value.chars() {
        if character == ',' && !escaped && !list {
            value.push('\\');
        }
        escaped = character == '\\' && !escaped;
        value.push(character);
    }
    let text = format!("{}={value}", one.name);
    if one.force_string {
        Input::SetString(text)
    } else {
        Input::Set(text)
    }
}

/// The same answers every time.
struct Fixed {
    time_seconds: i64,
    seed: Vec<u8>,
    count: Mutex<u64>,
}

impl Environment for Fixed {
    fn now(&self) -> (i64, u32) {
        (self.time_seconds, 0)
    }

    fn random(&self, buffer: &mut [u8]) {
        let mut count = self
            .count
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for chunk in buffer.chunks_mut(32) {
            *count += 1;
            let block = Sha256::new()
                .chain_update(&self.seed)
                .chain_update(count.to_be_bytes());
            chunk.copy_from_slice(&block.finalize()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_of_parameters_are_part_of_the_value() {
        let cases = [
            ("a,b", "x=a\\,b"),
            ("a\\,b", "x=a\\,b"),
            ("{a,b}", "x={a,b}"),
        ];
        for (value, expected) in cases {
            let one = HelmParameter {
                name: "x".into(),
                value: value.into(),
                force_string: false,
            };
            assert_eq!(parameter(&one), Input::Set(expected.to_owned()));
        }
    }
}
