//! Rendered files to manifests: split, read, told from hooks, ordered by kind.

use std::sync::Arc;

use bytestring::ByteString;
use pilotis_report::Position;
use pilotis_template::Output;
use pilotis_yaml::Node;

use crate::compat::{Compat, Separator};
use crate::errors::Error;
use crate::parallel;
use crate::render::Options;
use crate::warnings::Warning;

/// Kinds in the order Helm 3 prints them: all but the last two.
pub(crate) const KIND_ORDER_3: [&str; 36] = {
    let mut kinds = [""; 36];
    let mut at = 0;
    while at < kinds.len() {
        kinds[at] = KIND_ORDER[at];
        at += 1;
    }
    kinds
};

/// Kinds in the order Helm 4 installs and prints them.
pub(crate) const KIND_ORDER: [&str; 38] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// One object a chart makes.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Path of the template, such as `chart/templates/service.yaml`.
    pub source: String,
    /// The text, trailing blank lines included; documents of a file share it.
    pub text: ByteString,
    /// `apiVersion`; empty when absent.
    pub api_version: String,
    /// `kind`; empty when absent.
    pub kind: String,
    /// `metadata.name`; empty when absent.
    pub name: String,
    /// The text as a tree; none when it holds only comments, or when the text was all that was
    /// wanted.
    pub node: Option<Node>,
    output: Arc<Output>,
    start: usize,
}

/// A manifest that runs at a point of a release's life instead of being kept.
#[derive(Debug, Clone)]
pub struct Hook {
    /// The object.
    pub manifest: Manifest,
    /// When it runs, such as `pre-install`.
    pub events: Vec<String>,
    /// Order among the hooks of one event.
    pub weight: i64,
    /// When it is deleted, such as `before-hook-creation`.
    pub delete_policies: Vec<String>,
}

/// Columns looked at for values near a problem, and most values named.
const COLUMNS_MAX: u32 = 200;
const WRITTEN_MAX: usize = 4;

impl Manifest {
    /// Where in its template a place of [`Manifest::text`] comes from; line and column start at 1.
    pub fn position(&self, line: u32, column: u32) -> Option<Position> {
        let place = self.output.position(self.offset(line, column)?)?;
        Some(Position {
            file: place.template,
            line: place.line,
            column: place.column,
        })
    }

    /// Paths of the values that the template read to write a place, such as `image.tag`.
    pub fn values(&self, line: u32, column: u32) -> Vec<String> {
        let offset = self.offset(line, column);
        let piece = offset.and_then(|offset| self.output.piece(offset));
        piece.map(|piece| piece.reads).unwrap_or_default()
    }

    /// Values written on a line and the two before it, nearest first, and where in templates.
    fn written(&self, line: u32) -> Vec<(String, Position)> {
        let mut found: Vec<(String, Position)> = Vec::new();
        for line in (line.saturating_sub(2).max(1)..=line).rev() {
            let text = self.text.lines().nth(line as usize - 1).unwrap_or_default();
            let columns = 1..=u32::try_from(text.chars().count())
                .unwrap_or(0)
                .min(COLUMNS_MAX);
            for column in columns {
                let Some(place) = self.position(line, column) else {
                    continue;
                };
                for path in self.values(line, column) {
                    let is_known = found.iter().any(|(other, _)| *other == path);
                    if !is_known && found.len() < WRITTEN_MAX {
                        found.push((path, place.clone()));
                    }
                }
            }
        }
        found
    }

    fn offset(&self, line: u32, column: u32) -> Option<usize> {
        let before: usize = self
            .text
            .split_inclusive('\n')
            .take(line.checked_sub(1)? as usize)
            .map(str::len)
            .sum();
        let rest = self.text.get(before..)?;
        let inside = rest.char_indices().nth(column.checked_sub(1)? as usize);
        Some(self.start + before + inside.map_or(0, |(at, _)| at))
    }
}

/// One rendered file.
pub(crate) struct RenderedFile {
    pub(crate) path: String,
    pub(crate) output: Arc<Output>,
}

/// Splits and reads rendered files.
pub(crate) fn read_files(files: &[RenderedFile], options: &Options) -> Vec<ReadFile> {
    let size = |file: &RenderedFile| file.output.bytes.len();
    parallel::map(files, size, |file| read_file(file, options))
}

/// The objects of files, as they are installed.
pub(crate) fn sort(
    mut files: Vec<ReadFile>,
    order: &[&str],
    warnings: &mut Vec<Warning>,
) -> Result<(Vec<Manifest>, Vec<Hook>), Error> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let (mut manifests, mut hooks) = (Vec::new(), Vec::new());
    for file in files {
        for one in file.found {
            match one? {
                Found::Object(manifest) => manifests.push(manifest),
                Found::Hook(hook) => hooks.push(hook),
                Found::Unknown(warning) => warnings.push(warning),
            }
        }
    }
    manifests.sort_by_cached_key(|manifest| rank(&manifest.kind, order));
    hooks.sort_by_cached_key(|hook| rank(&hook.manifest.kind, order));
    Ok((manifests, hooks))
}

/// A rendered file that was read: what its documents are, up to its first mistake.
pub(crate) struct ReadFile {
    path: String,
    found: Vec<Result<Found, Error>>,
}

/// What a document of a file is.
enum Found {
    Object(Manifest),
    Hook(Hook),
    /// A hook of a kind Helm does not know, which it skips.
    Unknown(Warning),
}

impl Found {
    fn of(manifest: Manifest) -> Self {
        match hook_of(&manifest) {
            None => Self::Object(manifest),
            Some(None) => Self::Unknown(unknown_hook(&manifest)),
            Some(Some(events)) => Self::Hook(hook(manifest, events)),
        }
    }

    fn without_tree(mut self) -> Self {
        match &mut self {
            Self::Object(manifest) => manifest.node = None,
            Self::Hook(hook) => hook.manifest.node = None,
            Self::Unknown(_) => {}
        }
        self
    }
}

/// Splits and reads a rendered file.
pub(crate) fn read_file(file: &RenderedFile, options: &Options) -> ReadFile {
    ReadFile {
        path: file.path.clone(),
        found: read_all(file, options),
    }
}

/// The objects of a file, up to the first that is none.
fn read_all(file: &RenderedFile, options: &Options) -> Vec<Result<Found, Error>> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    if name.starts_with('_') {
        return Vec::new();
    }
    let text = file.output.shared_text();
    let mut documents = split(&text, &options.compat).into_iter();
    let one = |(start, document): (usize, &str)| {
        let document = text.slice_ref(document);
        let found = Found::of(read(file, (start, document), options)?);
        Ok(match options.text_only {
            true => found.without_tree(),
            false => found,
        })
    };
    let mut found = Vec::with_capacity(documents.len());
    while found.last().is_none_or(Result::is_ok)
        && let Some(document) = documents.next()
    {
        found.push(one(document));
    }
    found
}

/// Known kinds by their place, unknown ones after them by name.
fn rank(kind: &str, order: &[&str]) -> (usize, String) {
    match order.iter().position(|known| *known == kind) {
        Some(place) => (place, String::new()),
        None => (order.len(), kind.to_string()),
    }
}

fn unknown_hook(manifest: &Manifest) -> Warning {
    let hooks = annotation(manifest, "helm.sh/hook").unwrap_or_default();
    let quoted = pilotis_template::quote(hooks.as_bytes());
    let older = format!("info: skipping unknown hook: {quoted}");
    Warning::new(
        "skipping unknown hooks",
        vec![("hookTypes", hooks.to_string())],
        ("manifest_sorter.go:199", older),
    )
    .info()
}

/// Documents and their offsets, blank ones left out.
pub(crate) fn split<'a>(text: &'a str, compat: &Compat) -> Vec<(usize, &'a str)> {
    let mut documents = Vec::new();
    let mut begin = text.len() - text.trim_start().len();
    let end = if compat.trims_ends {
        text.trim_end().len().max(begin)
    } else {
        text.len()
    };
    let lead = begin;
    let next = match compat.separator {
        Separator::Line => next_line_separator,
        Separator::Loose => next_loose_separator,
    };
    let mut at = begin;
    while let Some((from, to)) = next(&text[..end], at, lead) {
        documents.push((begin, &text[begin..from]));
        begin = to;
        at = to;
    }
    documents.push((begin, &text[begin..end]));
    let trimmed = documents.into_iter().map(|(start, document)| {
        let body = document.trim_start();
        let start = start + document.len() - body.len();
        let body = if compat.trims_ends {
            body.trim_end()
        } else {
            body
        };
        (start, body)
    });
    trimmed
        .filter(|(_, document)| !document.trim_end().is_empty())
        .collect()
}

/// `(?m)^---[ \t]*` at or after an offset; `start` is where the text begins.
fn next_line_separator(text: &str, at: usize, start: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let begins_line = at == start || text.as_bytes()[at - 1] == b'\n';
    let found = match begins_line && rest.starts_with("---") {
        true => at,
        false => at + memchr::memmem::find(rest.as_bytes(), b"\n---")? + 1,
    };
    let rest = &text[found + 3..];
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    Some((found, found + 3 + blanks))
}

/// `(?:^|\s*\n)---\s*` at or after an offset; `start` is where the text begins.
fn next_loose_separator(text: &str, at: usize, start: usize) -> Option<(usize, usize)> {
    let blank = |c: char| matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ');
    let after = |found: usize| {
        let rest = &text[found + 3..];
        found + 3 + rest.len() - rest.trim_start_matches(blank).len()
    };
    if at == start && text[at..].starts_with("---") {
        return Some((at, after(at)));
    }
    let found = at + text.get(at..)?.find("\n---")?;
    let from = at + text[at..found].trim_end_matches(blank).len();
    Some((from, after(found + 1)))
}

/// What is looked at where only the text is wanted.
const HEAD: [&str; 3] = ["apiVersion", "kind", "metadata"];

fn read(
    file: &RenderedFile,
    (start, text): (usize, ByteString),
    options: &Options,
) -> Result<Manifest, Error> {
    let mut manifest = Manifest {
        source: file.path.clone(),
        text,
        api_version: String::new(),
        kind: String::new(),
        name: String::new(),
        node: None,
        output: Arc::clone(&file.output),
        start,
    };
    let wanted = options.text_only.then_some(&HEAD[..]);
    let node = match pilotis_yaml::parse_for_json(&manifest.text, wanted) {
        Some(node) => Ok(Some(node)),
        None => parsed_and_checked(&manifest),
    };
    let fail = |error: pilotis_yaml::Error| {
        let message = format!(
            "YAML parse error on {}: error converting YAML to JSON: {}",
            manifest.source, error.message
        );
        let mut failure = Error::at(message, manifest.position(error.line, error.column));
        failure.written = manifest.written(error.line);
        failure
    };
    let Some(node) = node.map_err(fail)? else {
        return Ok(manifest);
    };
    let head = Head::read(&node, options.compat.release_package).map_err(|reason| {
        let message = format!(
            "YAML parse error on {}: error unmarshaling JSON: while decoding JSON: json: {reason}",
            manifest.source
        );
        Error::at(message, manifest.position(1, 1))
    })?;
    (manifest.api_version, manifest.kind, manifest.name) = (head.api_version, head.kind, head.name);
    let empty = matches!(&node.content, pilotis_yaml::Content::Scalar(text, _) if text.is_empty());
    manifest.node = (!empty).then_some(node);
    Ok(manifest)
}

fn parsed_and_checked(manifest: &Manifest) -> Result<Option<Node>, pilotis_yaml::Error> {
    let written = &manifest.output.bytes[manifest.start..][..manifest.text.len()];
    let node = pilotis_yaml::parse_first_bytes(written)?;
    node.as_ref().map_or(Ok(()), pilotis_yaml::check_json)?;
    Ok(node)
}

/// The part of an object Helm reads.
struct Head {
    api_version: String,
    kind: String,
    name: String,
}

impl Head {
    fn read(node: &Node, package: &str) -> Result<Self, String> {
        let empty = Self {
            api_version: String::new(),
            kind: String::new(),
            name: String::new(),
        };
        if is_null(node) {
            return Ok(empty);
        }
        if !is_mapping(node) {
            let found = json_kind(node);
            return Err(format!(
                "cannot unmarshal {found} into Go value of type {package}.SimpleHead"
            ));
        }
        let api_version = head_text(node.get("apiVersion"), "SimpleHead.apiVersion")?;
        let kind = head_text(node.get("kind"), "SimpleHead.kind")?;
        let metadata = present(node.get("metadata"));
        if let Some(metadata) = metadata.filter(|metadata| !is_mapping(metadata)) {
            return Err(wrong_field(metadata, "SimpleHead.metadata", METADATA_TYPE));
        }
        let annotations = present(metadata.and_then(|metadata| metadata.get("annotations")));
        if let Some(annotations) = annotations {
            if !is_mapping(annotations) {
                return Err(wrong_field(annotations, ANNOTATIONS, "map[string]string"));
            }
            for (_, value) in annotations.pairs() {
                head_text(Some(value), ANNOTATIONS)?;
            }
        }
        let name = metadata.and_then(|metadata| metadata.get("name"));
        Ok(Self {
            api_version,
            kind,
            name: head_text(name, ".metadata.name")?,
        })
    }
}

/// A field of a structure that has no name in Go.
const ANNOTATIONS: &str = ".metadata.annotations";

/// How Go prints the type of `SimpleHead.Metadata`.
const METADATA_TYPE: &str = "struct { Name string \"json:\\\"name\\\"\"; Annotations \
                             map[string]string \"json:\\\"annotations\\\"\" }";

fn is_null(node: &Node) -> bool {
    let is_scalar = node.text().is_some();
    is_scalar && matches!(node.resolve(), Ok(pilotis_yaml::Resolved::Null))
}

fn is_mapping(node: &Node) -> bool {
    matches!(node.content, pilotis_yaml::Content::Mapping(_))
}

fn present(node: Option<&Node>) -> Option<&Node> {
    node.filter(|node| !is_null(node))
}

/// A text, or a number or boolean taken as one.
fn head_text(node: Option<&Node>, field: &str) -> Result<String, String> {
    let Some(node) = present(node) else {
        return Ok(String::new());
    };
    let text = node.text().map(str::to_string);
    text.ok_or_else(|| wrong_field(node, field, "string"))
}

fn wrong_field(node: &Node, field: &str, wanted: &str) -> String {
    let found = json_kind(node);
    format!("cannot unmarshal {found} into Go struct field {field} of type {wanted}")
}

fn json_kind(node: &Node) -> &'static str {
    match &node.content {
        pilotis_yaml::Content::Sequence(_) => "array",
        pilotis_yaml::Content::Mapping(_) => "object",
        pilotis_yaml::Content::Scalar(..) => match pilotis_yaml::to_json(node) {
            Ok(serde_json::Value::Bool(_)) => "bool",
            Ok(serde_json::Value::Number(_)) => "number",
            _ => "string",
        },
    }
}

fn annotation<'a>(manifest: &'a Manifest, name: &str) -> Option<&'a str> {
    manifest
        .node
        .as_ref()?
        .at(&["metadata", "annotations", name])?
        .text()
}

fn words(text: &str) -> Vec<String> {
    text.split(',')
        .map(|word| word.trim().to_lowercase())
        .collect()
}

/// Nothing for an ordinary object, no events for a hook with an unknown one.
fn hook_of(manifest: &Manifest) -> Option<Option<Vec<String>>> {
    const EVENTS: [&str; 10] = [
        "pre-install",
        "post-install",
        "pre-delete",
        "post-delete",
        "pre-upgrade",
        "post-upgrade",
        "pre-rollback",
        "post-rollback",
        "test",
        "test-success",
    ];
    let events = words(annotation(manifest, "helm.sh/hook")?);
    let known = events.iter().all(|event| EVENTS.contains(&event.as_str()));
    let events = events.into_iter().map(|event| match event.as_str() {
        "test-success" => "test".to_string(),
        _ => event,
    });
    Some(known.then(|| events.collect()))
}

fn hook(manifest: Manifest, events: Vec<String>) -> Hook {
    let weight = annotation(&manifest, "helm.sh/hook-weight");
    let weight = weight.and_then(|weight| weight.parse().ok()).unwrap_or(0);
    let policies = annotation(&manifest, "helm.sh/hook-delete-policy").map(words);
    Hook {
        events,
        weight,
        delete_policies: policies.unwrap_or_default(),
        manifest,
    }
}
