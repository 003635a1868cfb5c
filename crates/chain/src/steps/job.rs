//! A build pod: one Job per delivery and target, with a one-shot capability and nothing else.
//!
//! The pod's own user namespace, no ServiceAccount token, no credential but the right to put one
//! untagged manifest into the project's repository. What the pod says is a claim; the caller reads
//! the manifest back from the registry.

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use kube::{Api, ResourceExt};
use pilotis_build::pod::{Outcome, Task};
use pilotis_git::{File, Mode};
use pilotis_kinds::names::PULL_SECRET;
use pilotis_kinds::reason::Reason;
use pilotis_oci::Digest;
use pilotis_transfer::Source;
use serde_json::{Value, json};

use crate::api::{self, Error};
use crate::steps::Commit;
use crate::{Builds, Context};

/// Longest build, in seconds.
const DEADLINE_SECONDS: u64 = 1800;
/// How long a finished Job is kept, for people to look at.
const KEEP_SECONDS: u64 = 3600;
/// Lines of a build's log that are kept as evidence.
const LOG_LINES_MAX: i64 = 2000;

/// Where a build stands.
pub(crate) enum Standing {
    /// The pod is not done.
    Running(Reason),
    /// The pod said its last word.
    Ended { outcome: Box<Outcome>, log: String },
    /// The pod ended without one.
    Lost(String),
}

/// Starts the build of a target, or tells where it stands.
pub(crate) async fn advance(
    commit: &Commit,
    target: Option<&str>,
    builds: &Builds,
    context: &Context,
) -> Result<Standing, Error> {
    let name = job_name(commit, target);
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &commit.namespace);
    let found = jobs
        .get_opt(&name)
        .await
        .map_err(Error::api("read the build job"))?;
    let Some(job) = found else {
        start(commit, target, builds, context).await?;
        return Ok(Standing::Running(Reason::PodRequested));
    };
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &commit.namespace);
    let selector = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={name}"));
    let pods_found = pods
        .list(&selector)
        .await
        .map_err(Error::api("find the build pod"))?;
    let pod = pods_found.items.into_iter().next();
    let status = job.status.unwrap_or_default();
    if status.succeeded.unwrap_or(0) == 0 && status.failed.unwrap_or(0) == 0 {
        return Ok(Standing::Running(
            pod.as_ref().map_or(Reason::PodRequested, waiting),
        ));
    }
    let Some(pod) = pod else {
        return Ok(Standing::Lost("the build pod is gone".to_owned()));
    };
    let parameters = LogParams {
        tail_lines: Some(LOG_LINES_MAX),
        ..LogParams::default()
    };
    let log = pods
        .logs(&pod.name_any(), &parameters)
        .await
        .map_err(Error::api("read the build's log"))?;
    Ok(ended(log))
}

/// Removes a build, so that its next look starts a new one.
pub(crate) async fn remove(
    commit: &Commit,
    target: Option<&str>,
    context: &Context,
) -> Result<(), Error> {
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &commit.namespace);
    match jobs
        .delete(&job_name(commit, target), &DeleteParams::background())
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(Error::api("delete the build job")(error)),
    }
}

fn ended(log: String) -> Standing {
    let last = log.lines().rev().find(|line| line.starts_with('{'));
    match last.and_then(|line| serde_json::from_str(line).ok()) {
        Some(outcome) => Standing::Ended {
            outcome: Box::new(outcome),
            log,
        },
        None => Standing::Lost(log.lines().last().unwrap_or("no output").to_owned()),
    }
}

fn waiting(pod: &Pod) -> Reason {
    let status = pod.status.as_ref();
    let containers = status.and_then(|s| s.container_statuses.as_ref());
    let reason =
        containers.and_then(|c| c.first()?.state.as_ref()?.waiting.as_ref()?.reason.clone());
    let phase = status
        .and_then(|s| s.phase.clone())
        .unwrap_or_else(|| "Pending".to_owned());
    Reason::PodWorking {
        state: reason.unwrap_or(phase),
    }
}

fn job_name(commit: &Commit, target: Option<&str>) -> String {
    match target {
        Some(target) => format!("{target}-{}", commit.delivery),
        None => format!("build-{}", commit.delivery),
    }
}

async fn start(
    commit: &Commit,
    target: Option<&str>,
    builds: &Builds,
    context: &Context,
) -> Result<(), Error> {
    let task = task(commit, target, builds, context).await?;
    let name = job_name(commit, target);
    let text = serde_json::to_string(&task).map_err(|_| Error::Malformed("build task"))?;
    let jobs: Api<Job> = Api::namespaced(context.client.clone(), &commit.namespace);
    let job: Job = serde_json::from_value(job(commit, &name, builds))
        .map_err(|_| Error::Malformed("build job"))?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "pilotis.dev/build-task",
        "metadata": {"name": name, "namespace": commit.namespace},
        "stringData": {"build.json": text},
    });
    api::apply(&context.client, &secret).await?;
    match jobs.create(&PostParams::default(), &job).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(Error::api("create the build job")(error)),
    }
}

async fn task(
    commit: &Commit,
    target: Option<&str>,
    builds: &Builds,
    context: &Context,
) -> Result<Task, Error> {
    let repository = commit.image_path();
    let epoch = commit.time_seconds()?;
    let archive = archive(&commit.all_files()?, epoch)?;
    let source = Source::Bytes(Bytes::from(archive));
    let (digest, _): (Digest, u64) = context
        .registry
        .put_blob(&repository, &source)
        .await
        .map_err(Error::registry("store the build's context"))?;
    let token = context
        .registry
        .upload_capability(&repository, &[], DEADLINE_SECONDS)
        .await
        .map_err(Error::registry("get an upload capability"))?;
    Ok(Task {
        registry: context.registry.registry().to_owned(),
        address: builds.registry_address,
        ca: Some(builds.ca_pem.clone()),
        plain: false,
        token,
        repository,
        context: digest,
        dockerfile: commit.repository.spec.dockerfile.clone(),
        target: target.map(str::to_owned),
        arguments: std::collections::BTreeMap::new(),
        epoch,
        work: "/work".into(),
    })
}

/// The commit's tree as a gzip-compressed tar; the same commit gives the same bytes.
fn archive(files: &[File], epoch: i64) -> Result<Vec<u8>, Error> {
    let failed = || Error::git("archive the commit");
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(u64::try_from(epoch).unwrap_or(0));
        header.set_uid(0);
        header.set_gid(0);
        if file.mode == Mode::Link {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            header.set_size(0);
            let target = String::from_utf8_lossy(&file.bytes).into_owned();
            tar.append_link(&mut header, &file.path, target)
                .map_err(failed())?;
            continue;
        }
        header.set_mode(if file.mode == Mode::Executable {
            0o755
        } else {
            0o644
        });
        header.set_size(file.bytes.len() as u64);
        tar.append_data(&mut header, &file.path, file.bytes.as_slice())
            .map_err(failed())?;
    }
    tar.into_inner()
        .and_then(GzEncoder::finish)
        .map_err(failed())
}

fn job(commit: &Commit, name: &str, builds: &Builds) -> Value {
    let labels = json!({
        "app.kubernetes.io/name": "pilotis-build", "pilotis.dev/delivery": commit.delivery,
    });
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": name, "namespace": commit.namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": KEEP_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod(name, builds)},
        },
    })
}

fn pod(name: &str, builds: &Builds) -> Value {
    json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "hostUsers": false,
        "imagePullSecrets": [{"name": PULL_SECRET}],
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "builder", "image": builds.image,
            "securityContext": {"allowPrivilegeEscalation": false},
            "resources": {
                "requests": {"cpu": "500m", "memory": "512Mi"},
                "limits": {"cpu": "2", "memory": "4Gi"},
            },
            "volumeMounts": [
                {"name": "task", "mountPath": "/run/pilotis", "readOnly": true},
                {"name": "work", "mountPath": "/work"},
            ],
        }],
        "volumes": [
            {"name": "task", "secret": {"secretName": name}},
            {"name": "work", "emptyDir": {}},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_json_line_is_the_pods_word() {
        let failed = r#"{"failed":{"message":"RUN make ended with 2"}}"#;
        let log = format!("step 1\n{failed}\n");
        let Standing::Ended { outcome, .. } = ended(log) else {
            panic!("no outcome")
        };
        assert!(matches!(*outcome, Outcome::Failed { .. }));
        assert!(matches!(ended("killed\n".to_owned()), Standing::Lost(_)));
    }

    #[test]
    fn the_same_files_give_the_same_archive() {
        let file = |path: &str, mode| File {
            path: path.into(),
            mode,
            bytes: b"x".to_vec(),
        };
        let files = [
            file("a", Mode::File),
            file("b/c", Mode::Executable),
            file("l", Mode::Link),
        ];
        assert_eq!(archive(&files, 7).unwrap(), archive(&files, 7).unwrap());
    }
}
