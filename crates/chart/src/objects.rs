//! The Go objects templates find beside the values: `.Files`, `.Capabilities` and what is in them.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use pilotis_template::{List, Map, MapKind, Method, Object, Value};
use pilotis_yaml::{Flavour, emit};
use serde_json::Value as Json;

use crate::capabilities::Capabilities;
use crate::compat::Compat;
use crate::file::File;
use crate::metadata::Metadata;

/// `.Files`: the chart's files that are no templates.
#[derive(Clone)]
pub(crate) struct Files(Rc<BTreeMap<String, File>>);

impl Files {
    pub(crate) fn new(files: &[File]) -> Self {
        let pairs = files.iter().map(|file| (file.path.clone(), file.clone()));
        Self(Rc::new(pairs.collect()))
    }

    fn get(&self, path: &str) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        self.0.get(path).map_or(&NOTHING, File::data)
    }

    fn glob(&self, pattern: &str) -> Self {
        let pattern: Vec<char> = pattern.chars().collect();
        let pairs = self.0.iter().filter(|(path, _)| {
            let path: Vec<char> = path.chars().collect();
            glob_matches(&pattern, &path)
        });
        Self(Rc::new(
            pairs
                .map(|(path, file)| (path.clone(), file.clone()))
                .collect(),
        ))
    }

    fn lines(&self, path: &str) -> Value {
        let data = self.get(path);
        if data.is_empty() {
            return Value::strings(Vec::<&[u8]>::new());
        }
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        Value::strings(data.split(|byte| *byte == b'\n'))
    }

    /// A YAML map from base name to content.
    fn flattened(&self, show: fn(&[u8]) -> String) -> Value {
        let mut map = serde_json::Map::new();
        for (path, file) in self.0.iter() {
            let name = path.rsplit('/').next().unwrap_or(path);
            map.insert(name.to_string(), Json::String(show(file.data())));
        }
        let text = emit(&Json::Object(map), Flavour::GoV2);
        Value::text(text.strip_suffix('\n').unwrap_or(&text))
    }
}

fn bytes(data: &Bytes) -> Value {
    Value::List(List::of_bytes(data.clone()))
}

impl Object for Files {
    fn type_name(&self) -> String {
        "engine.files".to_string()
    }

    fn kind(&self) -> &'static str {
        "map"
    }

    fn method(&self, name: &str) -> Option<Method> {
        let files = self.clone();
        let method = |parameters: usize, run: fn(&Files, &str) -> Value| {
            Some(Method {
                parameters,
                call: Box::new(move |args| {
                    let first = args.first().map(|text| text.lossy().into_owned());
                    Ok(run(&files, &first.unwrap_or_default()))
                }),
            })
        };
        match name {
            "Get" => method(1, |files, path| Value::text(files.get(path))),
            "GetBytes" => method(1, |files, path| bytes(files.get(path))),
            "Glob" => method(1, |files, pattern| {
                Value::Object(Rc::new(files.glob(pattern)))
            }),
            "Lines" => method(1, Files::lines),
            "AsConfig" => method(0, |files, _| {
                files.flattened(|data| String::from_utf8_lossy(data).into_owned())
            }),
            "AsSecrets" => method(0, |files, _| files.flattened(base64)),
            _ => None,
        }
    }

    fn field(&self, name: &str) -> Option<Value> {
        Some(bytes(self.get(name)))
    }

    fn data(&self) -> Value {
        let map = Map::new();
        for (path, file) in self.0.iter() {
            map.insert(path, bytes(file.data()));
        }
        Value::Map(map)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn base64(data: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in data.chunks(3) {
        let group = chunk.iter().fold(0u32, |n, b| (n << 8) | u32::from(*b));
        let group = group << (8 * (3 - chunk.len()));
        for index in 0..4 {
            if index <= chunk.len() {
                let at = (group >> (18 - 6 * index)) & 63;
                out.push(LETTERS[at as usize] as char);
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// The glob of the library Helm uses: `*` stops at `/`, `**` does not, `{a,b}` and `[!x]` exist.
fn glob_matches(pattern: &[char], text: &[char]) -> bool {
    let mut budget = 100_000;
    glob_bounded(pattern, text, &mut budget)
}

fn glob_bounded(pattern: &[char], text: &[char], budget: &mut u32) -> bool {
    *budget = budget.saturating_sub(1);
    if *budget == 0 {
        return false;
    }
    let Some(first) = pattern.first() else {
        return text.is_empty();
    };
    match first {
        '*' => {
            let across = pattern.get(1) == Some(&'*');
            let rest = pattern
                .iter()
                .position(|c| *c != '*')
                .unwrap_or(pattern.len());
            for taken in 0..=text.len() {
                if glob_bounded(&pattern[rest..], &text[taken..], budget) {
                    return true;
                }
                if !across && text.get(taken) == Some(&'/') {
                    return false;
                }
            }
            false
        }
        '?' => match text.first() {
            Some(c) if *c != '/' => glob_bounded(&pattern[1..], &text[1..], budget),
            _ => false,
        },
        '{' => {
            let Some(end) = pattern.iter().position(|c| *c == '}') else {
                return false;
            };
            let options = pattern[1..end].split(|c| *c == ',');
            options.into_iter().any(|option| {
                let whole = [option, &pattern[end + 1..]].concat();
                glob_bounded(&whole, text, budget)
            })
        }
        '[' => {
            let Some(end) = pattern.iter().position(|c| *c == ']') else {
                return false;
            };
            let Some(c) = text.first() else {
                return false;
            };
            in_class(&pattern[1..end], *c) && glob_bounded(&pattern[end + 1..], &text[1..], budget)
        }
        '\\' => {
            pattern.len() > 1
                && pattern.get(1) == text.first()
                && glob_bounded(&pattern[2..], &text[1..], budget)
        }
        literal => text.first() == Some(literal) && glob_bounded(&pattern[1..], &text[1..], budget),
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, class) = match class.first() {
        Some('!') => (true, &class[1..]),
        _ => (false, class),
    };
    let found = match class {
        [low, '-', high] => *low <= c && c <= *high,
        list => list.contains(&c),
    };
    found != negated
}

/// Makes what a method gives.
type Made = Rc<dyn Fn() -> Value>;

/// A Go struct with plain fields.
struct Struct {
    type_name: String,
    kind: &'static str,
    fields: Vec<(&'static str, Value)>,
    text: Option<String>,
    /// Methods without parameters.
    methods: Vec<(&'static str, Made)>,
    /// Names of the fields in JSON, where they are others and empty ones are left out.
    json: &'static [&'static str],
}

impl Object for Struct {
    fn type_name(&self) -> String {
        self.type_name.clone()
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn field(&self, name: &str) -> Option<Value> {
        let found = self.fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| value.clone())
    }

    fn method(&self, name: &str) -> Option<Method> {
        let (_, made) = self.methods.iter().find(|(method, _)| *method == name)?;
        let made = Rc::clone(made);
        Some(Method {
            parameters: 0,
            call: Box::new(move |_| Ok(made())),
        })
    }

    fn string(&self) -> Option<String> {
        self.text.clone()
    }

    fn print(&self) -> String {
        let field = |(_, value): &(&str, Value)| match value {
            Value::String(text) => text.lossy().into_owned(),
            Value::Object(object) => object.string().unwrap_or_else(|| object.print()),
            _ => String::new(),
        };
        let fields: Vec<String> = self.fields.iter().map(field).collect();
        let pointer = if self.kind == "ptr" { "&" } else { "" };
        format!("{pointer}{{{}}}", fields.join(" "))
    }

    fn data(&self) -> Value {
        let map = Map::new();
        for (index, (name, value)) in self.fields.iter().enumerate() {
            match self.json.get(index) {
                None => map.insert(name, value.clone()),
                Some(name) if value.truth() => map.insert(name, value.clone()),
                Some(_) => {}
            }
        }
        Value::Map(map)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// `.Capabilities.APIVersions`, and the package of its type.
struct VersionSet(Vec<String>, &'static str);

impl Object for VersionSet {
    fn type_name(&self) -> String {
        format!("{}.VersionSet", self.1)
    }

    fn kind(&self) -> &'static str {
        "slice"
    }

    fn method(&self, name: &str) -> Option<Method> {
        let versions = self.0.clone();
        (name == "Has").then(|| Method {
            parameters: 1,
            call: Box::new(move |args| {
                let wanted = args.first().map(|text| text.lossy().into_owned());
                Ok(Value::Bool(
                    wanted.is_some_and(|wanted| versions.contains(&wanted)),
                ))
            }),
        })
    }

    fn print(&self) -> String {
        format!("[{}]", self.0.join(" "))
    }

    fn data(&self) -> Value {
        Value::strings(&self.0)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
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
const CHART_JSON: [&str; 18] = [
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
    "IsRoot",
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
    const FIELDS: [&str; 18] = [
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
        "IsRoot",
    ];
    let fields = FIELDS.map(|name| (name, all.get(name.as_bytes()).unwrap_or(Value::Nil)));
    Value::Object(Rc::new(Struct {
        type_name: "struct { chart.Metadata; IsRoot bool }".to_string(),
        kind: "struct",
        fields: fields.to_vec(),
        text: None,
        methods: Vec::new(),
        json: &CHART_JSON,
    }))
}

pub(crate) fn capabilities(capabilities: &Capabilities, compat: &Compat) -> Value {
    let types = compat.types;
    let kube = Struct {
        type_name: format!("{types}.KubeVersion"),
        kind: "struct",
        fields: vec![
            ("Version", Value::text(&capabilities.kube_version)),
            ("Major", Value::text(&capabilities.major)),
            ("Minor", Value::text(&capabilities.minor)),
        ],
        text: Some(capabilities.normalized.clone()),
        json: &[],
        methods: vec![
            ("GitVersion", text_method(&capabilities.kube_version)),
            ("String", text_method(&capabilities.normalized)),
        ],
    };
    let helm = Struct {
        type_name: "version.BuildInfo".to_string(),
        kind: "struct",
        fields: [
            ("Version", Some(compat.helm_version)),
            ("GitCommit", Some("")),
            ("GitTreeState", Some("")),
            ("GoVersion", Some(compat.go_version)),
            ("KubeClientVersion", compat.kube_client_version),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, Value::text(text?))))
        .collect(),
        text: None,
        methods: Vec::new(),
        json: &HELM_JSON,
    };
    Value::Object(Rc::new(Struct {
        type_name: format!("*{types}.Capabilities"),
        kind: "ptr",
        fields: vec![
            ("KubeVersion", Value::Object(Rc::new(kube))),
            (
                "APIVersions",
                Value::Object(Rc::new(VersionSet(
                    capabilities.api_versions.clone(),
                    types,
                ))),
            ),
            ("HelmVersion", Value::Object(Rc::new(helm))),
        ],
        text: None,
        methods: vec![("Copy", copy_method(capabilities, compat))],
        json: &[],
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
