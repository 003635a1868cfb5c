//! `ValidatingAdmissionPolicy`: conditions in CEL, bound to places and parameters.
//!
//! A policy without a binding does nothing. What cannot be evaluated refuses, unless the policy
//! says `failurePolicy: Ignore`. The name `authorizer` is not known to expressions, and `Audit` as
//! the only action lets the request pass without a note.

use pilotis_policy::Scope;
use pilotis_store::{Key, Query};
use serde_json::Value;

use super::{Request, conditions, matching};
use crate::cel;
use crate::context;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::selectors::Labels;

const GROUP: &str = "admissionregistration.k8s.io";
/// Objects of parameters one binding may choose.
const PARAMS_COUNT_MAX: usize = 256;

/// Refuses what a bound policy refuses.
pub(super) fn validate(request: &Request<'_>, object: Option<&Value>) -> Outcome<()> {
    if request.kind.group == GROUP {
        return Ok(());
    }
    let subject = object.or(request.old).unwrap_or(&Value::Null);
    for binding in stored(request, "validatingadmissionpolicybindings") {
        let policy = binding["spec"]["policyName"].as_str().unwrap_or_default();
        let key = Key::new(
            &format!("{GROUP}/validatingadmissionpolicies").into(),
            "",
            policy,
        );
        let Some(entry) = request.context.api.store.get(&key) else {
            continue;
        };
        let policy: Value = serde_json::from_slice(&entry.bytes)?;
        let places = &binding["spec"]["matchResources"];
        if constraints_match(request, &policy["spec"]["matchConstraints"], subject)
            && (places.is_null() || constraints_match(request, places, subject))
        {
            let bound = Bound {
                request,
                policy: &policy,
                binding: &binding,
                name: meta::name(subject),
            };
            bound.judge(object)?;
        }
    }
    Ok(())
}

fn stored(request: &Request<'_>, plural: &str) -> Vec<Value> {
    let query = Query {
        table: format!("{GROUP}/{plural}"),
        ..Query::default()
    };
    let page = request.context.api.store.list(&query, &|_| true);
    let entries = page.map(|page| page.entries).unwrap_or_default();
    let read = |entry: &pilotis_store::Entry| serde_json::from_slice(&entry.bytes).ok();
    entries.iter().filter_map(read).collect()
}

/// Whether match constraints name this write; without rules they name every one.
fn constraints_match(request: &Request<'_>, constraints: &Value, object: &Value) -> bool {
    let named = |field: &str| {
        let rules = constraints[field].as_array();
        rules.map(|rules| rules.iter().any(|rule| rule_matches(request, rule, object)))
    };
    named("resourceRules").unwrap_or(true)
        && !named("excludeResourceRules").unwrap_or(false)
        && matching::selectors_match(request, constraints, object)
}

fn rule_matches(request: &Request<'_>, rule: &Value, object: &Value) -> bool {
    let names = rule["resourceNames"].as_array().filter(|n| !n.is_empty());
    names.is_none_or(|names| names.iter().any(|n| n == meta::name(object)))
        && matching::rule_matches(request, rule)
}

/// A policy in one of the places it is bound to.
struct Bound<'a> {
    request: &'a Request<'a>,
    policy: &'a Value,
    binding: &'a Value,
    name: &'a str,
}

impl Bound<'_> {
    fn judge(&self, object: Option<&Value>) -> Outcome<()> {
        if self.policy["spec"]["paramKind"].is_null() {
            return self.judge_with(object, &Value::Null);
        }
        let params = match self.params() {
            Ok(params) => params,
            Err(why) => return self.broken(&why),
        };
        if params.is_empty() {
            return match self.binding["spec"]["paramRef"]["parameterNotFoundAction"].as_str() {
                Some("Allow") => Ok(()),
                _ => self.broken(
                    "no params found for policy binding with `Deny` \
                                  parameterNotFoundAction",
                ),
            };
        }
        let mut params = params.iter();
        params.try_for_each(|params| self.judge_with(object, params))
    }

    fn judge_with(&self, object: Option<&Value>, params: &Value) -> Outcome<()> {
        let Some(mut scope) = conditions::scope(self.request, object, params) else {
            return self.broken("object too large");
        };
        match conditions::all_hold(&scope, &self.policy["spec"]["matchConditions"]) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(why) => return self.broken(&why),
        }
        for variable in list(&self.policy["spec"]["variables"]) {
            let name = variable["name"].as_str().unwrap_or_default();
            match cel::compiled(variable["expression"].as_str().unwrap_or_default()) {
                Ok(expression) => scope.define(name, &expression),
                Err(why) => return self.broken(&why),
            }
        }
        for validation in list(&self.policy["spec"]["validations"]) {
            match conditions::holds(&scope, validation) {
                Ok(true) => {}
                Ok(false) => self.refuse(&message(&scope, validation), validation)?,
                Err(why) => self.broken(&why)?,
            }
        }
        Ok(())
    }

    /// Objects that parametrise the policy here.
    fn params(&self) -> Result<Vec<Value>, String> {
        let wanted = &self.policy["spec"]["paramKind"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let api_version = text(&wanted["apiVersion"]);
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let name = text(&wanted["kind"]);
        let mut kinds = self.request.context.kinds.of_version(group, version);
        let kind = kinds
            .find(|kind| kind.kind == name)
            .ok_or("failed to find resource referenced by paramKind")?;
        let reference = &self.binding["spec"]["paramRef"];
        let namespace = match reference["namespace"].as_str() {
            _ if !kind.namespaced => "",
            Some(namespace) => namespace,
            None => self.request.namespace,
        };
        if let Some(name) = reference["name"].as_str().filter(|n| !n.is_empty()) {
            let key = context::key(kind, namespace, name);
            let found = self.request.context.api.store.get(&key);
            let read = |e: pilotis_store::Entry| crate::convert::served(kind, &e).ok();
            return Ok(found.and_then(read).into_iter().collect());
        }
        let labels = Labels::from_object(&reference["selector"]).ok_or("unreadable selector")?;
        self.selected(kind, namespace, &labels)
    }

    fn selected(
        &self,
        kind: &Kind,
        namespace: &str,
        labels: &Labels,
    ) -> Result<Vec<Value>, String> {
        let query = Query {
            table: kind.table.to_string(),
            namespace: Some(namespace.to_owned()).filter(|n| !n.is_empty()),
            limit: PARAMS_COUNT_MAX,
            ..Query::default()
        };
        let keep = |entry: &pilotis_store::Entry| labels.matches(|l| entry.header.label(l));
        let page = self.request.context.api.store.list(&query, &keep);
        let page = page.map_err(|e| e.to_string())?;
        let read = |entry| crate::convert::served(kind, entry).ok();
        Ok(page.entries.iter().filter_map(read).collect())
    }

    /// What cannot be evaluated refuses, or not, as the policy says.
    fn broken(&self, why: &str) -> Outcome<()> {
        if self.policy["spec"]["failurePolicy"] == "Ignore" {
            return Ok(());
        }
        self.refuse(why, &Value::Null)
    }

    fn refuse(&self, message: &str, validation: &Value) -> Outcome<()> {
        let (policy, binding) = (meta::name(self.policy), meta::name(self.binding));
        let actions = list(&self.binding["spec"]["validationActions"]);
        let mut actions = actions.filter_map(Value::as_str).peekable();
        let denies = actions.peek().is_none();
        let actions: Vec<&str> = actions.collect();
        if actions.contains(&"Warn") {
            self.request.context.warn(format!(
                "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding \
                 '{binding}': {message}"
            ));
        }
        if !denies && !actions.contains(&"Deny") {
            return Ok(());
        }
        let why = format!(
            "ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {message}"
        );
        let mut failure = Failure::forbidden(self.request.kind, self.name, &why);
        (failure.code, failure.reason) = match validation["reason"].as_str() {
            Some("Unauthorized") => (401, "Unauthorized"),
            Some("Forbidden") => (403, "Forbidden"),
            Some("RequestEntityTooLarge") => (413, "RequestEntityTooLarge"),
            _ => (422, "Invalid"),
        };
        Err(failure)
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What a broken validation says: its own words as computed, as written, or its expression.
fn message(scope: &Scope, validation: &Value) -> String {
    let computed = validation["messageExpression"].as_str();
    if let Some(text) = computed.and_then(|expression| cel::text(scope, expression)) {
        return text;
    }
    match validation["message"].as_str() {
        Some(text) if !text.is_empty() => text.trim().to_owned(),
        _ => {
            let expression = validation["expression"].as_str().unwrap_or_default();
            format!("failed expression: {expression}")
        }
    }
}
