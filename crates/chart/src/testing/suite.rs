//! A suite's file to tests: what is there is checked once, with its place.

use pilotis_report::Position;
use pilotis_yaml::Node;
use serde_json::{Map, Value as Json};

use super::asserts;
use crate::errors::Error;
use crate::explain::nearest;

/// A file of tests.
#[derive(Debug, Clone, Default)]
pub struct Suite {
    /// Its name; the file's when it has none.
    pub name: String,
    /// The file.
    pub file: String,
    /// The subcharts that lead to the one it is about, by name.
    pub route: Vec<String>,
    pub(super) templates: Vec<String>,
    pub(super) excluded: Vec<String>,
    pub(super) include_crds: bool,
    pub(super) settings: Settings,
    pub(super) skip: Option<String>,
    pub(super) cases: Vec<Case>,
}

/// What the chart is rendered with.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) values: Vec<String>,
    pub(super) set: Vec<(String, Json)>,
    pub(super) release_name: Option<String>,
    pub(super) release_namespace: Option<String>,
    pub(super) revision: Option<u32>,
    pub(super) is_upgrade: Option<bool>,
    pub(super) major: Option<String>,
    pub(super) minor: Option<String>,
    pub(super) api_versions: Option<Vec<String>>,
    pub(super) chart_version: Option<String>,
    pub(super) app_version: Option<String>,
    pub(super) objects: Vec<Json>,
}

/// One test.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) position: Position,
    pub(super) settings: Settings,
    pub(super) templates: Vec<String>,
    pub(super) filter: Filter,
    pub(super) skip: Option<String>,
    pub(super) asserts: Vec<Assert>,
}

/// Which documents of a template.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) index: Option<usize>,
    pub(super) selector: Option<Selector>,
}

/// Documents that hold a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selector {
    pub(super) path: String,
    pub(super) value: Option<Json>,
    pub(super) many: bool,
    pub(super) skips_empty: bool,
}

/// Something that has to hold.
#[derive(Debug, Clone)]
pub(super) struct Assert {
    /// Which kind, such as `equal`.
    pub(super) name: String,
    pub(super) not: bool,
    pub(super) templates: Vec<String>,
    pub(super) filter: Filter,
    pub(super) parameters: Map<String, Json>,
    pub(super) position: Position,
}

const SETTINGS: [&str; 6] = [
    "values",
    "set",
    "release",
    "capabilities",
    "chart",
    "kubernetesProvider",
];
const SUITE: [&str; 7] = [
    "suite",
    "templates",
    "excludeTemplates",
    "includeCrds",
    "skip",
    "tests",
    "postRenderer",
];
const CASE: [&str; 8] = [
    "it",
    "template",
    "templates",
    "documentIndex",
    "documentSelector",
    "skip",
    "asserts",
    "postRenderer",
];
const ASSERT: [&str; 5] = [
    "not",
    "template",
    "templates",
    "documentIndex",
    "documentSelector",
];

/// A mapping with its place in the file.
struct Place<'a> {
    node: &'a Node,
    file: &'a str,
}

type Read<T> = Result<T, Error>;

impl Suite {
    /// The suites of a file, one for each document.
    ///
    /// # Errors
    /// What is no suite, with its place.
    pub fn read(file: &str, text: &str) -> Result<Vec<Self>, Error> {
        let documents = pilotis_yaml::parse(text).map_err(|error| {
            let position = Position {
                file: file.to_string(),
                line: error.line,
                column: error.column,
            };
            Error::at(format!("{error}"), Some(position))
        })?;
        let roots = documents
            .iter()
            .filter_map(|document| document.root.as_ref());
        let suites = roots.filter(|root| root.text() != Some(""));
        suites
            .map(|root| Self::of(&Place { node: root, file }))
            .collect()
    }

    fn of(place: &Place<'_>) -> Read<Self> {
        place.known(&[&SUITE[..], &SETTINGS[..]])?;
        place.no_post_renderer()?;
        let name = place
            .text("suite")?
            .unwrap_or_else(|| place.file.to_string());
        let mut suite = Self {
            name,
            file: place.file.to_string(),
            route: Vec::new(),
            templates: place.texts("templates")?,
            excluded: place.texts("excludeTemplates")?,
            include_crds: place.flag("includeCrds")?.unwrap_or(false),
            settings: Settings::of(place)?,
            skip: place.skip()?,
            cases: Vec::new(),
        };
        for node in place.items("tests")? {
            let file = place.file;
            suite.cases.push(Case::of(&Place { node, file })?);
        }
        if suite.cases.is_empty() {
            return Err(place.wrong(place.node, "a suite needs `tests`"));
        }
        Ok(suite)
    }

    /// Templates that a test needs executed.
    pub(super) fn wanted(&self, case: &Case) -> Vec<String> {
        let of_asserts = case.asserts.iter().flat_map(|assert| &assert.templates);
        let all = self
            .templates
            .iter()
            .chain(&case.templates)
            .chain(of_asserts);
        let mut all: Vec<String> = all.map(|name| self.full(name)).collect();
        if all.is_empty() {
            all.push(self.full("*"));
        }
        all
    }

    /// Templates an assertion is about.
    pub(super) fn about(&self, case: &Case, assert: &Assert) -> Vec<String> {
        let lists = [&assert.templates, &case.templates, &self.templates];
        let named = lists.into_iter().find(|list| !list.is_empty());
        match named {
            Some(names) => names.iter().map(|name| self.full(name)).collect(),
            None => vec![self.full("*")],
        }
    }

    /// The path of a template below the chart; `templates/` may be left out.
    fn full(&self, name: &str) -> String {
        let route = self.route.iter().map(|name| format!("charts/{name}/"));
        let route: String = route.collect();
        let is_full = ["templates/", "charts/", "crds/", "**"];
        match is_full.iter().any(|prefix| name.starts_with(prefix)) || name == "*" {
            true => format!("{route}{name}"),
            false => format!("{route}templates/{name}"),
        }
    }

    /// Whether a template, below the chart, is left out of this suite.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        self.excluded
            .iter()
            .any(|pattern| matches(&self.full(pattern), name))
    }
}

/// Whether a name fits a pattern in which `*` stands for anything.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern
        .split('*')
        .filter(|part| !part.is_empty())
        .peekable();
    if !pattern.contains('*') {
        return pattern == name;
    }
    let mut rest = name;
    if !pattern.starts_with('*') {
        let Some(after) = parts.next().and_then(|first| rest.strip_prefix(first)) else {
            return false;
        };
        rest = after;
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() && !pattern.ends_with('*') {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

impl Settings {
    fn of(place: &Place<'_>) -> Read<Self> {
        let mut settings = Self {
            values: place.texts("values")?,
            ..Self::default()
        };
        if let Some(set) = place.table("set")? {
            settings.set = set.into_iter().collect();
        }
        if let Some(release) = place.below("release") {
            settings.release_name = release.text("name")?;
            settings.release_namespace = release.text("namespace")?;
            settings.revision = release
                .number("revision")?
                .and_then(|n| u32::try_from(n).ok());
            settings.is_upgrade = release.flag("upgrade")?;
        }
        if let Some(capabilities) = place.below("capabilities") {
            settings.major = capabilities.text("majorVersion")?;
            settings.minor = capabilities.text("minorVersion")?;
            settings.api_versions = capabilities.api_versions()?;
        }
        if let Some(chart) = place.below("chart") {
            settings.chart_version = chart.text("version")?;
            settings.app_version = chart.text("appVersion")?;
        }
        if let Some(provider) = place.below("kubernetesProvider") {
            let objects = provider.items("objects")?;
            let objects = objects.iter().map(|node| provider.json(node));
            settings.objects = objects.collect::<Read<_>>()?;
        }
        Ok(settings)
    }

    /// These settings, and others where these say nothing.
    pub(super) fn over(&self, other: &Self) -> Self {
        let text = |own: &Option<String>, other: &Option<String>| own.clone().or(other.clone());
        Self {
            values: [other.values.clone(), self.values.clone()].concat(),
            set: [other.set.clone(), self.set.clone()].concat(),
            release_name: text(&self.release_name, &other.release_name),
            release_namespace: text(&self.release_namespace, &other.release_namespace),
            revision: self.revision.or(other.revision),
            is_upgrade: self.is_upgrade.or(other.is_upgrade),
            major: text(&self.major, &other.major),
            minor: text(&self.minor, &other.minor),
            api_versions: self.api_versions.clone().or(other.api_versions.clone()),
            chart_version: text(&self.chart_version, &other.chart_version),
            app_version: text(&self.app_version, &other.app_version),
            objects: [other.objects.clone(), self.objects.clone()].concat(),
        }
    }
}

impl Case {
    fn of(place: &Place<'_>) -> Read<Self> {
        place.known(&[&CASE[..], &SETTINGS[..]])?;
        place.no_post_renderer()?;
        let position = place.position(place.node);
        let name = place
            .text("it")?
            .unwrap_or_else(|| format!("line {}", position.line));
        let mut case = Self {
            name,
            position,
            settings: Settings::of(place)?,
            templates: place.templates()?,
            filter: Filter::of(place)?,
            skip: place.skip()?,
            asserts: Vec::new(),
        };
        for node in place.items("asserts")? {
            let file = place.file;
            case.asserts.push(Assert::of(&Place { node, file })?);
        }
        if case.asserts.is_empty() {
            return Err(place.wrong(place.node, "a test needs `asserts`"));
        }
        Ok(case)
    }
}

impl Filter {
    fn of(place: &Place<'_>) -> Read<Self> {
        let index = place.number("documentIndex")?;
        let selector = place.below("documentSelector").map(|selector| {
            let path = selector.text("path")?;
            let missing = || selector.wrong(selector.node, "`documentSelector` needs `path`");
            let value = selector.node.get("value").map(|node| selector.json(node));
            Ok(Selector {
                path: path.ok_or_else(missing)?,
                value: value.transpose()?,
                many: selector.flag("matchMany")?.unwrap_or(false),
                skips_empty: selector.flag("skipEmptyTemplates")?.unwrap_or(false),
            })
        });
        Ok(Self {
            index: index.and_then(|index| usize::try_from(index).ok()),
            selector: selector.transpose()?,
        })
    }
}

impl Assert {
    fn of(place: &Place<'_>) -> Read<Self> {
        place.known(&[&ASSERT[..], &asserts::NAMES[..]])?;
        let keys = place.node.pairs().iter().filter_map(|(key, _)| key.text());
        let names: Vec<&str> = keys.filter(|key| asserts::NAMES.contains(key)).collect();
        let [name] = names.as_slice() else {
            let text = format!("an assertion says one thing, this one says {}", names.len());
            return Err(place.wrong(place.node, &text));
        };
        let parameters = place.table(name)?.unwrap_or_default();
        let known = asserts::parameters(name).iter().map(ToString::to_string);
        let known: Vec<String> = known.collect();
        if let Some(key) = parameters.keys().find(|key| !known.contains(key)) {
            return Err(place.unknown(place.node, key, &known));
        }
        Ok(Self {
            name: (*name).to_string(),
            not: place.flag("not")?.unwrap_or(false),
            templates: place.templates()?,
            filter: Filter::of(place)?,
            parameters,
            position: place.position(place.node),
        })
    }

    /// Whether it is about a rendering that fails.
    pub(super) fn is_about_failure(&self) -> bool {
        self.name == "failedTemplate" || self.name == "notFailedTemplate"
    }
}

impl Place<'_> {
    fn position(&self, node: &Node) -> Position {
        Position {
            file: self.file.to_string(),
            line: node.start.line,
            column: node.start.column,
        }
    }

    fn wrong(&self, node: &Node, text: &str) -> Error {
        Error::at(text, Some(self.position(node)))
    }

    fn unknown(&self, node: &Node, key: &str, known: &[String]) -> Error {
        let meant = nearest(key, known.iter());
        let meant = meant.map(|meant| format!(", did you mean `{meant}`?"));
        let text = format!("`{key}` means nothing here{}", meant.unwrap_or_default());
        self.wrong(node, &text)
    }

    /// Refuses keys nobody knows; those that start with `x-`, `.` or `_` are the author's own.
    fn known(&self, lists: &[&[&str]]) -> Read<()> {
        if !matches!(self.node.content, pilotis_yaml::Content::Mapping(_)) {
            return Err(self.wrong(self.node, "this has to be a mapping"));
        }
        for (key, _) in self.node.pairs() {
            let name = key.text().unwrap_or_default();
            let own = name.starts_with("x-") || name.starts_with(['.', '_']) || key.is_merge();
            if !own && !lists.iter().any(|list| list.contains(&name)) {
                let known = lists.iter().flat_map(|list| list.iter());
                let known: Vec<String> = known.map(ToString::to_string).collect();
                return Err(self.unknown(key, name, &known));
            }
        }
        Ok(())
    }

    fn no_post_renderer(&self) -> Read<()> {
        match self.node.get("postRenderer") {
            Some(node) => Err(self.wrong(node, "tests run no `postRenderer`")),
            None => Ok(()),
        }
    }

    /// Nothing, when a test says nothing and keeps the suite's: `[]` says nothing, an empty field
    /// says that there are none.
    fn api_versions(&self) -> Read<Option<Vec<String>>> {
        let versions = self.texts("apiVersions")?;
        let says_none = self
            .node
            .get("apiVersions")
            .is_some_and(|node| node.text().is_some());
        Ok((says_none || !versions.is_empty()).then_some(versions))
    }

    fn skip(&self) -> Read<Option<String>> {
        let Some(skip) = self.below("skip") else {
            return Ok(None);
        };
        Ok(skip.text("reason")?.filter(|reason| !reason.is_empty()))
    }

    fn templates(&self) -> Read<Vec<String>> {
        let one = self.text("template")?.into_iter().collect();
        Ok([one, self.texts("templates")?].concat())
    }

    fn get(&self, key: &str) -> Option<&Node> {
        let node = self.node.get(key)?;
        (!matches!(node.resolve(), Ok(pilotis_yaml::Resolved::Null)) || node.text().is_none())
            .then_some(node)
    }

    fn below(&self, key: &str) -> Option<Place<'_>> {
        let (node, file) = (self.get(key)?, self.file);
        Some(Place { node, file })
    }

    fn json(&self, node: &Node) -> Read<Json> {
        pilotis_yaml::to_json(node).map_err(|error| self.wrong(node, &error.message))
    }

    fn text(&self, key: &str) -> Read<Option<String>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        match node.text() {
            Some(text) => Ok(Some(text.to_string())),
            None => Err(self.wrong(node, &format!("`{key}` has to be a text"))),
        }
    }

    fn number(&self, key: &str) -> Read<Option<i64>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        match node.as_i64() {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(node, &format!("`{key}` has to be a whole number"))),
        }
    }

    fn flag(&self, key: &str) -> Read<Option<bool>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        match node.as_bool() {
            Some(flag) => Ok(Some(flag)),
            None => Err(self.wrong(node, &format!("`{key}` has to be true or false"))),
        }
    }

    fn items(&self, key: &str) -> Read<&[Node]> {
        let Some(node) = self.get(key) else {
            return Ok(&[]);
        };
        match node.content {
            pilotis_yaml::Content::Sequence(_) => Ok(node.items()),
            _ => Err(self.wrong(node, &format!("`{key}` has to be a list"))),
        }
    }

    fn texts(&self, key: &str) -> Read<Vec<String>> {
        let texts = self.items(key)?.iter().map(|node| match node.text() {
            Some(text) => Ok(text.to_string()),
            None => Err(self.wrong(node, &format!("`{key}` has to be a list of texts"))),
        });
        texts.collect()
    }

    fn table(&self, key: &str) -> Read<Option<Map<String, Json>>> {
        let Some(node) = self.get(key) else {
            return Ok(None);
        };
        match self.json(node)? {
            Json::Object(table) => Ok(Some(table)),
            _ => Err(self.wrong(node, &format!("`{key}` has to be a mapping"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("templates/*.yaml", "templates/a/b.yaml"));
        assert!(matches("*", "anything"));
        assert!(matches("**/x.yaml", "templates/x.yaml"));
        assert!(!matches("templates/*.yaml", "templates/a.txt"));
        assert!(!matches("a", "ab"));
    }

    #[test]
    fn what_is_no_suite_is_told_with_its_place() {
        let error = |text: &str| {
            let error = Suite::read("t.yaml", text).unwrap_err();
            format!("{} {}", error.position.unwrap(), error.message)
        };
        let cases = [
            ("tests:\n- it: x\n", "t.yaml:2:3 a test needs `asserts`"),
            (
                "suites: x\n",
                "t.yaml:1:1 `suites` means nothing here, did you mean `suite`?",
            ),
            (
                "tests:\n- asserts:\n  - eqal: {}\n",
                "t.yaml:3:5 `eqal` means nothing here, did you mean `equal`?",
            ),
            (
                "tests:\n- asserts:\n  - equal: {path: a, vale: 1}\n",
                "t.yaml:3:5 `vale` means nothing here, did you mean `value`?",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(error(text), expected);
        }
    }
}
