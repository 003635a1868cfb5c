//! What differs between the objects of two renderings, by object and by field.
//!
//! Objects are the same when group, kind, namespace and name are; items of a list when they carry
//! the same name, or another field that tells such items apart. What a Secret holds is never shown,
//! only whether it is another.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::render::Rendered;

/// What stands for a secret.
const HIDDEN: &str = "(hidden)";
/// What stands for a secret that is another than before.
const HIDDEN_NEW: &str = "(hidden, changed)";
/// Fields that tell items of a list apart, the best first.
const KEYS: [&str; 8] = [
    "name",
    "mountPath",
    "containerPort",
    "port",
    "key",
    "host",
    "path",
    "topologyKey",
];

/// One object of a rendering.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Template it comes from.
    pub source: String,
    /// All of it.
    pub value: Json,
}

/// What an object is known by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Identity {
    /// `apiVersion`; only its group counts when objects are compared.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; empty when it has none.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ", self.api_version, self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It is new.
    Added,
    /// It is no more.
    Removed,
    /// Some of its fields differ.
    Changed,
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Where it is, such as `spec.template.spec.containers[web].image`.
    pub path: String,
    /// What it was; none when it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Json>,
    /// What it is; none when it is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Json>,
}

/// One object that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// What became of it.
    pub change: Change,
    /// The object, as it is, or as it was when it is no more.
    pub object: Identity,
    /// Template it comes from.
    pub template: String,
    /// Fields that differ, in the order of their paths; none for an object that is new or gone.
    pub fields: Vec<Field>,
    /// All of it before, secrets hidden.
    #[serde(skip)]
    pub old: Option<Json>,
    /// All of it now, secrets hidden.
    #[serde(skip)]
    pub new: Option<Json>,
}

/// The objects of a rendering: CRDs, objects, hooks; those of lists one by one.
pub fn objects(rendered: &Rendered) -> Vec<Object> {
    let mut all = Vec::new();
    for crd in &rendered.crds {
        let text = crd.text();
        // What is no YAML is no object.
        for value in pilotis_yaml::read_json(&text).unwrap_or_default() {
            add(&crd.path, value, &mut all);
        }
    }
    let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
    for manifest in rendered.manifests.iter().chain(hooks) {
        let value = manifest.node.as_ref().map(pilotis_yaml::to_json);
        if let Some(Ok(value)) = value {
            add(&manifest.source, value, &mut all);
        }
    }
    all
}

fn add(source: &str, value: Json, out: &mut Vec<Object>) {
    let is_list = value["kind"]
        .as_str()
        .is_some_and(|kind| kind.ends_with("List"));
    if let (true, Some(items)) = (is_list, value["items"].as_array()) {
        return items.iter().for_each(|item| add(source, item.clone(), out));
    }
    if value.is_object() {
        let source = source.to_string();
        out.push(Object { source, value });
    }
}

/// What differs, by kind and name.
pub fn diff(old: &[Object], new: &[Object]) -> Vec<Difference> {
    let (old, mut new) = (by_key(old), by_key(new));
    let mut all = Vec::new();
    for (key, before) in old {
        let after = new.remove(&key);
        all.extend(compare(Some(before), after));
    }
    all.extend(
        new.into_values()
            .filter_map(|after| compare(None, Some(after))),
    );
    all.sort_by(|a, b| {
        let key = |one: &Difference| {
            let object = &one.object;
            (
                object.kind.clone(),
                object.namespace.clone(),
                object.name.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    all
}

/// Group, kind, namespace, name, and how many of the same came before.
type Key = (String, String, String, String, usize);

fn by_key(objects: &[Object]) -> BTreeMap<Key, &Object> {
    let mut all = BTreeMap::new();
    for object in objects {
        let id = identity(&object.value);
        let group = id
            .api_version
            .rsplit_once('/')
            .map_or("", |(group, _)| group);
        let key = |count| {
            let (kind, namespace) = (id.kind.clone(), id.namespace.clone());
            (group.to_string(), kind, namespace, id.name.clone(), count)
        };
        let mut count = 0;
        while all.contains_key(&key(count)) {
            count += 1;
        }
        all.insert(key(count), object);
    }
    all
}

fn identity(value: &Json) -> Identity {
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    };
    Identity {
        api_version: text(&value["apiVersion"]),
        kind: text(&value["kind"]),
        namespace: text(&value["metadata"]["namespace"]),
        name: text(&value["metadata"]["name"]),
    }
}

fn compare(old: Option<&Object>, new: Option<&Object>) -> Option<Difference> {
    let shown = new.or(old)?;
    let values = (
        old.map(|one| one.value.clone()),
        new.map(|one| one.value.clone()),
    );
    let (old_value, new_value) = hide(values);
    let (change, fields) = match (&old_value, &new_value) {
        (Some(before), Some(after)) => {
            let mut fields = Vec::new();
            walk("", before, after, &mut fields);
            if fields.is_empty() {
                return None;
            }
            (Change::Changed, fields)
        }
        (None, _) => (Change::Added, Vec::new()),
        (_, None) => (Change::Removed, Vec::new()),
    };
    Some(Difference {
        change,
        object: identity(&shown.value),
        template: shown.source.clone(),
        fields,
        old: old_value,
        new: new_value,
    })
}

/// Puts a word in the place of everything a Secret holds.
fn hide((mut old, mut new): (Option<Json>, Option<Json>)) -> (Option<Json>, Option<Json>) {
    for field in ["data", "stringData"] {
        let held = secret_field(&old, field).cloned().unwrap_or_default();
        for value in [&mut old, &mut new] {
            let is_new =
                |key: &str, value: &Json| held.get(key).is_some_and(|before| before != value);
            if secret_field(value, field).is_none() {
                continue;
            }
            let table = value
                .as_mut()
                .and_then(|value| value[field].as_object_mut());
            for (key, value) in table.into_iter().flatten() {
                let word = if is_new(key, value) {
                    HIDDEN_NEW
                } else {
                    HIDDEN
                };
                *value = Json::from(word);
            }
        }
    }
    for value in [&mut old, &mut new].into_iter().flatten() {
        let copy = "kubectl.kubernetes.io/last-applied-configuration";
        let is_secret = value["kind"] == "Secret";
        let annotations = value.pointer_mut("/metadata/annotations");
        let copy = annotations.and_then(|table| table.get_mut(copy));
        if let (true, Some(copy)) = (is_secret, copy) {
            *copy = Json::from(HIDDEN);
        }
    }
    (old, new)
}

fn secret_field<'a>(value: &'a Option<Json>, field: &str) -> Option<&'a Map<String, Json>> {
    let value = value.as_ref().filter(|value| value["kind"] == "Secret")?;
    value[field].as_object()
}

fn walk(path: &str, old: &Json, new: &Json, out: &mut Vec<Field>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Json::Object(old), Json::Object(new)) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                pair(&below(path, key), (old.get(key), new.get(key)), out);
            }
        }
        (Json::Array(old), Json::Array(new)) => lists(path, old, new, out),
        (old, new) => out.push(Field {
            path: path.to_string(),
            old: Some(old.clone()),
            new: Some(new.clone()),
        }),
    }
}

fn pair(path: &str, both: (Option<&Json>, Option<&Json>), out: &mut Vec<Field>) {
    match both {
        (Some(old), Some(new)) => walk(path, old, new, out),
        (old, new) => out.push(Field {
            path: path.to_string(),
            old: old.cloned(),
            new: new.cloned(),
        }),
    }
}

fn below(path: &str, key: &str) -> String {
    let quoted = key.contains(['.', '[', '/']);
    match (path, quoted) {
        (_, true) => format!("{path}[{key:?}]"),
        ("", false) => key.to_string(),
        (path, false) => format!("{path}.{key}"),
    }
}

fn lists(path: &str, old: &[Json], new: &[Json], out: &mut Vec<Field>) {
    let told_apart = KEYS.iter().find_map(|key| {
        let (old, new) = (named(old, key)?, named(new, key)?);
        Some((old, new))
    });
    let Some((old_named, new_named)) = told_apart else {
        return in_order(path, old, new, out);
    };
    let mut names: Vec<&String> = old_named.iter().map(|(name, _)| name).collect();
    for (name, _) in &new_named {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let at = |list: &[(String, &Json)], wanted: &String| {
        let found = list.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| (*value).clone())
    };
    for name in names {
        let (before, after) = (at(&old_named, name), at(&new_named, name));
        let path = format!("{path}[{name}]");
        pair(&path, (before.as_ref(), after.as_ref()), out);
    }
    let order = |list: &[(String, &Json)]| {
        list.iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    let (before, after) = (order(&old_named), order(&new_named));
    let same = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|name| b.contains(name)).cloned().collect()
    };
    // The order of containers, or of variables that use one another, matters.
    if same(&before, &after) != same(&after, &before) {
        out.push(Field {
            path: format!("{path} (order)"),
            old: Some(Json::from(before)),
            new: Some(Json::from(after)),
        });
    }
}

/// The items of a list by a field, when every one has it and no two the same.
fn named<'a>(items: &'a [Json], key: &str) -> Option<Vec<(String, &'a Json)>> {
    let mut all: Vec<(String, &Json)> = Vec::new();
    for item in items {
        let name = match item.get(key)? {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            _ => return None,
        };
        if all.iter().any(|(other, _)| *other == name) {
            return None;
        }
        all.push((name, item));
    }
    Some(all)
}

/// Items that nothing tells apart: what was taken out, what was put in.
fn in_order(path: &str, old: &[Json], new: &[Json], out: &mut Vec<Field>) {
    let text = |items: &[Json]| items.iter().map(Json::to_string).collect::<Vec<_>>();
    let (old_text, new_text) = (text(old), text(new));
    for op in similar::capture_diff_slices(similar::Algorithm::Myers, &old_text, &new_text) {
        let (mut before, mut after) = (op.old_range(), op.new_range());
        if op.tag() == similar::DiffTag::Equal {
            continue;
        }
        loop {
            match (before.next(), after.next()) {
                (None, None) => break,
                (at, to) => {
                    let index = to.or(at).unwrap_or_default();
                    let both = (at.map(|at| &old[at]), to.map(|to| &new[to]));
                    pair(&format!("{path}[{index}]"), both, out);
                }
            }
        }
    }
}

/// Every difference as lines for a person: one object, then its fields.
pub fn fields_text(differences: &[Difference]) -> String {
    let mut out = String::new();
    for difference in differences {
        let sign = sign(difference.change);
        out.push_str(&format!(
            "{sign} {}  ({})\n",
            difference.object, difference.template
        ));
        for field in &difference.fields {
            out.push_str(&field_text(field));
        }
    }
    out.push_str(&summary(differences));
    out
}

fn sign(change: Change) -> char {
    match change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => '~',
    }
}

fn field_text(field: &Field) -> String {
    let path = &field.path;
    match (&field.old, &field.new) {
        (Some(Json::String(old)), Some(Json::String(new)))
            if old.contains('\n') || new.contains('\n') =>
        {
            let lines = similar::TextDiff::from_lines(old.as_str(), new.as_str());
            let mut text = format!("    {path}:\n");
            for line in lines.unified_diff().context_radius(1).to_string().lines() {
                text.push_str(&format!("      {line}\n"));
            }
            text
        }
        (Some(old), Some(new)) => format!("    {path}: {old} -> {new}\n"),
        (None, Some(new)) => format!("  + {path}: {new}\n"),
        (Some(old), None) => format!("  - {path}: {old}\n"),
        (None, None) => String::new(),
    }
}

/// How many objects differ, in one line.
pub fn summary(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "no difference\n".to_string();
    }
    let count = |change| {
        differences
            .iter()
            .filter(|one| one.change == change)
            .count()
    };
    format!(
        "{} changed, {} added, {} removed\n",
        count(Change::Changed),
        count(Change::Added),
        count(Change::Removed)
    )
}

/// Every difference as a unified diff of the objects, keys sorted.
pub fn unified_text(differences: &[Difference]) -> String {
    let text = |value: &Option<Json>| match value {
        Some(value) => pilotis_yaml::emit(value, pilotis_yaml::Flavour::GoV2),
        None => String::new(),
    };
    let mut out = String::new();
    for difference in differences {
        let (old, new) = (text(&difference.old), text(&difference.new));
        let name = difference.object.to_string();
        let header = |there: bool, side: &str| match there {
            true => format!("{side}/{name}"),
            false => "/dev/null".to_string(),
        };
        let headers = (
            header(difference.old.is_some(), "a"),
            header(difference.new.is_some(), "b"),
        );
        let lines = similar::TextDiff::from_lines(old.as_str(), new.as_str());
        let mut unified = lines.unified_diff();
        out.push_str(&unified.header(&headers.0, &headers.1).to_string());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Json) -> Object {
        Object {
            source: "t.yaml".to_string(),
            value,
        }
    }

    fn named(kind: &str, rest: Json) -> Object {
        let mut value = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}});
        for (key, item) in rest.as_object().unwrap() {
            value[key] = item.clone();
        }
        object(value)
    }

    #[test]
    fn items_of_a_list_are_told_apart_by_name() {
        let containers = |image: &str, names: &[&str]| {
            let items: Vec<Json> = names
                .iter()
                .map(|n| json!({"name": n, "image": image}))
                .collect();
            named("Pod", json!({"spec": {"containers": items}}))
        };
        let all = diff(
            &[containers("a", &["w", "s"])],
            &[containers("b", &["new", "w"])],
        );
        assert_eq!(
            fields_text(&all),
            "~ v1 Pod x  (t.yaml)\n    spec.containers[w].image: \"a\" -> \"b\"\n  - \
             spec.containers[s]: {\"image\":\"a\",\"name\":\"s\"}\n  + spec.containers[new]: \
             {\"image\":\"b\",\"name\":\"new\"}\n1 changed, 0 added, 0 removed\n"
        );
    }

    #[test]
    fn another_version_of_the_same_group_is_the_same_object() {
        let old =
            object(json!({"apiVersion": "a/v1beta1", "kind": "K", "metadata": {"name": "x"}}));
        let new = object(json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "x"}}));
        let all = diff(&[old], &[new]);
        assert_eq!(all[0].fields[0].path, "apiVersion");
    }

    #[test]
    fn secrets_are_never_shown() {
        let old = named(
            "Secret",
            json!({"data": {"a": "b2xk", "b": "c2FtZQ==", "gone": "Z29uZQ=="}}),
        );
        let new = named(
            "Secret",
            json!({"data": {"a": "bmV3", "b": "c2FtZQ==", "more": "bW9yZQ=="}}),
        );
        let all = diff(std::slice::from_ref(&old), std::slice::from_ref(&new));
        let alone = diff(&[], &[new]);
        let texts = [
            fields_text(&all),
            unified_text(&all),
            serde_json::to_string(&all).unwrap(),
            unified_text(&alone),
        ];
        for text in &texts {
            for secret in ["b2xk", "bmV3", "c2FtZQ==", "Z29uZQ==", "bW9yZQ=="] {
                assert!(!text.contains(secret), "{text}");
            }
        }
        assert!(
            texts[0].contains("data.a: \"(hidden)\" -> \"(hidden, changed)\""),
            "{}",
            texts[0]
        );
        assert!(!texts[0].contains("data.b"), "{}", texts[0]);
    }

    #[test]
    fn a_text_of_lines_shows_the_lines_that_differ() {
        let map = |text: &str| named("ConfigMap", json!({"data": {"f.conf": text}}));
        let all = diff(&[map("a\nb\nc\n")], &[map("a\nB\nc\n")]);
        let text = fields_text(&all);
        assert!(text.contains("    data[\"f.conf\"]:\n"), "{text}");
        assert!(text.contains("      -b\n      +B\n"), "{text}");
    }

    #[test]
    fn nothing_differs_from_itself() {
        let one = named("Pod", json!({"spec": {"args": ["a", "b"]}}));
        assert_eq!(
            diff(std::slice::from_ref(&one), std::slice::from_ref(&one)),
            []
        );
    }
}
