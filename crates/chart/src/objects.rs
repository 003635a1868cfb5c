//! What templates find beside the values: `.Chart`, `.Files`, `.Capabilities` and what is in them.

use std::rc::Rc;

use pilotis_template::{List, ListKind, Map, MapKind, Method, Object, Value};

use crate::capabilities::Capabilities;
use crate::compat::Compat;
use crate::file::File;
use crate::metadata::{DEPENDENCY_FIELDS, Dependency, MAINTAINER_FIELDS, Maintainer, Metadata};

/// Makes what a method gives.
type Made = Rc<dyn Fn() -> Value>;

/// A Go struct, or a pointer to one.
#[derive(Clone)]
struct Struct {
    type_name: String,
    kind: &'static str,
    /// In their order; those no template reads begin with a small letter.
    fields: Vec<(&'static str, Value)>,
    /// The first field is embedded: its fields are read as this one's.
    embeds: bool,
    /// What its address says as a Stringer.
    text: Option<String>,
    /// Methods without parameters.
    methods: Vec<(&'static str, Made)>,
    /// Names of the fields in JSON, where they are others and empty ones are left out.
    json: &'static [&'static str],
    /// Those of them that are there though they are empty.
    kept: &'static [&'static str],
}

fn is_exported(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
}

impl Object for Struct {
    fn type_name(&self) -> String {
        self.type_name.clone()
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn field(&self, name: &str) -> Option<Value> {
        let mut fields = self.fields.iter();
        match fields.find(|(field, _)| *field == name) {
            Some((name, value)) => is_exported(name).then(|| value.clone()),
            None => match self.fields.first() {
                Some((_, Value::Object(inner))) if self.embeds => inner.field(name),
                _ => None,
            },
        }
    }

    fn method(&self, name: &str) -> Option<Method> {
        let (_, made) = self.methods.iter().find(|(method, _)| *method == name)?;
        let made = Rc::clone(made);
        Some(Method::giving(move || made()))
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        self.fields.clone()
    }

    fn addressed_string(&self) -> Option<String> {
        self.text.clone()
    }

    fn copied(&self) -> Option<Rc<dyn Object>> {
        self.text.as_ref()?;
        Some(Rc::new(Self {
            text: None,
            ..self.clone()
        }))
    }

    fn members(&self) -> Vec<(&'static str, Value)> {
        let mut members = Vec::new();
        for (index, (name, value)) in self.fields.iter().enumerate() {
            match (self.json.get(index), value) {
                (_, Value::Object(inner)) if self.embeds && index == 0 => {
                    members.extend(inner.members());
                }
                (None, _) if is_exported(name) => members.push((*name, value.clone())),
                (Some(name), _) if value.truth() || self.kept.contains(name) => {
                    members.push((*name, value.clone()));
                }
                _ => {}
            }
        }
        members
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// `.Files`: the chart's files that are no templates.
pub(crate) fn files(files: &[File]) -> Value {
    let map = Map::of_kind(MapKind::Files);
    for file in files {
        let read = file.clone();
        let content = List::reading(move || read.data().clone());
        map.insert(&file.path, Value::List(content));
    }
    Value::Map(map)
}

/// `.Chart` of Helm 4.
pub(crate) fn chart_map(metadata: &Metadata, is_root: bool) -> Value {
    let about = Value::from_json(&metadata.to_json(is_root));
    if let Value::Map(about) = &about {
        about.insert("Annotations", annotations(metadata));
    }
    about
}

fn annotations(metadata: &Metadata) -> Value {
    let annotations = Map::of_kind(match metadata.annotations.is_empty() {
        true => MapKind::NilStrings,
        false => MapKind::Strings,
    });
    for (key, value) in &metadata.annotations {
        annotations.insert(key, Value::text(value));
    }
    Value::Map(annotations)
}

/// Names of [`Metadata`]'s fields in JSON, in the order of `chart_struct`.
const CHART_JSON: [&str; 17] = [
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

/// Names of the build information in JSON.
const HELM_JSON: [&str; 5] = [
    "version",
    "git_commit",
    "git_tree_state",
    "go_version",
    "kube_client_version",
];

/// `.Chart` of Helm 3.
pub(crate) fn chart_struct(metadata: &Metadata, is_root: bool) -> Value {
    let Value::Map(all) = chart_map(metadata, is_root) else {
        return Value::Nil;
    };
    const FIELDS: [&str; 17] = [
        "Name",
        "Home",
        "Sources",
        "Version",
        "Description",
        "Keywords",
        "Maintainers",
        "Icon",
        "APIVersion",
        "Condition",
        "Tags",
        "AppVersion",
        "Deprecated",
        "Annotations",
        "KubeVersion",
        "Dependencies",
        "Type",
    ];
    let of_helm_3 = |name: &str| match name {
        "Sources" => Some(strings(&metadata.sources)),
        "Keywords" => Some(strings(&metadata.keywords)),
        "Maintainers" => {
            let maintainers = metadata.maintainers.iter().map(maintainer);
            Some(list(ListKind::Maintainers3, maintainers.collect()))
        }
        "Dependencies" => {
            let dependencies = metadata.dependencies.iter().map(dependency);
            Some(list(ListKind::Dependencies3, dependencies.collect()))
        }
        name => all.get(name.as_bytes()),
    };
    let fields = FIELDS.map(|name| (name, of_helm_3(name).unwrap_or(Value::Nil)));
    let about = Struct {
        type_name: "chart.Metadata".to_string(),
        kind: "struct",
        fields: fields.to_vec(),
        embeds: false,
        text: None,
        methods: Vec::new(),
        json: &CHART_JSON,
        kept: &[],
    };
    Value::Object(Rc::new(Struct {
        type_name: "struct { chart.Metadata; IsRoot bool }".to_string(),
        kind: "struct",
        fields: vec![
            ("Metadata", Value::Object(Rc::new(about))),
            ("IsRoot", Value::Bool(is_root)),
        ],
        embeds: true,
        text: None,
        methods: Vec::new(),
        json: &[],
        kept: &[],
    }))
}

/// A list of Go's; none at all where there is nothing in it.
fn list(kind: ListKind, items: Vec<Value>) -> Value {
    Value::List(match items.is_empty() {
        true => List::nil(kind),
        false => List::new(kind, items),
    })
}

fn strings(texts: &[String]) -> Value {
    list(ListKind::Strings, texts.iter().map(Value::text).collect())
}

/// Who maintains a chart, in Helm 3.
fn maintainer(maintainer: &Maintainer) -> Value {
    Value::Object(Rc::new(Struct {
        type_name: "*chart.Maintainer".to_owned(),
        kind: "ptr",
        fields: vec![
            ("Name", Value::text(&maintainer.name)),
            ("Email", Value::text(&maintainer.email)),
            ("URL", Value::text(&maintainer.url)),
        ],
        embeds: false,
        text: None,
        methods: Vec::new(),
        json: &MAINTAINER_FIELDS,
        kept: &[],
    }))
}

/// What a chart wants, in Helm 3.
fn dependency(wanted: &Dependency) -> Value {
    let imports = wanted.import_values.iter().map(Value::from_json);
    Value::Object(Rc::new(Struct {
        type_name: "*chart.Dependency".to_owned(),
        kind: "ptr",
        fields: vec![
            ("Name", Value::text(&wanted.name)),
            ("Version", Value::text(&wanted.version)),
            ("Repository", Value::text(&wanted.repository)),
            ("Condition", Value::text(&wanted.condition)),
            ("Tags", strings(&wanted.tags)),
            ("Enabled", Value::Bool(wanted.enabled)),
            ("ImportValues", list(ListKind::Any, imports.collect())),
            ("Alias", Value::text(&wanted.alias)),
        ],
        embeds: false,
        text: None,
        methods: Vec::new(),
        json: &DEPENDENCY_FIELDS,
        kept: &["name", "repository"],
    }))
}

pub(crate) fn capabilities(capabilities: &Capabilities, compat: &Compat) -> Value {
    let types = compat.types;
    let is_helm_4 = types == "common";
    let mut numbers = vec![
        ("Version", Value::text(&capabilities.kube_version)),
        ("normalizedVersion", Value::text(&capabilities.normalized)),
        ("Major", Value::text(&capabilities.major)),
        ("Minor", Value::text(&capabilities.minor)),
    ];
    if !is_helm_4 {
        numbers.remove(1);
    }
    let versions = match is_helm_4 {
        true => ListKind::Versions,
        false => ListKind::Versions3,
    };
    let names = capabilities.api_versions.iter().map(Value::text);
    let kube = Struct {
        type_name: format!("{types}.KubeVersion"),
        kind: "struct",
        fields: numbers,
        embeds: false,
        text: Some(capabilities.normalized.clone()),
        json: &[],
        kept: &[],
        methods: vec![
            ("GitVersion", text_method(&capabilities.kube_version)),
            ("String", text_method(&capabilities.normalized)),
        ],
    };
    Value::Object(Rc::new(Struct {
        type_name: format!("*{types}.Capabilities"),
        kind: "ptr",
        fields: vec![
            ("KubeVersion", Value::Object(Rc::new(kube))),
            (
                "APIVersions",
                Value::List(List::new(versions, names.collect())),
            ),
            ("HelmVersion", build_info(compat, compat.helm_version)),
        ],
        embeds: false,
        text: None,
        methods: vec![("Copy", copy_method(capabilities, compat))],
        json: &[],
        kept: &[],
    }))
}

/// What Helm knows of the program it is, which says it is some version.
pub(crate) fn build_info(compat: &Compat, version: &str) -> Value {
    let fields = [
        ("Version", Some(version)),
        ("GitCommit", Some("")),
        ("GitTreeState", Some("")),
        ("GoVersion", Some(compat.go_version)),
        ("KubeClientVersion", compat.kube_client_version),
    ];
    let fields = fields.into_iter();
    let fields = fields.filter_map(|(name, text)| Some((name, Value::text(text?))));
    Value::Object(Rc::new(Struct {
        type_name: "version.BuildInfo".to_string(),
        kind: "struct",
        fields: fields.collect(),
        embeds: false,
        text: None,
        methods: Vec::new(),
        json: &HELM_JSON,
        kept: &[],
    }))
}

fn text_method(text: &str) -> Made {
    let value = Value::text(text);
    Rc::new(move || value.clone())
}

fn copy_method(about: &Capabilities, compat: &Compat) -> Made {
    let (about, compat) = (about.clone(), compat.clone());
    Rc::new(move || capabilities(&about, &compat))
}
