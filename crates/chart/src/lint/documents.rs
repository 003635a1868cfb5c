//! The documents of a file as `helm lint` reads them: a stream of JSON values where it begins with
//! `{`, which turns into YAML at the first that is none.
//!
//! The decoder is Kubernetes's, `YAMLOrJSONDecoder` of its `apimachinery`. Of a text that is
//! neither it tells what is wrong with the JSON.

use pilotis_template::{json_value_end, read_json};
use serde_json::{Map, Value as Json};

use crate::separators::{ended, pieces};
use crate::structure::{Shape, Structure};

/// Bytes of a stream that are looked at to see what it is.
const LOOKED_AT: usize = 4096;

/// What the rules look at in a document; texts that are not there are empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
}

static HEAD: Structure = Structure {
    name: "k8sYamlStruct",
    list: "",
    item: "rules.k8sYamlStruct",
    fields: &[
        ("apiVersion", Shape::Text),
        ("Kind", Shape::Text),
        ("Metadata", Shape::Struct(&METADATA)),
    ],
};

static METADATA: Structure = Structure {
    name: "k8sYamlMetadata",
    list: "",
    item: "rules.k8sYamlMetadata",
    fields: &[("Namespace", Shape::Text), ("Name", Shape::Text)],
};

impl Head {
    fn of(mut fields: Map<String, Json>) -> Self {
        let mut metadata = fields.remove("Metadata").unwrap_or_default();
        let name = metadata.get_mut("Name").map(Json::take);
        let text = |value: Option<Json>| match value {
            Some(Json::String(text)) => text,
            _ => String::new(),
        };
        Self {
            api_version: text(fields.remove("apiVersion")),
            kind: text(fields.remove("Kind")),
            name: text(name),
        }
    }

    /// Nothing of a document that holds nothing.
    fn read(value: Json, read: Reader) -> Result<Option<Self>, String> {
        if value.is_null() {
            return Ok(None);
        }
        read(&HEAD, value).map(Self::of).map(Some)
    }
}

/// How a structure is read.
type Reader = fn(&Structure, Json) -> Result<Map<String, Json>, String>;

/// The documents of a stream, each what the rules see of it; the last one may be why nothing more
/// can be read. Messages name the type they are read into.
pub(super) fn documents(text: &[u8], type_name: &str) -> Vec<Result<Option<Head>, String>> {
    let mut found = heads(text);
    if let Some(Err(error)) = found.last_mut() {
        *error = error.replace(HEAD.name, type_name);
    }
    found
}

fn heads(text: &[u8]) -> Vec<Result<Option<Head>, String>> {
    let mut found = Vec::new();
    let (mut rest, mut first_error) = (text, None);
    let start = text[..text.len().min(LOOKED_AT)].trim_ascii_start();
    if start.starts_with(b"{") {
        let mut values = Values { text, at: 0 };
        let Err(error) = values.read_all(&mut found) else {
            return found;
        };
        // After two values it is surely JSON.
        if found.len() > 1 {
            found.push(Err(error.text));
            return found;
        }
        rest = values.rest();
        first_error = Some(error.with_offset());
    }
    for piece in pieces(rest) {
        let told = first_error.take();
        let read = in_yaml(piece).map_err(|error| told.unwrap_or(error));
        let has_failed = read.is_err();
        found.push(read);
        if has_failed {
            break;
        }
    }
    found
}

fn in_yaml(piece: Result<(u32, &[u8]), String>) -> Result<Option<Head>, String> {
    Head::read(value(piece?.1)?, Structure::read_yaml)
}

/// The first document of a text in YAML.
fn value(text: &[u8]) -> Result<Json, String> {
    let wrap = |error: pilotis_yaml::Error| format!("error converting YAML to JSON: {error}");
    let node = pilotis_yaml::parse_first_bytes(&ended(text)).map_err(wrap)?;
    node.map_or(Ok(Json::Null), |node| {
        pilotis_yaml::to_json(&node).map_err(wrap)
    })
}

/// JSON values one after another.
struct Values<'a> {
    text: &'a [u8],
    /// Where the last one ended.
    at: usize,
}

impl<'a> Values<'a> {
    fn read_all(&mut self, found: &mut Vec<Result<Option<Head>, String>>) -> Result<(), Mistake> {
        while !self.text[self.at..].trim_ascii_start().is_empty() {
            found.push(Ok(self.value()?));
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Option<Head>, Mistake> {
        let rest = &self.text[self.at..];
        let end = json_value_end(rest).map_err(|mistake| Mistake {
            text: mistake.text,
            offset: mistake.offset.map(|offset| self.at + offset),
        })?;
        let head = Head::read(read_json(&rest[..end])?, Structure::read_json)?;
        self.at += end;
        Ok(head)
    }

    /// What might be YAML: all after the last value and the rest of its line, if that is blank.
    fn rest(&self) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let blank = rest.len() - rest.trim_ascii_start().len();
        let line = rest[..blank].iter().position(|byte| *byte == b'\n');
        &rest[line.map_or(blank, |at| at + 1)..]
    }
}

/// Why a value cannot be read.
struct Mistake {
    text: String,
    /// How many bytes of the stream were read when JSON was broken.
    offset: Option<usize>,
}

impl Mistake {
    fn with_offset(self) -> String {
        match self.offset {
            Some(offset) => format!("json: offset {offset}: {}", self.text),
            None => self.text,
        }
    }
}

impl From<String> for Mistake {
    fn from(text: String) -> Self {
        Self { text, offset: None }
    }
}

/// Whether a list keeps one of its items when a release is deleted, which Helm does not do.
///
/// # Errors
/// What Go says of a text that does not fit.
pub(super) fn keeps_items(text: &[u8]) -> Result<bool, String> {
    let list = match value(text)? {
        Json::Null => return Ok(false),
        value => LIST.read_yaml(value)?,
    };
    let items = list.get("Items").and_then(Json::as_array);
    let keeps = |item: &Json| item["Metadata"]["Annotations"].get(KEEPS).is_some();
    Ok(items.is_some_and(|items| items.iter().any(keeps)))
}

const KEEPS: &str = "helm.sh/resource-policy";

static LIST: Structure = Structure {
    name: "",
    list: "",
    item: "struct { Items []struct { Metadata struct { Annotations map[string]string } } }",
    fields: &[("Items", Shape::Structs(&ITEM))],
};

static ITEM: Structure = Structure {
    name: "",
    list: "[]struct { Metadata struct { Annotations map[string]string } }",
    item: "struct { Metadata struct { Annotations map[string]string } }",
    fields: &[("Metadata", Shape::Struct(&ITEM_METADATA))],
};

static ITEM_METADATA: Structure = Structure {
    name: "",
    list: "",
    item: "struct { Annotations map[string]string }",
    fields: &[("Annotations", Shape::TextMap)],
};

#[cfg(test)]
mod tests {
    use super::{documents, heads, keeps_items};

    /// Kinds and names, `-` for nothing, or what is wrong; as Helm 4.2.4 shows them.
    fn seen(text: &str) -> Vec<String> {
        let shown = heads(text.as_bytes())
            .into_iter()
            .map(|document| match document {
                Ok(Some(head)) => format!("{} {}", head.kind, head.name),
                Ok(None) => "-".to_owned(),
                Err(why) => why,
            });
        shown.collect()
    }

    #[test]
    fn values_of_json_stand_one_after_another() {
        let named = r#"{"kind": "A", "metadata": {"name": "b"}}"#;
        assert_eq!(seen(&format!("\n {named}{named}\n")), ["A b", "A b"]);
        assert_eq!(seen("{}null\n{}"), [" ", "-", " "]);
        let mixed = format!("{named}\n---\nkind: C\n---\n# none\n");
        assert_eq!(seen(&mixed), ["A b", "C ", "-"]);
        // No truth, no number is a text in JSON, but in YAML.
        assert_eq!(seen("{\"kind\": 3}\n{}"), ["3 "]);
        assert_eq!(seen("{}{kind: B}"), [" ", "B "]);
    }

    #[test]
    fn what_is_neither_is_told_of_json() {
        let cases = [
            (
                "{a\n",
                "json: offset 2: invalid character 'a' looking for beginning of object key string",
            ),
            ("{\"a\":1\n", "unexpected EOF"),
            (
                "{\"a\": 1} x\n",
                "json: offset 10: invalid character 'x' looking for beginning of value",
            ),
            (
                "{\"metadata\": 3}",
                "json: cannot unmarshal number into Go struct field k8sYamlStruct.Metadata of type \
                 rules.k8sYamlMetadata",
            ),
            (
                "{\"a\":1} 12 \n",
                "json: cannot unmarshal number into Go value of type rules.k8sYamlStruct",
            ),
            ("{}{} {\"a\"}", "invalid character '}' after object key"),
        ];
        for (text, expected) in cases {
            assert_eq!(
                seen(text).last().map_or("", String::as_str),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn fields_fit_their_types() {
        assert_eq!(seen("KIND: 1.5\nMetadata: {name: 0x1F}\n"), ["1.5 31"]);
        let cases = [
            (
                "metadata: 3",
                "number into Go struct field k8sYamlStruct.Metadata of type \
                             rules.k8sYamlMetadata",
            ),
            (
                "metadata: {name: [1]}",
                "array into Go struct field k8sYamlMetadata.Metadata.Name \
                                       of type string",
            ),
            ("- a", "array into Go value of type rules.k8sYamlStruct"),
        ];
        for (text, expected) in cases {
            let before = "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ";
            assert_eq!(seen(text), [format!("{before}{expected}")], "{text}");
        }
    }

    #[test]
    fn messages_name_the_type_of_a_version() {
        let told = documents(b"kind: []", "K8sYamlStruct").pop();
        let told = told.and_then(Result::err).unwrap_or_default();
        assert!(
            told.contains("field K8sYamlStruct.Kind of type string"),
            "{told}"
        );
    }

    #[test]
    fn the_first_document_of_a_file_is_the_list() {
        let keeps = "items: [null, {Metadata: {annotations: {helm.sh/resource-policy: 3}}}]\n";
        assert_eq!(keeps_items(keeps.as_bytes()), Ok(true));
        let second = format!("a: b\n---\n{keeps}");
        assert_eq!(keeps_items(second.as_bytes()), Ok(false));
        let cases = [
            (
                "3",
                "[]struct { Metadata struct { Annotations map[string]string } }",
            ),
            (
                "[3]",
                "struct { Metadata struct { Annotations map[string]string } }",
            ),
            (
                "[{metadata: 3}]",
                "struct { Annotations map[string]string }",
            ),
            ("[{metadata: {annotations: 3}}]", "map[string]string"),
        ];
        for (items, expected) in cases {
            let told = keeps_items(format!("items: {items}").as_bytes()).unwrap_err();
            let wanted = told
                .split_once(" of type ")
                .map_or("", |(_, wanted)| wanted);
            assert_eq!(wanted, expected, "{told}");
        }
    }
}
