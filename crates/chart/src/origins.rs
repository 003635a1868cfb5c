//! Who set a value: a values file, a flag, or the defaults of a chart.

use std::sync::Arc;

use pilotis_report::Position;

use crate::load::Chart;
use crate::values::{Nodes, Values, position_in};

/// Where values of a rendering come from.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    user: Values,
    /// Scope, tree and file of each chart's defaults.
    defaults: Vec<(Vec<String>, Arc<Nodes>, String)>,
}

impl Origins {
    /// Remembers the user's values and the defaults of a chart and its subcharts.
    pub(crate) fn new(user: &Values, chart: &Chart) -> Self {
        let mut origins = Self {
            user: user.clone(),
            defaults: Vec::new(),
        };
        origins.collect(chart, &[]);
        origins
    }

    fn collect(&mut self, chart: &Chart, scope: &[String]) {
        let file = format!("{}/values.yaml", chart.full_path);
        self.defaults
            .push((scope.to_vec(), Arc::clone(&chart.values_nodes), file));
        for child in &chart.dependencies {
            let below = [scope, &[child.name().to_string()]].concat();
            self.collect(child, &below);
        }
    }

    /// Where the user set a path, be it to nothing.
    pub(crate) fn user_position(&self, path: &[String]) -> Option<Position> {
        self.user.position(path)
    }

    /// Who set the value at a path last.
    pub fn position(&self, path: &[String]) -> Option<Position> {
        // A global read in a subchart was set at the top, if not below.
        let global = path
            .iter()
            .position(|step| step == "global")
            .map(|at| &path[at..]);
        let candidates = [Some(path), global];
        candidates.into_iter().flatten().find_map(|path| {
            self.user.position(path).or_else(|| {
                self.defaults.iter().find_map(|(scope, nodes, file)| {
                    let inner = path.strip_prefix(scope.as_slice())?;
                    position_in(nodes.get(), file, inner)
                })
            })
        })
    }
}
