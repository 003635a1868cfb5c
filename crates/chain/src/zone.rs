//! The zone repository: what GitOps pulls. A promotion is a commit here and nothing else.
//!
//! One folder per environment, `<project>/<cluster>/<environment>/`, holds the Application and the
//! values that pin the image's digest. The root Application of the zone renders every folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use kube::Client;
use pilotis_git::{Author, Expected, NewCommit, Repository};
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use serde_json::json;

use crate::Settings;
use crate::api::{self, Error};

/// First path segment of zone repositories; reserved as a slug.
pub(crate) const PATH: &str = "zones";
/// The zone of a machine on its own.
pub(crate) const DEFAULT: &str = "default";
/// The branch GitOps follows.
pub(crate) const BRANCH: &str = "main";

/// Largest file of a zone that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Who writes the Applications of a zone: may do that and nothing else.
const ACCOUNT: &str = "pilotis-system:zone-deployer";

/// Folder of a zone's bare repository.
pub(crate) fn directory(settings: &Settings, zone: &str) -> PathBuf {
    settings.directory.join(PATH).join(format!("{zone}.git"))
}

/// Logical address of a zone's repository.
pub(crate) fn url(settings: &Settings, zone: &str) -> String {
    format!("{}/{PATH}/{zone}.git", settings.git_url)
}

/// Makes the zone's repository, its first commit, its Zone and Cluster objects and its root
/// Application.
pub(crate) async fn ensure(client: &Client, settings: &Settings) -> Result<(), Error> {
    let directory = directory(settings, DEFAULT);
    std::fs::create_dir_all(&directory).map_err(Error::git("create the zone repository"))?;
    let repository =
        Repository::init_bare(&directory).map_err(Error::git("open the zone repository"))?;
    let readme = b"Written by Pilotis. GitOps pulls this repository; do not edit by hand.\n";
    let refs = repository
        .refs()
        .map_err(Error::git("read the zone repository"))?;
    if refs.is_empty() {
        let files = BTreeMap::from([("README.md".to_owned(), Some(readme.to_vec()))]);
        commit(settings, files, "zone: begin")?;
    }
    for object in objects(settings) {
        api::apply(client, &object).await?;
    }
    Ok(())
}

fn objects(settings: &Settings) -> [serde_json::Value; 4] {
    let api_version = "pilotis.dev/v1alpha1";
    let url = url(settings, DEFAULT);
    let server = "https://kubernetes.default.svc";
    [
        json!({"apiVersion": api_version, "kind": "Zone", "metadata": {"name": DEFAULT},
            "spec": {"description": "This machine"}}),
        json!({"apiVersion": api_version, "kind": "Cluster", "metadata": {"name": "local"},
            "spec": {"zone": DEFAULT, "description": "The cluster Pilotis runs on"}}),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": "zones", "namespace": SYSTEM_NAMESPACE},
            "spec": {
                "sourceRepos": [url],
                "destinations": [
                    {"server": server, "namespace": "project-*"},
                    {"server": server, "namespace": SYSTEM_NAMESPACE},
                ],
                "destinationServiceAccounts": [
                    {"server": server, "namespace": "*", "defaultServiceAccount": ACCOUNT},
                ],
                "clusterResourceWhitelist": [],
                "namespaceResourceWhitelist": [{"group": "argoproj.io", "kind": "Application"}],
            },
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "zone-default", "namespace": SYSTEM_NAMESPACE},
            "spec": {
                "project": "zones",
                "source": {
                    "repoURL": url, "targetRevision": BRANCH, "path": ".",
                    "directory": {"recurse": true, "include": "*/application.yaml"},
                },
                "destination": {"server": server, "namespace": SYSTEM_NAMESPACE},
                "syncPolicy": {"automated": {
                    "prune": true, "selfHeal": true, "allowEmpty": true,
                }},
            },
        }),
    ]
}

/// A file as the zone has it now.
pub(crate) fn read(settings: &Settings, path: &str) -> Result<Option<Vec<u8>>, Error> {
    let repository = Repository::open(&directory(settings, DEFAULT))
        .map_err(Error::git("open the zone repository"))?;
    let head = repository
        .resolve(BRANCH)
        .map_err(Error::git("read the zone repository"))?;
    let file = repository
        .file(head, path, FILE_BYTES_MAX)
        .map_err(Error::git("read the zone repository"))?;
    Ok(file.map(|file| file.bytes))
}

/// Commits files of one folder; returns the commit.
pub(crate) fn commit(
    settings: &Settings,
    files: BTreeMap<String, Option<Vec<u8>>>,
    message: &str,
) -> Result<String, Error> {
    let repository = Repository::open(&directory(settings, DEFAULT))
        .map_err(Error::git("open the zone repository"))?;
    let wanted = NewCommit {
        branch: BRANCH.to_owned(),
        expected: Expected::Any,
        files,
        author: Author {
            name: "Pilotis".to_owned(),
            email: "chain@pilotis.dev".to_owned(),
        },
        time_seconds: Timestamp::now().as_second(),
        message: message.to_owned(),
    };
    let id = repository
        .commit_files(&wanted)
        .map_err(Error::git("commit to the zone"))?;
    Ok(id.to_string())
}
