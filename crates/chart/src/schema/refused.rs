//! What is wrong with a schema, in the words of the validator Helm has.

use boon::CompileError;
use pilotis_template::quote;

use super::causes;
use super::patterns::Originals;
use super::words;

/// Why a schema cannot be used.
#[expect(clippy::too_many_lines, reason = "a flat table of causes")]
pub(super) fn told(error: &CompileError, originals: &Originals) -> String {
    let quoted = |text: &String| quote(text.as_bytes());
    match error {
        CompileError::ParseUrlError { url, src } => {
            format!("error in parsing {}: {src}", quoted(url))
        }
        CompileError::LoadUrlError { url, src } => {
            format!("failing loading {}: {src}", quoted(url))
        }
        CompileError::UnsupportedUrlScheme { url } => {
            format!("no URLLoader registered for {}", quoted(url))
        }
        CompileError::InvalidMetaSchemaUrl { url, src } => {
            format!("invalid $schema in {}: {src}", quoted(url))
        }
        CompileError::UnsupportedDraft { url } => format!("draft {} is not supported", quoted(url)),
        CompileError::MetaSchemaCycle { url } => {
            format!("cycle in resolving $schema in {}", quoted(url))
        }
        CompileError::ValidationError { url, src } => {
            let (url, source) = (quoted(url), src.schema_url);
            let causes = causes::told(src, originals);
            format!(
                "{url} is not valid against metaschema: jsonschema validation failed with '{source}'\n{}",
                causes.trim_end_matches('\n')
            )
        }
        CompileError::ParseIdError { loc } => format!("error in parsing id at {}", quoted(loc)),
        CompileError::ParseAnchorError { loc } => {
            format!("error in parsing anchor at {}", quoted(loc))
        }
        CompileError::DuplicateId {
            url,
            id: name,
            ptr1,
            ptr2,
        }
        | CompileError::DuplicateAnchor {
            url,
            anchor: name,
            ptr1,
            ptr2,
        } => {
            let kind = match error {
                CompileError::DuplicateId { .. } => "id",
                _ => "anchor",
            };
            let [name, url, one, other] = [name, url, ptr1, ptr2].map(quoted);
            format!("duplicate {kind} {name} in {url} at {one} and {other}")
        }
        CompileError::InvalidJsonPointer(place) => {
            format!("invalid json-pointer {}", quoted(place))
        }
        CompileError::JsonPointerNotFound(place) => {
            format!("json-pointer in {} not found", quoted(place))
        }
        CompileError::AnchorNotFound { url, reference } => {
            format!(
                "anchor in {} not found in schema {}",
                quoted(reference),
                quoted(url)
            )
        }
        CompileError::UnsupportedVocabulary { url, vocabulary } => {
            format!(
                "unsupported vocabulary {} in {}",
                quoted(vocabulary),
                quoted(url)
            )
        }
        CompileError::InvalidRegex { url, regex, src } => {
            let regex = originals.of(regex).to_owned();
            let why = words::mistake(&regex).unwrap_or_else(|| src.to_string());
            format!("invalid regex {} at {}: {why}", quoted(&regex), quoted(url))
        }
        other => other.to_string(),
    }
}
