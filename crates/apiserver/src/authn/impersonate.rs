//! Acting as somebody else: `Impersonate-*` headers, each value authorised on its own.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::User;
use crate::api::Api;
use crate::authz::{Attributes, Decision};
use crate::failure::{Failure, Outcome};

/// Values of one request; more are refused.
const VALUES_COUNT_MAX: usize = 256;

/// The user to act as: the caller, or whom the caller names and may impersonate.
pub(crate) fn apply(api: &Api, headers: &HeaderMap, caller: User) -> Outcome<User> {
    let values = |name: &str| -> Vec<String> {
        let all = headers.get_all(name).iter();
        all.filter_map(|v| v.to_str().ok().map(str::to_owned))
            .collect()
    };
    let (users, groups) = (values("impersonate-user"), values("impersonate-group"));
    let (uids, extra) = (values("impersonate-uid"), extra(headers));
    if users.is_empty() && groups.is_empty() && uids.is_empty() && extra.is_empty() {
        return Ok(caller);
    }
    let Some(name) = users.first().filter(|u| !u.is_empty()) else {
        let message = "requested impersonation without a user name";
        return Err(Failure::bad_request(message));
    };
    if groups.len() + extra.len() > VALUES_COUNT_MAX {
        return Err(Failure::bad_request("too many impersonation headers"));
    }
    let mut wanted = User {
        name: name.clone(),
        uid: uids.first().cloned().unwrap_or_default(),
        groups,
        extra,
        impersonated_by: Some(caller.name.clone()),
    };
    authorize(api, &caller, &wanted)?;
    complete(&mut wanted);
    Ok(wanted)
}

fn extra(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix("impersonate-extra-")
            && let Ok(value) = value.to_str()
        {
            extra
                .entry(key.replace("%2f", "/"))
                .or_default()
                .push(value.to_owned());
        }
    }
    extra
}

fn authorize(api: &Api, caller: &User, wanted: &User) -> Outcome<()> {
    let account = wanted.name.strip_prefix("system:serviceaccount:");
    match account.and_then(|rest| rest.split_once(':')) {
        Some((namespace, name)) => {
            check(
                api,
                caller,
                &attributes("", "serviceaccounts", namespace, name),
            )?;
        }
        None => check(api, caller, &attributes("", "users", "", &wanted.name))?,
    }
    for group in &wanted.groups {
        check(api, caller, &attributes("", "groups", "", group))?;
    }
    let group = "authentication.k8s.io";
    if !wanted.uid.is_empty() {
        check(api, caller, &attributes(group, "uids", "", &wanted.uid))?;
    }
    for (key, values) in &wanted.extra {
        for value in values {
            let mut attributes = attributes(group, "userextras", "", value);
            attributes.subresource = key.clone();
            check(api, caller, &attributes)?;
        }
    }
    Ok(())
}

fn attributes(group: &str, resource: &str, namespace: &str, name: &str) -> Attributes {
    Attributes {
        verb: "impersonate".into(),
        group: group.into(),
        resource: resource.into(),
        namespace: namespace.into(),
        name: name.into(),
        ..Attributes::default()
    }
}

fn check(api: &Api, caller: &User, attributes: &Attributes) -> Outcome<()> {
    match api.authorizer.decide(&api.store, caller, attributes) {
        Decision::Allowed(_) => Ok(()),
        Decision::Denied => Err(crate::authz::refusal(caller, attributes)),
    }
}

/// Groups every user has, and those of a ServiceAccount when none were named.
fn complete(user: &mut User) {
    if user.name == "system:anonymous" {
        if !user.is_in("system:unauthenticated") {
            user.groups.push("system:unauthenticated".into());
        }
        return;
    }
    let account = user
        .name
        .strip_prefix("system:serviceaccount:")
        .map(str::to_owned);
    if let Some((namespace, _)) = account.as_deref().and_then(|a| a.split_once(':'))
        && user.groups.is_empty()
    {
        user.groups.push("system:serviceaccounts".into());
        user.groups
            .push(format!("system:serviceaccounts:{namespace}"));
    }
    if !user.is_in("system:authenticated") {
        user.groups.push("system:authenticated".into());
    }
}
