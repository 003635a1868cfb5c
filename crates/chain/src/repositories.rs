//! Repositories: served or mirrored on disk, and a Delivery for every new commit followed.
//!
//! A push, a poll and a restart all end in the same look: what does the followed branch point at,
//! and is there a Delivery for it?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use pilotis_git::{Credentials, Fetch, FetchError, Repository as Git};
use pilotis_kinds::names::{self, Slug};
use pilotis_kinds::pilotis::{Condition, DELIVERY, DeliverySpec, REPOSITORY};
use serde_json::{Value, json};

use crate::api::{self, Delivery, Error, Repository, home};
use crate::{Context, Settings};

/// Time between two fetches of a mirror nobody announced a push for.
const POLL: Duration = Duration::from_secs(60);
/// Pause after a failed look.
const RETRY: Duration = Duration::from_secs(10);
/// Deadline of one fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest title kept.
const TITLE_CHARS_MAX: usize = 120;

/// Runs until dropped.
pub(crate) async fn run(context: Arc<Context>) {
    let api = api::repositories(&context.client, None);
    let kind = api::resource(&REPOSITORY);
    Controller::new_with(api, watcher::Config::default(), kind)
        .run(look, retry, context)
        .for_each(|_| async {})
        .await;
}

/// Folder of a repository; the namespace's project is part of it.
pub(crate) fn directory(settings: &Settings, namespace: &str, name: &str) -> PathBuf {
    let project = Slug::of_namespace(namespace).map_or_else(String::new, |s| s.to_string());
    settings.directory.join(project).join(format!("{name}.git"))
}

/// Looks at once at a repository that was pushed to, and tells listeners.
pub(crate) async fn pushed(context: &Arc<Context>, namespace: &str, name: &str) {
    let api = api::repositories(&context.client, Some(namespace));
    let looked = match api.get_opt(name).await {
        Ok(Some(repository)) => examine(&repository, context).await.map(|_| ()),
        Ok(None) => Ok(()),
        Err(error) => Err(Error::api("read the repository")(error)),
    };
    if let Err(error) = looked {
        // The controller looks again; the push itself is safe on disk.
        tracing::warn!(error = %error, repository = name, "look after a push failed");
    }
    if let Some(slug) = Slug::of_namespace(namespace) {
        let _ = context.pushes.send(url(&context.settings, &slug, name));
    }
}

fn retry<K>(_: Arc<K>, error: &Error, _: Arc<Context>) -> Action {
    tracing::warn!(error = %error, "look at a repository failed, will be tried again");
    Action::requeue(RETRY)
}

async fn look(repository: Arc<Repository>, context: Arc<Context>) -> Result<Action, Error> {
    examine(&repository, &context).await
}

async fn examine(repository: &Repository, context: &Context) -> Result<Action, Error> {
    let namespace = home(repository);
    let name = repository.name_any();
    let Some(slug) = Slug::of_namespace(&namespace) else {
        return Ok(Action::await_change());
    };
    let found = read(repository, context, &namespace, &name).await;
    let known = repository.status.clone().unwrap_or_default();
    let failure = found.as_ref().err().map(|e| (reason(e), chain_of(e)));
    let condition = Condition::ready(failure, &known.conditions, Timestamp::now());
    let mut status = json!({
        "url": url(&context.settings, &slug, &name), "conditions": [condition],
    });
    // What could not be looked at stays where it was.
    let head = match &found {
        Ok(head) => head.clone(),
        Err(_) => known.head,
    };
    if let Some(head) = &head {
        status["head"] = json!(head);
        status["updatedAt"] = updated_at(repository, head);
    }
    if let (Ok(_), Some(head)) = (&found, &head) {
        deliver(repository, context, &namespace, head).await?;
    }
    let repositories = api::repositories(&context.client, Some(&namespace));
    api::write_status(&repositories, &name, &REPOSITORY, status).await?;
    match found {
        Ok(_) if repository.spec.mirror.is_some() => Ok(Action::requeue(POLL)),
        Ok(_) => Ok(Action::await_change()),
        // The operator may allow it, or the name may lead elsewhere, some day.
        Err(error) if is_refused(&error) => Ok(Action::requeue(POLL)),
        Err(error) => Err(error),
    }
}

/// One word for why a repository is not ready.
fn reason(error: &Error) -> &'static str {
    match error {
        error if is_refused(error) => "Refused",
        Error::Api { .. } => "NoCredentials",
        _ => "Unreachable",
    }
}

/// Whether the address itself is not one that may be contacted.
fn is_refused(error: &Error) -> bool {
    let Error::Git { source, .. } = error else {
        return false;
    };
    matches!(source.downcast_ref(), Some(FetchError::Refused(_)))
}

/// Makes the copy on disk current; the commit the followed branch points at, if it exists.
async fn read(
    repository: &Repository,
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<String>, Error> {
    let directory = directory(&context.settings, namespace, name);
    if let Some(parent) = directory.parent() {
        std::fs::create_dir_all(parent).map_err(Error::git("create the folder"))?;
    }
    let git = Git::init_bare(&directory).map_err(Error::git("open the repository"))?;
    if let Some(mirror) = &repository.spec.mirror {
        let credentials = match &mirror.secret_ref {
            Some(secret) => Some(credentials(context, namespace, secret).await?),
            None => None,
        };
        let fetch = Fetch {
            url: mirror.url.clone(),
            credentials,
            policy: context.settings.remotes.clone(),
            timeout: FETCH_TIMEOUT,
        };
        git.fetch_mirror(&fetch)
            .await
            .map_err(Error::git("fetch the repository"))?;
    }
    let refs = git.refs().map_err(Error::git("read the branches"))?;
    let branch = format!("refs/heads/{}", repository.spec.branch);
    Ok(refs.get(&branch).map(ToString::to_string))
}

async fn credentials(context: &Context, namespace: &str, name: &str) -> Result<Credentials, Error> {
    let api: Api<Secret> = Api::namespaced(context.client.clone(), namespace);
    let secret = api
        .get(name)
        .await
        .map_err(Error::api(format!("read secret {name}")))?;
    let data = secret.data.unwrap_or_default();
    let field = |key: &str| {
        let bytes = data.get(key).map(|b| b.0.clone()).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    };
    Ok(Credentials::new(field("username"), field("password")))
}

/// Creates the Delivery of a commit unless it exists.
async fn deliver(
    repository: &Repository,
    context: &Context,
    namespace: &str,
    commit: &str,
) -> Result<(), Error> {
    let name = repository.name_any();
    let api = api::deliveries(&context.client, Some(namespace));
    let delivery_name = names::delivery(&name, commit);
    if api
        .get_opt(&delivery_name)
        .await
        .map_err(Error::api("read the delivery"))?
        .is_some()
    {
        return Ok(());
    }
    let git = Git::open(&directory(&context.settings, namespace, &name))
        .map_err(Error::git("open the repository"))?;
    let id = git.resolve(commit).map_err(Error::git("find the commit"))?;
    let read = git.commit(id).map_err(Error::git("read the commit"))?;
    let spec = DeliverySpec {
        repository: name,
        commit: commit.to_owned(),
        reference: format!("refs/heads/{}", repository.spec.branch),
        title: read.summary().chars().take(TITLE_CHARS_MAX).collect(),
        author: read.author_name.chars().take(TITLE_CHARS_MAX).collect(),
    };
    let delivery = Delivery::new(&delivery_name, &api::resource(&DELIVERY), spec);
    match api.create(&PostParams::default(), &delivery).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(Error::api("create the delivery")(error)),
    }
}

fn url(settings: &Settings, slug: &Slug, name: &str) -> String {
    format!("{}/{slug}/{name}.git", settings.git_url)
}

/// The time stays while the head does, so that a look that finds nothing new writes nothing new.
fn updated_at(repository: &Repository, head: &str) -> Value {
    let before = repository
        .status
        .as_ref()
        .filter(|s| s.head.as_deref() == Some(head));
    let time = before
        .and_then(|s| s.updated_at)
        .unwrap_or_else(Timestamp::now);
    json!(time)
}

/// An error with its causes, in one line; what the API said, without the rest of its answer.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        let boxed = cause.downcast_ref::<Box<kube::Error>>().map(AsRef::as_ref);
        if let Some(kube::Error::Api(status)) = boxed.or(cause.downcast_ref()) {
            text.push_str(&status.message);
            break;
        }
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_said_is_told_once() {
        let status = serde_json::json!({
            "status": "Failure", "code": 404, "reason": "NotFound",
            "message": "repositories \"web\" not found",
        });
        let status: kube::core::Status = serde_json::from_value(status).unwrap();
        let error = Error::api("read repository web")(kube::Error::Api(status.boxed()));
        assert_eq!(
            chain_of(&error),
            "cannot read repository web: repositories \"web\" not found"
        );
    }
}
