//! The values a user gives: files and `--set` flags, merged in Helm's order, their places kept.

use std::sync::OnceLock;

use bytes::Bytes;
use pilotis_report::Position;
use pilotis_template::{Table, Tree};
use pilotis_yaml::Node;
use serde_json::{Map, Value as Json};

use crate::compat::Compat;
use crate::errors::Error;
use crate::separators::{ended, pieces};
use crate::set::{Contents, Grammar, Reading, parse_into};

/// One thing the user gave. The order of kinds is fixed: files first, then as listed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// `-f`: name and content.
    File(String, Bytes),
    /// `--set-json`.
    SetJson(String),
    /// `--set`.
    Set(String),
    /// `--set-string`.
    SetString(String),
    /// `--set-file`: `name=path`, and the content of each path.
    SetFile(String, Vec<(String, String)>),
    /// `--set-literal`.
    SetLiteral(String),
}

/// Where some values came from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file's name or the flag as typed.
    pub name: String,
    nodes: Vec<Node>,
    values: Map<String, Json>,
}

/// The user's values, merged.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// The merged values; numbers of files are floats, integers of `--set` are integers.
    pub merged: Map<String, Json>,
    /// What they were merged from, weakest first.
    pub sources: Vec<Source>,
    first_document_only: bool,
    open_index_ends: bool,
    /// Whether `--set-json` takes `key=value` only.
    refuses_objects: bool,
}

impl Values {
    /// Merges what the user gave.
    ///
    /// # Errors
    /// The first input that cannot be read, in Helm's words.
    pub fn merge(inputs: &[Input]) -> Result<Self, Error> {
        Self::merge_for(inputs, &Compat::default())
    }

    /// The same as one Helm version does it.
    ///
    /// # Errors
    /// The first input that cannot be read, in Helm's words.
    pub fn merge_for(inputs: &[Input], compat: &Compat) -> Result<Self, Error> {
        let mut values = Self {
            first_document_only: !compat.merges_value_documents,
            open_index_ends: compat.open_index_ends_set,
            refuses_objects: !compat.set_json_takes_objects,
            ..Self::default()
        };
        let mut ordered: Vec<&Input> = inputs.iter().collect();
        ordered.sort_by_key(|input| input.rank());
        for input in ordered {
            values.add(input)?;
        }
        Ok(values)
    }

    fn add(&mut self, input: &Input) -> Result<(), Error> {
        let (name, own) = match input {
            Input::File(name, data) => {
                let (own, nodes) = read(data, self.first_document_only).map_err(|error| {
                    Error::at(
                        format!("failed to parse {name}: {}", error.message),
                        error.position.map(|position| Position {
                            file: name.clone(),
                            ..position
                        }),
                    )
                })?;
                merge_maps(&mut self.merged, own.clone());
                self.sources.push(Source {
                    name: name.clone(),
                    nodes,
                    values: own,
                });
                return Ok(());
            }
            Input::SetJson(text) if text.trim_start().starts_with('{') && !self.refuses_objects => {
                let parsed: Result<Json, _> = serde_json::from_str(text);
                let Ok(Json::Object(own)) = parsed.map(floats) else {
                    let message = format!("failed parsing --set-json data JSON: {text}");
                    return Err(Error::new(message));
                };
                merge_maps(&mut self.merged, own.clone());
                (format!("--set-json {text}"), own)
            }
            Input::SetJson(text) => {
                let message = format!("failed parsing --set-json data {text}");
                let own = self
                    .set(text, Grammar::Json, None)
                    .map_err(|_| Error::new(message))?;
                (format!("--set-json {text}"), own)
            }
            Input::Set(text) => self.flag("--set", text, Grammar::Typed)?,
            Input::SetString(text) => self.flag("--set-string", text, Grammar::Text)?,
            Input::SetLiteral(text) => self.flag("--set-literal", text, Grammar::Literal)?,
            Input::SetFile(text, files) => {
                let content = |path: &str| {
                    let found = files.iter().find(|(name, _)| name == path);
                    let missing = || format!("open {path}: no such file or directory");
                    found.map(|(_, text)| text.clone()).ok_or_else(missing)
                };
                let own = self
                    .set(text, Grammar::Text, Some(&content))
                    .map_err(|error| {
                        Error::new(format!("failed parsing --set-file data: {error}"))
                    })?;
                (format!("--set-file {text}"), own)
            }
        };
        self.sources.push(Source {
            name,
            nodes: Vec::new(),
            values: own,
        });
        Ok(())
    }

    fn flag(
        &mut self,
        flag: &str,
        text: &str,
        grammar: Grammar,
    ) -> Result<(String, Map<String, Json>), Error> {
        let own = self.set(text, grammar, None);
        let own =
            own.map_err(|error| Error::new(format!("failed parsing {flag} data: {error}")))?;
        Ok((format!("{flag} {text}"), own))
    }

    /// Applies a flag to the merged values, and gives what it sets alone.
    fn set(
        &mut self,
        text: &str,
        grammar: Grammar,
        file: Option<Contents<'_>>,
    ) -> Result<Map<String, Json>, String> {
        let reading = Reading {
            grammar,
            file,
            open_index_ends: self.open_index_ends,
        };
        parse_into(text, reading, &mut self.merged)?;
        let mut own = Map::new();
        // Alone it can fail where the merged values made it right; then nothing is remembered.
        let _ = parse_into(text, reading, &mut own);
        Ok(own)
    }

    /// Where the value at a path was last set by the user.
    pub fn position(&self, path: &[String]) -> Option<Position> {
        self.sources.iter().rev().find_map(|source| {
            if source.nodes.is_empty() {
                let set = at(&Json::Object(source.values.clone()), path).is_some();
                return set.then(|| Position {
                    file: source.name.clone(),
                    line: 1,
                    column: 1,
                });
            }
            position_in(&source.nodes, &source.name, path)
        })
    }
}

/// The trees of a values file, read when somebody asks where a value stands: only errors do.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    data: Bytes,
    first_only: bool,
    read: OnceLock<Vec<Node>>,
}

impl Nodes {
    /// The trees of a file that can be read.
    pub(crate) fn of(data: &Bytes, first_only: bool) -> Self {
        Self {
            data: data.clone(),
            first_only,
            read: OnceLock::new(),
        }
    }

    pub(crate) fn get(&self) -> &[Node] {
        self.read.get_or_init(|| {
            let read = read(&self.data, self.first_only);
            read.map_or_else(|_| Vec::new(), |(_, nodes)| nodes)
        })
    }
}

impl Input {
    fn rank(&self) -> u8 {
        match self {
            Input::File(..) => 0,
            Input::SetJson(_) => 1,
            Input::Set(_) => 2,
            Input::SetString(_) => 3,
            Input::SetFile(..) => 4,
            Input::SetLiteral(_) => 5,
        }
    }
}

/// The place of a path in the documents of a file; the last document that has it wins.
pub(crate) fn position_in(nodes: &[Node], file: &str, path: &[String]) -> Option<Position> {
    let found = nodes.iter().rev().find_map(|node| {
        let found = node.at(path)?;
        // What holds others begins on a later line than the key a reader looks for.
        let key = path.split_last().and_then(|(last, above)| {
            let (key, _) = node.at(above)?.get_pair(last)?;
            Some(key)
        });
        match found.text() {
            Some(_) => Some(found),
            None => Some(key.unwrap_or(found)),
        }
    })?;
    Some(Position {
        file: file.to_string(),
        line: found.start.line,
        column: found.start.column,
    })
}

fn at<'a>(value: &'a Json, path: &[String]) -> Option<&'a Json> {
    path.iter().try_fold(value, |value, step| match value {
        Json::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// `image.tags[0].name` as steps.
pub(crate) fn steps(path: &str) -> Vec<String> {
    path.split(['.', '[', ']'])
        .filter(|step| !step.is_empty())
        .map(str::to_string)
        .collect()
}

/// The documents of a values file, merged in order, and their trees.
pub(crate) fn read(data: &[u8], first_only: bool) -> Result<(Map<String, Json>, Vec<Node>), Error> {
    let mut values = Map::new();
    let mut nodes = Vec::new();
    documents(data, first_only, &mut |node| {
        let json = pilotis_yaml::to_json(&node).map_err(|error| unreadable(&error, 0))?;
        match floats(json) {
            Json::Object(map) => {
                merge_maps(&mut values, map);
                nodes.push(node);
                Ok(())
            }
            Json::Null => Ok(()),
            other => Err(no_map(&other)),
        }
    })
    .map_err(|error| worded(error, first_only))?;
    Ok((values, nodes))
}

/// The documents of the values file of a chart, merged in order.
pub(crate) fn read_defaults(data: &[u8], first_only: bool) -> Result<Table, Error> {
    let mut values = Table::default();
    documents(data, first_only, &mut |node| {
        match pilotis_yaml::build(&node).map_err(|error| unreadable(&error, 0))? {
            Tree::Table(table) => values.lay(&table),
            Tree::Null => {}
            other => return Err(no_map(&other.to_json())),
        }
        Ok(())
    })
    .map_err(|error| worded(error, first_only))?;
    Ok(values)
}

/// Hands over the tree of each document of a values file, its marks counted from the start.
fn documents(
    data: &[u8],
    first_only: bool,
    take: &mut dyn FnMut(Node) -> Result<(), Error>,
) -> Result<(), Error> {
    let pieces: Vec<Result<(u32, &[u8]), String>> = match first_only {
        true => vec![Ok((0, data))],
        false => pieces(data).collect(),
    };
    for piece in pieces {
        let (line, piece) =
            piece.map_err(|error| Error::new(format!("error reading yaml document: {error}")))?;
        let fail = |error: pilotis_yaml::Error| unreadable(&error, line);
        let piece = match first_only {
            true => piece.into(),
            false => ended(piece),
        };
        let Some(mut node) = pilotis_yaml::parse_first_bytes(&piece).map_err(fail)? else {
            continue;
        };
        if line > 0 {
            node.move_down(line);
        }
        take(node)?;
    }
    Ok(())
}

/// A document that is no map of values.
/// Helm 3 says nothing of documents, of which it reads one.
fn worded(mut error: Error, first_only: bool) -> Error {
    if first_only && let Some(reason) = error.message.strip_prefix(UNREADABLE) {
        error.message = reason.to_owned();
    }
    error
}

fn no_map(document: &Json) -> Error {
    let reason = not_a_map(document, PLAIN_TYPE);
    Error::new(format!("{UNREADABLE}{reason}"))
}

/// What cannot be read of a piece with some lines above it; Helm's text counts from the piece.
fn unreadable(error: &pilotis_yaml::Error, line: u32) -> Error {
    let text = format!("{UNREADABLE}error converting YAML to JSON: {error}");
    let position = Position {
        file: "values.yaml".to_string(),
        line: line + error.line,
        column: error.column,
    };
    Error::at(text, Some(position))
}

/// The first document of a values file, its errors as they are, about a type of that name.
pub(crate) fn read_plain(
    data: &[u8],
    type_name: &str,
) -> Result<(Map<String, Json>, Vec<Node>), String> {
    let wrap = |error: pilotis_yaml::Error| format!("error converting YAML to JSON: {error}");
    let Some(node) = pilotis_yaml::parse_first_bytes(data).map_err(wrap)? else {
        return Ok((Map::new(), Vec::new()));
    };
    match floats(pilotis_yaml::to_json(&node).map_err(wrap)?) {
        Json::Object(map) => Ok((map, vec![node])),
        Json::Null => Ok((Map::new(), Vec::new())),
        other => Err(not_a_map(&other, type_name)),
    }
}

/// How Go writes the type of plain values.
pub(crate) const PLAIN_TYPE: &str = "map[string]interface {}";
/// What Helm 4 says first of a document it cannot read.
const UNREADABLE: &str = "cannot unmarshal yaml document: ";

fn not_a_map(value: &Json, type_name: &str) -> String {
    let kind = pilotis_template::json_kind(value);
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go \
         value of type {type_name}"
    )
}

/// Numbers as Go decodes JSON: all floats.
pub(crate) fn floats(mut value: Json) -> Json {
    make_floats(&mut value);
    value
}

fn make_floats(value: &mut Json) {
    match value {
        Json::Number(number) => {
            let float = number.as_f64().and_then(serde_json::Number::from_f64);
            if let Some(float) = float {
                *number = float;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(make_floats),
        Json::Object(map) => map.values_mut().for_each(make_floats),
        Json::Null | Json::Bool(_) | Json::String(_) => {}
    }
}

/// Merges `from` over `into`: maps deeply, everything else replaced.
pub(crate) fn merge_maps(into: &mut Map<String, Json>, from: Map<String, Json>) {
    if into.is_empty() {
        *into = from;
        return;
    }
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Json::Object(old)), Json::Object(new)) => merge_maps(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_a_later_document_count_from_the_start_of_the_file() {
        let (values, nodes) = read(b"a: 1\n---\n# c\nb:\n- c\n", false).unwrap();
        assert_eq!(values.len(), 2);
        let b = nodes[1].get("b").unwrap();
        assert_eq!((b.start.line, b.items()[0].start.line), (5, 5));
    }

    #[test]
    fn an_error_of_a_later_document_is_worded_from_its_start_and_placed_in_the_file() {
        let error = read(b"a: 1\n---\nb: {\n", false).unwrap_err();
        let alone = read(b"b: {\n", false).unwrap_err();
        assert_eq!(error.message, alone.message);
        let (found, first) = (error.position.unwrap(), alone.position.unwrap());
        assert_eq!(found.line, first.line + 2);
    }
}
