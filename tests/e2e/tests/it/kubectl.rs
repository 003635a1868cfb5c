//! One ordinary session, with every `kubectl` from the oldest that must work to the newest.
//!
//! `cargo xtask judges` names them `kubectl` (the newest) and `kubectl-1.N`; the oldest must be
//! there, those between are used when found.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use pilotis_testkit::{judge, judges_dir};

use crate::instance::Instance;

const OLDEST: u32 = 29;
const NEWEST: u32 = 35;
const DEADLINE: Duration = Duration::from_secs(60);

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'web:1', ports: [{containerPort: 8080}]}
";

#[test]
fn every_kubectl_gets_through_an_ordinary_session() -> Result<()> {
    let instance = Instance::up(&["--no-containers", "--only-cluster"])?;
    let found = programs();
    let versions: Vec<String> = found.iter().map(|(v, _)| format!("1.{v}")).collect();
    // Written directly, so that it shows also when the test passes.
    writeln!(
        std::io::stderr(),
        "sessions with kubectl {}",
        versions.join(", ")
    )?;
    for required in [OLDEST, NEWEST] {
        ensure!(
            found.iter().any(|(version, _)| *version == required),
            "kubectl 1.{required} is missing: run `cargo xtask judges`"
        );
    }
    for (version, program) in found {
        let session = Session {
            instance: &instance,
            program,
            namespace: format!("v1-{version}"),
        };
        session
            .run(version)
            .with_context(|| format!("kubectl 1.{version}"))?;
    }
    Ok(())
}

/// What is there, oldest first.
fn programs() -> Vec<(u32, PathBuf)> {
    let older = (OLDEST..NEWEST).map(|v| (v, judges_dir().join(format!("kubectl-1.{v}"))));
    let mut found: Vec<(u32, PathBuf)> = older.filter(|(_, path)| path.exists()).collect();
    found.push((NEWEST, judge("kubectl")));
    found
}

/// One `kubectl` in a namespace of its own.
struct Session<'a> {
    instance: &'a Instance,
    program: PathBuf,
    namespace: String,
}

impl Session<'_> {
    fn run(&self, version: u32) -> Result<()> {
        self.says(&["version"], &format!("Client Version: v1.{version}."))?;
        self.ok(&["create", "namespace", &self.namespace])?;
        self.look_around()?;
        self.apply_and_look()?;
        self.roll_out()?;
        self.apply_on_the_server()?;
        self.patch_in_every_way()?;
        self.watch()?;
        self.be_refused()?;
        self.delete()
    }

    fn look_around(&self) -> Result<()> {
        self.says(&["api-resources"], "deployments")?;
        self.says(
            &["api-resources", "--verbs=list", "-o", "name"],
            "deployments.apps",
        )?;
        self.says(&["api-versions"], "apps/v1")?;
        self.says(&["auth", "can-i", "create", "deployments"], "yes")?;
        self.says(&["explain", "deployment.spec.replicas"], "replicas")?;
        Ok(())
    }

    fn apply_and_look(&self) -> Result<()> {
        let apply = ["apply", "-f", "-"];
        self.says_to(&apply, DEPLOYMENT, "deployment.apps/web created")?;
        self.says_to(&apply, DEPLOYMENT, "deployment.apps/web unchanged")?;
        let more = DEPLOYMENT.replace("replicas: 1", "replicas: 2");
        self.says_to(&["diff", "-f", "-"], &more, "+  replicas: 2")?;
        self.says_to(&apply, &more, "deployment.apps/web configured")?;
        self.ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
        self.says(
            &["get", "deployment", "web", "-o", "yaml"],
            "last-applied-configuration",
        )?;
        self.says(&["get", "deployments"], "2/2")?;
        self.says(&["get", "deployments", "-o", "wide"], "web:1")?;
        self.says(&["get", "pods", "-o", "wide", "-l", "app=web"], "Running")?;
        self.says(&["get", "all"], "replicaset.apps/web-")?;
        self.says(
            &["get", "pods", "-A", "--field-selector=status.phase=Running"],
            "web-",
        )?;
        self.says(&["describe", "deployment", "web"], "ScalingReplicaSet")?;
        self.says(
            &["describe", "pods", "-l", "app=web"],
            "Status:           Running",
        )?;
        self.says(&["events", "--for=deployment/web"], "Scaled up replica set")
    }

    fn roll_out(&self) -> Result<()> {
        self.says(
            &["set", "image", "deployment/web", "web=web:2"],
            "image updated",
        )?;
        self.ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
        self.says(&["rollout", "history", "deployment/web"], "REVISION")?;
        self.says(&["rollout", "undo", "deployment/web"], "rolled back")?;
        self.ok(&["rollout", "status", "deployment/web", "--timeout=60s"])?;
        self.says(&["rollout", "restart", "deployment/web"], "restarted")?;
        self.says(&["scale", "deployment/web", "--replicas=3"], "scaled")?;
        let ready = "--for=jsonpath={.status.readyReplicas}=3";
        self.ok(&["wait", ready, "deployment/web", "--timeout=60s"])?;
        let available = "--for=condition=Available";
        self.says(
            &["wait", available, "deployment/web", "--timeout=60s"],
            "condition met",
        )
    }

    fn apply_on_the_server(&self) -> Result<()> {
        let map = |value: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: owned}}\ndata: {{k: {value}}}\n"
            )
        };
        let apply = ["apply", "--server-side", "-f", "-", "--field-manager"];
        let by = |manager| [&apply[..], &[manager]].concat();
        self.says_to(&by("one"), &map("a"), "serverside-applied")?;
        let refused = self.refused_to(&by("two"), &map("b"))?;
        ensure!(
            refused.contains("conflict with \"one\": .data.k"),
            "{refused}"
        );
        let forced = [&by("two")[..], &["--force-conflicts"]].concat();
        self.says_to(&forced, &map("b"), "serverside-applied")?;
        let shown = [
            "get",
            "configmap",
            "owned",
            "-o",
            "yaml",
            "--show-managed-fields",
        ];
        self.says(&shown, "manager: two")
    }

    fn patch_in_every_way(&self) -> Result<()> {
        self.ok(&["create", "configmap", "patched", "--from-literal=a=1"])?;
        for (kind, patch) in [
            ("merge", r#"{"data":{"merge":"x"}}"#),
            ("strategic", r#"{"data":{"strategic":"x"}}"#),
            ("json", r#"[{"op":"add","path":"/data/json","value":"x"}]"#),
        ] {
            self.ok(&["patch", "configmap", "patched", "--type", kind, "-p", patch])?;
            self.says(
                &["get", "configmap", "patched", "-o", "yaml"],
                &format!("{kind}: x"),
            )?;
        }
        self.ok(&["label", "configmap", "patched", "team=blue"])?;
        self.ok(&["annotate", "configmap", "patched", "note=here"])?;
        self.says(
            &["get", "configmaps", "-l", "team=blue", "-o", "name"],
            "configmap/patched",
        )?;
        self.says(
            &["get", "configmaps", "-L", "team", "--chunk-size=1"],
            "blue",
        )
    }

    /// `get -w` shows what happens after it began.
    fn watch(&self) -> Result<()> {
        let mut command = self.command(&["get", "configmaps", "-w", "--output-watch-events"]);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        let (sender, lines) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let seen = wait_for(&lines, "ADDED", "owned").and_then(|()| {
            self.ok(&["create", "configmap", "seen"])?;
            wait_for(&lines, "ADDED", "seen")?;
            self.ok(&["delete", "configmap", "seen"])?;
            wait_for(&lines, "DELETED", "seen")
        });
        drop(lines);
        child.kill()?;
        child.wait()?;
        let _ = reader.join();
        seen
    }

    fn be_refused(&self) -> Result<()> {
        let unknown = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatum: {}\n";
        let refused = self.refused_to(&["create", "-f", "-"], unknown)?;
        ensure!(refused.contains("unknown field \"datum\""), "{refused}");
        let refused = self.refused_to(&["get", "configmap", "absent"], "")?;
        ensure!(
            refused.contains("configmaps \"absent\" not found"),
            "{refused}"
        );
        let refused = self.refused_to(&["explain", "deployment.spec.nothing"], "")?;
        ensure!(
            refused.contains("field \"nothing\" does not exist"),
            "{refused}"
        );
        Ok(())
    }

    fn delete(&self) -> Result<()> {
        self.says(&["delete", "deployment", "web", "--timeout=60s"], "deleted")?;
        let gone = [
            "wait",
            "--for=delete",
            "pods",
            "-l",
            "app=web",
            "--timeout=60s",
        ];
        self.ok(&gone)?;
        self.ok(&["delete", "configmaps", "--all"])?;
        self.says(
            &["delete", "namespace", &self.namespace, "--timeout=60s"],
            "deleted",
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let home = self.instance.path();
        command
            .arg("--kubeconfig")
            .arg(home.join("kubeconfig"))
            .arg("--cache-dir")
            .arg(home.join(format!("kubectl-cache-{}", self.namespace)))
            .args(["--namespace", &self.namespace])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    /// Exit code, standard output and error of a command with this input.
    fn output(&self, arguments: &[&str], input: &str) -> Result<(Option<i32>, String, String)> {
        let mut command = self.command(arguments);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        let output = child.wait_with_output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        ))
    }

    fn ok(&self, arguments: &[&str]) -> Result<String> {
        let (code, output, error) = self.output(arguments, "")?;
        if code != Some(0) {
            bail!("{arguments:?} ended with {code:?}: {error}");
        }
        Ok(output)
    }

    fn says(&self, arguments: &[&str], wanted: &str) -> Result<()> {
        self.says_to(arguments, "", wanted)
    }

    /// Succeeds (`diff` with 1, as it does when there is a difference) and says so.
    fn says_to(&self, arguments: &[&str], input: &str, wanted: &str) -> Result<()> {
        let (code, output, error) = self.output(arguments, input)?;
        let good = if arguments[0] == "diff" { 1 } else { 0 };
        if code != Some(good) || !output.contains(wanted) {
            bail!("{arguments:?} ended with {code:?}, `{wanted}` not in:\n{output}{error}");
        }
        Ok(())
    }

    /// The error of a command that must fail with code 1, as kubectl does, and not crash.
    fn refused_to(&self, arguments: &[&str], input: &str) -> Result<String> {
        let (code, output, error) = self.output(arguments, input)?;
        if code != Some(1) {
            bail!("{arguments:?} ended with {code:?}:\n{output}{error}");
        }
        Ok(error)
    }
}

/// Reads lines until one holds both words.
fn wait_for(lines: &mpsc::Receiver<String>, event: &str, name: &str) -> Result<()> {
    let mut last = String::new();
    loop {
        let line = lines
            .recv_timeout(DEADLINE)
            .with_context(|| format!("no {event} of {name}, the last line was `{last}`"))?;
        if line.contains(event) && line.contains(name) {
            return Ok(());
        }
        last = line;
    }
}
