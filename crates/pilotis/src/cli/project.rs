//! `pilotis project` and `pilotis repository`: thin commands over the API's objects.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use futures::StreamExt;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use pilotis_git::RemotePolicy;
use pilotis_kinds::names::{GROUP, Slug, VERSION, check_environment, check_repository};
use pilotis_kinds::pilotis::{Condition, ENVIRONMENT, KindName, PROJECT, REPOSITORY};
use serde_json::{Value, json};

use super::problem::{Explain, Problem};
use super::{Instance, Outcome};
use crate::{client, lifecycle};

/// Field manager of what a person asks for on the command line.
const MANAGER: &str = "pilotis-cli";
/// Longest wait for an object to become ready.
const READY_DEADLINE: Duration = Duration::from_secs(120);

/// Commands on projects.
#[derive(Debug, Subcommand)]
pub enum Project {
    /// Create a project with its environments, or add to it
    Create(ProjectCreate),
    /// List projects
    List {
        /// Instance.
        #[command(flatten)]
        instance: Instance,
    },
}

/// What to create.
#[derive(Debug, Args)]
pub struct ProjectCreate {
    /// Slug: lower-case letters, digits and hyphens, at most 20
    pub name: String,
    /// An environment; repeat for more
    #[arg(long = "environment", value_name = "NAME")]
    pub environments: Vec<String>,
    /// Which of them is production
    #[arg(long, value_name = "NAME")]
    pub production: Option<String>,
    /// A sentence for people
    #[arg(long, default_value = "")]
    pub description: String,
    /// Instance.
    #[command(flatten)]
    pub instance: Instance,
}

/// Commands on repositories.
#[derive(Debug, Subcommand)]
pub enum Repository {
    /// Create a repository in a project
    Create(RepositoryCreate),
    /// List repositories
    List {
        /// Project
        #[arg(long, value_name = "PROJECT")]
        project: String,
        /// Instance.
        #[command(flatten)]
        instance: Instance,
    },
    /// Print a password to push with, valid for some hours
    Token {
        /// Project
        #[arg(long, value_name = "PROJECT")]
        project: String,
        /// Hours of validity
        #[arg(long, default_value_t = 8)]
        hours: u32,
        /// Instance.
        #[command(flatten)]
        instance: Instance,
    },
}

/// What to create.
#[derive(Debug, Args)]
pub struct RepositoryCreate {
    /// Name: lower-case letters, digits and hyphens, at most 20
    pub name: String,
    /// Project it belongs to
    #[arg(long, value_name = "PROJECT")]
    pub project: String,
    /// Fetch it from this address instead of serving it
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Secret with `username` and `password` for the mirror
    #[arg(long, value_name = "SECRET", requires = "mirror")]
    pub secret: Option<String>,
    /// Instance.
    #[command(flatten)]
    pub instance: Instance,
}

/// Runs a `project` command.
///
/// # Errors
/// When the input is wrong or the API refuses.
pub async fn project(command: Project) -> Result<Outcome> {
    match command {
        Project::Create(create) => create_project(create).await,
        Project::List { instance } => {
            let client = client::connect(&instance).await?;
            let list = client::projects(&client)
                .list(&ListParams::default())
                .await?;
            for project in list {
                println!("{}\t{}", project.name_any(), project.spec.description);
            }
            Ok(Outcome::Done)
        }
    }
}

/// Runs a `repository` command.
///
/// # Errors
/// When the input is wrong or the API refuses.
pub async fn repository(command: Repository) -> Result<Outcome> {
    match command {
        Repository::Create(create) => create_repository(create).await,
        Repository::List { project, instance } => {
            let namespace = slug(&project)?.namespace();
            let client = client::connect(&instance).await?;
            let list = client::repositories(&client, &namespace)
                .list(&ListParams::default())
                .await?;
            for repository in list {
                let url = repository.status.as_ref().and_then(|s| s.url.clone());
                println!("{}\t{}", repository.name_any(), url.unwrap_or_default());
            }
            Ok(Outcome::Done)
        }
        Repository::Token {
            project,
            hours,
            instance,
        } => {
            let slug = slug(&project)?;
            let client = client::connect(&instance).await?;
            println!("{}", push_token(&client, &slug, hours).await?);
            Ok(Outcome::Done)
        }
    }
}

async fn create_project(create: ProjectCreate) -> Result<Outcome> {
    let slug = slug(&create.name)?;
    for name in &create.environments {
        check_environment(name).explain(|| {
            Problem::wrong(
                format!("environment `{name}` cannot be named so"),
                "use at most 11 lower-case letters and digits, a letter first",
            )
        })?;
    }
    if let Some(name) = &create.production
        && !create.environments.contains(name)
    {
        let problem = Problem::wrong(
            format!("--production {name} is not one of the environments"),
            format!("add --environment {name}"),
        );
        return Err(problem.into());
    }
    let client = client::connect(&create.instance).await?;
    let spec = json!({"description": create.description});
    apply(&client, &PROJECT, None, slug.as_str(), spec).await?;
    wait_ready(client::projects(&client), slug.as_str(), |p| {
        p.status.as_ref().map_or(&[], |s| &s.conditions)
    })
    .await?;
    eprintln!("project {slug} is ready");
    let namespace = slug.namespace();
    for name in &create.environments {
        let spec = json!({"production": create.production.as_ref() == Some(name)});
        apply(&client, &ENVIRONMENT, Some(&namespace), name, spec).await?;
    }
    for name in &create.environments {
        wait_ready(client::environments(&client, &namespace), name, |e| {
            e.status.as_ref().map_or(&[], |s| &s.conditions)
        })
        .await?;
        eprintln!(
            "environment {name} is ready in {}",
            slug.environment_namespace(name)
        );
    }
    Ok(Outcome::Done)
}

async fn create_repository(create: RepositoryCreate) -> Result<Outcome> {
    check_repository(&create.name).explain(|| {
        Problem::wrong(
            format!("repository `{}` cannot be named so", create.name),
            "use at most 20 lower-case letters, digits and hyphens, a letter first",
        )
    })?;
    let namespace = slug(&create.project)?.namespace();
    if let Some(url) = &create.mirror {
        check_address(url)?;
    }
    let spec = match &create.mirror {
        Some(url) => json!({"mirror": {"url": url, "secretRef": create.secret}}),
        None => json!({"hosted": {}}),
    };
    let client = client::connect(&create.instance).await?;
    apply(&client, &REPOSITORY, Some(&namespace), &create.name, spec).await?;
    let repository = wait_ready(
        client::repositories(&client, &namespace),
        &create.name,
        |r| r.status.as_ref().map_or(&[], |s| &s.conditions),
    )
    .await?;
    println!(
        "{}",
        repository.status.and_then(|s| s.url).unwrap_or_default()
    );
    if create.mirror.is_none() {
        eprint!("{}", how_to_push(&create));
    }
    Ok(Outcome::Done)
}

/// What to type to push: the logical name is the platform's own, people go to the listener.
fn how_to_push(create: &RepositoryCreate) -> String {
    let data_dir = create.instance.data_dir.display();
    let Some(git) = lifecycle::endpoints(&create.instance.data_dir).and_then(|e| e.git) else {
        return String::new();
    };
    let (project, name) = (&create.project, &create.name);
    format!(
        "hint: git config http.{git}/.sslCAInfo {data_dir}/ca.crt\n\
         hint: git push {git}/{project}/{name}.git main\n\
         hint: any user name; the password is what `pilotis repository token --project {project}` \
         prints\n"
    )
}

/// A token of the project's pusher account; made on first use.
async fn push_token(client: &Client, slug: &Slug, hours: u32) -> Result<String> {
    let namespace = slug.namespace();
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "pusher", "namespace": namespace},
        "automountServiceAccountToken": false,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "pusher", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "pilotis:project-developer"},
        "subjects": [{"kind": "ServiceAccount", "name": "pusher", "namespace": namespace}],
    });
    for object in [&account, &binding] {
        apply_object(client, object, Some(&namespace)).await?;
    }
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
        Api::namespaced(client.clone(), &namespace);
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": [], "expirationSeconds": u64::from(hours) * 3600},
    });
    let request = serde_json::from_value(request)?;
    let answer = accounts
        .create_token_request("pusher", &PostParams::default(), &request)
        .await
        .context("cannot make a token")?;
    Ok(answer.status.map(|s| s.token).unwrap_or_default())
}

/// The slug of a project a person names.
///
/// # Errors
/// When no project can have this name.
pub fn slug(name: &str) -> Result<Slug> {
    Slug::new(name).explain(|| {
        Problem::wrong(
            format!("project `{name}` cannot be named so"),
            "use at most 20 lower-case letters, digits and hyphens, a letter first",
        )
    })
}

/// Refuses what no operator can allow; private addresses are for the platform to judge.
fn check_address(url: &str) -> Result<()> {
    let policy = RemotePolicy {
        private_addresses: true,
        ..RemotePolicy::default()
    };
    // An address that holds a password is not shown.
    policy.check(url).explain(|| {
        Problem::wrong(
            "the address of --mirror cannot be used",
            "give an `https` address without user and password; these go into --secret",
        )
    })
}

async fn apply(
    client: &Client,
    kind: &KindName,
    namespace: Option<&str>,
    name: &str,
    spec: Value,
) -> Result<()> {
    let object = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind.kind,
        "metadata": {"name": name}, "spec": spec,
    });
    apply_object(client, &object, namespace).await
}

async fn apply_object(client: &Client, object: &Value, namespace: Option<&str>) -> Result<()> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let ours = [&PROJECT, &ENVIRONMENT, &REPOSITORY]
        .into_iter()
        .find(|k| k.kind == kind);
    let resource = match ours {
        Some(ours) => client::resource(ours),
        None => ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)),
    };
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let parameters = PatchParams::apply(MANAGER);
    api.patch(name, &parameters, &Patch::Apply(object))
        .await
        .with_context(|| format!("cannot create {kind} {name}"))?;
    Ok(())
}

/// Watches one object until its `Ready` condition is true.
async fn wait_ready<K>(
    api: Api<K>,
    name: &str,
    conditions: impl Fn(&K) -> &[Condition],
) -> Result<K>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let stream = watcher::watcher(api, config).applied_objects();
    let mut stream = std::pin::pin!(stream);
    let mut last = "no status yet".to_owned();
    let wait = async {
        while let Some(event) = stream.next().await {
            let Ok(object) = event else { continue };
            let ready = conditions(&object)
                .iter()
                .find(|c| c.kind == "Ready")
                .cloned();
            match ready {
                Some(condition) if condition.status == "True" => return Some(object),
                Some(condition) => last = condition.message,
                None => {}
            }
        }
        None
    };
    match tokio::time::timeout(READY_DEADLINE, wait).await {
        Ok(Some(object)) => Ok(object),
        _ => bail!(
            "{name} is not ready after {} s: {last}",
            READY_DEADLINE.as_secs()
        ),
    }
}
