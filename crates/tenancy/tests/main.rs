//! Tenancy on a cluster: what a Project and its Environments become, as kubectl sees it.

use std::time::Duration;

use anyhow::Result;
use pilotis_tenancy::{PROJECT_ROLES, Settings, run};
use pilotis_testkit::{Cluster, cluster, eventually};
use tokio_util::sync::CancellationToken;

/// The kind tenancy writes; its full definition belongs to another module.
const APP_PROJECT: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: appprojects.argoproj.io}
spec:
  group: argoproj.io
  scope: Namespaced
  names: {kind: AppProject, listKind: AppProjectList, plural: appprojects, singular: appproject}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
const DEADLINE: Duration = Duration::from_secs(60);

async fn started() -> Result<(Cluster, CancellationToken)> {
    let cluster = cluster().await?;
    cluster.apply(pilotis_kinds::PILOTIS_CRDS)?;
    cluster.apply(APP_PROJECT)?;
    cluster.apply(PROJECT_ROLES)?;
    cluster.apply(
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: pilotis-system}\n---\n\
         apiVersion: v1\nkind: Namespace\nmetadata: {name: taken-dev}\n",
    )?;
    let settings = Settings {
        registry: "registry.pilotis.internal".to_owned(),
        registry_for_builds: None,
        sources: vec!["https://git.pilotis.internal/{project}/*".to_owned()],
    };
    let stop = CancellationToken::new();
    tokio::spawn(run(cluster.client().await?, settings, stop.clone()));
    Ok((cluster, stop))
}

fn project(name: &str, environment: &str) -> String {
    format!(
        "apiVersion: pilotis.dev/v1alpha1\nkind: Project\nmetadata: {{name: {name}}}\n\
         spec: {{members: [{{user: ana, role: developer}}]}}\n---\n\
         apiVersion: v1\nkind: Namespace\n\
         metadata: {{name: project-{name}, labels: {{pilotis.dev/project: {name}}}}}\n---\n\
         apiVersion: pilotis.dev/v1alpha1\nkind: Environment\n\
         metadata: {{name: {environment}, namespace: project-{name}}}\nspec: {{}}\n"
    )
}

async fn ready(cluster: &Cluster, kind: &str, namespace: &str, name: &str) -> String {
    let path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}\
                {.status.conditions[?(@.type=='Ready')].reason}";
    eventually(
        &format!("{kind} {name} tells where it stands"),
        DEADLINE,
        || async {
            match cluster.kubectl(&["get", kind, name, "-n", namespace, "-o", path]) {
                Ok(text) if !text.is_empty() => Ok(text),
                other => Err(format!("{other:?}")),
            }
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_becomes_namespaces_roles_and_walls() -> Result<()> {
    let (cluster, stop) = started().await?;
    cluster.apply(&project("bonjour", "dev"))?;
    eventually("the environment is ready", DEADLINE, || async {
        let state = ready(&cluster, "environment", "project-bonjour", "dev").await;
        if state == "TrueReady" {
            Ok(())
        } else {
            Err(state)
        }
    })
    .await;
    let label = "jsonpath={.metadata.labels.pilotis\\.dev/policy}";
    assert_eq!(
        cluster.kubectl(&["get", "ns", "bonjour-dev", "-o", label])?,
        "enforce"
    );
    let pull = [
        "get",
        "secret",
        "registry-pull",
        "-n",
        "bonjour-dev",
        "-o",
        "jsonpath={.type}",
    ];
    assert_eq!(cluster.kubectl(&pull)?, "kubernetes.io/dockerconfigjson");
    eventually("the AppProject lists the environment", DEADLINE, || async {
        let path = "jsonpath={.spec.destinations[*].namespace}";
        let get = [
            "get",
            "appproject",
            "bonjour",
            "-n",
            "pilotis-system",
            "-o",
            path,
        ];
        match cluster.kubectl(&get) {
            Ok(text) if text == "bonjour-dev" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let may = |verb: &str, what: &str, namespace: &str| {
        cluster
            .kubectl(&["auth", "can-i", verb, what, "-n", namespace, "--as", "ana"])
            .is_ok()
    };
    assert!(may("push", "repositories.pilotis.dev", "project-bonjour"));
    assert!(!may(
        "delete",
        "environments.pilotis.dev",
        "project-bonjour"
    ));
    assert!(!may("get", "secrets", "bonjour-dev"));
    stop.cancel();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_of_somebody_else_is_never_adopted() -> Result<()> {
    let (cluster, stop) = started().await?;
    cluster.apply(&project("taken", "dev"))?;
    eventually(
        "the environment refuses the namespace",
        DEADLINE,
        || async {
            let state = ready(&cluster, "environment", "project-taken", "dev").await;
            if state == "FalseNamespaceNotOurs" {
                Ok(())
            } else {
                Err(state)
            }
        },
    )
    .await;
    assert!(
        cluster
            .kubectl(&["get", "sa", "deployer", "-n", "taken-dev"])
            .is_err()
    );
    stop.cancel();
    Ok(())
}
