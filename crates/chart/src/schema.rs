//! `values.schema.json`: the merged values against the schema of each chart.
//!
//! Rendering reads nothing: no reference leads to the network, and none finds a file.

mod causes;
mod formats;
mod patterns;
mod plain;
mod quick;
mod refused;
mod words;

use std::cell::RefCell;
use std::rc::Rc;

use boon::{Compiler, Schemas, UrlLoader};
use pilotis_template::{Table, Tree, Url, lossy, quote};
use serde_json::Value as Json;

use crate::errors::Error;
use crate::load::Chart;
use crate::warnings::Warning;

/// Checks a chart and its subcharts.
pub(crate) fn check(
    chart: &Chart,
    values: &Table,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    let mut text = String::new();
    collect(chart, values, warnings, &mut text);
    if text.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!(
        "values don't meet the specifications of the schema(s) in the following chart(s):\n{text}"
    )))
}

/// Bytes of the schemas of the chart and its subcharts.
pub(crate) fn bytes(chart: &Chart) -> usize {
    let below: usize = chart.dependencies.iter().map(bytes).sum();
    chart.schema.as_ref().map_or(0, String::len) + below
}

fn collect(chart: &Chart, values: &Table, warnings: &mut Vec<Warning>, out: &mut String) {
    if let Some(schema) = &chart.schema
        && let Err(message) = validate(schema, &Json::Object(values.to_json()), warnings)
    {
        out.push_str(&format!("{}:\n{message}", chart.name()));
    }
    for child in &chart.dependencies {
        match values.get(child.name()) {
            None | Some(Tree::Null) => {}
            Some(Tree::Table(own)) => collect(child, own, warnings, out),
            Some(other) => {
                let kind = match other {
                    Tree::Bool(_) => "bool",
                    Tree::Int(_) | Tree::Float(_) => "float64",
                    Tree::Text(_) => "string",
                    _ => "[]interface {}",
                };
                out.push_str(&format!(
                    "{}:\ninvalid type for values: expected object (map), got {kind}\n",
                    child.name()
                ));
            }
        }
    }
}

const ADDRESS: &str = "file:///values.schema.json";

/// What is behind a reference to another document: nothing, but for a `urn:`, behind which is a
/// schema that takes anything.
#[derive(Default, Clone)]
struct Elsewhere {
    /// The `urn:` references that were followed.
    ignored: Rc<RefCell<Vec<String>>>,
}

impl UrlLoader for Elsewhere {
    fn load(&self, url: &str) -> Result<Json, Box<dyn std::error::Error>> {
        let parsed = Url::parse(url.as_bytes())?;
        let message = match &parsed.scheme[..] {
            b"urn" => {
                self.ignored.borrow_mut().push(url.to_owned());
                return Ok(Json::Bool(true));
            }
            b"file" => format!("open {}: no such file or directory", lossy(&parsed.path)),
            b"http" | b"https" => {
                format!("the schema refers to {url}, which is not read while rendering")
            }
            _ => unregistered(url),
        };
        Err(message.into())
    }
}

fn unregistered(url: &str) -> String {
    format!("no URLLoader registered for {}", quote(url.as_bytes()))
}

/// Checks values against one schema; the error is Helm's list of causes.
pub(crate) fn validate(
    schema: &str,
    values: &Json,
    warnings: &mut Vec<Warning>,
) -> Result<(), String> {
    let complaint = |_| pilotis_template::json_complaint(schema.as_bytes());
    let schema: Json = serde_json::from_str(schema).map_err(complaint)?;
    if plain::is_schema(&schema) && quick::judge(&schema, values) == quick::Verdict::Yes {
        return Ok(());
    }
    let elsewhere = Elsewhere::default();
    let held = hold(schema, values, &elsewhere);
    for urn in elsewhere.ignored.take() {
        let warning = ignored(urn);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    held
}

fn ignored(urn: String) -> Warning {
    let message = "unresolved URN reference ignored; using permissive schema";
    let older = format!("WARNING: {message}: {urn}");
    Warning::new(message, vec![("urn", urn)], ("jsonschema.go:192", older))
}

/// What the validator says of values.
fn hold(mut schema: Json, values: &Json, elsewhere: &Elsewhere) -> Result<(), String> {
    if let Some(name) = schema.get("$schema").and_then(Json::as_str) {
        let name = name.split('#').next().unwrap_or_default();
        if Url::parse(name.as_bytes()).is_ok_and(|url| url.scheme.is_empty()) {
            let (shown, why) = (quote(name.as_bytes()), unregistered(name));
            return Err(format!("failing loading {shown}: {why}"));
        }
    }
    let originals = patterns::translate(&mut schema);
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(elsewhere.clone()));
    formats::register(&mut compiler);
    let refused = |error| refused::told(&error, &originals);
    compiler.add_resource(ADDRESS, schema).map_err(refused)?;
    let index = compiler.compile(ADDRESS, &mut schemas).map_err(refused)?;
    let result = schemas.validate(values, index);
    result.map_err(|error| causes::told(&error, &originals))
}
