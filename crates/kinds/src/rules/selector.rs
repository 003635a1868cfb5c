//! Label selectors: their form, and whether labels match them.

use serde_json::Value;

use super::access::{list, text};
use super::{Findings, formats, meta};

/// Rules of a `LabelSelector` at a field.
pub(super) fn check(selector: &Value, field: &str, found: &mut Findings) {
    meta::labels(
        &selector["matchLabels"],
        &format!("{field}.matchLabels"),
        found,
    );
    for (index, rule) in list(selector, "matchExpressions").iter().enumerate() {
        let field = format!("{field}.matchExpressions[{index}]");
        let values = list(rule, "values");
        match text(rule, "operator") {
            "In" | "NotIn" if values.is_empty() => found.required(
                format!("{field}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => found.forbidden(
                format!("{field}.values"),
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let detail = "not a valid selector operator";
                found.invalid(format!("{field}.operator"), other, detail);
            }
        }
        let key = text(rule, "key");
        found.invalid_each(&format!("{field}.key"), key, formats::qualified_name(key));
    }
}

/// Whether labels match a `LabelSelector`; an empty one matches everything.
pub(super) fn matches(selector: &Value, labels: &Value) -> bool {
    let wanted = selector["matchLabels"].as_object();
    let equal = wanted
        .into_iter()
        .flatten()
        .all(|(key, value)| labels.get(key) == Some(value));
    equal
        && list(selector, "matchExpressions").iter().all(|rule| {
            let value = labels.get(text(rule, "key"));
            let listed = value.is_some_and(|value| list(rule, "values").contains(value));
            match text(rule, "operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}
