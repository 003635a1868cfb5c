//! The chart engine as the renderer of charts: offline, without a cluster, the clock at zero.

use std::rc::Rc;

use pilotis_chart::{Capabilities, Chart, Compat, Error, File, Input, Manifest, Release, Values};
use pilotis_report::Diagnostic;
use pilotis_yaml::Node;

use crate::charts::{Origin, Rendered, Renderer};
use crate::subcharts::Subcharts;
use crate::tree::{Tree, is_inside};

/// Renders with `pilotis-chart`.
pub struct ChartEngine;

impl Renderer for ChartEngine {
    fn render(
        &self,
        files: &Tree,
        chart: &str,
        values: &[String],
        release: &str,
    ) -> Result<Vec<Rendered>, Vec<Diagnostic>> {
        let rendered = render(files, chart, values, release);
        let place = Rc::new(Place {
            chart: chart.to_owned(),
            subcharts: Subcharts::of(files, chart),
        });
        let manifests = rendered.map_err(|error| vec![placed(error, files, &place)])?;
        Ok(manifests
            .into_iter()
            .map(|manifest| one(manifest, Rc::clone(&place)))
            .collect())
    }
}

fn render(
    files: &Tree,
    chart: &str,
    values: &[String],
    release: &str,
) -> Result<Vec<Manifest>, Error> {
    let inside = files.iter().filter(|(path, _)| is_inside(path, chart));
    let inside = inside.map(|(path, bytes)| {
        let path = path
            .strip_prefix(chart)
            .unwrap_or(path)
            .trim_start_matches('/');
        File::new(path, bytes.clone())
    });
    let mut inside: Vec<File> = inside.collect();
    set_absent_aside(&mut inside);
    let loaded = Chart::load(inside)?;
    let inputs = values.iter().filter_map(|path| {
        let data = files.get(path)?.clone();
        Some(Input::File(path.clone(), data.into()))
    });
    let values = Values::merge(&inputs.collect::<Vec<_>>())?;
    let release = Release {
        name: release.to_owned(),
        ..Release::default()
    };
    let capabilities = Capabilities::new(&Compat::default(), None, &[])?;
    let run = (
        &pilotis_chart::Options::default(),
        &pilotis_template::NoEnvironment as _,
    );
    let rendered = pilotis_chart::render(&loaded, &values, &release, &capabilities, run)?;
    let hooks = rendered.hooks.into_iter().map(|hook| hook.manifest);
    Ok(rendered.manifests.into_iter().chain(hooks).collect())
}

/// Takes dependencies that are not in the chart out of `Chart.yaml`: what the chart itself renders
/// is judged all the same, and a rule of its own tells what is missing.
fn set_absent_aside(files: &mut [File]) {
    let paths: Vec<String> = files.iter().map(|file| file.path.clone()).collect();
    let Some(metadata) = files.iter_mut().find(|file| file.path == "Chart.yaml") else {
        return;
    };
    let text = String::from_utf8_lossy(metadata.data()).into_owned();
    let Ok(Some(root)) = pilotis_yaml::parse_first(&text) else {
        return;
    };
    let listed = root
        .get("dependencies")
        .map(Node::items)
        .unwrap_or_default();
    let absent = |node: &&Node| !is_present(node, paths.iter().map(String::as_str));
    if !listed.iter().any(|node| absent(&node)) {
        return;
    }
    let Ok(mut value) = pilotis_yaml::to_json(&root) else {
        return;
    };
    let mut kept = listed.iter().map(|node| !absent(&node));
    if let Some(list) = value["dependencies"].as_array_mut() {
        list.retain(|_| kept.next().unwrap_or(true));
    }
    *metadata = File::new("Chart.yaml", value.to_string());
}

/// Whether a dependency is under `charts/`, as a folder or an archive; `paths` are the chart's.
pub(crate) fn is_present<'p>(dependency: &Node, mut paths: impl Iterator<Item = &'p str>) -> bool {
    let name = dependency
        .get("name")
        .and_then(Node::text)
        .unwrap_or_default();
    paths.any(|path| {
        let Some(inner) = path.strip_prefix("charts/") else {
            return false;
        };
        let folder = inner.split('/').next() == Some(name) && inner.contains('/');
        let archive = inner.ends_with(".tgz") && inner.starts_with(&format!("{name}-"));
        folder || archive
    })
}

/// Where a chart lies in the tree.
struct Place {
    chart: String,
    subcharts: Subcharts,
}

impl Place {
    /// The engine names a template `chart-name/templates/…`; the tree names it from its root.
    fn in_tree(&self, file: &str) -> String {
        let inner = file.split_once('/').map_or(file, |(_, inner)| inner);
        let (folder, rest) = self.subcharts.place(inner).unwrap_or((&self.chart, inner));
        match folder {
            "" => rest.to_owned(),
            folder => format!("{folder}/{rest}"),
        }
    }
}

fn one(manifest: Manifest, place: Rc<Place>) -> Rendered {
    Rendered {
        text: manifest.text.to_string(),
        origin: Box::new(move |line, column| {
            let mut position = manifest.position(line, column)?;
            position.file = place.in_tree(&position.file);
            let reads = manifest.values(line, column);
            Some(Origin { position, reads })
        }),
    }
}

fn placed(error: Error, files: &Tree, place: &Place) -> Diagnostic {
    let mut diagnostic = error.diagnostic();
    if let Some(position) = diagnostic.position.as_mut()
        && !files.contains_key(&position.file)
    {
        position.file = place.in_tree(&position.file);
    }
    diagnostic
}
