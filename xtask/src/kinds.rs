//! Derives the table of built-in kinds from the published Kubernetes Go modules.
//!
//! Reads facts only (names, numbers, struct tags, markers, discovery), never descriptions or code,
//! and writes one text file that `pilotis-kinds` compiles in. Needs a Go toolchain; the build never
//! does. The trap: Go's embedded structs are separate messages in protobuf and part of their
//! parent in JSON, so both forms are written: the parent's flattened fields and an `@` line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The release whose facts are taken.
const STAGING: &str = "v0.35.4";
/// The same release, as the main module spells it.
const RELEASE: &str = "v1.35.4";
/// Where the result is committed.
const TARGET: &str = "crates/kinds/src/data/kubernetes.txt";
/// Packages read from `k8s.io/api`, all in their stable versions.
const API_PACKAGES: &[&str] = &[
    "admission/v1",
    "admissionregistration/v1",
    "apps/v1",
    "authentication/v1",
    "authorization/v1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "certificates/v1",
    "coordination/v1",
    "core/v1",
    "discovery/v1",
    "events/v1",
    "flowcontrol/v1",
    "networking/v1",
    "node/v1",
    "policy/v1",
    "rbac/v1",
    "resource/v1",
    "scheduling/v1",
    "storage/v1",
];

/// Writes the table; with `--check` on the command line compares it with the committed one.
pub fn generate() -> Result<()> {
    let text = derive()?;
    let target = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(TARGET);
    if std::env::args().any(|argument| argument == "--check") {
        let committed = std::fs::read_to_string(&target)?;
        if committed != text {
            bail!("{TARGET} differs from what the modules say; run `cargo xtask generate`");
        }
        return Ok(());
    }
    std::fs::write(&target, text).with_context(|| format!("cannot write {TARGET}"))
}

fn derive() -> Result<String> {
    let mut source = Source::default();
    let api = module("k8s.io/api", STAGING)?;
    for package in API_PACKAGES {
        source.read(&api.join(package), &format!("k8s.io/api/{package}"))?;
    }
    let others = [
        ("k8s.io/apimachinery", "pkg/apis/meta/v1"),
        (
            "k8s.io/apiextensions-apiserver",
            "pkg/apis/apiextensions/v1",
        ),
        ("k8s.io/kube-aggregator", "pkg/apis/apiregistration/v1"),
    ];
    for (name, package) in others {
        source.read(
            &module(name, STAGING)?.join(package),
            &format!("{name}/{package}"),
        )?;
    }
    let mut out = format!(
        "# Facts about the kinds of Kubernetes {RELEASE}; written by `cargo xtask generate`, see NOTICE.\n"
    );
    let discovery = module("k8s.io/kubernetes", RELEASE)?.join("api/discovery");
    write_resources(&mut out, &discovery, &source)?;
    for (name, item) in &source.structs {
        write_struct(&mut out, &source, name, item);
    }
    Ok(out)
}

fn module(name: &str, version: &str) -> Result<PathBuf> {
    let output = std::process::Command::new("go")
        .args(["mod", "download", "-json", &format!("{name}@{version}")])
        .output()
        .context("cannot run go; a Go toolchain is needed to derive the tables")?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let directory = answer["Dir"]
        .as_str()
        .with_context(|| format!("no module {name}"))?;
    Ok(PathBuf::from(directory))
}

/// Every declaration read so far, by upstream's definition name.
#[derive(Default)]
struct Source {
    structs: BTreeMap<String, Struct>,
    aliases: BTreeMap<String, String>,
}

#[derive(Default)]
struct Struct {
    fields: Vec<Field>,
    atomic: bool,
}

struct Field {
    json: String,
    go_type: String,
    embedded: bool,
    number: Option<u32>,
    options: Vec<String>,
    markers: Vec<String>,
    patch_strategy: Option<String>,
    patch_key: Option<String>,
}

impl Source {
    fn read(&mut self, directory: &Path, package: &str) -> Result<()> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
            .with_context(|| format!("cannot read {}", directory.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        for file in files {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let skipped = name.starts_with("zz_")
                || name.starts_with("generated.")
                || name.ends_with("_test.go")
                || !name.ends_with(".go");
            if !skipped {
                self.read_file(&std::fs::read_to_string(&file)?, package);
            }
        }
        Ok(())
    }

    fn read_file(&mut self, text: &str, package: &str) {
        let imports = imports(text);
        let mut markers: Vec<String> = Vec::new();
        let mut open: Option<(String, Struct)> = None;
        for line in text.lines() {
            let trimmed = line.trim();
            if let Some(comment) = trimmed.strip_prefix("//") {
                markers.extend(comment.trim().strip_prefix('+').map(str::to_owned));
                continue;
            }
            if trimmed.is_empty() {
                continue;
            }
            let found = std::mem::take(&mut markers);
            match &mut open {
                Some(_) if line == "}" => {
                    if let Some((name, item)) = open.take().filter(|(_, s)| !s.fields.is_empty()) {
                        self.structs.insert(name, item);
                    }
                }
                Some((_, item)) => {
                    item.fields.extend(field(trimmed, found, package, &imports));
                }
                None => open = self.declaration(line, &found, package, &imports),
            }
        }
    }

    fn declaration(
        &mut self,
        line: &str,
        markers: &[String],
        package: &str,
        imports: &BTreeMap<String, String>,
    ) -> Option<(String, Struct)> {
        let (name, rest) = line.strip_prefix("type ")?.split_once(' ')?;
        let full = definition(package, name);
        if rest.starts_with("struct{}") {
            self.structs.insert(full, Struct::default());
            return None;
        }
        if rest.starts_with("struct {") && !rest.ends_with('}') {
            let atomic = markers
                .iter()
                .any(|m| m == "structType=atomic" || m == "mapType=atomic");
            return Some((
                full,
                Struct {
                    atomic,
                    ..Struct::default()
                },
            ));
        }
        if !rest.starts_with("func")
            && !rest.starts_with("interface")
            && !rest.starts_with("struct")
        {
            let rest = rest
                .split("//")
                .next()
                .unwrap_or(rest)
                .trim()
                .trim_start_matches("= ");
            self.aliases.insert(full, resolve(rest, package, imports));
        }
        None
    }
}

fn imports(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        inside = match line {
            "import (" => true,
            ")" => false,
            _ => inside,
        };
        let statement = if inside {
            Some(line)
        } else {
            line.strip_prefix("import ")
        };
        let Some((alias, rest)) = statement.and_then(|s| s.split_once('"')) else {
            continue;
        };
        let path = rest.trim_end_matches('"');
        let last = path.rsplit('/').next().unwrap_or(path);
        let alias = if alias.trim().is_empty() {
            last
        } else {
            alias.trim()
        };
        found.insert(alias.to_owned(), path.to_owned());
    }
    found
}

/// Upstream's name of a Go type, such as `io.k8s.api.core.v1.Pod`.
fn definition(package: &str, name: &str) -> String {
    let path = package
        .strip_prefix("k8s.io/")
        .unwrap_or(package)
        .replace('/', ".");
    format!("io.k8s.{path}.{name}")
}

/// A Go type expression with every name written in full.
fn resolve(text: &str, package: &str, imports: &BTreeMap<String, String>) -> String {
    if let Some(rest) = text.strip_prefix('*') {
        return format!("*{}", resolve(rest, package, imports));
    }
    if let Some(rest) = text.strip_prefix("[]") {
        return format!("[]{}", resolve(rest, package, imports));
    }
    if let Some((_, value)) = text.strip_prefix("map[").and_then(|r| r.split_once(']')) {
        return format!("map[]{}", resolve(value, package, imports));
    }
    match text.split_once('.') {
        Some((alias, name)) => {
            let path = imports.get(alias).map_or(alias, String::as_str);
            definition(path, name)
        }
        None if text.chars().next().is_some_and(char::is_uppercase) => definition(package, text),
        None => text.to_owned(),
    }
}

fn field(
    line: &str,
    markers: Vec<String>,
    package: &str,
    imports: &BTreeMap<String, String>,
) -> Option<Field> {
    let (head, rest) = line.split_once('`')?;
    let tags = rest.split('`').next()?;
    let mut words = head.split_whitespace();
    let first = words.next()?;
    let second = words.next();
    let json = tag(tags, "json")?;
    let mut parts = json.split(',');
    let name = parts.next()?.to_owned();
    if name == "-" {
        return None;
    }
    let number = tag(tags, "protobuf").and_then(|p| p.split(',').nth(1)?.parse().ok());
    Some(Field {
        json: name,
        go_type: resolve(second.unwrap_or(first), package, imports),
        embedded: second.is_none(),
        number,
        options: parts.map(str::to_owned).collect(),
        markers,
        patch_strategy: tag(tags, "patchStrategy").map(str::to_owned),
        patch_key: tag(tags, "patchMergeKey").map(str::to_owned),
    })
}

fn tag<'a>(tags: &'a str, name: &str) -> Option<&'a str> {
    let start = tags.find(&format!("{name}:\""))? + name.len() + 2;
    tags[start..].split('"').next()
}

fn write_struct(out: &mut String, source: &Source, name: &str, item: &Struct) {
    let retained = source.structs.values().flat_map(|s| &s.fields).any(|f| {
        f.patch_strategy
            .as_deref()
            .is_some_and(|s| s.contains("retainKeys"))
            && f.go_type.trim_start_matches(['*', '[', ']']) == name
    });
    let flags = [(item.atomic, " atomic"), (retained, " retain")];
    let flags: String = flags
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, word)| *word)
        .collect();
    let _ = writeln!(out, "T {name}{flags}");
    for field in item
        .fields
        .iter()
        .filter(|f| f.embedded && f.number.is_some())
    {
        if field.json.is_empty() {
            let _ = writeln!(
                out,
                "@{} {}",
                field.number.unwrap_or_default(),
                field.go_type
            );
        }
    }
    write_fields(out, source, item, Place::Own);
}

/// Where a field of the JSON object is found in protobuf.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// In the message itself.
    Own,
    /// In the message of an embedded struct.
    Embedded,
    /// Nowhere: `apiVersion` and `kind` travel in the envelope.
    Envelope,
}

fn write_fields(out: &mut String, source: &Source, item: &Struct, place: Place) {
    for field in &item.fields {
        if !field.json.is_empty() {
            write_field(out, source, field, place);
            continue;
        }
        let inner = if field.number.is_some() {
            Place::Embedded
        } else {
            Place::Envelope
        };
        if let Some(item) = source.structs.get(field.go_type.trim_start_matches('*')) {
            write_fields(out, source, item, inner);
        }
    }
}

fn write_field(out: &mut String, source: &Source, field: &Field, place: Place) {
    let (pointer, go_type) = match field.go_type.strip_prefix('*') {
        Some(rest) => (true, rest),
        None => (false, field.go_type.as_str()),
    };
    let has = |name: &str| field.options.iter().any(|option| option == name);
    let marked = |name: &str| field.markers.iter().any(|marker| marker == name);
    let optional = has("omitempty") || marked("optional");
    let flags = [
        (!optional || marked("required"), 'r'),
        (pointer, 'p'),
        (has("omitempty"), 'o'),
        (has("omitzero"), 'z'),
        (place == Place::Embedded, 'i'),
        (marked("structType=atomic") || marked("mapType=atomic"), 'a'),
        (marked("structType=granular"), 'g'),
    ];
    let flags: String = flags
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, letter)| *letter)
        .collect();
    let flags = if flags.is_empty() {
        "-".to_owned()
    } else {
        flags
    };
    let number = if place == Place::Envelope {
        0
    } else {
        field.number.unwrap_or(0)
    };
    let _ = write!(
        out,
        "{} {} {flags} {number}",
        field.json,
        shape(source, go_type)
    );
    write_list(out, field);
    let marker = field
        .markers
        .iter()
        .find_map(|m| m.strip_prefix("default="));
    if let Some(value) = marker.map(literal) {
        let _ = write!(out, " def={value}");
    }
    out.push('\n');
}

fn literal(text: &str) -> &str {
    match text {
        "ref(AzureDataDiskCachingReadWrite)" => "\"ReadWrite\"",
        "ref(AzureSharedBlobDisk)" => "\"Shared\"",
        other => other,
    }
}

fn write_list(out: &mut String, field: &Field) {
    let markers = field.markers.iter();
    let keys: Vec<&str> = markers
        .filter_map(|m| m.strip_prefix("listMapKey="))
        .collect();
    let kind = field
        .markers
        .iter()
        .find_map(|m| m.strip_prefix("listType="));
    match kind {
        Some("map") => {
            let _ = write!(out, " map={}", keys.join(","));
        }
        Some("set") => out.push_str(" set"),
        _ => {}
    }
    if field
        .patch_strategy
        .as_deref()
        .is_some_and(|s| s.contains("merge"))
    {
        let _ = write!(out, " smp={}", field.patch_key.as_deref().unwrap_or(""));
    }
}

/// The compact form of a Go type: a letter, `&Name`, `[item]` or `{value}`.
fn shape(source: &Source, go_type: &str) -> String {
    if go_type == "[]byte" {
        return "y".to_owned();
    }
    if let Some(item) = go_type.strip_prefix("[]") {
        return format!("[{}]", shape(source, item.trim_start_matches('*')));
    }
    if let Some(value) = go_type.strip_prefix("map[]") {
        return format!("{{{}}}", shape(source, value));
    }
    if let Some(letter) = leaf(go_type) {
        return letter.to_owned();
    }
    if source.structs.contains_key(go_type) {
        return format!("&{go_type}");
    }
    match source.aliases.get(go_type) {
        Some(target) if target.starts_with("[]string") => "L".to_owned(),
        Some(target) => shape(source, target),
        None => "s".to_owned(),
    }
}

fn leaf(go_type: &str) -> Option<&'static str> {
    let last = go_type.strip_prefix("io.k8s.").unwrap_or(go_type);
    Some(match last {
        "string" => "s",
        "int32" | "uint32" => "i",
        "int64" | "int" => "I",
        "float64" => "f",
        "bool" => "b",
        "apimachinery.pkg.util.intstr.IntOrString" => "p",
        "apimachinery.pkg.api.resource.Quantity" => "q",
        "apimachinery.pkg.apis.meta.v1.Time" => "t",
        "apimachinery.pkg.apis.meta.v1.MicroTime" => "m",
        "apimachinery.pkg.apis.meta.v1.Duration" => "d",
        "apimachinery.pkg.apis.meta.v1.FieldsV1" => "F",
        "apimachinery.pkg.runtime.RawExtension" => "R",
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON" => "J",
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray" => "A",
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool" => "B",
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray" => "S",
        _ => return None,
    })
}

fn write_resources(out: &mut String, discovery: &Path, source: &Source) -> Result<()> {
    let read = |name: &str| -> Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(
            discovery.join(name),
        )?)?)
    };
    write_group(out, source, "", "v1", &read("api__v1.json")?)?;
    let groups = read("aggregated_v2.json")?;
    for group in groups["items"]
        .as_array()
        .context("no groups in discovery")?
    {
        let name = group["metadata"]["name"].as_str().unwrap_or_default();
        for version in group["versions"].as_array().into_iter().flatten() {
            let version = version["version"].as_str().unwrap_or_default();
            if version.trim_start_matches('v').parse::<u32>().is_ok() {
                let list = read(&format!("apis__{name}__{version}.json"))?;
                write_group(out, source, name, version, &list)?;
            }
        }
    }
    Ok(())
}

fn write_group(
    out: &mut String,
    source: &Source,
    group: &str,
    version: &str,
    list: &Value,
) -> Result<()> {
    let package = match group {
        "" => "io.k8s.api.core".to_owned(),
        "apiextensions.k8s.io" => {
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned()
        }
        "apiregistration.k8s.io" => "io.k8s.kube-aggregator.pkg.apis.apiregistration".to_owned(),
        other => format!("io.k8s.api.{}", other.split('.').next().unwrap_or(other)),
    };
    let all = list["resources"]
        .as_array()
        .context("no resources in discovery")?;
    let subordinate = |r: &Value| r["name"].as_str().is_some_and(|n| n.contains('/'));
    let mut known = BTreeSet::new();
    for resource in all.iter().filter(|r| !subordinate(r)) {
        let text = |key: &str| resource[key].as_str().unwrap_or_default();
        let type_name = format!("{package}.{version}.{}", text("kind"));
        if !source.structs.contains_key(&type_name) {
            bail!("no Go type for {type_name}");
        }
        known.insert(text("name"));
        let scope = if resource["namespaced"].as_bool() == Some(true) {
            "ns"
        } else {
            "cluster"
        };
        let _ = writeln!(
            out,
            "R {} {version} {} {} {} {scope} {} {} {} {type_name}",
            dash(group),
            text("kind"),
            text("name"),
            text("singularName"),
            words(&resource["verbs"]),
            words(&resource["shortNames"]),
            words(&resource["categories"]),
        );
        for sub in all.iter().filter(|r| subordinate(r)) {
            write_subresource(out, sub, text("name"), group, version);
        }
    }
    Ok(())
}

fn write_subresource(out: &mut String, sub: &Value, parent: &str, group: &str, version: &str) {
    let text = |key: &str| sub[key].as_str().unwrap_or_default();
    let Some(name) = text("name").strip_prefix(&format!("{parent}/")) else {
        return;
    };
    let (own_group, own_version) = match text("version") {
        "" => (group, version),
        version => (text("group"), version),
    };
    let _ = writeln!(
        out,
        "S {name} {} {own_version} {} {}",
        dash(own_group),
        text("kind"),
        words(&sub["verbs"])
    );
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn words(list: &Value) -> String {
    let items: Vec<&str> = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if items.is_empty() {
        "-".to_owned()
    } else {
        items.join(",")
    }
}
