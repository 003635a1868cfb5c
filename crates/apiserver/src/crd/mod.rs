//! Custom kinds: definitions become kinds like any other, with schema, columns and subresources.
//!
//! Versions are not converted (strategy `None`): one stored form is shown under every served
//! version
//! with another `apiVersion`. CEL rules of schemas are stored and published but not evaluated.

pub(crate) mod check;
pub(crate) mod cleanup;
pub(crate) mod definition;
pub(crate) mod prune;
pub(crate) mod rules;
pub(crate) mod schema;

use pilotis_kinds::columns::CustomColumns;
use pilotis_kinds::document::Node;
use pilotis_kinds::schema::Type;
use pilotis_kinds::typed;
use pilotis_store::{Query, Store};
use serde_json::{Value, json};

use crate::catalogue::DEFINITIONS;
use crate::failure::{Failure, Outcome};
use crate::kind::{Kind, Subresource, api_version};

/// What a custom kind has beyond a built-in one.
pub(crate) struct Custom {
    /// Extra fields for field selectors.
    pub(crate) selectable: Vec<String>,
    pub(crate) columns: CustomColumns,
    pub(crate) scale: Option<ScalePaths>,
    /// `openAPIV3Schema`, `{}` if there is none.
    pub(crate) schema: Value,
    /// The schema declares defaults, which older stored objects may lack.
    pub(crate) has_defaults: bool,
}

/// Where a custom kind keeps its replicas.
#[derive(Debug, Clone)]
pub(crate) struct ScalePaths {
    pub(crate) spec: String,
    pub(crate) status: String,
    pub(crate) selector: Option<String>,
}

const VERBS: &[&str] = &[
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// Kinds of all accepted definitions, every served version.
pub(crate) fn served_kinds(store: &Store) -> Vec<Kind> {
    let query = Query {
        table: DEFINITIONS.into(),
        ..Query::default()
    };
    let Ok(page) = store.list(&query, &|_| true) else {
        return Vec::new();
    };
    page.entries
        .iter()
        .filter_map(|entry| serde_json::from_slice::<Value>(&entry.bytes).ok())
        .filter(definition::is_established)
        .flat_map(|definition| kinds_of(&definition))
        .collect()
}

/// The kinds of one definition, the newest version first.
fn kinds_of(definition: &Value) -> Vec<Kind> {
    let spec = &definition["spec"];
    let versions: Vec<&Value> = spec["versions"].as_array().into_iter().flatten().collect();
    let stored = versions.iter().find(|v| v["storage"] == true);
    let stored = stored.and_then(|v| v["name"].as_str()).unwrap_or("");
    let mut served: Vec<&Value> = versions
        .iter()
        .copied()
        .filter(|v| v["served"] == true)
        .collect();
    served.sort_by_key(|v| std::cmp::Reverse(priority(v["name"].as_str().unwrap_or(""))));
    served
        .into_iter()
        .filter_map(|version| kind_of(definition, version, stored))
        .collect()
}

/// Upstream's order of versions: `v2` > `v1` > `v1beta2` > `v1alpha1` > anything else.
fn priority(version: &str) -> (u8, u32, u32, std::cmp::Reverse<String>) {
    let name = std::cmp::Reverse(version.to_owned());
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let major: u32 = rest[..digits].parse().ok()?;
        let tail = &rest[digits..];
        let (rank, minor) = match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
            _ if tail.is_empty() => (3, 0),
            (Some(minor), _) => (2, minor.parse().ok()?),
            (_, Some(minor)) => (1, minor.parse().ok()?),
            _ => return None,
        };
        Some((rank, major, minor))
    };
    let (rank, major, minor) = parse().unwrap_or((0, 0, 0));
    (rank, major, minor, name)
}

fn kind_of(definition: &Value, version: &Value, stored: &str) -> Option<Kind> {
    let (spec, names) = (&definition["spec"], &definition["status"]["acceptedNames"]);
    let group = spec["group"].as_str()?.to_owned();
    let version_name = version["name"].as_str()?.to_owned();
    let text = |field: &str| names[field].as_str().unwrap_or("").to_owned();
    let list = |field: &str| -> Vec<String> {
        let items = names[field].as_array().into_iter().flatten();
        items
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let root = version["schema"]
        .get("openAPIV3Schema")
        .cloned()
        .unwrap_or_else(|| json!({}));
    let types = schema::to_types(&root, spec["preserveUnknownFields"] == true);
    let columns = version["additionalPrinterColumns"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let columns = CustomColumns::new(&columns)
        .or_else(|_| CustomColumns::new(&[]))
        .ok()?;
    let fields = version["selectableFields"].as_array().into_iter().flatten();
    let custom = Custom {
        selectable: fields
            .filter_map(|f| f["jsonPath"].as_str())
            .map(|p| p.trim_start_matches('.').to_owned())
            .collect(),
        columns,
        scale: scale_paths(&version["subresources"]["scale"]),
        has_defaults: prune::has_defaults(&root),
        schema: root,
    };
    let below = subresources(
        &version["subresources"],
        (&group, &version_name, &text("kind")),
    );
    Some(Kind {
        table: format!("{group}/{}", text("plural")).into(),
        stored_api_version: api_version(&group, stored),
        kind: text("kind"),
        plural: text("plural"),
        singular: text("singular"),
        short_names: list("shortNames"),
        categories: list("categories"),
        namespaced: spec["scope"] == "Namespaced",
        verbs: VERBS.iter().map(|v| (*v).to_owned()).collect(),
        subresources: below,
        types,
        type_name: schema::ROOT.into(),
        ty: Type::Ref(schema::ROOT.into()),
        resource: None,
        custom: Some(custom),
        list_kind: text("listKind"),
        group,
        version: version_name,
    })
}

fn scale_paths(scale: &Value) -> Option<ScalePaths> {
    Some(ScalePaths {
        spec: scale["specReplicasPath"].as_str()?.to_owned(),
        status: scale["statusReplicasPath"].as_str()?.to_owned(),
        selector: scale["labelSelectorPath"].as_str().map(str::to_owned),
    })
}

fn subresources(declared: &Value, own: (&str, &str, &str)) -> Vec<Subresource> {
    let verbs: Vec<String> = ["get", "patch", "update"].map(str::to_owned).into();
    let make = |name: &str, (group, version, kind): (&str, &str, &str)| Subresource {
        name: name.into(),
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        verbs: verbs.clone(),
    };
    let mut all = Vec::new();
    if declared["status"].is_object() {
        all.push(make("status", own));
    }
    if declared["scale"].is_object() {
        all.push(make("scale", ("autoscaling", "v1", "Scale")));
    }
    all
}

/// Drops what the schema does not know and brings metadata to canonical form.
pub(crate) fn fit(kind: &Kind, custom: &Custom, document: Node) -> Outcome<(Value, Vec<String>)> {
    let mut strict = Vec::new();
    prune::duplicates(&document, &mut String::new(), &mut strict);
    let mut object = Value::from(document);
    if !object.is_object() {
        return Err(Failure::bad_request("the request body is not an object"));
    }
    if let Some(metadata) = object.get_mut("metadata") {
        let given = metadata.take();
        let decoded = typed::decode(&kind.types, schema::OBJECT_META, Node::from(given))
            .map_err(|e| Failure::bad_request(e.handled_as(&kind.version, &kind.kind)))?;
        *metadata = decoded.value;
        let under = |line: &String| line.replacen("field \"", "field \"metadata.", 1);
        strict.extend(decoded.strict.iter().map(under));
    }
    prune::prune(&custom.schema, &mut object, &mut strict);
    Ok((object, strict))
}
