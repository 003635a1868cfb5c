//! `pilotis deliver`: what the console shows about commits, for a terminal.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use futures::StreamExt;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use pilotis_kinds::pilotis::{Blocked, DeliveryStatus, Gate, GateName, GateState};

use super::project::slug;
use super::{Form, Instance, Outcome};
use crate::client::{self, Delivery};

/// Commands on deliveries.
#[derive(Debug, Subcommand)]
pub enum Deliver {
    /// List deliveries, newest first
    List(Select),
    /// Show one delivery, gate by gate
    Show(One),
    /// Follow one delivery until it is in production, past a gate, or blocked
    Watch(Watch),
}

/// Which deliveries.
#[derive(Debug, Clone, Args)]
pub struct Select {
    /// Project; all projects when absent
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Human)]
    pub output: Form,
    /// Instance.
    #[command(flatten)]
    pub instance: Instance,
}

/// One delivery.
#[derive(Debug, Clone, Args)]
pub struct One {
    /// Name, as `deliver list` prints it
    pub name: String,
    /// Project
    #[arg(long, value_name = "PROJECT")]
    pub project: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Human)]
    pub output: Form,
    /// Instance.
    #[command(flatten)]
    pub instance: Instance,
}

/// One delivery to follow.
#[derive(Debug, Clone, Args)]
pub struct Watch {
    /// Name, as `deliver list` prints it; it may not exist yet
    pub name: String,
    /// Project
    #[arg(long, value_name = "PROJECT")]
    pub project: String,
    /// Stop when this gate has passed or was skipped, instead of after the last one
    #[arg(long, value_name = "GATE", value_parser = gate)]
    pub until: Option<GateName>,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 900)]
    pub timeout: u64,
    /// Instance.
    #[command(flatten)]
    pub instance: Instance,
}

/// Runs a `deliver` command.
///
/// # Errors
/// When the API cannot be reached or the delivery does not exist.
pub async fn run(command: Deliver) -> Result<Outcome> {
    match command {
        Deliver::List(select) => list(select).await,
        Deliver::Show(one) => show(one).await,
        Deliver::Watch(watch) => follow(watch).await,
    }
}

async fn list(select: Select) -> Result<Outcome> {
    let namespace = select.project.as_deref().map(namespace_of).transpose()?;
    let client = client::connect(&select.instance).await?;
    let api = client::deliveries(&client, namespace.as_deref());
    let mut items = api.list(&ListParams::default()).await?.items;
    items.sort_by_key(|d| std::cmp::Reverse(d.metadata.creation_timestamp.clone()));
    if select.output == Form::Json {
        println!("{}", serde_json::to_string_pretty(&items)?);
        return Ok(Outcome::Done);
    }
    for delivery in &items {
        let standing = standing(delivery.status.as_ref());
        println!(
            "{}\t{}\t{}",
            delivery.name_any(),
            standing,
            delivery.spec.title
        );
    }
    if items.is_empty() {
        eprintln!("no delivery yet: push a commit to a repository's followed branch");
    }
    Ok(Outcome::Done)
}

async fn show(one: One) -> Result<Outcome> {
    let namespace = namespace_of(&one.project)?;
    let client = client::connect(&one.instance).await?;
    let api = client::deliveries(&client, Some(&namespace));
    let delivery = api
        .get(&one.name)
        .await
        .with_context(|| format!("cannot read delivery {} of {}", one.name, one.project))?;
    match one.output {
        Form::Json => println!("{}", serde_json::to_string_pretty(&delivery)?),
        Form::Human => print!("{}", describe(&delivery)),
    }
    Ok(if blocked(&delivery).is_some() {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

async fn follow(watch: Watch) -> Result<Outcome> {
    let namespace = namespace_of(&watch.project)?;
    let client = client::connect(&watch.instance).await?;
    let api = client::deliveries(&client, Some(&namespace));
    let config = watcher::Config::default().fields(&format!("metadata.name={}", watch.name));
    let mut stream = std::pin::pin!(watcher::watcher(api, config).applied_objects());
    let mut told: Vec<String> = Vec::new();
    let work = async {
        while let Some(event) = stream.next().await {
            let Ok(delivery) = event else { continue };
            for line in progress(&delivery) {
                if !told.contains(&line) {
                    println!("{line}");
                    told.push(line);
                }
            }
            if blocked(&delivery).is_some() {
                print!("{}", describe(&delivery));
                return Some(Outcome::Findings);
            }
            if finished(delivery.status.as_ref()) || past(&delivery, watch.until) {
                return Some(Outcome::Done);
            }
        }
        None
    };
    match tokio::time::timeout(Duration::from_secs(watch.timeout), work).await {
        Ok(Some(outcome)) => Ok(outcome),
        _ => bail!("{} is not finished after {} s", watch.name, watch.timeout),
    }
}

/// A gate by the name it is shown with.
fn gate(name: &str) -> Result<GateName> {
    let found = GateName::ALL.into_iter().find(|g| g.as_str() == name);
    found.with_context(|| {
        let names = GateName::ALL.map(|g| g.as_str());
        format!("no gate is called so; there are {}", names.join(", "))
    })
}

/// Whether the gate somebody waits for lets the commit go on.
fn past(delivery: &Delivery, until: Option<GateName>) -> bool {
    let gates = delivery.status.iter().flat_map(|status| &status.gates);
    until.is_some_and(|name| gates.clone().any(|g| g.name == name && is_open(g)))
}

fn is_open(gate: &Gate) -> bool {
    matches!(gate.state, GateState::Passed | GateState::Skipped)
}

fn namespace_of(project: &str) -> Result<String> {
    Ok(slug(project)?.namespace())
}

/// One line per gate that began or ended, and per environment that moved.
fn progress(delivery: &Delivery) -> Vec<String> {
    let Some(status) = &delivery.status else {
        return Vec::new();
    };
    let gates = status
        .gates
        .iter()
        .filter(|g| g.state != GateState::Pending)
        .map(|gate| {
            let message = if gate.message.is_empty() {
                ""
            } else {
                &gate.message
            };
            format!(
                "{:<8} {:<8} {}",
                gate.name.as_str(),
                word(gate.state),
                message
            )
            .trim_end()
            .to_owned()
        });
    let promotions = status
        .promotions
        .iter()
        .map(|p| format!("{:<8} {:<8} {}", "env", p.state, p.environment));
    gates.chain(promotions).collect()
}

/// Everything about a delivery, gate by gate.
fn describe(delivery: &Delivery) -> String {
    let mut out = String::new();
    let spec = &delivery.spec;
    let _ = writeln!(out, "delivery    {}", delivery.name_any());
    let _ = writeln!(out, "commit      {} ({})", spec.commit, spec.reference);
    let _ = writeln!(out, "title       {}", spec.title);
    let Some(status) = &delivery.status else {
        return out;
    };
    let _ = writeln!(out, "standing    {}", standing(Some(status)));
    if let Some(image) = &status.image {
        let _ = writeln!(out, "image       {image}");
    }
    out.push('\n');
    for gate in &status.gates {
        describe_gate(&mut out, gate);
    }
    for promotion in &status.promotions {
        let url = promotion.url.as_deref().unwrap_or_default();
        let _ = writeln!(
            out,
            "  {:<8} {} {url}",
            promotion.environment, promotion.state
        );
    }
    if let Some(cause) = blocked(delivery) {
        describe_cause(&mut out, cause);
    }
    out
}

fn describe_gate(out: &mut String, gate: &Gate) {
    let time = duration(gate).unwrap_or_default();
    let line = format!(
        "  {:<8} {:<8} {:>8}  {}",
        gate.name.as_str(),
        word(gate.state),
        time,
        gate.message
    );
    let _ = writeln!(out, "{}", line.trim_end());
    for evidence in &gate.evidence {
        let _ = writeln!(out, "{:31}{} {}", "", evidence.kind, evidence.digest);
    }
}

fn describe_cause(out: &mut String, cause: &Blocked) {
    let requirement = cause
        .requirement
        .as_deref()
        .or(cause.rule.as_deref())
        .unwrap_or("-");
    let _ = writeln!(out, "\nrequirement {requirement}");
    let _ = writeln!(out, "cause       {}", cause.cause);
    let _ = writeln!(out, "owner       {}", cause.owner);
    if let Some(file) = &cause.file {
        let line = cause.line.map(|l| format!(":{l}")).unwrap_or_default();
        let _ = writeln!(out, "where       {file}{line}");
    }
    let _ = writeln!(out, "fix         {}", cause.fix);
    if let Some(patch) = &cause.patch {
        let _ = writeln!(out, "\n{patch}");
    }
    if cause.others > 0 {
        let _ = writeln!(out, "and {} more findings", cause.others);
    }
}

fn duration(gate: &Gate) -> Option<String> {
    let start = gate.started_at?;
    let end = gate.finished_at.unwrap_or_else(Timestamp::now);
    let seconds = (end.as_millisecond() - start.as_millisecond()).max(0) as f64 / 1000.0;
    Some(format!("{seconds:.1} s"))
}

fn word(state: GateState) -> &'static str {
    match state {
        GateState::Pending => "pending",
        GateState::Running => "running",
        GateState::Passed => "passed",
        GateState::Failed => "blocked",
        GateState::Skipped => "skipped",
    }
}

/// Where a delivery stands, in a few words.
fn standing(status: Option<&DeliveryStatus>) -> String {
    let Some(status) = status else {
        return "waiting".to_owned();
    };
    if let Some(gate) = status.gates.iter().find(|g| g.state == GateState::Failed) {
        return format!("blocked at {}", gate.name.as_str());
    }
    if finished(Some(status)) {
        return "delivered".to_owned();
    }
    let current = status
        .gates
        .iter()
        .find(|g| matches!(g.state, GateState::Pending | GateState::Running))
        .map_or("promote", |g| g.name.as_str());
    format!("at {current}")
}

fn finished(status: Option<&DeliveryStatus>) -> bool {
    let Some(status) = status else { return false };
    status.gates.len() == GateName::ALL.len() && status.gates.iter().all(is_open)
}

fn blocked(delivery: &Delivery) -> Option<&Blocked> {
    let gates = &delivery.status.as_ref()?.gates;
    gates
        .iter()
        .find(|g| g.state == GateState::Failed)?
        .blocked
        .as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilotis_kinds::pilotis::DeliverySpec;

    fn delivery(states: &[GateState]) -> Delivery {
        let gates = GateName::ALL
            .into_iter()
            .zip(states)
            .map(|(name, state)| Gate {
                name,
                state: *state,
                message: String::new(),
                started_at: None,
                finished_at: None,
                evidence: Vec::new(),
                blocked: (*state == GateState::Failed).then(|| Blocked {
                    requirement: Some("EXI-ARCH-26".into()),
                    cause: "hostPath volume".into(),
                    owner: "team".into(),
                    file: Some("chart/templates/deployment.yaml".into()),
                    line: Some(41),
                    fix: "use an emptyDir".into(),
                    ..Blocked::default()
                }),
            })
            .collect();
        let spec = DeliverySpec {
            repository: "app".into(),
            commit: "0".repeat(40),
            reference: "refs/heads/main".into(),
            title: "hello".into(),
            author: "ana".into(),
        };
        let mut delivery = Delivery::new(
            "app-000000000000",
            &client::resource(&pilotis_kinds::pilotis::DELIVERY),
            spec,
        );
        delivery.status = Some(DeliveryStatus {
            gates,
            ..DeliveryStatus::default()
        });
        delivery
    }

    #[test]
    fn a_blocked_delivery_names_requirement_cause_place_and_fix() {
        use GateState::{Failed, Passed, Pending};
        let states = [
            Passed, Passed, Passed, Passed, Failed, Pending, Pending, Pending,
        ];
        insta::assert_snapshot!(describe(&delivery(&states)));
    }

    #[test]
    fn a_delivery_is_finished_when_every_gate_has_passed() {
        let done = delivery(&[GateState::Passed; 8]);
        assert!(finished(done.status.as_ref()));
        assert_eq!(standing(done.status.as_ref()), "delivered");
        let started = delivery(&[GateState::Passed; 2]);
        assert!(!finished(started.status.as_ref()));
    }
}
