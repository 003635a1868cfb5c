//! What the `chart` commands do once their arguments are read: no printing, no disk.

use pilotis_template::{Environment, Machine, NoEnvironment, Set, Value};
use serde_json::Value as Json;

use crate::capabilities::Capabilities;
use crate::compat::Compat;
use crate::errors::Error;
use crate::load::Chart;
use crate::print::{Printing, Printout, Written, files, objects, show_only, with_hooks};
use crate::render::{Options, Release, Rendered, merged_values, render, render_templates};
use crate::values::{Input, Values};

/// The arguments of `chart template`.
#[derive(Debug, Clone, Default)]
pub struct TemplateRequest {
    /// Name, namespace, revision.
    pub release: Release,
    /// Values files and flags, in any order.
    pub inputs: Vec<Input>,
    /// `--kube-version`.
    pub kube_version: Option<String>,
    /// `--api-versions`.
    pub api_versions: Vec<String>,
    /// `--show-only`.
    pub show_only: Vec<String>,
    /// What to print.
    pub printing: Printing,
    /// How to render.
    pub options: Options,
    /// Give files to write instead of a text to print.
    pub as_files: bool,
    /// Put the files below a folder named after the release.
    pub release_folder: bool,
}

/// What `chart template` prints: data or an error, and what is logged on the way.
#[derive(Debug)]
pub struct Printed {
    /// Standard output, or what Helm prints after `Error: `.
    pub result: Result<Printout, Error>,
    /// Lines of standard error that come first.
    pub warnings: Vec<String>,
    /// Files to write, when the request asks for them.
    pub files: Vec<Written>,
}

impl TemplateRequest {
    fn capabilities(&self) -> Result<Capabilities, Error> {
        let kube = self.kube_version.as_deref();
        Capabilities::new(&self.options.compat, kube, &self.api_versions)
    }
}

/// Renders as `helm template` does.
pub fn template(
    chart: &Chart,
    request: &TemplateRequest,
    environment: &(dyn Environment + Sync),
) -> Printed {
    let mut warnings = Vec::new();
    let mut written = Vec::new();
    let result = rendered(chart, request, environment).and_then(|mut rendered| {
        warnings = std::mem::take(&mut rendered.warnings);
        let objects = post_rendered(&rendered, request)?;
        let printed = if request.as_files {
            let release = request.release_folder.then_some(&*request.release.name);
            written = files(&rendered, request.printing, release);
            // Helm prints the text it has, which is none, and in which it finds no template.
            "\n".to_string().into()
        } else {
            with_hooks(objects, &rendered, request.printing)
        };
        if request.show_only.is_empty() {
            return Ok(printed);
        }
        let printed = printed.to_string();
        show_only(&printed, &request.show_only, &request.options.compat).map(Printout::from)
    });
    // What was made of a file that is gone by now is worth nothing.
    let result = chart.late_failure().map_or(result, Err);
    if let Err(error) = &result {
        warnings.extend(error.warnings.iter().cloned());
    }
    Printed {
        result,
        warnings,
        files: written,
    }
}

/// What the templates of a chart give though it is no YAML, one text after another: what `--debug`
/// shows of a chart whose error advises it.
///
/// # Errors
/// A template that does not run.
pub fn unread(
    chart: &Chart,
    request: &TemplateRequest,
    environment: &(dyn Environment + Sync),
) -> Result<String, Error> {
    let capabilities = request.capabilities()?;
    let values = Values::merge_for(&request.inputs, &request.options.compat)?;
    let run = (&request.options, environment);
    let (files, _) = render_templates(chart, &values, &request.release, &capabilities, run)?;
    let mut out = String::new();
    for file in files {
        let text = file.output.text();
        if !file.path.ends_with("NOTES.txt") && !text.trim().is_empty() {
            out.push_str(&format!("---\n# Source: {}\n{text}\n", file.path));
        }
    }
    Ok(format!("{}\n", out.trim()))
}

/// The printed objects, which a post-renderer of Helm 3 has seen.
fn post_rendered(rendered: &Rendered, request: &TemplateRequest) -> Result<Printout, Error> {
    let text = match request.as_files {
        // Helm has written them by then.
        true => Printout::default(),
        false => objects(rendered, request.printing),
    };
    match &request.options.post_renderer {
        Some(renderer) if !request.options.compat.post_renders_files => {
            renderer.printed(&text.to_string()).map(Printout::from)
        }
        _ => Ok(text),
    }
}

fn rendered(
    chart: &Chart,
    request: &TemplateRequest,
    environment: &(dyn Environment + Sync),
) -> Result<Rendered, Error> {
    let capabilities = request.capabilities()?;
    let values = Values::merge_for(&request.inputs, &request.options.compat)?;
    check_installable(chart)?;
    let run = (&request.options, environment);
    render(chart, &values, &request.release, &capabilities, run)
}

fn check_installable(chart: &Chart) -> Result<(), Error> {
    match chart.metadata.chart_type.as_str() {
        "" | "application" => Ok(()),
        other => Err(Error::new(format!("{other} charts are not installable"))),
    }
}

/// The release name a `--name-template` gives.
///
/// # Errors
/// A template that does not parse or run.
pub fn name_from(text: &str) -> Result<String, Error> {
    let wrap = |error: pilotis_template::Error| Error::new(error.to_string());
    let mut set = Set::new();
    set.add("name-template", text).map_err(wrap)?;
    let output = Machine::new(set, &NoEnvironment)
        .run_unchanged("name-template", &Value::Nil)
        .map_err(wrap)?;
    Ok(output.text().into_owned())
}

/// What a `--template` of `helm version` prints.
///
/// # Errors
/// A template that does not parse or run.
pub fn version_text(compat: &Compat, text: &str) -> Result<String, Error> {
    let wrap = |error: pilotis_template::Error| Error::new(error.to_string());
    let mut set = Set::new();
    set.add("_", text).map_err(wrap)?;
    let about = crate::objects::build_info(compat, &format!("v{}", compat.name));
    let output = Machine::new(set, &NoEnvironment).run_unchanged("_", &about);
    Ok(output.map_err(wrap)?.text().into_owned())
}

/// Every value below a path, one a line: what it is and who set it.
///
/// # Errors
/// Values that do not fit the chart; a path under which there is nothing.
pub fn explain_values(
    chart: &Chart,
    values: &Values,
    compat: &Compat,
    path: &str,
) -> Result<String, Error> {
    let (merged, origins) = merged_values(chart, values, compat)?;
    let wanted = crate::values::steps(path);
    let mut leaves = Vec::new();
    flatten(&Json::Object(merged), &mut Vec::new(), &mut leaves);
    let mut out = String::new();
    for (path, value) in leaves.iter().filter(|(path, _)| path.starts_with(&wanted)) {
        let place = match origins.position(path) {
            Some(place) => place.to_string(),
            None => "nobody: empty".to_string(),
        };
        out.push_str(&format!("{} = {value}  # {place}\n", path.join(".")));
    }
    if out.is_empty() {
        return Err(Error::new(format!("there is no value at {path:?}")));
    }
    Ok(out)
}

/// Values that hold no others, with their paths; lists count as one.
fn flatten(value: &Json, path: &mut Vec<String>, out: &mut Vec<(Vec<String>, String)>) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                path.push(key.clone());
                flatten(value, path, out);
                path.pop();
            }
        }
        Json::Number(number) => {
            let text = number.to_string();
            let whole = text.strip_suffix(".0").unwrap_or(&text);
            out.push((path.clone(), whole.to_string()));
        }
        other => out.push((path.clone(), other.to_string())),
    }
}

/// What `chart show` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Everything.
    All,
    /// `Chart.yaml`.
    Chart,
    /// `values.yaml`.
    Values,
    /// The readme.
    Readme,
    /// Files under `crds/`.
    Crds,
}

/// One part of a chart, or all of it, as `helm show` prints it.
pub fn show(chart: &Chart, what: Show, compat: &Compat) -> String {
    let wants = |part: Show| what == part || what == Show::All;
    let mut out = String::new();
    let rule = |out: &mut String| {
        if what == Show::All {
            out.push_str("---\n");
        }
    };
    if wants(Show::Chart) {
        out.push_str(&format!("{}\n", chart.metadata.to_yaml()));
    }
    if wants(Show::Values)
        && let Some(text) = &chart.values_text
    {
        rule(&mut out);
        out.push_str(&format!("{}\n", String::from_utf8_lossy(text)));
    }
    let readme = chart.files.iter().find(|file| {
        let name = file.path.to_lowercase();
        ["readme.md", "readme.txt", "readme"].contains(&name.as_str())
    });
    if wants(Show::Readme)
        && let Some(readme) = readme
    {
        rule(&mut out);
        out.push_str(&format!("{}\n", readme.text()));
    }
    if wants(Show::Crds) {
        for (index, (_, crd)) in crate::render::crds(chart).into_iter().enumerate() {
            let separates = compat.separates_crds || index == 0 && what == Show::All;
            if separates && !crd.data().starts_with(b"---") {
                out.push_str("---\n");
            }
            out.push_str(&format!("{}\n", crd.text()));
        }
    }
    out
}

/// What a JSONPath template prints of a chart's values, without a line's end of its own; nothing
/// when a step of it leads nowhere, or the chart has no `values.yaml`.
///
/// # Errors
/// A template that cannot be read.
pub fn show_path(chart: &Chart, template: &str) -> Result<String, Error> {
    match &chart.values_text {
        None => Ok(String::new()),
        Some(_) => crate::json_path::print(template, &Json::Object(chart.values.to_json())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::File;

    #[test]
    fn what_is_no_yaml_can_be_shown() {
        let chart = Chart::load(vec![
            File::new("Chart.yaml", "apiVersion: v2\nname: c\nversion: 0.1.0\n"),
            File::new("templates/a.yaml", "a: {{ .Release.Name }}: b\n"),
            File::new("templates/NOTES.txt", "notes"),
        ]);
        let chart = chart.unwrap();
        let mut request = TemplateRequest::default();
        request.release.name = "r".to_string();
        let error = template(&chart, &request, &NoEnvironment)
            .result
            .unwrap_err();
        assert!(error.is_advised());
        assert!(
            error
                .advice_followed()
                .printed()
                .ends_with("in this context")
        );
        let text = unread(&chart, &request, &NoEnvironment).unwrap();
        assert_eq!(text, "---\n# Source: c/templates/a.yaml\na: r: b\n");
    }
}
