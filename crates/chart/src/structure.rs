//! Structures of Go that JSON is read into: what they take, and what is said of what does not fit.
//!
//! Where the JSON was made of YAML, Helm's reader has turned numbers and truths into the texts a
//! structure wants; where it was written as JSON they do not fit.

use pilotis_template::json_kind;
use serde_json::{Map, Value as Json};

/// What a structure has for a field.
pub(crate) enum Shape {
    Text,
    Flag,
    Texts,
    TextMap,
    Anything,
    Struct(&'static Structure),
    Structs(&'static Structure),
}

/// A structure of Go.
pub(crate) struct Structure {
    /// Nothing where its type has none.
    pub(crate) name: &'static str,
    /// How Go writes the type of a list of it.
    pub(crate) list: &'static str,
    /// How Go writes its type.
    pub(crate) item: &'static str,
    /// As they are called in JSON.
    pub(crate) fields: &'static [(&'static str, Shape)],
}

/// What is said before the words of the decoder of JSON that was made of YAML.
pub(crate) const MADE_OF_YAML: &str = "error unmarshaling JSON: while decoding JSON: json: ";

/// What is done with a number or truth where a text is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scalars {
    AsTexts,
    Refused,
}

impl Structure {
    /// The fields a value made of YAML has, by their names; nulls are absent.
    ///
    /// # Errors
    /// Go's words for the first that does not fit, in the order of the keys.
    pub(crate) fn read_yaml(&self, value: Json) -> Result<Map<String, Json>, String> {
        let read = self.read(value, Scalars::AsTexts);
        read.map_err(|why| format!("{MADE_OF_YAML}{why}"))
    }

    /// The same of a value written as JSON.
    ///
    /// # Errors
    /// As for YAML.
    pub(crate) fn read_json(&self, value: Json) -> Result<Map<String, Json>, String> {
        let read = self.read(value, Scalars::Refused);
        read.map_err(|why| format!("json: {why}"))
    }

    fn read(&self, value: Json, scalars: Scalars) -> Result<Map<String, Json>, String> {
        match value {
            Json::Object(map) => self.fit(map, "", scalars),
            other => {
                let (kind, item) = (json_kind(&other), self.item);
                Err(format!(
                    "cannot unmarshal {kind} into Go value of type {item}"
                ))
            }
        }
    }

    /// The field of a key, whose case does not matter.
    fn field(&self, key: &str) -> Option<&(&'static str, Shape)> {
        let exact = self.fields.iter().find(|(name, _)| *name == key);
        let alike = |(name, _): &&(&str, Shape)| name.eq_ignore_ascii_case(key);
        exact.or_else(|| self.fields.iter().find(alike))
    }

    /// The fields of an object; `path` leads to it.
    fn fit(
        &self,
        object: Map<String, Json>,
        path: &str,
        scalars: Scalars,
    ) -> Result<Map<String, Json>, String> {
        let mut pairs: Vec<(String, Json)> = object.into_iter().collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut fitted = Map::new();
        for (key, value) in pairs {
            if let Some((name, shape)) = self.field(&key)
                && !value.is_null()
            {
                let place = Place {
                    structure: self.name,
                    path: format!("{path}{name}"),
                    scalars,
                };
                fitted.insert((*name).to_owned(), place.fit(shape, value)?);
            }
        }
        Ok(fitted)
    }
}

/// A field a value is read into.
struct Place {
    structure: &'static str,
    path: String,
    scalars: Scalars,
}

impl Place {
    fn fit(&self, shape: &Shape, value: Json) -> Result<Json, String> {
        match (shape, value) {
            (Shape::Text, value) => self.text(value),
            (Shape::Flag, value @ Json::Bool(_)) => Ok(value),
            (Shape::Anything, value @ Json::Array(_)) => Ok(value),
            (Shape::Texts, Json::Array(items)) => {
                let items = items.into_iter().map(|item| self.text(item));
                items.collect::<Result<_, _>>().map(Json::Array)
            }
            (Shape::TextMap, Json::Object(map)) => {
                let pairs = map.into_iter();
                let pairs = pairs.map(|(key, value)| Ok((key, self.text(value)?)));
                pairs.collect::<Result<_, _>>().map(Json::Object)
            }
            (Shape::Structs(structure), Json::Array(items)) => {
                let items = items.into_iter().filter(|item| !item.is_null());
                let items = items.map(|item| self.inner(structure, item));
                items.collect::<Result<_, _>>().map(Json::Array)
            }
            (Shape::Struct(structure), value) => self.inner(structure, value),
            (shape, value) => Err(self.misfit(
                &value,
                match shape {
                    Shape::Flag => "bool",
                    Shape::Texts => "[]string",
                    Shape::TextMap => "map[string]string",
                    Shape::Structs(structure) => structure.list,
                    Shape::Text | Shape::Anything | Shape::Struct(_) => "[]interface {}",
                },
            )),
        }
    }

    fn inner(&self, structure: &Structure, value: Json) -> Result<Json, String> {
        match value {
            Json::Object(map) => {
                let path = format!("{}.", self.path);
                structure.fit(map, &path, self.scalars).map(Json::Object)
            }
            other => Err(self.misfit(&other, structure.item)),
        }
    }

    fn text(&self, value: Json) -> Result<Json, String> {
        match (value, self.scalars) {
            (Json::Number(number), Scalars::AsTexts) => Ok(Json::String(number.to_string())),
            (Json::Bool(value), Scalars::AsTexts) => Ok(Json::String(value.to_string())),
            (Json::Null, _) => Ok(Json::String(String::new())),
            (text @ Json::String(_), _) => Ok(text),
            (other, _) => Err(self.misfit(&other, "string")),
        }
    }

    fn misfit(&self, value: &Json, wanted: &str) -> String {
        let (kind, name, path) = (json_kind(value), self.structure, &self.path);
        format!("cannot unmarshal {kind} into Go struct field {name}.{path} of type {wanted}")
    }
}
