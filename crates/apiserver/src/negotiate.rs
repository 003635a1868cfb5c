//! In which form an answer is wanted: the object itself, a table, only metadata, JSON or YAML.

use crate::failure::{Failure, Outcome};

/// How to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// The object as JSON.
    Json,
    /// The object as YAML.
    Yaml,
    /// `Table` of `meta.k8s.io` in this version.
    Table(&'static str),
    /// `PartialObjectMetadata` or its list, in this version.
    Metadata(&'static str),
}

/// One alternative of an `Accept` header.
pub(crate) struct Alternative<'a> {
    pub(crate) media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Alternative<'a> {
    pub(crate) fn parameter(&self, name: &str) -> &'a str {
        self.parameters
            .iter()
            .find(|(k, _)| *k == name)
            .map_or("", |(_, v)| v)
    }

    pub(crate) fn is_json(&self) -> bool {
        matches!(
            self.media,
            "application/json" | "application/*" | "*/*" | ""
        )
    }
}

/// The alternatives in order.
pub(crate) fn alternatives(accept: &str) -> impl Iterator<Item = Alternative<'_>> {
    accept.split(',').map(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let media = pieces.next().unwrap_or("");
        let parameters = pieces.filter_map(|p| p.split_once('=')).collect();
        Alternative { media, parameters }
    })
}

/// The first form we can give; protobuf and CBOR answers are not among them.
pub(crate) fn form(accept: &str) -> Outcome<Form> {
    if accept.is_empty() {
        return Ok(Form::Json);
    }
    for alternative in alternatives(accept) {
        let version = match alternative.parameter("v") {
            "v1beta1" => "meta.k8s.io/v1beta1",
            _ => "meta.k8s.io/v1",
        };
        match (alternative.is_json(), alternative.parameter("as")) {
            (true, "") => return Ok(Form::Json),
            (true, "Table") => return Ok(Form::Table(version)),
            (true, "PartialObjectMetadata" | "PartialObjectMetadataList") => {
                return Ok(Form::Metadata(version));
            }
            (false, "") if alternative.media == "application/yaml" => return Ok(Form::Yaml),
            _ => {}
        }
    }
    Err(not_acceptable())
}

/// None of the forms asked for can be given.
pub(crate) fn not_acceptable() -> Failure {
    let message = "only the following media types are accepted: application/json, application/yaml";
    Failure::new(406, "NotAcceptable", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_we_speak_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(form(table).unwrap(), Form::Table("meta.k8s.io/v1"));
        let typed = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(form(typed).unwrap(), Form::Json);
        assert_eq!(form("*/*").unwrap(), Form::Json);
        assert!(form("text/plain").is_err());
    }
}
