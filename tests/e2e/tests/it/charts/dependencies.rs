//! `dependency`: resolved, locked, fetched, and what is left over deleted.

use std::fs;

use anyhow::Result;

use super::world::{Program, Registry, Rules, Site, Twins, chart};

const PLAIN: &str = "--plain-http";

/// `Chart.yaml` of a chart that needs others.
fn about(dependencies: &str) -> String {
    format!("apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n{dependencies}")
}

fn one(name: &str, version: &str, repository: &str) -> String {
    format!("- name: {name}\n  version: \"{version}\"\n  repository: \"{repository}\"\n")
}

struct World {
    twins: Twins,
    site: Site,
    registry: Registry,
}

async fn world() -> Result<World> {
    let twins = Twins::new()?;
    let folder = twins.root.path().join("site");
    fs::create_dir(&folder)?;
    let registry = Registry::start(twins.root.path(), "", "").await?;
    let charts = twins.root.path().join("charts");
    let target = folder.display().to_string();
    for (name, version) in [("web", "1.0.0"), ("web", "1.2.0"), ("db", "0.1.0+b1")] {
        chart(&charts, name, version)?;
        let path = charts.join(name).display().to_string();
        twins.run(Program::Helm, &["package", &path, "-d", &target])?;
    }
    for file in ["web-1.0.0.tgz", "web-1.2.0.tgz", "db-0.1.0+b1.tgz"] {
        let path = folder.join(file).display().to_string();
        let remote = format!("oci://{}/charts", registry.name);
        let pushed = twins.run(Program::Helm, &["push", &path, &remote, PLAIN])?;
        assert!(pushed.status.success(), "{pushed:?}");
    }
    twins.run(Program::Helm, &["repo", "index", &target])?;
    let site = Site::serve(folder, Rules::default())?;
    for program in [Program::Helm, Program::Pilotis] {
        chart(&twins.home(program), "local", "0.3.0")?;
    }
    Ok(World {
        twins,
        site,
        registry,
    })
}

impl World {
    /// Both programs update from a `Chart.yaml` and must say, lock and keep the same.
    fn update(&self, dependencies: &str) -> Result<String> {
        self.twins.write("app/Chart.yaml", &about(dependencies))?;
        let told = self.twins.same(&["dependency", "update", "app", PLAIN])?;
        if told.starts_with("exit Some(0)") {
            self.same_lock("app/Chart.lock")?;
            self.twins.same_names("app/charts")?;
        }
        Ok(told)
    }

    fn same_lock(&self, path: &str) -> Result<()> {
        let read = |program| -> Result<String> {
            let text = fs::read_to_string(self.twins.home(program).join(path))?;
            let kept = text.lines().filter(|line| !line.starts_with("generated: "));
            Ok(kept.collect::<Vec<_>>().join("\n"))
        };
        assert_eq!(read(Program::Pilotis)?, read(Program::Helm)?);
        Ok(())
    }
}

#[tokio::test]
async fn dependencies_are_locked_and_fetched_alike() -> Result<()> {
    let world = world().await?;
    let twins = &world.twins;
    let url = world.site.address.as_str();
    let oci = format!("oci://{}/charts", world.registry.name);
    twins.same(&["repo", "add", "lab", url])?;
    let local = one("local", "~0", "file://../local");
    let all = [
        one("web", ">=1.0.0 <2", "@lab"),
        "  alias: front\n  condition: front.enabled\n  tags: [a, b]\n  import-values:\n  - data\n  \
         - {child: x, parent: y}\n"
            .to_owned(),
        one("db", "0.x", &format!("{url}/")),
        local.clone(),
    ];
    twins.write("fresh/Chart.yaml", &about(&all.concat()))?;
    twins.same(&["template", "x", "fresh"])?;
    twins.same(&["template", "x", "fresh", "--dependency-update"])?;
    twins.write("app/Chart.yaml", &about(&all.concat()))?;
    twins.same(&["dependency", "list", "app"])?;
    // Without a lock file, building is updating.
    twins.same(&["dep", "build", "app"])?;
    world.same_lock("app/Chart.lock")?;
    let names = twins.same_names("app/charts")?;
    assert_eq!(
        names,
        ["db-0.1.0+b1.tgz", "local-0.3.0.tgz", "web-1.2.0.tgz"]
    );
    twins.same(&["dependency", "list", "app"])?;
    twins.same(&["dependency", "build", "app"])?;
    twins.same(&["dependency", "build", "app", "--skip-refresh"])?;
    twins.same(&["template", "x", "app"])?;
    // Leftovers go, the rest stays.
    for program in [Program::Helm, Program::Pilotis] {
        let charts = twins.home(program).join("app/charts");
        fs::copy(
            world.site.folder.join("web-1.0.0.tgz"),
            charts.join("web-1.0.0.tgz"),
        )?;
    }
    twins.same(&["dependency", "list", "app"])?;
    world.update(&all.concat())?;
    // An alias may be written in two ways, an OCI repository has no index.
    let other = [one("web", "^1", "alias:lab"), one("db", "0.x", &oci), local];
    let told = world.update(&other.concat())?;
    assert!(told.contains("Pulled: "), "{told}");
    world.update(&one("web", "~1.0", &oci))?;
    twins.same(&["dependency", "build", "app", PLAIN])?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_resolved_is_said_alike() -> Result<()> {
    let world = world().await?;
    let twins = &world.twins;
    let url = world.site.address.as_str();
    let oci = format!("oci://{}/charts", world.registry.name);
    twins.same(&["repo", "add", "lab", url])?;
    for dependencies in [
        one("web", "7.x", "@lab"),
        one("web", "0.y", "@lab"),
        one("none", "1.x", "@lab"),
        one("web", "1.x", "@none"),
        one("web", "1.x", "none"),
        one("web", "9.9.9", &oci),
        one("local", "9.x", "file://../local"),
        one("local", "0.x", "file://../none"),
        one("local", "0.x", ""),
    ] {
        let told = world.update(&dependencies)?;
        assert!(told.starts_with("exit Some(1)"), "{told}");
    }
    for program in [Program::Helm, Program::Pilotis] {
        let left = super::world::names(&twins.home(program).join("app"))?;
        assert!(
            !left.iter().any(|name| name.starts_with("tmpcharts")),
            "{left:?}"
        );
    }
    // A repository without a name is fetched from, but not built from.
    let unnamed = format!("http://localhost:{}", url.rsplit(':').next().unwrap());
    world.update(&one("web", "^1", &unnamed))?;
    twins.same(&["dependency", "build", "app"])?;
    twins.write("app/Chart.yaml", &about(&one("web", "1.0.0", &unnamed)))?;
    twins.same(&["dependency", "build", "app"])?;
    twins.same(&["dependency", "update", "none"])?;
    twins.same(&["dependency", "update", "local"])?;
    twins.same(&["dependency", "list", "local"])?;
    twins.same(&["dependency", "list", "a", "b"])?;
    Ok(())
}

#[tokio::test]
async fn a_chart_of_the_old_form_keeps_its_files() -> Result<()> {
    let world = world().await?;
    let twins = &world.twins;
    twins.same(&["repo", "add", "lab", &world.site.address])?;
    twins.write(
        "old/Chart.yaml",
        "apiVersion: v1\nname: old\nversion: 1.0.0\n",
    )?;
    let needed = format!("dependencies:\n{}", one("web", "^1.0.0", "@lab"));
    twins.write("old/requirements.yaml", &needed)?;
    twins.same(&["dependency", "update", "old"])?;
    world.same_lock("old/requirements.lock")?;
    twins.same(&["dependency", "build", "old"])?;
    let packed = ["package", "old", "-u", "-d", "packed"];
    twins.same(&packed)?;
    twins.same_names("packed")?;
    Ok(())
}
