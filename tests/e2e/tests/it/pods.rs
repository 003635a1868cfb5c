//! A pod as a client of the API: the mounted token, the certificate, the `kubernetes` Service.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use pilotis_testkit::judge;
use serde_json::{Value, json};

use crate::instance::Instance;

const IMAGE: &str = "registry.pilotis.internal/base/kubectl:1";
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Runs the real kubectl in a container, with nothing but what every pod is given.
///
/// # Errors
/// With the pod's log when the API cannot be used from it.
pub fn a_pod_reaches_the_api(instance: &Instance) -> Result<()> {
    push_kubectl(instance)?;
    let whoami = [
        "auth",
        "whoami",
        "-o",
        "jsonpath={.status.userInfo.username}",
    ];
    let (phase, log) = run(instance, "whoami", &whoami, &json!({}))?;
    ensure!(phase == "Succeeded", "whoami {phase}: {log}");
    ensure!(
        log == "system:serviceaccount:project-bonjour:default",
        "{log}"
    );

    // By its name, as the certificate has it.
    let version = ["get", "--raw", "/version", "--kubeconfig=/config"];
    let (phase, log) = run(instance, "by-name", &version, &json!({}))?;
    ensure!(
        phase == "Succeeded" && log.contains("gitVersion"),
        "by name: {phase}: {log}"
    );

    // A pod that wants no token has none, and nobody's token opens nothing.
    let without = json!({"automountServiceAccountToken": false});
    let namespaces = [
        "get",
        "--raw",
        "/api/v1/namespaces",
        "--server=https://kubernetes.default.svc",
        "--insecure-skip-tls-verify",
        "--token=nobody",
    ];
    let (phase, log) = run(instance, "nobody", &namespaces, &without)?;
    ensure!(phase == "Failed", "nobody {phase}: {log}");
    ensure!(
        log.contains("Unauthorized") || log.contains("logged in"),
        "{log}"
    );
    let path = "jsonpath={.spec.volumes}";
    let volumes = ["get", "pod", "nobody", "-n", "project-bonjour", "-o", path];
    ensure!(instance.kubectl(&volumes)?.is_empty(), "a token is mounted");

    // A build pod reaches the registry and nothing else.
    let labels = json!({"labels": {"app.kubernetes.io/name": "pilotis-build"}});
    let address = "--server=https://10.96.0.1";
    let wait = "--request-timeout=5s";
    let version = [&version[..], &[address, wait]].concat();
    let (phase, log) = run(instance, "build-api", &version, &labels)?;
    let unreachable = log.contains("Unable to connect to the server")
        && ["Timeout exceeded", "deadline exceeded"]
            .iter()
            .any(|words| log.contains(words));
    ensure!(
        phase == "Failed" && unreachable,
        "a build pod and the API: {phase}: {log}"
    );
    let registry = "--server=https://10.244.0.1:5000";
    let ping = [
        "get",
        "--raw",
        "/healthz",
        registry,
        "--insecure-skip-tls-verify",
        "--token=nobody",
        wait,
    ];
    let (phase, log) = run(instance, "build-registry", &ping, &labels)?;
    ensure!(
        phase == "Succeeded" && log == "ok",
        "a build pod and the registry: {phase}: {log}"
    );
    Ok(())
}

/// Runs kubectl in a pod of the project's namespace to its end; its phase and its output.
///
/// # Errors
/// When the pod cannot be made, or does not end in time.
pub fn run(
    instance: &Instance,
    name: &str,
    arguments: &[&str],
    changes: &Value,
) -> Result<(String, String)> {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "project-bonjour"},
        "spec": {
            "restartPolicy": "Never",
            "imagePullSecrets": [{"name": "registry-pull"}],
            "containers": [{"name": "kubectl", "image": IMAGE, "args": arguments}],
        },
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        match key.as_str() {
            "labels" => pod["metadata"]["labels"] = value.clone(),
            key => pod["spec"][key] = value.clone(),
        }
    }
    let file = instance.path().join(format!("{name}.json"));
    std::fs::write(&file, pod.to_string())?;
    instance.kubectl(&["apply", "-f", &file.display().to_string()])?;
    let this = ["pod", name, "-n", "project-bonjour"];
    let ended = "--for=jsonpath={.status.containerStatuses[0].state.terminated.exitCode}";
    let wait = instance.kubectl(&[&["wait", ended, "--timeout=60s"][..], &this].concat());
    wait.with_context(|| {
        let described = instance.kubectl(&[&["describe"][..], &this].concat());
        described.unwrap_or_else(|error| error.to_string())
    })?;
    let phase =
        instance.kubectl(&[&["get"][..], &this, &["-o", "jsonpath={.status.phase}"]].concat())?;
    let log = instance.kubectl(&["logs", name, "-n", "project-bonjour"])?;
    Ok((phase, log.trim().to_owned()))
}

/// Puts an image of kubectl and a kubeconfig into the platform's registry.
fn push_kubectl(instance: &Instance) -> Result<()> {
    let archive = instance.path().join("kubectl.tar");
    write_archive(&archive)?;
    let get = [
        "get",
        "secret",
        "registry-account-platform",
        "-n",
        "pilotis-system",
    ];
    let path = "go-template={{.data.password | base64decode}}";
    let password = instance.kubectl(&[&get[..], &["-o", path]].concat())?;
    let registry = instance.endpoints()?["registry"]
        .as_str()
        .context("no registry")?
        .trim_start_matches("https://")
        .to_owned();
    let output = Command::new("skopeo")
        .args(["copy", "--dest-tls-verify=false", "--dest-creds"])
        .arg(format!("platform:{password}"))
        .arg(format!("docker-archive:{}", archive.display()))
        .arg(format!("docker://{registry}/base/kubectl:1"))
        .output()?;
    std::fs::remove_file(archive)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "skopeo: {said}");
    Ok(())
}

fn write_archive(path: &Path) -> Result<()> {
    let work = tempfile::tempdir()?;
    let (folder, layer) = (work.path().join("root"), work.path().join("layer.tar"));
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(judge("kubectl"), folder.join("kubectl"))?;
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "pod",
        "clusters": [{"name": "pod", "cluster": {
            "server": "https://kubernetes.default.svc",
            "certificate-authority": format!("{MOUNT}/ca.crt"),
        }}],
        "users": [{"name": "pod", "user": {"tokenFile": format!("{MOUNT}/token")}}],
        "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod"}}],
    });
    std::fs::write(folder.join("config"), kubeconfig.to_string())?;
    tar(&layer, &folder, &["kubectl", "config"])?;
    let sum = Command::new("sha256sum").arg(&layer).output()?;
    let sum = String::from_utf8(sum.stdout)?;
    let digest = sum.split(' ').next().context("no digest")?;
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": ["/kubectl"], "User": "65532"},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": null, "Layers": ["layer.tar"]}]);
    serde_json::to_writer(File::create(work.path().join("config.json"))?, &config)?;
    serde_json::to_writer(File::create(work.path().join("manifest.json"))?, &manifest)?;
    tar(
        path,
        work.path(),
        &["manifest.json", "config.json", "layer.tar"],
    )
}

fn tar(archive: &Path, folder: &Path, names: &[&str]) -> Result<()> {
    let status = Command::new("tar")
        .arg("-C")
        .arg(folder)
        .args(["--owner=0", "--group=0", "-cf"])
        .arg(archive)
        .args(names)
        .status()?;
    ensure!(status.success(), "tar ended with {status}");
    Ok(())
}
