//! `/openapi/v3` and `/openapi/v2`: documents made on demand and kept until the kinds change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use http::header::ETAG;
use pilotis_kinds::openapi::{self, Described, DescribedSub, Shape};

use crate::catalogue::Snapshot;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::respond::{self, Answer};

/// What clients of version 2 call its protobuf form, and what the answer calls it.
const GNOSTIC: &str = "com.github.proto-openapi.spec.v2";
const GNOSTIC_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Revision of the definitions; documents and their hashes by path.
type Kept = (u64, HashMap<String, (Bytes, String)>);

/// Documents by path, of one revision of the definitions.
#[derive(Default)]
pub(crate) struct Documents {
    kept: Mutex<Kept>,
}

impl Documents {
    /// Answers a path under `/openapi`.
    pub(crate) fn answer(
        &self,
        snapshot: &Arc<Snapshot>,
        path: &str,
        accept: &str,
    ) -> Outcome<Answer> {
        if path == "/openapi/v2" {
            return self.v2(snapshot, accept);
        }
        if path == "/openapi/v3" || path == "/openapi/v3/" {
            return Ok(self.index(snapshot));
        }
        let wanted = path
            .strip_prefix("/openapi/v3/")
            .ok_or_else(Failure::no_resource)?;
        let group_version = group_versions(snapshot)
            .into_iter()
            .find(|(group, version)| openapi::path(group, version) == wanted);
        let (group, version) = group_version.ok_or_else(Failure::no_resource)?;
        let (bytes, hash) = self.document(snapshot, &group, &version);
        let mut answer = respond::json_bytes(200, bytes);
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{hash}\"")) {
            answer.headers_mut().insert(ETAG, tag);
        }
        Ok(answer)
    }

    fn index(&self, snapshot: &Arc<Snapshot>) -> Answer {
        let documents: Vec<(String, String)> = group_versions(snapshot)
            .iter()
            .map(|(group, version)| {
                (
                    openapi::path(group, version),
                    self.document(snapshot, group, version).1,
                )
            })
            .collect();
        let pairs = documents
            .iter()
            .map(|(path, hash)| (path.as_str(), hash.as_str()));
        respond::json(200, &openapi::index(pairs))
    }

    /// The older document, all groups in one, as protobuf for clients that ask for it.
    fn v2(&self, snapshot: &Arc<Snapshot>, accept: &str) -> Outcome<Answer> {
        let packed = accept.contains(GNOSTIC);
        let name = if packed { "v2 protobuf" } else { "v2" };
        let bytes = match self.kept(snapshot, name) {
            Some((bytes, _)) => bytes,
            None => {
                let mut documents = Vec::new();
                for (group, version) in group_versions(snapshot) {
                    let (bytes, _) = self.document(snapshot, &group, &version);
                    documents.push(serde_json::from_slice(&bytes)?);
                }
                let merged = openapi::v2(&documents);
                let bytes: Bytes = match packed {
                    true => openapi::gnostic(&merged).into(),
                    false => merged.to_string().into(),
                };
                self.keep(snapshot, name, (bytes.clone(), String::new()));
                bytes
            }
        };
        let content = if packed {
            GNOSTIC_TYPE
        } else {
            "application/json"
        };
        Ok(respond::typed(200, content, bytes))
    }

    /// A document made earlier from the same definitions.
    fn kept(&self, snapshot: &Snapshot, name: &str) -> Option<(Bytes, String)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != snapshot.revision {
            *kept = (snapshot.revision, HashMap::new());
        }
        kept.1.get(name).cloned()
    }

    fn keep(&self, snapshot: &Snapshot, name: &str, document: (Bytes, String)) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 == snapshot.revision {
            kept.1.insert(name.to_owned(), document);
        }
    }

    fn document(&self, snapshot: &Arc<Snapshot>, group: &str, version: &str) -> (Bytes, String) {
        let path = openapi::path(group, version);
        if let Some(found) = self.kept(snapshot, &path) {
            return found;
        }
        let described: Vec<Described<'_>> = snapshot
            .of_version(group, version)
            .map(|kind| describe(kind))
            .collect();
        let bytes = Bytes::from(openapi::v3(group, version, &described).to_string());
        let hash = openapi::content_hash(&bytes);
        self.keep(snapshot, &path, (bytes.clone(), hash.clone()));
        (bytes, hash)
    }
}

fn group_versions(snapshot: &Snapshot) -> Vec<(String, String)> {
    let groups = std::iter::once("").chain(snapshot.groups());
    groups
        .flat_map(|group| {
            let versions = snapshot.versions(group);
            versions
                .into_iter()
                .map(move |version| (group.to_owned(), version.to_owned()))
        })
        .collect()
}

fn describe(kind: &Kind) -> Described<'_> {
    if let Some(resource) = kind.resource {
        return Described::from(resource);
    }
    static NOTHING: serde_json::Value = serde_json::Value::Null;
    let schema = kind
        .custom
        .as_ref()
        .map_or(&NOTHING, |custom| &custom.schema);
    let subresources = kind.subresources.iter().map(|sub| DescribedSub {
        name: &sub.name,
        group: &sub.group,
        version: &sub.version,
        kind: &sub.kind,
        verbs: sub.verbs.iter().map(String::as_str).collect(),
    });
    Described {
        group: &kind.group,
        version: &kind.version,
        kind: &kind.kind,
        plural: &kind.plural,
        namespaced: kind.namespaced,
        verbs: kind.verbs.iter().map(String::as_str).collect(),
        subresources: subresources.collect(),
        shape: Shape::Custom(schema),
    }
}
