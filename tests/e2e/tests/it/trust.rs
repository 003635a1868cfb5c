//! Who may read what: the roles the platform installs, asked of the cluster they are installed on.

use std::time::Duration;

use anyhow::{Result, ensure};
use pilotis_testkit::eventually;

use crate::instance::Instance;

const DEADLINE: Duration = Duration::from_secs(60);

/// Services that stand on the seam.
const SERVICES: [&str; 6] = [
    "tenancy",
    "registry",
    "admission",
    "chain",
    "gitops",
    "console",
];

/// Services that may read the signing key. GitOps should not be here: it watches every kind it
/// deploys over the whole cluster, and a chart may hold a Secret.
const READERS: [&str; 2] = ["chain", "gitops"];

/// Asserts what each service may do with Secrets. `kubectl` runs as an administrator.
///
/// # Errors
/// Names the service that may more, or less, than it should.
pub fn only_the_chain_reads_the_signing_key(
    kubectl: &dyn Fn(&[&str]) -> Result<String>,
) -> Result<()> {
    let may = |service: &str, verb: &str, what: &str, namespace: &str| {
        let user = format!("--as=system:serviceaccount:pilotis-system:{service}");
        kubectl(&["auth", "can-i", verb, what, "-n", namespace, &user]).is_ok()
    };
    for service in SERVICES {
        let reads = may(
            service,
            "get",
            "secret/pilotis-signing-key",
            "pilotis-system",
        );
        ensure!(
            reads == READERS.contains(&service),
            "{service} reads the signing key: {reads}"
        );
        for namespace in ["pilotis-system", "kube-system", "project-bonjour"] {
            let lists = may(service, "list", "secrets", namespace);
            ensure!(
                lists == (service == "gitops"),
                "{service} lists secrets of {namespace}: {lists}"
            );
        }
    }
    for (service, namespace, expected) in [
        ("chain", "project-bonjour", true),
        ("chain", "bonjour-dev", false),
        ("chain", "kube-system", false),
        ("tenancy", "bonjour-dev", true),
        ("tenancy", "kube-system", false),
        ("registry", "project-bonjour", false),
        ("console", "pilotis-login", true),
    ] {
        let reads = may(service, "get", "secret/any", namespace);
        ensure!(
            reads == expected,
            "{service} reads secrets of {namespace}: {reads}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn services_may_read_the_secrets_they_need_and_no_others() -> Result<()> {
    let instance = Instance::up(&["--no-containers"])?;
    instance.pilotis(&["project", "create", "bonjour", "--environment", "dev"])?;
    only_the_chain_reads_the_signing_key(&|words| instance.kubectl(words))?;
    // A team that destroys its own pull Secret gets a new password, everywhere it is used.
    let config = "jsonpath={.data.\\.dockerconfigjson}";
    let read = |namespace: &str| {
        instance.kubectl(&[
            "get",
            "secret",
            "registry-pull",
            "-n",
            namespace,
            "-o",
            config,
        ])
    };
    let before = read("project-bonjour")?;
    ensure!(before == read("bonjour-dev")?, "the two copies differ");
    instance.kubectl(&["delete", "secret", "registry-pull", "-n", "project-bonjour"])?;
    instance.kubectl(&["annotate", "project", "bonjour", "look=again"])?;
    eventually("both copies are replaced", DEADLINE, || async {
        match (read("project-bonjour"), read("bonjour-dev")) {
            (Ok(one), Ok(other)) if one == other && one != before => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // What the registry honours is where no team can write.
    let labelled = instance.kubectl(&[
        "get",
        "configmaps",
        "-A",
        "-l",
        "pilotis.dev/registry-account",
        "-o",
        "jsonpath={.items[*].metadata.namespace}",
    ])?;
    ensure!(
        labelled
            .split_whitespace()
            .all(|namespace| namespace == "pilotis-system"),
        "{labelled}"
    );
    let tenant = |verb: &str, what: &str| {
        let words = ["auth", "can-i", verb, what, "-n", "pilotis-system"];
        let deployer = "--as=system:serviceaccount:bonjour-dev:deployer";
        instance
            .kubectl(&[&words[..], &[deployer]].concat())
            .is_ok()
    };
    for verb in ["create", "update", "patch", "delete"] {
        ensure!(!tenant(verb, "configmaps"), "a deployer may {verb}");
    }
    Ok(())
}
