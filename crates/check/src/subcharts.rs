//! Where the files of subcharts lie. The engine names a subchart as its parent does, by alias; the
//! folder that holds it has a name of its own.

use std::collections::BTreeMap;

use pilotis_yaml::Node;

use crate::tree::Tree;

/// Deepest nesting of subcharts followed.
const DEPTH_MAX: usize = 8;
/// Most subcharts placed.
const SUBCHARTS_MAX: usize = 1_000;

/// The folders of a chart's subcharts, by the names that lead to each.
pub(crate) struct Subcharts(BTreeMap<Vec<String>, String>);

impl Subcharts {
    pub(crate) fn of(files: &Tree, chart: &str) -> Self {
        let mut found = Self(BTreeMap::new());
        found.visit(files, (chart, &[]));
        found
    }

    /// Each subchart's names, from the outermost, and its folder.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Vec<String>, &String)> {
        self.0.iter()
    }

    /// The folder and the rest of a path that begins with `charts/NAME/`, as far as it leads.
    pub(crate) fn place<'p>(&self, path: &'p str) -> Option<(&str, &'p str)> {
        let (mut names, mut rest, mut found) = (Vec::new(), path, None);
        while let Some((name, inner)) = rest.strip_prefix("charts/").and_then(split) {
            names.push(name.to_owned());
            let Some(folder) = self.0.get(&names) else {
                break;
            };
            (rest, found) = (inner, Some((folder.as_str(), inner)));
        }
        found
    }

    fn visit(&mut self, files: &Tree, (folder, names): (&str, &[String])) {
        let below = match folder {
            "" => "charts/".to_owned(),
            folder => format!("{folder}/charts/"),
        };
        let listed = metadata(files, folder);
        let inside = files.range(below.clone()..);
        let inside = inside.take_while(|(path, _)| path.starts_with(&below));
        let inner = inside.filter_map(|(path, _)| {
            let (name, rest) = split(&path[below.len()..])?;
            (rest == "Chart.yaml").then(|| format!("{below}{name}"))
        });
        for inner in inner.collect::<Vec<_>>() {
            for name in called(files, &inner, listed.as_ref()) {
                let names = [names, &[name]].concat();
                if self.0.len() < SUBCHARTS_MAX && names.len() <= DEPTH_MAX {
                    self.0.insert(names.clone(), inner.clone());
                    self.visit(files, (&inner, &names));
                }
            }
        }
    }
}

fn split(path: &str) -> Option<(&str, &str)> {
    path.split_once('/')
}

fn metadata(files: &Tree, folder: &str) -> Option<Node> {
    let path = match folder {
        "" => "Chart.yaml".to_owned(),
        folder => format!("{folder}/Chart.yaml"),
    };
    let text = std::str::from_utf8(files.get(&path)?).ok()?;
    pilotis_yaml::parse_first(text).ok()?
}

/// What a parent calls the subchart of a folder: its aliases, or its own name.
fn called(files: &Tree, folder: &str, parent: Option<&Node>) -> Vec<String> {
    let own = metadata(files, folder);
    let own = own.as_ref().and_then(|root| root.get("name")?.text());
    let last = folder.rsplit('/').next().unwrap_or(folder);
    let own = own.unwrap_or(last).to_owned();
    let listed = parent.and_then(|root| root.get("dependencies"));
    let listed = listed.map(Node::items).unwrap_or_default();
    let same = |one: &&Node| one.get("name").and_then(Node::text) == Some(&*own);
    let alias = |one: &Node| one.get("alias").and_then(Node::text).map(str::to_owned);
    let names: Vec<String> = listed
        .iter()
        .filter(same)
        .map(|one| alias(one).unwrap_or_else(|| own.clone()))
        .collect();
    match names.is_empty() {
        true => vec![own],
        false => names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_the_engine_leads_to_the_folder_that_holds_it() {
        let files = [
            (
                "c/Chart.yaml",
                "dependencies:\n- {name: db, alias: base}\n- {name: db, alias: file}\n",
            ),
            ("c/charts/postgres/Chart.yaml", "name: db\n"),
            ("c/charts/postgres/charts/x/Chart.yaml", "name: commun\n"),
        ];
        let files: Tree = files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect();
        let subcharts = Subcharts::of(&files, "c");
        let place = |path| subcharts.place(path);
        let folder = "c/charts/postgres";
        assert_eq!(
            place("charts/base/values.yaml"),
            Some((folder, "values.yaml"))
        );
        assert_eq!(
            place("charts/file/templates/a"),
            Some((folder, "templates/a"))
        );
        let inner = "c/charts/postgres/charts/x";
        assert_eq!(place("charts/base/charts/commun/a"), Some((inner, "a")));
        assert_eq!(place("templates/a"), None);
    }
}
