//! `Chart.yaml`: what a chart says about itself.

use pilotis_template::quote;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::errors::Error;
use crate::structure::{MADE_OF_YAML, Shape, Structure};

/// The content of `Chart.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name; of a subchart under an alias, the alias.
    pub name: String,
    /// Home page.
    pub home: String,
    /// Places of its sources.
    pub sources: Vec<String>,
    /// Version of the chart.
    pub version: String,
    /// One sentence.
    pub description: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// Who keeps it.
    pub maintainers: Vec<Maintainer>,
    /// Address of its icon.
    pub icon: String,
    /// `v1` or `v2`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// Values path that enables it.
    pub condition: String,
    /// Tags that enable it.
    pub tags: String,
    /// Version of what it deploys.
    pub app_version: String,
    /// Whether it should no longer be used.
    pub deprecated: bool,
    /// Free annotations.
    pub annotations: std::collections::BTreeMap<String, String>,
    /// Constraint on the version of Kubernetes.
    pub kube_version: String,
    /// Charts it needs.
    pub dependencies: Vec<Dependency>,
    /// `application` or `library`.
    #[serde(rename = "type")]
    pub chart_type: String,
    /// Whether it has a list of dependencies, which may be empty.
    #[serde(skip)]
    pub lists_dependencies: bool,
    /// The list that holds a null, which Helm refuses.
    #[serde(skip)]
    pub null_in: Option<&'static str>,
}

/// Someone who keeps a chart.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Maintainer {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
    /// Page.
    pub url: String,
}

/// A chart another one needs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// Name of the chart, or the alias once dependencies are processed.
    pub name: String,
    /// Constraint on its version.
    pub version: String,
    /// Where it comes from.
    pub repository: String,
    /// Values paths that enable it, separated by commas.
    pub condition: String,
    /// Tags that enable it.
    pub tags: Vec<String>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Values to take from it.
    #[serde(rename = "import-values")]
    pub import_values: Vec<Json>,
    /// Name it is used under.
    pub alias: String,
}

/// Fields of `Chart.yaml`, in the order of Go's structure.
pub(crate) const FIELDS: [&str; 17] = [
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiVersion",
    "condition",
    "tags",
    "appVersion",
    "deprecated",
    "annotations",
    "kubeVersion",
    "dependencies",
    "type",
];

impl Metadata {
    /// Reads `Chart.yaml` (or the dependencies of a `requirements.yaml` into it).
    ///
    /// # Errors
    /// What is no YAML, or has fields of other types.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let wrap = |message: String| Error::new(format!("cannot load {file}: {message}"));
        Self::from_json(yaml(text, file)?).map_err(|error| wrap(error.message))
    }

    /// Refuses a `Chart.yaml` whose format Helm 4 does not know, which it looks at before it reads
    /// the chart.
    ///
    /// # Errors
    /// In its words.
    pub fn check_format(text: &str) -> Result<(), Error> {
        const FILE: &str = "Chart.yaml";
        let fields = structure(&BASE, yaml(text, FILE)?, FILE)?;
        match fields.get("apiVersion").and_then(Json::as_str) {
            None | Some("" | "v1" | "v2" | "v3") => Ok(()),
            Some(_) => Err(Error::new(UNKNOWN_FORMAT)),
        }
    }

    /// The same from JSON somebody read.
    pub(crate) fn from_json(json: Json) -> Result<Self, Error> {
        let has_null = |key: &&str| {
            let items = json.get(*key).and_then(Json::as_array);
            items.is_some_and(|items| items.contains(&Json::Null))
        };
        let lists_dependencies = json.get("dependencies").is_some_and(Json::is_array);
        let null_in = ["maintainers", "dependencies"].into_iter().find(has_null);
        let fitted = match json {
            Json::Null => return Ok(Self::default()),
            value => METADATA.read_yaml(value).map_err(Error::new)?,
        };
        let read = serde_json::from_value(Json::Object(fitted));
        let metadata: Self = read.map_err(|error| Error::new(format!("{MADE_OF_YAML}{error}")))?;
        Ok(Self {
            lists_dependencies,
            null_in,
            ..metadata
        })
    }

    /// Without line breaks and characters nobody sees, as Helm keeps it.
    fn tidy(&mut self) {
        let texts = [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ];
        let lists = self.sources.iter_mut().chain(&mut self.keywords);
        let maintainers = self.maintainers.iter_mut();
        let maintainers = maintainers.flat_map(|m| [&mut m.name, &mut m.email, &mut m.url]);
        let dependencies = self.dependencies.iter_mut().flat_map(|dependency| {
            let texts = [
                &mut dependency.name,
                &mut dependency.version,
                &mut dependency.repository,
                &mut dependency.condition,
            ];
            texts.into_iter().chain(&mut dependency.tags)
        });
        let all = texts.into_iter().chain(lists);
        all.chain(maintainers).chain(dependencies).for_each(tidy);
    }

    /// Refuses what Helm refuses, and tidies the texts.
    pub(crate) fn validate(&mut self) -> Result<(), Error> {
        self.tidy();
        let fail = |message: String| Err(Error::new(format!("validation: {message}")));
        if self.api_version.is_empty() {
            return fail("chart.metadata.apiVersion is required".into());
        }
        if self.name.is_empty() {
            return fail("chart.metadata.name is required".into());
        }
        if self.name == "." || self.name == ".." {
            return fail(format!(
                "chart.metadata.name {} is not allowed",
                quote(self.name.as_bytes())
            ));
        }
        if self.name.contains('/') {
            return fail(format!(
                "chart.metadata.name {} is invalid",
                quote(self.name.as_bytes())
            ));
        }
        if self.version.is_empty() {
            return fail("chart.metadata.version is required".into());
        }
        if !pilotis_template::is_version(&self.version) {
            return fail(format!(
                "chart.metadata.version {} is invalid",
                quote(self.version.as_bytes())
            ));
        }
        if !["", "application", "library"].contains(&self.chart_type.as_str()) {
            return fail("chart.metadata.type must be application or library".into());
        }
        if let Some(list) = self.null_in {
            return fail(format!("{list} must not contain empty or null nodes"));
        }
        let mut seen = std::collections::BTreeSet::new();
        for dependency in &self.dependencies {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !dependency.alias.chars().all(is_plain) {
                let name = quote(dependency.name.as_bytes());
                return fail(format!(
                    "dependency {name} has disallowed characters in the alias"
                ));
            }
            let key = dependency.key();
            if !seen.insert(key) {
                return fail(format!(
                    "more than one dependency with name or alias {key:?}"
                ));
            }
        }
        Ok(())
    }

    /// `Chart.yaml` as Helm writes it: keys sorted, empty fields left out.
    pub fn to_yaml(&self) -> String {
        pilotis_yaml::emit(&self.to_file(), pilotis_yaml::Flavour::GoV2)
    }

    /// JSON as Go writes the structure: fields in its order, empty ones left out. The
    /// configuration of a chart in an OCI registry is these bytes.
    pub fn to_go_json(&self) -> String {
        let file = self.to_file();
        let list = |texts: Vec<String>| format!("[{}]", texts.join(","));
        let maintainers = self.maintainers.iter().map(Maintainer::to_go_json);
        let dependencies = self.dependencies.iter().map(Dependency::to_go_json);
        let (maintainers, dependencies) =
            (list(maintainers.collect()), list(dependencies.collect()));
        in_order(&file, &FIELDS, |key| match key {
            "maintainers" => Some(maintainers.clone()),
            "dependencies" => Some(dependencies.clone()),
            _ => None,
        })
    }

    /// The fields that are not empty.
    pub(crate) fn to_file(&self) -> Json {
        let maintainers: Vec<Json> = self
            .maintainers
            .iter()
            .map(|m| filled(json!({"name": m.name, "email": m.email, "url": m.url}), &[]))
            .collect();
        let dependencies = self.dependencies.iter().map(Dependency::to_file);
        let all = json!({
            "name": self.name,
            "home": self.home,
            "sources": self.sources,
            "version": self.version,
            "description": self.description,
            "keywords": self.keywords,
            "maintainers": maintainers,
            "icon": self.icon,
            "apiVersion": self.api_version,
            "condition": self.condition,
            "tags": self.tags,
            "appVersion": self.app_version,
            "deprecated": self.deprecated,
            "annotations": self.annotations,
            "kubeVersion": self.kube_version,
            "dependencies": dependencies.collect::<Vec<Json>>(),
            "type": self.chart_type,
        });
        filled(all, &[])
    }

    /// `.Chart` as templates of Helm 4 see it.
    pub(crate) fn to_json(&self, is_root: bool) -> Json {
        let maintainers: Vec<Json> = self
            .maintainers
            .iter()
            .map(|m| json!({"Name": m.name, "Email": m.email, "URL": m.url}))
            .collect();
        let dependencies: Vec<Json> = self.dependencies.iter().map(Dependency::to_json).collect();
        json!({
            "Name": self.name,
            "Home": self.home,
            "Sources": self.sources,
            "Version": self.version,
            "Description": self.description,
            "Keywords": self.keywords,
            "Maintainers": maintainers,
            "Icon": self.icon,
            "APIVersion": self.api_version,
            "Condition": self.condition,
            "Tags": self.tags,
            "AppVersion": self.app_version,
            "Deprecated": self.deprecated,
            "KubeVersion": self.kube_version,
            "Dependencies": dependencies,
            "Type": self.chart_type,
            "IsRoot": is_root,
        })
    }
}

/// Names of a dependency's fields in YAML and JSON, in Go's order.
pub(crate) const DEPENDENCY_FIELDS: [&str; 8] = [
    "name",
    "version",
    "repository",
    "condition",
    "tags",
    "enabled",
    "import-values",
    "alias",
];
/// The same of a maintainer.
pub(crate) const MAINTAINER_FIELDS: [&str; 3] = ["name", "email", "url"];

impl Dependency {
    /// The name it is used under.
    pub fn key(&self) -> &str {
        if self.alias.is_empty() {
            &self.name
        } else {
            &self.alias
        }
    }

    /// JSON as Go writes the structure: fields in its order.
    pub(crate) fn to_go_json(&self) -> String {
        in_order(&self.to_file(), &DEPENDENCY_FIELDS, |_| None)
    }

    pub(crate) fn to_file(&self) -> Json {
        let all = json!({
            "name": self.name,
            "version": self.version,
            "repository": self.repository,
            "condition": self.condition,
            "tags": self.tags,
            "enabled": self.enabled,
            "import-values": self.import_values,
            "alias": self.alias,
        });
        filled(all, &["name", "repository"])
    }

    fn to_json(&self) -> Json {
        json!({
            "Name": self.name,
            "Version": self.version,
            "Repository": self.repository,
            "Condition": self.condition,
            "Tags": self.tags,
            "Enabled": self.enabled,
            "ImportValues": self.import_values,
            "Alias": self.alias,
        })
    }
}

impl Maintainer {
    fn to_go_json(&self) -> String {
        let all = filled(
            json!({"name": self.name, "email": self.email, "url": self.url}),
            &[],
        );
        in_order(&all, &MAINTAINER_FIELDS, |_| None)
    }
}

/// An object in JSON as Go writes it, its keys in an order; some values may be given as text.
fn in_order(object: &Json, order: &[&str], text: impl Fn(&str) -> Option<String>) -> String {
    let pairs = order.iter().filter_map(|key| {
        let value = object.get(key)?;
        let value = text(key).unwrap_or_else(|| pilotis_template::json_text(value, true));
        Some(format!("\"{key}\":{value}"))
    });
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}

/// An object without its empty fields, except some.
fn filled(mut object: Json, kept: &[&str]) -> Json {
    let empty = |value: &Json| match value {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => false,
    };
    if let Json::Object(map) = &mut object {
        map.retain(|key, value| kept.contains(&key.as_str()) || !empty(value));
    }
    object
}

fn tidy(text: &mut String) {
    let is_usual = |c: char| c == ' ' || c.is_ascii_graphic();
    if text.chars().all(is_usual) {
        return;
    }
    let spaced = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c });
    *text = spaced.filter(|c| pilotis_template::is_print(*c)).collect();
}

/// What Helm 4 says of a chart of another format.
pub(crate) const UNKNOWN_FORMAT: &str = "unsupported chart version";

/// The first document of a chart's file as JSON.
fn yaml(text: &str, file: &str) -> Result<Json, Error> {
    let converted = match pilotis_yaml::parse_first(text) {
        Ok(Some(node)) => pilotis_yaml::to_json(&node),
        Ok(None) => Ok(Json::Null),
        Err(error) => Err(error),
    };
    converted.map_err(|error| {
        Error::new(format!(
            "cannot load {file}: error converting YAML to JSON: {error}"
        ))
    })
}

/// The fields of a chart's file.
fn structure(
    structure: &Structure,
    json: Json,
    file: &str,
) -> Result<serde_json::Map<String, Json>, Error> {
    match json {
        Json::Null => Ok(serde_json::Map::new()),
        json => {
            let read = structure.read_yaml(json);
            read.map_err(|why| Error::new(format!("cannot load {file}: {why}")))
        }
    }
}

/// The fields of a lock file.
pub(crate) fn lock_fields(text: &str, file: &str) -> Result<serde_json::Map<String, Json>, Error> {
    structure(&LOCK, yaml(text, file)?, file)
}

static METADATA: Structure = Structure {
    name: "Metadata",
    list: "",
    item: "v2.Metadata",
    fields: &[
        ("name", Shape::Text),
        ("home", Shape::Text),
        ("sources", Shape::Texts),
        ("version", Shape::Text),
        ("description", Shape::Text),
        ("keywords", Shape::Texts),
        ("maintainers", Shape::Structs(&MAINTAINER)),
        ("icon", Shape::Text),
        ("apiVersion", Shape::Text),
        ("condition", Shape::Text),
        ("tags", Shape::Text),
        ("appVersion", Shape::Text),
        ("deprecated", Shape::Flag),
        ("annotations", Shape::TextMap),
        ("kubeVersion", Shape::Text),
        ("dependencies", Shape::Structs(&DEPENDENCY)),
        ("type", Shape::Text),
    ],
};

/// What is read of a chart before it is known what format it has.
static BASE: Structure = Structure {
    name: "chartBase",
    list: "",
    item: "loader.chartBase",
    fields: &[("apiVersion", Shape::Text)],
};

/// What `Chart.lock` is read into.
static LOCK: Structure = Structure {
    name: "Lock",
    list: "",
    item: "v2.Lock",
    fields: &[
        ("generated", Shape::Text),
        ("digest", Shape::Text),
        ("dependencies", Shape::Structs(&DEPENDENCY)),
    ],
};

static MAINTAINER: Structure = Structure {
    name: "Maintainer",
    list: "[]*v2.Maintainer",
    item: "v2.Maintainer",
    fields: &[
        ("name", Shape::Text),
        ("email", Shape::Text),
        ("url", Shape::Text),
    ],
};

static DEPENDENCY: Structure = Structure {
    name: "Dependency",
    list: "[]*v2.Dependency",
    item: "v2.Dependency",
    fields: &[
        ("name", Shape::Text),
        ("version", Shape::Text),
        ("repository", Shape::Text),
        ("condition", Shape::Text),
        ("tags", Shape::Texts),
        ("enabled", Shape::Flag),
        ("import-values", Shape::Anything),
        ("alias", Shape::Text),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        let error = Metadata::parse(text, "Chart.yaml").expect_err(text).message;
        let before = "cannot load Chart.yaml: error unmarshaling JSON: while decoding JSON: json: ";
        error.strip_prefix(before).unwrap_or(&error).to_owned()
    }

    #[test]
    fn what_does_not_fit_is_named_as_go_names_it() {
        let cases = [
            ("x", "string into Go value of type v2.Metadata"),
            ("[1]", "array into Go value of type v2.Metadata"),
            (
                "version: {}\ntags: {a: b}",
                "object into Go struct field Metadata.tags of type string",
            ),
            (
                "keywords: x",
                "string into Go struct field Metadata.keywords of type []string",
            ),
            (
                "maintainers: [x]",
                "string into Go struct field Metadata.maintainers of type v2.Maintainer",
            ),
            (
                "maintainers: [{name: {}}]",
                "object into Go struct field Maintainer.maintainers.name of type string",
            ),
            (
                "dependencies: {a: b}",
                "object into Go struct field Metadata.dependencies of type []*v2.Dependency",
            ),
            (
                "dependencies: [{import-values: 5}]",
                "number into Go struct field Dependency.dependencies.import-values of type []interface {}",
            ),
            (
                "deprecated: \"yes\"",
                "string into Go struct field Metadata.deprecated of type bool",
            ),
            (
                "annotations: [1]",
                "array into Go struct field Metadata.annotations of type map[string]string",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                mistake(text),
                format!("cannot unmarshal {expected}"),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_may_be_written_as_numbers_and_keys_in_any_case() {
        let text =
            "appVersion: 1.16\nNAME: a\nsources: [1, true, null]\nmaintainers: [null, {Name: b}]\n";
        let metadata = Metadata::parse(text, "Chart.yaml").expect("fits");
        assert_eq!((&*metadata.app_version, &*metadata.name), ("1.16", "a"));
        assert_eq!(metadata.sources, ["1", "true", ""]);
        assert_eq!(metadata.maintainers[0].name, "b");
        assert_eq!(metadata.null_in, Some("maintainers"));
    }

    #[test]
    fn texts_are_of_one_line() {
        let text = "apiVersion: v2\nname: a\nversion: 1.0.0\ndescription: \"a\\nb\\t\\x01é\"\n";
        let mut metadata = Metadata::parse(text, "Chart.yaml").expect("fits");
        assert_eq!(metadata.validate(), Ok(()));
        assert_eq!(metadata.description, "a b é");
    }
}
