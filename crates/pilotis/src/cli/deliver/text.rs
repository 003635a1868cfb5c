//! Deliveries as lines of text: pure, the time is an argument.
//!
//! What a team wrote (titles, authors, causes) may hold anything, so control characters never
//! reach the terminal.

use std::fmt::Write;

use jiff::Timestamp;
use kube::ResourceExt;
use pilotis_kinds::names::Slug;
use pilotis_kinds::pilotis::{Blocked, DeliveryStatus, Gate, GateName, GateState, Promotion};
use pilotis_kinds::reason::Reason;

use crate::client::Delivery;

/// Longest title in a list, in characters.
const TITLE_CHARS_MAX: usize = 60;

/// One line for each delivery, under a heading.
pub(super) fn list(items: &[Delivery], now: Timestamp) -> String {
    let mut rows = vec![["NAME", "PROJECT", "STATE", "AGE", "TITLE"].map(str::to_owned)];
    for delivery in items {
        let created = delivery.creation_timestamp();
        let title: String = plain(&delivery.spec.title);
        rows.push([
            delivery.name_any(),
            project(delivery),
            standing(delivery.status.as_ref()),
            created.map_or_else(dash, |created| age(created.0, now)),
            title.chars().take(TITLE_CHARS_MAX).collect(),
        ]);
    }
    table(&rows)
}

/// Everything about a delivery: what it is, its gates, its environments, and what stops it.
pub(super) fn describe(delivery: &Delivery, now: Timestamp) -> String {
    let mut out = String::new();
    let spec = &delivery.spec;
    let branch = spec.reference.rsplit_once("refs/heads/");
    let branch = branch.map_or(spec.reference.as_str(), |(_, name)| name);
    let pushed = delivery
        .creation_timestamp()
        .map(|created| format!(", {} ago", age(created.0, now)));
    let mut facts = vec![
        ("delivery", delivery.name_any()),
        ("project", project(delivery)),
        ("title", plain(&spec.title)),
        (
            "commit",
            format!("{} on {}", plain(&spec.commit), plain(branch)),
        ),
        ("author", plain(&spec.author) + &pushed.unwrap_or_default()),
        ("state", standing(delivery.status.as_ref())),
    ];
    let status = delivery.status.clone().unwrap_or_default();
    facts.extend(status.image.as_deref().map(|image| ("image", plain(image))));
    for (name, value) in facts {
        fact(&mut out, name, &value);
    }
    if !status.gates.is_empty() {
        out.push('\n');
        gates(&mut out, &status, now);
    }
    environments(&mut out, &status.promotions, now);
    if blocked(delivery).is_some() {
        let _ = write!(out, "\n{}", verdict(delivery));
    }
    out
}

/// How it ended: where it runs, or what stops it, who acts and how.
pub(super) fn verdict(delivery: &Delivery) -> String {
    let mut out = String::new();
    let Some((gate, cause)) = blocked(delivery) else {
        match delivery.status.as_ref().and_then(overtaken) {
            Some(gate) => {
                let _ = writeln!(out, "overtaken: {}", plain(&gate.message));
            }
            None => {
                let _ = writeln!(out, "delivered: {}", plain(&delivery.spec.title));
            }
        }
        for promotion in delivery.status.iter().flat_map(|s| &s.promotions) {
            let url = promotion.url.as_deref().map(plain).unwrap_or_default();
            let line = format!(
                "  {:<11}  {}  {url}",
                promotion.environment, promotion.state
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        return out;
    };
    let _ = writeln!(out, "BLOCKED at {}\n", gate.name.as_str());
    match cause {
        Some(cause) => describe_cause(&mut out, delivery, cause),
        None => fact(&mut out, "cause", &plain(&gate.message)),
    }
    out
}

fn describe_cause(out: &mut String, delivery: &Delivery, cause: &Blocked) {
    if let Some(requirement) = &cause.requirement {
        let title = cause.title.as_deref().map(plain).unwrap_or_default();
        fact(
            out,
            "requirement",
            &format!("{}  {title}", plain(requirement)),
        );
    }
    if let Some(rule) = &cause.rule {
        fact(out, "rule", &plain(rule));
    }
    fact(out, "cause", &plain(&cause.cause));
    if let Some(object) = &cause.object {
        fact(out, "object", &plain(object));
    }
    let owner = match cause.owner.as_str() {
        "operator" => "operator: the platform's operator acts, the team has nothing to change",
        "team" => "team: the project's team acts",
        other => other,
    };
    fact(out, "owner", owner);
    if let Some(file) = &cause.file {
        let line = cause.line.map(|l| format!(":{l}")).unwrap_or_default();
        fact(out, "where", &format!("{}{line}", plain(file)));
    }
    if !cause.fix.is_empty() {
        fact(out, "fix", &plain(&cause.fix));
    }
    if cause.others > 0 {
        fact(
            out,
            "and",
            &format!("{} more to mend after this one", cause.others),
        );
    }
    if let Some(patch) = &cause.patch {
        let _ = writeln!(out, "\n{}", plain_lines(patch.trim_end()));
        let _ = writeln!(
            out,
            "\napply it with\n  pilotis deliver patch {} --project {} | git apply",
            delivery.name_any(),
            project(delivery)
        );
    }
}

fn gates(out: &mut String, status: &DeliveryStatus, now: Timestamp) {
    let _ = writeln!(out, "{:<8}  {:<8}  {:>9}", "GATE", "STATE", "TIME");
    for gate in &status.gates {
        let _ = writeln!(out, "{}", gate_line(gate, now));
        for evidence in &gate.evidence {
            let summary = match evidence.summary.as_str() {
                "" => String::new(),
                summary => format!("  ({})", plain(summary)),
            };
            let (kind, digest) = (plain(&evidence.kind), plain(&evidence.digest));
            let _ = writeln!(out, "{:31}{kind} {digest}{summary}", "");
        }
    }
}

fn gate_line(gate: &Gate, now: Timestamp) -> String {
    let line = format!(
        "{:<8}  {:<8}  {:>9}  {}",
        gate.name.as_str(),
        word(gate.state),
        taken(gate, now).unwrap_or_else(dash),
        plain(&gate.message)
    );
    line.trim_end().to_owned()
}

fn environments(out: &mut String, promotions: &[Promotion], now: Timestamp) {
    if promotions.is_empty() {
        return;
    }
    let mut rows = vec![["ENVIRONMENT", "STATE", "SINCE", "ADDRESS"].map(str::to_owned)];
    for promotion in promotions {
        rows.push([
            plain(&promotion.environment),
            plain(&promotion.state),
            promotion.at.map_or_else(dash, |at| age(at, now)),
            promotion.url.as_deref().map_or_else(dash, plain),
        ]);
    }
    let _ = write!(out, "\n{}", table(&rows));
}

/// What changed between two looks: a line for each gate that ended or began to wait for something
/// else, and for each environment that moved.
pub(super) fn progress(before: Option<&Delivery>, after: &Delivery) -> Vec<String> {
    let told = before.map(all_progress).unwrap_or_default();
    let mut new = all_progress(after);
    new.retain(|line| !told.contains(line));
    new
}

fn all_progress(delivery: &Delivery) -> Vec<String> {
    let Some(status) = &delivery.status else {
        return Vec::new();
    };
    let begun = status
        .gates
        .iter()
        .filter(|g| g.state != GateState::Pending);
    let gates = begun.map(|gate| {
        let ended = gate.finished_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let time = gate.finished_at.and_then(|_| taken(gate, ended));
        let line = format!(
            "{:<8}  {:<8}  {:>9}  {}",
            gate.name.as_str(),
            word(gate.state),
            time.unwrap_or_default(),
            plain(&gate.message)
        );
        line.trim_end().to_owned()
    });
    let promotions = status.promotions.iter().map(|p| {
        let line = format!(
            "{:<8}  {:<8}  {:>9}  {}",
            plain(&p.environment),
            p.state.to_lowercase(),
            "",
            p.url.as_deref().map(plain).unwrap_or_default()
        );
        line.trim_end().to_owned()
    });
    gates.chain(promotions).collect()
}

/// The gate that is under way and for how long.
pub(super) fn under_way(delivery: &Delivery, now: Timestamp) -> Option<String> {
    let gates = &delivery.status.as_ref()?.gates;
    let gate = gates.iter().find(|gate| gate.state == GateState::Running)?;
    Some(gate_line(gate, now))
}

/// Where a delivery stands, in a few words.
fn standing(status: Option<&DeliveryStatus>) -> String {
    let Some(status) = status else {
        return "waiting".to_owned();
    };
    if let Some(gate) = status.gates.iter().find(|g| g.state == GateState::Failed) {
        return format!("blocked at {}", gate.name.as_str());
    }
    if overtaken(status).is_some() {
        return "overtaken".to_owned();
    }
    if all_passed(status) {
        return "delivered".to_owned();
    }
    let current = status
        .gates
        .iter()
        .find(|g| matches!(g.state, GateState::Pending | GateState::Running))
        .map_or("promote", |g| g.name.as_str());
    format!("at {current}")
}

/// Whether every gate has been passed or skipped.
pub(super) fn is_finished(delivery: &Delivery) -> bool {
    delivery.status.as_ref().is_some_and(all_passed)
}

/// Whether a gate has been passed or skipped.
pub(super) fn is_past(delivery: &Delivery, name: GateName) -> bool {
    let mut gates = delivery.status.iter().flat_map(|status| &status.gates);
    gates.any(|gate| gate.name == name && lets_through(gate))
}

/// The gate that says a newer delivery took this one's place.
fn overtaken(status: &DeliveryStatus) -> Option<&Gate> {
    let gone = |gate: &&Gate| matches!(gate.reason(), Some(Reason::Superseded { .. }));
    status.gates.iter().find(gone)
}

fn all_passed(status: &DeliveryStatus) -> bool {
    status.gates.len() == GateName::ALL.len() && status.gates.iter().all(lets_through)
}

fn lets_through(gate: &Gate) -> bool {
    matches!(gate.state, GateState::Passed | GateState::Skipped)
}

/// The gate that stops a delivery, and its cause if it was written down.
pub(super) fn blocked(delivery: &Delivery) -> Option<(&Gate, Option<&Blocked>)> {
    let gates = &delivery.status.as_ref()?.gates;
    let gate = gates.iter().find(|g| g.state == GateState::Failed)?;
    Some((gate, gate.blocked.as_ref()))
}

fn project(delivery: &Delivery) -> String {
    let namespace = delivery.namespace().unwrap_or_default();
    Slug::of_namespace(&namespace).map_or(namespace, |slug| slug.to_string())
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

/// `8.2 s`, `1 min 48 s`.
fn taken(gate: &Gate, now: Timestamp) -> Option<String> {
    let end = gate.finished_at.unwrap_or(now);
    let milliseconds = (end.as_millisecond() - gate.started_at?.as_millisecond()).max(0);
    let seconds = milliseconds / 1000;
    Some(match seconds {
        0 if milliseconds < 100 => "<0.1 s".to_owned(),
        0..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    })
}

/// `25m`, as kubectl writes ages.
fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn fact(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "{}", format!("{name:<11}  {value}").trim_end());
}

/// Columns as wide as their widest cell.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// One line without control characters.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// The same, keeping line ends and tabs.
pub(super) fn plain_lines(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use pilotis_kinds::pilotis::DELIVERY;
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-19T14:30:12Z".parse().unwrap()
    }

    fn gate(name: &str, start: i64, seconds: i64) -> Value {
        let at = |second| Timestamp::from_millisecond(1_795_098_240_000 + second * 1000).unwrap();
        json!({
            "name": name, "state": "Passed", "message": format!("{name} said so"),
            "startedAt": at(start), "finishedAt": at(start + seconds),
            "evidence": [{
                "kind": "log", "digest": "sha256:3d8b4b54eccd", "mediaType": "text/plain",
                "summary": "12 lines",
            }],
        })
    }

    fn passed(number: usize) -> Vec<Value> {
        let gates = GateName::ALL.into_iter().take(number).enumerate();
        gates
            .map(|(index, name)| gate(name.as_str(), index as i64 * 30, index as i64 * 25 + 2))
            .collect()
    }

    fn delivery(gates: Vec<Value>, promotions: Value) -> Delivery {
        let mut gates = gates;
        for name in GateName::ALL.into_iter().skip(gates.len()) {
            gates.push(json!({"name": name, "state": "Pending"}));
        }
        serde_json::from_value(json!({
            "apiVersion": "pilotis.dev/v1alpha1", "kind": DELIVERY.kind,
            "metadata": {
                "name": "web-3f9c2ab7d10e", "namespace": "project-bonjour",
                "creationTimestamp": "2026-11-19T14:24:00Z",
            },
            "spec": {
                "repository": "web", "commit": "3f9c2ab7d10e5544", "ref": "refs/heads/main",
                "title": "Afficher l’heure en UTC", "author": "ana",
            },
            "status": {
                "gates": gates, "promotions": promotions,
                "image": "registry.pilotis.internal/bonjour/web@sha256:3d8b4b54eccd",
            },
        }))
        .unwrap()
    }

    fn stopped() -> Delivery {
        let mut gates = passed(4);
        gates.push(json!({
            "name": "verify", "state": "Failed", "message": "readOnlyRootFilesystem vaut false",
            "startedAt": "2026-11-19T14:28:00Z", "finishedAt": "2026-11-19T14:28:09.4Z",
            "evidence": [{
                "kind": "compliance-report", "digest": "sha256:11e221bd1b7f",
                "mediaType": "application/json", "summary": "2 findings, 42 rules evaluated",
            }],
            "blocked": {
                "requirement": "EXI-ARCH-18", "title": "Conteneur non modifiable",
                "rule": "read-only-root", "object": "Deployment/web web",
                "cause": "readOnlyRootFilesystem vaut false", "owner": "team",
                "file": "chart/values-prod.yaml", "line": 5,
                "fix": "Mettez readOnlyRootFilesystem à true.",
                "patch": "--- a/chart/values-prod.yaml\n+++ b/chart/values-prod.yaml\n\
                    @@ -5,1 +5,1 @@\n-  readOnlyRootFilesystem: false\n\
                    +  readOnlyRootFilesystem: true\n",
                "others": 1,
            },
        }));
        delivery(gates, json!([]))
    }

    fn on_its_way() -> Delivery {
        let mut gates = passed(7);
        gates.push(json!({
            "name": "promote", "state": "Running", "message": "prod is becoming healthy",
            "startedAt": "2026-11-19T14:28:52Z",
        }));
        let dev = json!({
            "environment": "dev", "state": "Healthy", "at": "2026-11-19T14:29:40Z",
            "url": "http://web-dev.localhost:8080/",
        });
        let prod = json!({
            "environment": "prod", "state": "Promoted", "at": "2026-11-19T14:30:00Z",
        });
        delivery(gates, json!([dev, prod]))
    }

    fn done() -> Delivery {
        let prod = json!({
            "environment": "prod", "state": "Healthy", "at": "2026-11-19T14:30:00Z",
            "url": "http://web-prod.localhost:8080/",
        });
        delivery(passed(8), json!([prod]))
    }

    #[test]
    fn a_blocked_delivery_names_requirement_cause_owner_place_and_fix() {
        insta::assert_snapshot!(describe(&stopped(), now()));
    }

    #[test]
    fn a_delivery_on_its_way_shows_what_is_under_way_and_where_it_runs() {
        insta::assert_snapshot!(describe(&on_its_way(), now()));
    }

    #[test]
    fn a_delivery_without_status_is_waiting() {
        let mut delivery = on_its_way();
        delivery.status = None;
        insta::assert_snapshot!(describe(&delivery, now()));
    }

    #[test]
    fn a_list_is_a_table() {
        insta::assert_snapshot!(list(&[on_its_way(), stopped(), done()], now()));
    }

    #[test]
    fn the_end_says_where_it_runs() {
        insta::assert_snapshot!(verdict(&done()));
    }

    #[test]
    fn a_delivery_that_a_newer_one_overtook_was_not_delivered() {
        let mut delivery = on_its_way();
        let gates = &mut delivery.status.as_mut().unwrap().gates;
        let gate = gates.last_mut().unwrap();
        gate.state = GateState::Skipped;
        gate.say(&Reason::Superseded {
            delivery: "web-5d2f9a0c11ee".to_owned(),
            environment: "prod".to_owned(),
        });
        assert_eq!(standing(delivery.status.as_ref()), "overtaken");
        let said = verdict(&delivery);
        assert!(
            said.starts_with("overtaken: web-5d2f9a0c11ee was promoted to prod"),
            "{said}"
        );
    }

    #[test]
    fn progress_tells_each_change_once() {
        let first = delivery(passed(3), json!([]));
        let told = progress(None, &first);
        assert_eq!(told.len(), 3);
        assert!(progress(Some(&first), &first).is_empty());
        let new = progress(Some(&first), &on_its_way());
        insta::assert_snapshot!(new.join("\n"));
        let live = under_way(&on_its_way(), now()).unwrap();
        assert_eq!(
            live,
            "promote   running   1 min 20 s  prod is becoming healthy"
        );
    }

    #[test]
    fn a_delivery_is_finished_when_every_gate_has_passed() {
        assert!(is_finished(&done()) && blocked(&done()).is_none());
        assert!(!is_finished(&on_its_way()) && !is_finished(&stopped()));
        assert!(is_past(&stopped(), GateName::Mirror));
        assert!(!is_past(&stopped(), GateName::Promote));
    }

    #[test]
    fn what_a_team_wrote_cannot_steer_the_terminal() {
        let mut delivery = stopped();
        let hostile = "\u{1b}[2J\u{1b}]0;x\u{7}\rGone";
        delivery.spec.title = hostile.to_owned();
        delivery.spec.author = hostile.to_owned();
        let gate = delivery.status.as_mut().unwrap().gates.get_mut(4).unwrap();
        gate.message = hostile.to_owned();
        let blocked = gate.blocked.as_mut().unwrap();
        blocked.cause = hostile.to_owned();
        blocked.patch = Some(format!("+{hostile}\n"));
        blocked.file = Some(hostile.to_owned());
        let lines = [
            describe(&delivery, now()),
            list(&[delivery.clone()], now()),
            progress(None, &delivery).join("\n"),
            verdict(&delivery),
        ];
        for text in lines {
            assert!(text.contains("Gone"), "{text:?}");
            assert!(!text.contains(['\u{1b}', '\r', '\u{7}']), "{text:?}");
        }
    }
}
