//! Signed decisions that hold for a commit: files under `.pilotis/decisions/`, and `Derogation`
//! objects of the project's namespace, whose `envelope` is such a file.
//!
//! They are honoured only when a key of ConfigMap `pilotis-system/pilotis-approvers` signed them.
//! Its entries are `NAME.pem`; tenants cannot write it. One that is not honoured is logged, and the
//! rule it would have set aside blocks.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DynamicObject, ListParams};
use kube::{Api, ResourceExt};
use pilotis_check::Tree;
use pilotis_check::decisions::{Approver, Decision, Decisions};
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use pilotis_kinds::pilotis::DEROGATION;
use pilotis_signing::PublicKey;

use crate::Context;
use crate::api::{self, Error};

/// Public keys of those who may decide.
const APPROVERS: &str = "pilotis-approvers";
/// Where a repository keeps decisions about it.
const FOLDER: &str = ".pilotis/decisions/";
/// Most decisions of one commit read.
const DECISIONS_MAX: usize = 200;

/// The decisions of a commit that hold for its project.
pub(crate) async fn read(
    files: &Tree,
    project: &str,
    context: &Context,
) -> Result<Decisions, Error> {
    let mut decisions = Decisions {
        all: Vec::new(),
        now: Some(Timestamp::now()),
    };
    let own = files
        .iter()
        .filter(|(path, _)| path.starts_with(FOLDER) && path.ends_with(".json"));
    let own: Vec<(&String, &Vec<u8>)> = own.take(DECISIONS_MAX).collect();
    let objects = objects(project, context).await?;
    if own.is_empty() && objects.is_empty() {
        return Ok(decisions);
    }
    let approvers = approvers(context).await?;
    for object in &objects {
        let (name, spec) = (object.name_any(), &object.data["spec"]);
        match Decision::open_object((&name, spec), project, &approvers) {
            Ok(decision) => decisions.all.push(decision),
            Err(refused) => tracing::info!(project, name, %refused, "derogation is not honoured"),
        }
    }
    for (path, bytes) in own {
        match Decision::open(&String::from_utf8_lossy(bytes), project, &approvers) {
            Ok(decision) => decisions.all.push(decision),
            Err(refused) => tracing::info!(project, path, %refused, "decision is not honoured"),
        }
    }
    Ok(decisions)
}

/// The derogations of a project's namespace; a cluster that knows no such kind has none.
async fn objects(project: &str, context: &Context) -> Result<Vec<DynamicObject>, Error> {
    let namespace = format!("project-{project}");
    let resource = api::resource(&DEROGATION);
    let api: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &namespace, &resource);
    let parameters = ListParams::default().limit(DECISIONS_MAX as u32);
    match api.list(&parameters).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(Error::api("list derogations")(error)),
    }
}

async fn approvers(context: &Context) -> Result<Vec<Approver>, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(context.client.clone(), SYSTEM_NAMESPACE);
    let map = maps
        .get_opt(APPROVERS)
        .await
        .map_err(Error::api("read the approvers"))?;
    let entries = map.and_then(|map| map.data).unwrap_or_default();
    let read = |(file, pem): (String, String)| {
        let name = file.strip_suffix(".pem")?.to_owned();
        match PublicKey::from_pem(&pem) {
            Ok(key) => Some(Approver { name, key }),
            Err(error) => {
                tracing::warn!(name, %error, "an approver's key is malformed");
                None
            }
        }
    };
    Ok(entries.into_iter().filter_map(read).collect())
}
