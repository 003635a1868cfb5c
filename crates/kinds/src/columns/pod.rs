//! The cells of a pod; its status word is a story of its own.
//!
//! The word starts as the phase (or the status reason), is replaced by the first unfinished init
//! container, else by the containers from last to first, and at the end by the deletion.

use serde_json::Value;

use super::Row;
use crate::time;

pub(super) fn cells(row: &Row<'_>) -> Vec<Value> {
    let mut summary = Summary::new(row);
    let initializing = summary.init_containers();
    if !initializing || condition_is_true(row, "Initialized") {
        summary.containers();
    }
    summary.deletion();
    let mut cells = vec![
        row.name(),
        format!("{}/{}", summary.ready, summary.total).into(),
        summary.reason.clone().into(),
        summary.restarts_text().into(),
        row.age(),
    ];
    cells.extend([
        row.text_or("/status/podIPs/0/ip", "<none>"),
        row.text_or("/spec/nodeName", "<none>"),
        row.text_or("/status/nominatedNodeName", "<none>"),
        readiness_gates(row).into(),
    ]);
    cells
}

struct Summary<'a> {
    row: &'a Row<'a>,
    reason: String,
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: &'a str,
    sidecar_restarts: i64,
    sidecar_last_restart: &'a str,
}

impl<'a> Summary<'a> {
    fn new(row: &'a Row<'a>) -> Self {
        let gated = row
            .list("/status/conditions")
            .iter()
            .any(|c| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated");
        let reason = match (gated, row.text("/status/reason")) {
            (true, _) => "SchedulingGated",
            (false, "") => row.text("/status/phase"),
            (false, reason) => reason,
        };
        let sidecars = row
            .list("/spec/initContainers")
            .iter()
            .filter(|c| is_sidecar(c))
            .count();
        Self {
            row,
            reason: reason.to_owned(),
            ready: 0,
            total: row.count("/spec/containers") + sidecars,
            restarts: 0,
            last_restart: "",
            sidecar_restarts: 0,
            sidecar_last_restart: "",
        }
    }

    /// Counts the init containers; true when one of them is not done, which the reason then tells.
    fn init_containers(&mut self) -> bool {
        let specs = self.row.list("/spec/initContainers");
        for (index, status) in self
            .row
            .list("/status/initContainerStatuses")
            .iter()
            .enumerate()
        {
            let spec = specs.iter().find(|spec| spec["name"] == status["name"]);
            let sidecar = spec.is_some_and(is_sidecar);
            let restarts = status["restartCount"].as_i64().unwrap_or_default();
            let finished = last_finished(status);
            self.restarts += restarts;
            self.last_restart = self.last_restart.max(finished);
            if sidecar {
                self.sidecar_restarts += restarts;
                self.sidecar_last_restart = self.sidecar_last_restart.max(finished);
            }
            let ended = status
                .pointer("/state/terminated")
                .filter(|state| !state.is_null());
            if ended.is_some_and(|state| state["exitCode"].as_i64().unwrap_or(0) == 0) {
                continue;
            }
            if sidecar && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            let waiting = status
                .pointer("/state/waiting/reason")
                .and_then(Value::as_str);
            self.reason = match (ended, waiting) {
                (Some(state), _) => format!("Init:{}", ended_reason(state)),
                (None, Some(reason)) if !matches!(reason, "" | "PodInitializing") => {
                    format!("Init:{reason}")
                }
                _ => format!("Init:{index}/{}", specs.len()),
            };
            return true;
        }
        false
    }

    fn containers(&mut self) {
        self.restarts = self.sidecar_restarts;
        self.last_restart = self.sidecar_last_restart;
        let (mut running, mut failure) = (false, String::new());
        for status in self.row.list("/status/containerStatuses").iter().rev() {
            self.restarts += status["restartCount"].as_i64().unwrap_or_default();
            self.last_restart = self.last_restart.max(last_finished(status));
            let waiting = status
                .pointer("/state/waiting/reason")
                .and_then(Value::as_str);
            let ended = status
                .pointer("/state/terminated")
                .filter(|state| !state.is_null());
            match (waiting.filter(|reason| !reason.is_empty()), ended) {
                (Some(reason), _) => reason.clone_into(&mut self.reason),
                (None, Some(state)) => {
                    self.reason = ended_reason(state);
                    if state["exitCode"].as_i64().unwrap_or(0) != 0 {
                        failure.clone_from(&self.reason);
                    }
                }
                _ if status["ready"] == true && status.pointer("/state/running").is_some() => {
                    running = true;
                    self.ready += 1;
                }
                _ => {}
            }
        }
        if self.reason == "Completed" {
            if running && condition_is_true(self.row, "Ready") {
                "Running".clone_into(&mut self.reason);
            } else if !failure.is_empty() {
                self.reason = failure;
            } else if running {
                "NotReady".clone_into(&mut self.reason);
            }
        }
    }

    fn deletion(&mut self) {
        if !self.row.deleted() {
            return;
        }
        let phase = self.row.text("/status/phase");
        if self.row.text("/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut self.reason);
        } else if !matches!(phase, "Succeeded" | "Failed") {
            "Terminating".clone_into(&mut self.reason);
        }
    }

    fn restarts_text(&self) -> String {
        match (self.restarts, self.last_restart) {
            (0, _) | (_, "") => self.restarts.to_string(),
            (count, last) => format!("{count} ({} ago)", time::age(Some(last), self.row.now)),
        }
    }
}

fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

fn last_finished(status: &Value) -> &str {
    let path = "/lastState/terminated/finishedAt";
    status
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Why a container ended: its reason, else its signal, else its exit code.
fn ended_reason(state: &Value) -> String {
    let signal = state["signal"].as_i64().unwrap_or_default();
    match state["reason"].as_str().unwrap_or_default() {
        "" if signal != 0 => format!("Signal:{signal}"),
        "" => format!(
            "ExitCode:{}",
            state["exitCode"].as_i64().unwrap_or_default()
        ),
        reason => reason.to_owned(),
    }
}

fn condition_is_true(row: &Row<'_>, name: &str) -> bool {
    let conditions = row.list("/status/conditions");
    conditions
        .iter()
        .any(|c| c["type"] == name && c["status"] == "True")
}

fn readiness_gates(row: &Row<'_>) -> String {
    let gates = row.list("/spec/readinessGates");
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let met = gates
        .iter()
        .filter_map(|gate| gate["conditionType"].as_str());
    let met = met.filter(|name| condition_is_true(row, name)).count();
    format!("{met}/{}", gates.len())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn check(pod: Value, ready: &str, status: &str, restarts: &str) {
        let now: Timestamp = "2024-01-01T01:00:00Z".parse().unwrap();
        let cells = cells(&Row { object: &pod, now });
        assert_eq!(
            [&cells[1], &cells[2], &cells[3]],
            [ready, status, restarts],
            "{pod}"
        );
    }

    #[test]
    fn a_crash_loop_says_so_and_when_it_last_fell() {
        check(
            json!({"spec": {"containers": [{"name": "a"}]},
                "status": {"phase": "Running", "containerStatuses": [{
                    "name": "a", "restartCount": 2, "ready": false,
                    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                    "lastState": {"terminated": {"finishedAt": "2024-01-01T00:55:00Z"}}}]}}),
            "0/1",
            "CrashLoopBackOff",
            "2 (5m ago)",
        );
    }

    #[test]
    fn an_unfinished_init_container_hides_the_rest() {
        let pod = |state: Value| {
            json!({"spec": {"containers": [{"name": "a"}],
                    "initContainers": [{"name": "i"}, {"name": "j"}]},
                "status": {"phase": "Pending", "initContainerStatuses": [
                    {"name": "i", "restartCount": 0, "state": state}]}})
        };
        check(pod(json!({"running": {}})), "0/1", "Init:0/2", "0");
        check(
            pod(json!({"terminated": {"exitCode": 2}})),
            "0/1",
            "Init:ExitCode:2",
            "0",
        );
        check(
            pod(json!({"waiting": {"reason": "ErrImagePull"}})),
            "0/1",
            "Init:ErrImagePull",
            "0",
        );
        check(
            pod(json!({"terminated": {"exitCode": 0}})),
            "0/1",
            "Pending",
            "0",
        );
    }

    #[test]
    fn deletion_and_completion_change_the_word() {
        check(
            json!({"metadata": {"deletionTimestamp": "2024-01-01T00:00:00Z"},
                "spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Running"}}),
            "0/1",
            "Terminating",
            "0",
        );
        check(
            json!({"spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Succeeded",
                "containerStatuses": [{"name": "a", "restartCount": 0,
                    "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}}),
            "0/1",
            "Completed",
            "0",
        );
    }
}
