//! A build pod: one Job per delivery and target, with a one-shot capability and nothing else.
//!
//! The pod's own user namespace, no ServiceAccount token, no credential but the right to put one
//! untagged manifest into the project's repository. What the pod says is a claim; the caller reads
//! the manifest back from the registry.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, LogParams, PostParams};
use kube::{Api, ResourceExt};
use pilotis_build::pod::{Outcome, Task};
use pilotis_git::{File, Mode};
use pilotis_kinds::names::{BUILD, PULL_SECRET};
use pilotis_kinds::reason::Reason;
use pilotis_oci::{Descriptor, Digest, media};
use pilotis_transfer::Source;
use serde_json::{Value, json};

use crate::api::{self, Error};
use crate::deliveries::LABEL;
use crate::steps::{Commit, CommitTree};
use crate::{Builds, Context};

/// Longest build, in seconds.
const DEADLINE_SECONDS: u64 = 1800;
/// How long a finished Job is kept, for people to look at.
const KEEP_SECONDS: u64 = 3600;
/// Most memory of a build.
const MEMORY_LIMIT: &str = "4Gi";
/// Lines of a build's log that are kept as evidence.
const LOG_LINES_MAX: i64 = 2000;

/// Where a build stands.
pub(crate) enum Standing {
    /// The pod is not done.
    Running(Reason),
    /// The pod said its last word.
    Ended { outcome: Box<Outcome>, log: String },
    /// The pod asked for more than a build may have: the team's to mend.
    Exceeded(Reason),
    /// The pod ended without a word.
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
    // By uid: a build that was started again has the name of the one before.
    let uid = job.metadata.uid.clone().unwrap_or_default();
    let selector =
        ListParams::default().labels(&format!("batch.kubernetes.io/controller-uid={uid}"));
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
    if let Some(exceeded) = exceeded(&status, pod.as_ref()) {
        return Ok(exceeded);
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

/// Whether a build ended because it reached one of the limits of a build.
fn exceeded(job: &JobStatus, pod: Option<&Pod>) -> Option<Standing> {
    let conditions = job.conditions.iter().flatten();
    let mut reasons = conditions.filter_map(|c| c.reason.as_deref());
    if reasons.any(|reason| reason == "DeadlineExceeded") {
        let minutes = DEADLINE_SECONDS / 60;
        return Some(Standing::Exceeded(Reason::BuildTooLong { minutes }));
    }
    let containers = pod?.status.as_ref()?.container_statuses.as_ref()?;
    let terminated = containers.first()?.state.as_ref()?.terminated.as_ref()?;
    (terminated.reason.as_deref() == Some("OOMKilled")).then(|| {
        let limit = MEMORY_LIMIT.to_owned();
        Standing::Exceeded(Reason::BuildTooLarge { limit })
    })
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
    let (digest, size) = store_context(commit, epoch, context).await?;
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
        context: Descriptor::new(media::LAYER_GZIP, digest, size),
        dockerfile: commit.repository.spec.dockerfile.clone(),
        target: target.map(str::to_owned),
        arguments: std::collections::BTreeMap::new(),
        epoch,
        work: "/work".into(),
    })
}

/// Stores the commit's tree in the registry, by way of a file: it may be large.
async fn store_context(
    commit: &Commit,
    epoch: i64,
    context: &Context,
) -> Result<(Digest, u64), Error> {
    let failed = || Error::git("archive the commit");
    let (tree, directory) = (commit.tree(), context.settings.directory.clone());
    let work = tokio::task::spawn_blocking(move || {
        let file = tempfile::NamedTempFile::new_in(directory).map_err(failed())?;
        archive(&tree, epoch, file.as_file())?;
        Ok(file)
    });
    let file = work.await.map_err(Error::git("archive the commit"))??;
    context
        .registry
        .put_blob(&commit.image_path(), &Source::File(file.path().to_owned()))
        .await
        .map_err(Error::registry("store the build's context"))
}

/// The commit's tree as a gzip-compressed tar; the same commit gives the same bytes.
fn archive(tree: &CommitTree, epoch: i64, into: impl Write) -> Result<(), Error> {
    let mut tar = tar::Builder::new(GzEncoder::new(into, Compression::fast()));
    tree.visit(&mut |file| append(&mut tar, &file, epoch))?;
    tar.into_inner()
        .and_then(GzEncoder::finish)
        .and_then(|mut rest| rest.flush())
        .map_err(Error::git("archive the commit"))
}

fn append(tar: &mut tar::Builder<impl Write>, file: &File, epoch: i64) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(u64::try_from(epoch).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    if file.mode == Mode::Link {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        let target = String::from_utf8_lossy(&file.bytes).into_owned();
        return tar.append_link(&mut header, &file.path, target);
    }
    header.set_mode(if file.mode == Mode::Executable {
        0o755
    } else {
        0o644
    });
    header.set_size(file.bytes.len() as u64);
    tar.append_data(&mut header, &file.path, file.bytes.as_slice())
}

fn job(commit: &Commit, name: &str, builds: &Builds) -> Value {
    let labels = json!({
        "app.kubernetes.io/name": BUILD, LABEL: commit.delivery,
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
                "limits": {"cpu": "2", "memory": MEMORY_LIMIT},
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
        let archived = || {
            let mut tar = tar::Builder::new(Vec::new());
            for (path, mode) in [
                ("a", Mode::File),
                ("b/c", Mode::Executable),
                ("l", Mode::Link),
            ] {
                append(&mut tar, &file(path, mode), 7).unwrap();
            }
            tar.into_inner().unwrap()
        };
        assert_eq!(archived(), archived());
    }

    #[test]
    fn a_build_past_its_limits_is_told_as_such() {
        let job = |reason: &str| -> JobStatus {
            let condition = json!({"type": "Failed", "status": "True", "reason": reason});
            serde_json::from_value(json!({"failed": 1, "conditions": [condition]})).unwrap()
        };
        let pod = |reason: &str| -> Pod {
            let terminated = json!({"exitCode": 137, "reason": reason});
            let container = json!({"name": "builder", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": {"terminated": terminated}});
            serde_json::from_value(json!({"status": {"containerStatuses": [container]}})).unwrap()
        };
        let is_exceeded = |job: &JobStatus, pod: Option<&Pod>| {
            matches!(exceeded(job, pod), Some(Standing::Exceeded { .. }))
        };
        assert!(is_exceeded(&job("DeadlineExceeded"), None));
        assert!(is_exceeded(
            &job("BackoffLimitExceeded"),
            Some(&pod("OOMKilled"))
        ));
        assert!(!is_exceeded(
            &job("BackoffLimitExceeded"),
            Some(&pod("Error"))
        ));
        assert!(!is_exceeded(&job("BackoffLimitExceeded"), None));
    }
}
