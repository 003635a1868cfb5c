//! Helm charts of the tree, judged once per environment their values name.

use std::collections::BTreeSet;

use crate::collect::Collector;
use crate::tree::{Tree, chart_directories, is_inside, is_yaml};

/// The environments a chart directory names by its values files: `values-ENV.yaml`,
/// `values.ENV.yaml`, `values/ENV.yaml` and `values/ENV/values.yaml`. Empty when it has one set of
/// values for all.
pub fn environments(files: &Tree, chart: &str) -> BTreeSet<String> {
    let inside = files
        .keys()
        .filter(|path| is_inside(path, chart) && is_yaml(path));
    inside
        .filter_map(|path| environment_of(path, chart))
        .collect()
}

fn environment_of(path: &str, chart: &str) -> Option<String> {
    let rest = path.strip_prefix(chart)?.trim_start_matches('/');
    let stem = rest.rsplit_once('.')?.0;
    let named = match stem.split('/').collect::<Vec<_>>().as_slice() {
        [file] => file
            .strip_prefix("values-")
            .or_else(|| file.strip_prefix("values."))?,
        ["values", environment] | ["values", environment, "values"] => environment,
        _ => return None,
    };
    let plain = named
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (plain && !named.is_empty()).then(|| named.to_owned())
}

pub(crate) fn judge(collector: &mut Collector<'_>) {
    let files = collector.files;
    for chart in chart_directories(files) {
        collector.environments.extend(environments(files, chart));
        let (fr, en) = ("chart non rendu", "chart not rendered");
        collector.skip(if chart.is_empty() { "." } else { chart }, fr, en);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_read_from_the_names_of_values_files() {
        let paths = [
            "c/Chart.yaml",
            "c/values.yaml",
            "c/values-dev.yaml",
            "c/values.qualif.yaml",
            "c/values/prod.yaml",
            "c/values/preprod/values.yaml",
            "c/values-../x.yaml",
            "c/templates/values-no.yaml",
            "other/values-no.yaml",
        ];
        let files: Tree = paths
            .iter()
            .map(|p| ((*p).to_string(), Vec::new()))
            .collect();
        let found: Vec<String> = environments(&files, "c").into_iter().collect();
        assert_eq!(found, ["dev", "preprod", "prod", "qualif"]);
    }
}
