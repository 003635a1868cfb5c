//! 300 Applications of two objects each, from one repository, from creation to all Synced.
//!
//! Each is deployed as its project's deployer account, with RBAC and admission. The real Argo CD's
//! figures were measured elsewhere and are quoted, not compared.

use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;

use super::Bench;
use super::instance::Instance;
use super::load::number;

/// How many.
const COUNT: usize = 300;
const PROJECT: &str = "fleet";
const REPOSITORY: &str = "fleet";
/// Not followed by the chain: nothing here is to be built.
const BRANCH: &str = "deploy";

/// What Argo CD 3.2.6 (controller and repo-server, without containers) needed for the same on
/// another 2-core machine.
const ARGO: &str = "quoted, another 2-core machine: Argo CD 3.2.6";

/// Measures everything of this area.
///
/// # Errors
/// When the platform does not start or an application is not synchronised.
pub fn measure(bench: &mut Bench) -> Result<()> {
    let instance = Instance::new("gitops");
    let pilotis = &instance.pilotis;
    instance.up(&["--no-containers"])?;
    pilotis.run(&["project", "create", PROJECT, "--environment", "dev"])?;
    pilotis.run(&["repository", "create", REPOSITORY, "--project", PROJECT])?;
    let checkout = pilotis.checkout(PROJECT, REPOSITORY, BRANCH)?;
    write_manifests(checkout.dir())?;
    checkout.commit("manifests")?;
    checkout.push()?;
    drop(checkout);
    let file = std::env::temp_dir().join(format!("pilotis-bench-{}.json", std::process::id()));
    fs::write(&file, applications().to_string())?;
    let process = instance.process()?;
    let (idle, before) = (process.resident()?, process.cpu()?);
    let flags = ["--file", &*file.to_string_lossy()];
    let answer = bench
        .loader
        .run("applications", &instance.kubeconfig(), &flags);
    fs::remove_file(&file)?;
    let answer = answer?;
    let objects = number(&answer, "/objects")?;
    #[allow(clippy::cast_precision_loss)] // a few hundred
    if (objects - (2 * COUNT) as f64).abs() > 0.5 {
        bail!("{objects} objects were deployed, not {}", 2 * COUNT);
    }
    let cpu = process.cpu()? - before;
    let table = &mut bench.table;
    let wall = number(&answer, "/syncedSeconds")?;
    let quoted = |figure: &str| format!("{ARGO} {figure}");
    let what = "300 applications, all synced";
    table.noted(what, wall, "s", &quoted("121 s"));
    table.noted("same, processor time", cpu, "s", &quoted("115 s"));
    let (resident, peak) = (process.resident()?, process.peak()?);
    let note = quoted("613 MB, controller and repo-server alone");
    table.noted("same, memory at the end", resident, "MB", &note);
    let note = format!("whole process; {idle:.0} MB before");
    table.noted("same, peak memory", peak, "MB", &note);
    let before = process.cpu()?;
    std::thread::sleep(std::time::Duration::from_secs(60));
    let idle = process.cpu()? - before;
    let what = "processor time of the next minute";
    table.noted(what, idle, "s", &quoted("3.7 s"));
    let resident = process.resident()?;
    table.add("memory after that minute", resident, "MB");
    Ok(())
}

fn write_manifests(dir: &Path) -> Result<()> {
    for number in 0..COUNT {
        let name = format!("app-{number}");
        let folder = dir.join(&name);
        fs::create_dir_all(&folder)?;
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  number: \
             \"{number}\"\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  \
             selector:\n    app: {name}\n  ports:\n  - port: 80\n    targetPort: 8080\n"
        );
        fs::write(folder.join("objects.yaml"), text)?;
    }
    Ok(())
}

fn applications() -> serde_json::Value {
    let url = format!("https://git.pilotis.internal/{PROJECT}/{REPOSITORY}.git");
    (0..COUNT)
        .map(|number| {
            let name = format!("app-{number}");
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                "metadata": {"name": name, "namespace": format!("project-{PROJECT}")},
                "spec": {
                    "project": PROJECT,
                    "source": {"repoURL": url, "targetRevision": BRANCH, "path": name},
                    "destination": {
                        "server": "https://kubernetes.default.svc",
                        "namespace": format!("{PROJECT}-dev"),
                    },
                    "syncPolicy": {"automated": {"prune": true, "selfHeal": true}},
                },
            })
        })
        .collect()
}
