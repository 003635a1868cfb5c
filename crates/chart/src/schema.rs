//! `values.schema.json`: the merged values against the schema of each chart.
//!
//! References to the network or to files are refused: rendering must not read anything.

mod causes;
mod formats;
mod patterns;
mod plain;
mod quick;
mod refused;
mod words;

use boon::{Compiler, Schemas, UrlLoader};
use pilotis_template::{Table, Tree};
use serde_json::Value as Json;

use crate::errors::Error;
use crate::load::Chart;

/// Checks a chart and its subcharts.
pub(crate) fn check(chart: &Chart, values: &Table) -> Result<(), Error> {
    let mut text = String::new();
    collect(chart, values, &mut text);
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

fn collect(chart: &Chart, values: &Table, out: &mut String) {
    if let Some(schema) = &chart.schema
        && let Err(message) = validate(schema, &Json::Object(values.to_json()))
    {
        out.push_str(&format!("{}:\n{message}", chart.name()));
    }
    for child in &chart.dependencies {
        match values.get(child.name()) {
            None | Some(Tree::Null) => {}
            Some(Tree::Table(own)) => collect(child, own, out),
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

/// Refuses references to anything outside the schema itself.
struct NoLoader;

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<Json, Box<dyn std::error::Error>> {
        Err(format!("the schema refers to {url}, which is not read while rendering").into())
    }
}

/// Checks values against one schema; the error is Helm's list of causes.
pub(crate) fn validate(schema: &str, values: &Json) -> Result<(), String> {
    let complaint = |_| pilotis_template::json_complaint(schema.as_bytes());
    let schema: Json = serde_json::from_str(schema).map_err(complaint)?;
    if plain::is_schema(&schema) && quick::judge(&schema, values) == quick::Verdict::Yes {
        return Ok(());
    }
    hold(schema, values)
}

/// What the validator says of values.
fn hold(mut schema: Json, values: &Json) -> Result<(), String> {
    let originals = patterns::translate(&mut schema);
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(NoLoader));
    formats::register(&mut compiler);
    let refused = |error| refused::told(&error, &originals);
    compiler.add_resource(ADDRESS, schema).map_err(refused)?;
    let index = compiler.compile(ADDRESS, &mut schemas).map_err(refused)?;
    let result = schemas.validate(values, index);
    result.map_err(|error| causes::told(&error, &originals))
}
