//! Cluster IP addresses of Services: unique, inside the service range, kept while the Service
//! lives.
//!
//! The Services in the store are the record of what is taken; a lock spans choosing an address and
//! storing it, so two creations cannot choose the same one.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use pilotis_store::{Query, Store};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::{Cause, Failure, Outcome};
use crate::kind::Kind;
use crate::meta;

/// Hands out addresses of one IPv4 range.
pub(crate) struct Allocator {
    first: u32,
    count: u32,
    taken: Arc<Mutex<HashSet<u32>>>,
}

/// An address being given out; forgotten once the Service is stored or refused.
pub(crate) struct Reserved {
    taken: Arc<Mutex<HashSet<u32>>>,
    address: u32,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.address);
    }
}

impl Allocator {
    /// `prefix` such as 16 of the range that starts at `base`.
    pub(crate) fn new(base: Ipv4Addr, prefix: u8) -> Self {
        let size = 1_u32
            .checked_shl(32 - u32::from(prefix.clamp(8, 30)))
            .unwrap_or(0);
        let first = u32::from(base) & !(size - 1);
        Self {
            first,
            count: size,
            taken: Arc::default(),
        }
    }

    /// The whole range, as `10.96.0.0/16`.
    pub(crate) fn range(&self) -> String {
        let prefix = 32 - self.count.trailing_zeros();
        format!("{}/{prefix}", Ipv4Addr::from(self.first))
    }

    /// The address of the `kubernetes` Service: the first of the range.
    pub(crate) fn kubernetes(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.first + 1)
    }

    /// Fills in `clusterIP` and what goes with it; the answer must live until the Service is
    /// stored.
    pub(crate) fn assign(
        &self,
        store: &Store,
        kind: &Kind,
        old: Option<&Value>,
        service: &mut Value,
    ) -> Outcome<Option<Reserved>> {
        if &*kind.table != "/services" {
            return Ok(None);
        }
        let service_type = service["spec"]["type"]
            .as_str()
            .unwrap_or("ClusterIP")
            .to_owned();
        if service_type == "ExternalName" {
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if let Some(spec) = service["spec"].as_object_mut() {
                    spec.remove(field);
                }
            }
            return Ok(None);
        }
        let wanted = service["spec"]["clusterIP"]
            .as_str()
            .unwrap_or("")
            .to_owned();
        let kept = old
            .and_then(|o| o["spec"]["clusterIP"].as_str())
            .unwrap_or("");
        if wanted.is_empty() && !kept.is_empty() {
            meta::set(service, &["spec", "clusterIP"], kept.into());
            settle(service, kept);
            return Ok(None);
        }
        if wanted == "None" || (!wanted.is_empty() && wanted == kept) {
            settle(service, &wanted);
            return Ok(None);
        }
        if !kept.is_empty() && kept != "None" {
            let cause = invalid("Invalid value", &wanted, "field is immutable");
            return Err(Failure::invalid(kind, meta::name(service), &[cause]));
        }
        let address = self.choose(store, kind, service, &wanted)?;
        let text = Ipv4Addr::from(address.address).to_string();
        meta::set(service, &["spec", "clusterIP"], text.clone().into());
        settle(service, &text);
        Ok(Some(address))
    }

    fn choose(
        &self,
        store: &Store,
        kind: &Kind,
        service: &Value,
        wanted: &str,
    ) -> Outcome<Reserved> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = used(store);
        used.extend(taken.iter());
        let refuse = |detail: &str| {
            let cause = invalid("Invalid value", wanted, detail);
            Err(Failure::invalid(kind, meta::name(service), &[cause]))
        };
        let address = if wanted.is_empty() {
            let reserved = self.kubernetes();
            let mut free = (self.first + 1..self.first + self.count - 1)
                .filter(|a| *a != u32::from(reserved) && !used.contains(a));
            free.next()
                .ok_or_else(|| Failure::internal("range of cluster IPs is full"))?
        } else {
            let Ok(address) = wanted.parse::<Ipv4Addr>() else {
                return refuse("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
            };
            let address = u32::from(address);
            if !(self.first..self.first + self.count).contains(&address) {
                return refuse(
                    "failed to allocate IP: the provided network does not match the current range",
                );
            }
            if used.contains(&address) {
                return refuse("failed to allocate IP: provided IP is already allocated");
            }
            address
        };
        taken.insert(address);
        Ok(Reserved {
            taken: Arc::clone(&self.taken),
            address,
        })
    }
}

fn invalid(what: &str, value: &str, detail: &str) -> Cause {
    Cause {
        reason: "FieldValueInvalid",
        message: format!("{what}: \"{value}\": {detail}"),
        field: "spec.clusterIPs[0]".into(),
    }
}

fn used(store: &Store) -> HashSet<u32> {
    let query = Query {
        table: "/services".into(),
        ..Query::default()
    };
    let Ok(page) = store.list(&query, &|_| true) else {
        return HashSet::new();
    };
    page.entries
        .iter()
        .filter_map(|entry| {
            entry
                .header
                .field("spec.clusterIP")?
                .parse::<Ipv4Addr>()
                .ok()
        })
        .map(u32::from)
        .collect()
}

/// The fields that follow from the address.
fn settle(service: &mut Value, address: &str) {
    meta::set(service, &["spec", "clusterIPs"], json!([address]));
    meta::set(service, &["spec", "ipFamilies"], json!(["IPv4"]));
    if service["spec"]["ipFamilyPolicy"].is_null() {
        meta::set(service, &["spec", "ipFamilyPolicy"], "SingleStack".into());
    }
}
