//! The real programs tests compare with, built by name and version from Go modules.
//!
//! They are development tools: nothing of them ships or is committed. They live outside the
//! repository, in `~/.cache/pilotis-judges/bin` or where `PILOTIS_JUDGES` says, and are built once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::{output, run, step};

/// Kubernetes release of the control plane, `kubectl` and the conformance tests.
const KUBERNETES: &str = "1.35.4";
/// Staging modules carry the same numbers with a leading 0.
const STAGING: &str = "0.35.4";
/// etcd under kube-apiserver.
const ETCD: &str = "v3.7.3";
/// Verifies what we sign.
const COSIGN: &str = "v3.1.3";
/// An OCI client beside skopeo.
const CRANE: &str = "latest";
/// Default Helm profile.
const HELM: &str = "v4.2.4";
/// The Kubernetes version Helm 3 assumes is set when it is built: what its release says.
const HELM_3_FLAGS: &str = "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 \
     -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36 \
     -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 \
     -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=36";
/// The other profiles: module and version.
const MORE_HELMS: [(&str, &str); 3] = [
    ("helm.sh/helm/v4/cmd/helm", "v4.3.1"),
    ("helm.sh/helm/v4/cmd/helm", "v4.2.2"),
    ("helm.sh/helm/v3/cmd/helm", "v3.21.4"),
];

/// Installs every judge that is missing.
///
/// # Errors
/// When Go is missing or a module cannot be fetched or built.
pub fn main(_: &[String]) -> Result<()> {
    required()?;
    step("judge e2e.test", || {
        kubernetes_test("e2e.test", "k8s.io/kubernetes/test/e2e")
    })
}

/// Installs the judges without which tests fail.
///
/// # Errors
/// When Go is missing or a module cannot be fetched or built.
pub fn required() -> Result<()> {
    fs::create_dir_all(bin())?;
    step(&format!("judge etcd {ETCD}"), etcd)?;
    step(&format!("judge kube-apiserver {KUBERNETES}"), || {
        kubernetes("kube-apiserver")
    })?;
    step(&format!("judge kubectl {KUBERNETES}"), || {
        kubernetes("kubectl")
    })?;
    step(&format!("judge helm {HELM}"), helm)?;
    step(&format!("judge cosign {COSIGN}"), || {
        install(
            "cosign",
            &format!("github.com/sigstore/cosign/v3/cmd/cosign@{COSIGN}"),
        )
    })?;
    step(&format!("judge crane {CRANE}"), || {
        install(
            "crane",
            &format!("github.com/google/go-containerregistry/cmd/crane@{CRANE}"),
        )
    })
}

/// Where the judges are.
pub fn bin() -> PathBuf {
    base().join("bin")
}

fn base() -> PathBuf {
    if let Some(bin) = std::env::var_os("PILOTIS_JUDGES") {
        let bin = PathBuf::from(bin);
        return bin.parent().map_or_else(|| bin.clone(), Path::to_path_buf);
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    home.join(".cache/pilotis-judges")
}

fn go(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(dir)
        .args(arguments)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOBIN", bin());
    command
}

fn etcd() -> Result<()> {
    let target = bin().join("etcd");
    if target.exists() {
        return Ok(());
    }
    let dir = base().join("src/etcd");
    fs::create_dir_all(&dir)?;
    if !dir.join("go.mod").exists() {
        run(&mut go(&dir, &["mod", "init", "judge"]))?;
    }
    run(&mut go(
        &dir,
        &["get", &format!("go.etcd.io/etcd/server/v3@{ETCD}")],
    ))?;
    build(&dir, &["build"], &target, "go.etcd.io/etcd/server/v3")
}

fn install(program: &str, package: &str) -> Result<()> {
    if bin().join(program).exists() {
        return Ok(());
    }
    run(&mut go(&base(), &["install", package]))
}

/// Installs every Helm there is a profile of. Tests need the default one only.
///
/// # Errors
/// When Go is missing or a module cannot be fetched or built.
pub fn helms() -> Result<()> {
    fs::create_dir_all(bin())?;
    for (module, version) in MORE_HELMS {
        step(&format!("judge helm {version}"), || {
            helm_of(module, version).map(|_| ())
        })?;
    }
    step(&format!("judge helm {HELM}"), helm)
}

fn helm_of(module: &str, version: &str) -> Result<PathBuf> {
    let target = bin().join(format!("helm-{version}"));
    if !target.exists() {
        let alone = base().join(format!("helm-{version}"));
        let package = format!("{module}@{version}");
        let arguments = ["install", "-ldflags", HELM_3_FLAGS, &package];
        run(go(&base(), &arguments).env("GOBIN", &alone))?;
        fs::rename(alone.join("helm"), &target).context("helm was not built")?;
    }
    Ok(target)
}

fn helm() -> Result<()> {
    let target = helm_of("helm.sh/helm/v4/cmd/helm", HELM)?;
    let link = bin().join("helm");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(&target, &link).context("cannot name helm")
}

fn kubernetes(program: &str) -> Result<()> {
    let target = bin().join(program);
    if target.exists() {
        return Ok(());
    }
    let dir = kubernetes_module()?;
    let flags = ["build", "-mod=mod", "-ldflags", &version_flags()];
    build(
        &dir,
        &flags,
        &target,
        &format!("k8s.io/kubernetes/cmd/{program}"),
    )
}

fn kubernetes_test(program: &str, package: &str) -> Result<()> {
    let target = bin().join(program);
    if target.exists() {
        return Ok(());
    }
    let dir = kubernetes_module()?;
    build(
        &dir,
        &["test", "-mod=mod", "-c", "-ldflags", &version_flags()],
        &target,
        package,
    )
}

fn build(dir: &Path, flags: &[&str], target: &Path, package: &str) -> Result<()> {
    let partial = target.with_extension("part");
    let mut command = go(dir, flags);
    command.arg("-o").arg(&partial).arg(package);
    run(&mut command)?;
    fs::rename(&partial, target).with_context(|| format!("cannot place {}", target.display()))
}

/// A module of our own that replaces the staging modules as the release's own `go.mod` means.
fn kubernetes_module() -> Result<PathBuf> {
    let dir = base().join("src/k8s");
    if dir.join("go.mod").exists() {
        return Ok(dir);
    }
    fs::create_dir_all(&dir)?;
    run(&mut go(
        &dir,
        &[
            "mod",
            "download",
            &format!("k8s.io/kubernetes@v{KUBERNETES}"),
        ],
    ))?;
    let cache = output(&mut go(&dir, &["env", "GOMODCACHE"]))?;
    let upstream = Path::new(cache.trim()).join(format!("k8s.io/kubernetes@v{KUBERNETES}/go.mod"));
    let text = fs::read_to_string(&upstream)?;
    fs::write(dir.join("tools.go"), "package judge\n")?;
    fs::write(dir.join("go.mod"), module_file(&text))?;
    Ok(dir)
}

fn module_file(upstream: &str) -> String {
    let mut text = format!(
        "module judge\n\ngo 1.25.0\n\nrequire k8s.io/kubernetes v{KUBERNETES}\n\nreplace (\n"
    );
    for line in upstream.lines() {
        let mut words = line.split_whitespace();
        if let (Some(module), Some("v0.0.0")) = (words.next(), words.next()) {
            text.push_str(&format!("\t{module} => {module} v{STAGING}\n"));
        }
    }
    text.push_str(")\n");
    text
}

fn version_flags() -> String {
    let (major, rest) = KUBERNETES.split_once('.').unwrap_or(("1", ""));
    let minor = rest.split('.').next().unwrap_or_default();
    let base = "k8s.io/component-base/version";
    let client = "k8s.io/client-go/pkg/version";
    format!(
        "-X {base}.gitVersion=v{KUBERNETES} -X {base}.gitMajor={major} -X {base}.gitMinor={minor} \
         -X {client}.gitVersion=v{KUBERNETES}"
    )
}
