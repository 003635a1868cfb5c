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
/// The oldest `kubectl` that must work.
const KUBECTL_OLDEST: &str = "1.29.15";
/// Folders, beside those of `PATH`, where machines keep `kubectl.1.N` of several releases.
const KUBECTL_FOLDERS: [&str; 1] = ["/usr/lib/google-cloud-sdk/bin"];
/// etcd under kube-apiserver.
const ETCD: &str = "v3.7.3";
/// Verifies what we sign.
const COSIGN: &str = "v3.1.3";
/// An OCI client beside skopeo.
const CRANE: &str = "latest";
/// Runs suites of tests beside `chart test`.
const UNITTEST: &str = "v1.1.2";
/// What its module replaces, which a module that only uses it does not.
const UNITTEST_REPLACES: &str =
    "github.com/vmware-labs/yaml-jsonpath=github.com/helm-unittest/yaml-jsonpath@v0.4.0";
/// Fixtures of Pod Security admission: read by the tests of crate `check`, nothing is built.
const POD_SECURITY: &str = "k8s.io/pod-security-admission@v0.37.2";
/// Default Helm profile.
const HELM: &str = "v4.2.4";
/// The Kubernetes version Helm 3 assumes is set when it is built: what its release says.
const HELM_3_FLAGS: &str = "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 \
     -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=36 \
     -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 \
     -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=36";
/// Argo CD, whose repo-server runs `helm`. Newer ones are not served as Go modules.
const ARGO_CD: &str = "v3.2.6";
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
    conformance()
}

/// Installs what runs upstream's conformance tests.
///
/// # Errors
/// When Go is missing or a module cannot be fetched or built.
pub fn conformance() -> Result<()> {
    fs::create_dir_all(bin())?;
    step(&format!("judge kubectl {KUBERNETES}"), || {
        kubernetes("kubectl")
    })?;
    step(&format!("judge e2e.test {KUBERNETES}"), || {
        kubernetes_test("e2e.test", "k8s.io/kubernetes/test/e2e")
    })
}

/// Installs the judges without which tests fail.
///
/// # Errors
/// When Go is missing or a module cannot be fetched or built.
pub fn required() -> Result<()> {
    control_plane()?;
    step(&format!("judge kubectl {KUBERNETES}"), || {
        kubernetes("kubectl")
    })?;
    step("judge kubectl of older releases", older_kubectls)?;
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
    })?;
    step(&format!("judge helm-unittest {UNITTEST}"), helm_unittest)?;
    step(&format!("fixtures {POD_SECURITY}"), || {
        run(&mut go(&base(), &["mod", "download", POD_SECURITY]))
    })
}

/// Installs a bare control plane: etcd and kube-apiserver.
///
/// # Errors
/// When Go is missing or a module cannot be fetched or built.
pub fn control_plane() -> Result<()> {
    fs::create_dir_all(bin())?;
    step(&format!("judge etcd {ETCD}"), etcd)?;
    step(&format!("judge kube-apiserver {KUBERNETES}"), || {
        kubernetes("kube-apiserver")
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

/// A module of our own in which a judge is built that cannot be installed by its name alone.
fn module(judge: &str) -> Result<PathBuf> {
    let dir = base().join("src").join(judge);
    fs::create_dir_all(&dir)?;
    if !dir.join("go.mod").exists() {
        run(&mut go(&dir, &["mod", "init", "judge"]))?;
    }
    Ok(dir)
}

fn helm_unittest() -> Result<()> {
    const MODULE: &str = "github.com/helm-unittest/helm-unittest";
    let target = bin().join("helm-unittest");
    if target.exists() {
        return Ok(());
    }
    let dir = module("helm-unittest")?;
    let replaces = ["mod", "edit", "-replace", UNITTEST_REPLACES];
    run(&mut go(&dir, &replaces))?;
    let package = format!("{MODULE}/cmd/helm-unittest");
    run(&mut go(&dir, &["get", &format!("{package}@{UNITTEST}")]))?;
    build(&dir, &["build", "-mod=mod"], &target, &package)
}

fn etcd() -> Result<()> {
    let target = bin().join("etcd");
    if target.exists() {
        return Ok(());
    }
    let dir = module("etcd")?;
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

/// Installs Argo CD, all components in one program. It takes minutes; no required test needs it.
///
/// # Errors
/// When Go is missing or a module cannot be fetched or built.
pub fn argocd() -> Result<()> {
    fs::create_dir_all(bin())?;
    step(&format!("judge argocd {ARGO_CD}"), || {
        let target = bin().join("argocd");
        if target.exists() {
            return Ok(());
        }
        let module = format!("github.com/argoproj/argo-cd/v3@{ARGO_CD}");
        let dir = replacing_module("src/argocd", &module)?;
        let package = "github.com/argoproj/argo-cd/v3/cmd";
        build(
            &dir,
            &["build", "-mod=mod", "-ldflags", "-s -w"],
            &target,
            package,
        )
    })
}

/// A module of our own that needs another one and replaces what that one's `go.mod` replaces.
fn replacing_module(name: &str, module: &str) -> Result<PathBuf> {
    let dir = base().join(name);
    if dir.join("go.mod").exists() {
        return Ok(dir);
    }
    fs::create_dir_all(&dir)?;
    run(&mut go(&dir, &["mod", "download", module]))?;
    let cache = output(&mut go(&dir, &["env", "GOMODCACHE"]))?;
    let upstream = fs::read_to_string(Path::new(cache.trim()).join(module).join("go.mod"))?;
    let needed = module.replacen('@', " ", 1);
    let mut text = format!("module judge\n\ngo 1.25.0\n\nrequire {needed}\n\nreplace (\n");
    for line in upstream.lines().filter(|line| line.contains("=>")) {
        let line = line.trim().trim_start_matches("replace ");
        text.push_str(&format!("\t{line}\n"));
    }
    text.push_str(")\n");
    fs::write(dir.join("tools.go"), "package judge\n")?;
    fs::write(dir.join("go.mod"), text)?;
    Ok(dir)
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

pub fn helm() -> Result<()> {
    let target = helm_of("helm.sh/helm/v4/cmd/helm", HELM)?;
    let link = bin().join("helm");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(&target, &link).context("cannot name helm")
}

/// Helm's engine as a library, asked by a program of ours; built anew when that has changed.
///
/// # Errors
/// When Go is missing or a module cannot be fetched or built.
pub fn helm_oracle(sources: &[(&str, &str)]) -> Result<PathBuf> {
    let dir = module("helm-oracle")?;
    for (name, text) in sources {
        let path = dir.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
    }
    let package = format!("helm.sh/helm/v4/pkg/engine@{HELM}");
    run(&mut go(&dir, &["get", &package]))?;
    let target = bin().join("helm-oracle");
    build(&dir, &["build", "-mod=mod"], &target, ".")?;
    Ok(target)
}

fn kubernetes(program: &str) -> Result<()> {
    let target = bin().join(program);
    if target.exists() {
        return Ok(());
    }
    build_kubernetes(KUBERNETES, program, &target)
}

fn build_kubernetes(release: &str, program: &str, target: &Path) -> Result<()> {
    let dir = kubernetes_module(release)?;
    let flags = ["build", "-mod=mod", "-ldflags", &version_flags(release)];
    let package = format!("k8s.io/kubernetes/cmd/{program}");
    build(&dir, &flags, target, &package)
}

/// Names every `kubectl.1.N` of this machine `kubectl-1.N`; the oldest is built where it is not
/// there.
fn older_kubectls() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(KUBECTL_FOLDERS.iter().map(PathBuf::from));
    let (oldest, newest) = (minor(KUBECTL_OLDEST), minor(KUBERNETES));
    for minor in oldest..newest {
        let target = bin().join(format!("kubectl-1.{minor}"));
        if target.exists() {
            continue;
        }
        let names = folders.iter().map(|f| f.join(format!("kubectl.1.{minor}")));
        if let Some(found) = names.into_iter().find(|program| program.is_file()) {
            std::os::unix::fs::symlink(&found, &target)
                .with_context(|| format!("cannot name {}", found.display()))?;
        } else if minor == oldest {
            build_kubernetes(KUBECTL_OLDEST, "kubectl", &target)?;
        }
    }
    Ok(())
}

/// The middle number of a release.
fn minor(release: &str) -> u32 {
    let number = release.split('.').nth(1);
    number.and_then(|n| n.parse().ok()).unwrap_or_default()
}

fn kubernetes_test(program: &str, package: &str) -> Result<()> {
    let target = bin().join(program);
    if target.exists() {
        return Ok(());
    }
    let dir = kubernetes_module(KUBERNETES)?;
    let flags = version_flags(KUBERNETES);
    let words = ["test", "-mod=mod", "-c", "-ldflags", &flags];
    build(&dir, &words, &target, package)
}

fn build(dir: &Path, flags: &[&str], target: &Path, package: &str) -> Result<()> {
    let partial = target.with_extension("part");
    let mut command = go(dir, flags);
    command.arg("-o").arg(&partial).arg(package);
    run(&mut command)?;
    fs::rename(&partial, target).with_context(|| format!("cannot place {}", target.display()))
}

/// A module of our own that replaces the staging modules as the release's own `go.mod` means.
fn kubernetes_module(release: &str) -> Result<PathBuf> {
    let name = match release {
        KUBERNETES => "src/k8s".to_owned(),
        other => format!("src/k8s-{other}"),
    };
    let dir = base().join(name);
    if dir.join("go.mod").exists() {
        return Ok(dir);
    }
    fs::create_dir_all(&dir)?;
    let module = format!("k8s.io/kubernetes@v{release}");
    run(&mut go(&dir, &["mod", "download", &module]))?;
    let cache = output(&mut go(&dir, &["env", "GOMODCACHE"]))?;
    let upstream = Path::new(cache.trim()).join(module).join("go.mod");
    let text = fs::read_to_string(&upstream)?;
    fs::write(dir.join("tools.go"), "package judge\n")?;
    fs::write(dir.join("go.mod"), module_file(release, &text))?;
    Ok(dir)
}

/// Staging modules carry the numbers of their release with a leading 0.
fn module_file(release: &str, upstream: &str) -> String {
    let staging = release.replacen('1', "0", 1);
    let mut text =
        format!("module judge\n\ngo 1.25.0\n\nrequire k8s.io/kubernetes v{release}\n\nreplace (\n");
    for line in upstream.lines() {
        let mut words = line.split_whitespace();
        if let (Some(module), Some("v0.0.0")) = (words.next(), words.next()) {
            text.push_str(&format!("\t{module} => {module} v{staging}\n"));
        }
    }
    text.push_str(")\n");
    text
}

fn version_flags(release: &str) -> String {
    let base = "k8s.io/component-base/version";
    let client = "k8s.io/client-go/pkg/version";
    let minor = minor(release);
    format!(
        "-X {base}.gitVersion=v{release} -X {base}.gitMajor=1 -X {base}.gitMinor={minor} -X \
         {client}.gitVersion=v{release}"
    )
}
