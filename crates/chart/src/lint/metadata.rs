//! Rules about `Chart.yaml`.

use serde_json::Value as Json;

use super::{LintRequest, Linted, Severity, addresses, file, text_of};
use crate::metadata::{DEPENDENCY_FIELDS, FIELDS, MAINTAINER_FIELDS, Metadata};

const NAME: &str = "Chart.yaml";

pub(super) fn check(request: &LintRequest, linted: &mut Linted) {
    let Some(file) = file(&request.files, NAME) else {
        return;
    };
    let text = text_of(file);
    let metadata = match Metadata::parse(&text, NAME) {
        Ok(metadata) => metadata,
        Err(error) => {
            let error = request.compat.typed(error);
            let reason = error.message.trim_start_matches("cannot load Chart.yaml: ");
            let text = format!("unable to parse YAML\n\t{reason}");
            return linted.add(Severity::Error, NAME, text);
        }
    };
    let is_strict = request.compat.lints_strictly;
    if is_strict && let Err(reason) = strict(&text) {
        let text = format!("failed to strictly parse chart metadata file\n\t{reason}");
        linted.add(Severity::Warning, NAME, text);
    }
    let raw = raw(&text);
    let rules = [
        (Severity::Error, name(&metadata)),
        (Severity::Error, api_version(&metadata)),
        (Severity::Error, is_text(&raw, "version")),
        (Severity::Error, version(&metadata)),
        (Severity::Error, is_text(&raw, "appVersion")),
        (Severity::Error, maintainers(&metadata)),
        (Severity::Error, sources(&metadata)),
        (Severity::Info, icon(&metadata)),
        (Severity::Error, icon_address(&metadata)),
        (Severity::Error, chart_type(&metadata)),
        (Severity::Error, dependencies(&metadata)),
        (Severity::Warning, strict_version(&metadata)),
    ];
    let known = match is_strict {
        true => rules.len(),
        false => rules.len() - 1,
    };
    for (severity, result) in rules.into_iter().take(known) {
        linted.check(severity, NAME, result);
    }
}

fn raw(text: &str) -> Json {
    let node = pilotis_yaml::parse_first(text).ok().flatten();
    let json = node.and_then(|node| pilotis_yaml::to_json(&node).ok());
    json.unwrap_or(Json::Null)
}

/// Refuses unknown fields and keys given twice.
fn strict(text: &str) -> Result<(), String> {
    let Ok(Some(node)) = pilotis_yaml::parse_first(text) else {
        return Ok(());
    };
    let json = pilotis_yaml::to_json_strict(&node)
        .map_err(|error| format!("error converting YAML to JSON: {error}"))?;
    let unknown = |json: &Json, known: &[&str]| {
        let keys = json.as_object().into_iter().flat_map(|map| map.keys());
        let found = keys
            .into_iter()
            .find(|key| !known.iter().any(|field| field.eq_ignore_ascii_case(key)));
        found.cloned()
    };
    let below = |field: &str, known: &[&str]| {
        let items = json.get(field).and_then(Json::as_array);
        items
            .into_iter()
            .flatten()
            .find_map(|item| unknown(item, known))
    };
    let mut found: Vec<(String, String)> = Vec::new();
    if let Some(key) = unknown(&json, &FIELDS) {
        found.push((key.clone(), key));
    }
    for (field, known) in [
        ("dependencies", &DEPENDENCY_FIELDS[..]),
        ("maintainers", &MAINTAINER_FIELDS[..]),
    ] {
        if let Some(key) = below(field, known) {
            found.push((field.to_string(), key));
        }
    }
    // Helm's decoder walks the keys in order and stops at the first.
    found.sort();
    match found.first() {
        None => Ok(()),
        Some((_, key)) => {
            let key = pilotis_template::quote(key.as_bytes());
            Err(format!(
                "error unmarshaling JSON: while decoding JSON: json: unknown field {key}"
            ))
        }
    }
}

fn name(metadata: &Metadata) -> Result<(), String> {
    if metadata.name.is_empty() {
        return Err("name is required".into());
    }
    if metadata.name.contains('/') {
        let name = pilotis_template::quote(metadata.name.as_bytes());
        return Err(format!("chart name {name} is invalid"));
    }
    Ok(())
}

fn api_version(metadata: &Metadata) -> Result<(), String> {
    match metadata.api_version.as_str() {
        "" => Err("apiVersion is required. The value must be either \"v1\" or \"v2\"".into()),
        "v1" | "v2" => Ok(()),
        other => Err(format!(
            "apiVersion '{other}' is not valid. The value must be either \"v1\" or \"v2\""
        )),
    }
}

fn is_text(raw: &Json, key: &str) -> Result<(), String> {
    let kind = match raw.get(key) {
        None | Some(Json::String(_)) => return Ok(()),
        Some(Json::Null) => "<nil>",
        Some(Json::Bool(_)) => "bool",
        Some(Json::Number(_)) => "float64",
        Some(Json::Array(_)) => "[]interface {}",
        Some(Json::Object(_)) => "map[string]interface {}",
    };
    Err(format!(
        "{key} should be of type string but it's of type {kind}"
    ))
}

fn version(metadata: &Metadata) -> Result<(), String> {
    let version = &metadata.version;
    if version.is_empty() {
        return Err("version is required".into());
    }
    if !pilotis_template::is_version(version) {
        return Err(format!("version '{version}' is not a valid SemVer"));
    }
    match pilotis_template::version_matches(">0.0.0-0", version) {
        Ok(false) => Err(format!(
            "version {version} is less than or equal to 0.0.0-0"
        )),
        _ => Ok(()),
    }
}

fn strict_version(metadata: &Metadata) -> Result<(), String> {
    let version = &metadata.version;
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let parts: Vec<&str> = core.split('.').collect();
    let strict = parts.len() == 3
        && parts.iter().all(|part| number(part))
        && pilotis_template::is_version(version);
    if strict {
        return Ok(());
    }
    Err(format!("version '{version}' is not a valid SemVerV2"))
}

fn maintainers(metadata: &Metadata) -> Result<(), String> {
    if metadata.null_in == Some("maintainers") {
        return Err("a maintainer entry is empty".to_owned());
    }
    for maintainer in &metadata.maintainers {
        let name = &maintainer.name;
        if name.is_empty() {
            return Err("each maintainer requires a name".into());
        }
        if !maintainer.email.is_empty() && !addresses::is_email(&maintainer.email) {
            let email = &maintainer.email;
            return Err(format!("invalid email '{email}' for maintainer '{name}'"));
        }
        if !maintainer.url.is_empty() && !addresses::is_url(&maintainer.url) {
            let url = &maintainer.url;
            return Err(format!("invalid url '{url}' for maintainer '{name}'"));
        }
    }
    Ok(())
}

fn sources(metadata: &Metadata) -> Result<(), String> {
    let bad = metadata
        .sources
        .iter()
        .find(|source| !addresses::is_request_url(source));
    bad.map_or(Ok(()), |source| {
        Err(format!("invalid source URL '{source}'"))
    })
}

fn icon(metadata: &Metadata) -> Result<(), String> {
    if metadata.icon.is_empty() {
        return Err("icon is recommended".into());
    }
    Ok(())
}

fn icon_address(metadata: &Metadata) -> Result<(), String> {
    let icon = &metadata.icon;
    if icon.is_empty() || addresses::is_request_url(icon) {
        return Ok(());
    }
    Err(format!("invalid icon URL '{icon}'"))
}

fn chart_type(metadata: &Metadata) -> Result<(), String> {
    if metadata.chart_type.is_empty() || metadata.api_version == "v2" {
        return Ok(());
    }
    let version = &metadata.api_version;
    Err(format!(
        "chart type is not valid in apiVersion '{version}'. It is valid in apiVersion 'v2'"
    ))
}

fn dependencies(metadata: &Metadata) -> Result<(), String> {
    if metadata.dependencies.is_empty() || metadata.api_version == "v2" {
        return Ok(());
    }
    let version = &metadata.api_version;
    Err(format!(
        "dependencies are not valid in the Chart file with apiVersion '{version}'. They are valid \
         in apiVersion 'v2'"
    ))
}
