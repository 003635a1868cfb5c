//! A post-renderer: somebody's program that is given the manifests and gives other ones back.
//!
//! Helm 3 hands it what it would print, without hooks. Helm 4 hands it every document of every
//! file, hooks among them, each marked with an annotation that names its file; what comes back is
//! told apart by that annotation again. Both parts of the way write the documents anew.
//!
//! The program itself is run by whoever makes a [`PostRenderer`]; nothing is started here.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotis_template::Output;
use pilotis_yaml::{Content, Node, Style, Written};

use crate::compat::Compat;
use crate::errors::Error;
use crate::manifest::{RenderedFile, split};

/// Which file a document came from.
const FILE: &str = "postrenderer.helm.sh/postrender-filename";

/// What a post-renderer does: manifests in, manifests out, or Helm's words about why not.
type Run = dyn Fn(&str) -> Result<String, String> + Send + Sync;

/// Something that changes manifests.
#[derive(Clone)]
pub struct PostRenderer(Arc<Run>);

impl std::fmt::Debug for PostRenderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostRenderer")
    }
}

impl PostRenderer {
    /// A post-renderer that runs a function; its error is what Helm says after `error while running
    /// post render on files: `.
    pub fn new(run: impl Fn(&str) -> Result<String, String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(run))
    }

    fn run(&self, text: &str) -> Result<String, Error> {
        (self.0)(text).map_err(|reason| {
            let message = format!("error while running post render on files: {reason}");
            Error::new(message).after_values()
        })
    }

    /// What becomes of printed manifests, as in Helm 3.
    pub(crate) fn printed(&self, text: &str) -> Result<String, Error> {
        self.run(text)
    }

    /// What becomes of rendered files, as in Helm 4.
    pub(crate) fn files(
        &self,
        files: Vec<RenderedFile>,
        compat: &Compat,
    ) -> Result<Vec<RenderedFile>, Error> {
        let merged = merge(files, compat)
            .map_err(|reason| Error::new(format!("error merging manifests: {reason}")))?;
        let changed = self.run(&merged)?;
        let files = tell_apart(&changed).map_err(|reason| {
            Error::new(format!(
                "error while parsing post rendered output: {reason}"
            ))
        })?;
        let files = files.into_iter().map(|(path, text)| RenderedFile {
            path,
            output: Arc::new(Output::foreign(text)),
        });
        Ok(files.collect())
    }
}

/// Every document of every file, marked, in one text.
fn merge(mut files: Vec<RenderedFile>, compat: &Compat) -> Result<String, String> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut texts = Vec::new();
    for file in &files {
        let base = file.path.rsplit('/').next().unwrap_or_default();
        if base.starts_with('_') {
            continue;
        }
        for (_, text) in split(&file.output.text(), compat) {
            let wrap = |reason: String| format!("parsing {}: {reason}", file.path);
            for mut document in documents(text).map_err(wrap)? {
                annotate(&mut document.node, &file.path)
                    .map_err(|reason| format!("annotating {}: {reason}", file.path))?;
                texts.push(document.text());
            }
        }
    }
    Ok(texts.join("---\n"))
}

/// The objects of a text; those of a `List` one by one.
fn documents(text: &str) -> Result<Vec<Written>, String> {
    let read = Written::read(text).map_err(|error| format!("MalformedYAMLError: {error}"))?;
    let mut all = Vec::new();
    for document in read {
        let node = &document.node;
        let is_list = node.get("kind").and_then(Node::text) == Some("List");
        match node.get("items") {
            Some(items) if is_list => {
                let items = items.items().iter().cloned();
                all.extend(items.map(|item| document.with_root(item)));
            }
            _ => all.push(document),
        }
    }
    Ok(all)
}

/// The files that documents name; those that name none become files of their own.
fn tell_apart(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let read = documents(text).map_err(|reason| format!("error parsing YAML: {reason}"))?;
    for (index, mut document) in read.into_iter().enumerate() {
        let named = document.node.at(&["metadata", "annotations", FILE]);
        let named = named.and_then(Node::text).filter(|name| !name.is_empty());
        let name = match named {
            Some(name) => name.to_string(),
            None => format!("generated-by-postrender-{index}.yaml"),
        };
        clear(&mut document.node);
        let file = files.entry(name).or_default();
        if !file.is_empty() {
            file.push_str("---\n");
        }
        file.push_str(&document.text());
    }
    Ok(files)
}

fn annotate(node: &mut Node, file: &str) -> Result<(), String> {
    let annotations = member(node, "metadata").and_then(|metadata| member(metadata, "annotations"));
    let Some(Content::Mapping(pairs)) = annotations.map(|node| &mut node.content) else {
        return Err("wrong Node Kind for  expected: MappingNode".to_string());
    };
    let key = Node::scalar(FILE, Style::Plain);
    pairs.retain(|(name, _)| name.text() != Some(FILE));
    pairs.push((key, Node::scalar(file, Style::SingleQuoted)));
    Ok(())
}

/// A mapping of a mapping, made when it is not there; none when something else is.
fn member<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Content::Mapping(pairs) = &mut node.content else {
        return None;
    };
    let at = match pairs.iter().position(|(name, _)| name.text() == Some(key)) {
        Some(at) => at,
        None => {
            pairs.push((Node::scalar(key, Style::Plain), Node::mapping()));
            pairs.len() - 1
        }
    };
    let value = &mut pairs[at].1;
    if value
        .text()
        .is_some_and(|text| text.is_empty() || text == "null" || text == "~")
    {
        *value = Node::mapping();
    }
    matches!(value.content, Content::Mapping(_)).then_some(value)
}

/// Takes the mark away again, and what held nothing else.
fn clear(node: &mut Node) {
    let Content::Mapping(pairs) = &mut node.content else {
        return;
    };
    for (_, metadata) in pairs
        .iter_mut()
        .filter(|(key, _)| key.text() == Some("metadata"))
    {
        let Content::Mapping(inside) = &mut metadata.content else {
            continue;
        };
        for (_, value) in inside
            .iter_mut()
            .filter(|(key, _)| key.text() == Some("annotations"))
        {
            if let Content::Mapping(annotations) = &mut value.content {
                annotations.retain(|(name, _)| name.text() != Some(FILE));
            }
        }
        inside.retain(|(key, value)| key.text() != Some("annotations") || !is_empty(value));
    }
    pairs.retain(|(key, value)| key.text() != Some("metadata") || !is_empty(value));
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.content, Content::Mapping(pairs) if pairs.is_empty())
}
