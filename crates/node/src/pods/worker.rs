//! One pod: look at what is wanted and what is, take one step, tell the API, wait for news.
//!
//! The worker owns everything of its pod. It leaves on three occasions: the pod is deleted (then
//! nothing is left of it), the node stops (then everything runs on, and the next worker finds it by
//! the pod's directory), or the API no longer has the pod.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod, PodStatus};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use pilotis_sandbox::cgroup;
use pilotis_sandbox::client::{ClientError, Shim};
use pilotis_sandbox::protocol::{Exit, PodState};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::launch::LaunchError;
use super::probes::{self, Kind, Report, Target};
use super::record::{ContainerRecord, Ended, Record, State, Step, containers, next};
use super::status::{Outlook, status};
use super::volumes::{Places, Tokens};
use crate::Inner;
use crate::events::{Level, News};
use crate::users::Blocks;

/// How long a killed container may take to disappear.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// How soon something that failed at the API is tried again.
const RETRY: Duration = Duration::from_secs(3);

/// Something that happened to a pod.
#[derive(Debug)]
pub(crate) enum Event {
    Exited {
        run_id: String,
        exit: Exit,
    },
    ShimGone,
    Probe(Report),
    /// A ConfigMap or Secret the pod refers to changed, or a token is due.
    Objects,
}

/// The worker of one pod.
pub(crate) struct Worker {
    pub(crate) node: Arc<Inner>,
    pub(crate) wanted: watch::Receiver<Option<Arc<Pod>>>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) record: Record,
    pub(crate) shim: Shim,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) sender: mpsc::Sender<Event>,
    pub(crate) tasks: BTreeMap<String, Vec<JoinHandle<()>>>,
    pub(crate) watching: Vec<JoinHandle<()>>,
    pub(crate) finished: Option<bool>,
    pub(crate) published: Option<serde_json::Value>,
    pub(crate) told: Option<PodStatus>,
    pub(crate) tokens: Tokens,
    pub(crate) tokens_until: Option<Timestamp>,
    pub(crate) stop: CancellationToken,
}

impl Drop for Worker {
    fn drop(&mut self) {
        for task in self.tasks.values().flatten().chain(&self.watching) {
            task.abort();
        }
    }
}

impl Worker {
    /// Works until the pod is gone or the node stops.
    pub(crate) async fn run(mut self) {
        self.adopt().await;
        loop {
            if !self.refresh() || self.pod.metadata.deletion_timestamp.is_some() {
                self.terminate().await;
                return;
            }
            let mut wake = None;
            if self.finished.is_none() {
                match next(&self.pod, &self.record, Timestamp::now()) {
                    Step::Start(name) => {
                        self.start(&name).await;
                        wake = Some(Timestamp::now());
                    }
                    Step::Wait(moment) => wake = moment,
                    Step::Finish(succeeded) => self.finish(succeeded).await,
                }
            }
            let told = self.publish().await;
            if self.back_off_shown() {
                continue;
            }
            if !self.wait(wake, told).await {
                return;
            }
        }
    }

    /// Sleeps until there is something to do; `false` when the node stops.
    async fn wait(&mut self, wake: Option<Timestamp>, told: bool) -> bool {
        let until = match (told, wake) {
            (false, _) => Some(RETRY),
            (true, Some(moment)) => {
                let left = moment.duration_since(Timestamp::now());
                Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
            }
            (true, None) => None,
        };
        let sleep = async {
            match until {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => return false,
            _ = self.wanted.changed() => {}
            () = sleep => {}
            Some(event) = self.events.recv() => self.take(event).await,
        }
        true
    }

    /// Takes the latest wish; `false` when the API has no such pod any more.
    fn refresh(&mut self) -> bool {
        match self.wanted.borrow_and_update().clone() {
            Some(pod) => {
                self.pod = pod;
                true
            }
            None => false,
        }
    }

    /// Finds what a former server left running.
    async fn adopt(&mut self) {
        if self.record.started_at.is_none() {
            self.record.started_at = Some(Timestamp::now());
        }
        if let Some(address) = self.record.address {
            self.node.network.keep(address);
        }
        match self.shim.watch().await {
            Ok((state, exits)) => {
                info!(pod = self.record.name, "pod found again");
                self.catch_up(&state).await;
                self.follow(exits);
                for name in self.record.containers.keys().cloned().collect::<Vec<_>>() {
                    self.probe(&name);
                }
                self.watch_objects();
            }
            Err(_) => self.lost(),
        }
    }

    async fn catch_up(&mut self, state: &PodState) {
        let running: Vec<String> = self
            .record
            .containers
            .values()
            .filter_map(|known| known.running().map(str::to_owned))
            .collect();
        for run_id in running {
            match state.containers.iter().find(|one| one.id == run_id) {
                Some(one) => {
                    if let Some(exit) = one.exit.clone() {
                        self.exited(&run_id, exit).await;
                    }
                }
                None => self.ended_unseen(&run_id),
            }
        }
    }

    /// The shim died with everything it held: the next start makes a new one.
    fn lost(&mut self) {
        let running: Vec<String> = self
            .record
            .containers
            .values()
            .filter_map(|known| known.running().map(str::to_owned))
            .collect();
        for run_id in running {
            self.ended_unseen(&run_id);
        }
        if let Err(error) = cgroup::destroy(&self.node.cgroup(&self.record.uid)) {
            warn!(pod = self.record.name, %error, "control group not removed");
        }
        self.give_back();
    }

    fn ended_unseen(&mut self, run_id: &str) {
        let now = Timestamp::now();
        if let Some((_, known)) = self.by_run(run_id) {
            let since = match &known.state {
                State::Running { since, .. } => Some(*since),
                _ => None,
            };
            known.end(Ended {
                id: run_id.to_owned(),
                code: 137,
                signal: None,
                reason: "ContainerStatusUnknown".into(),
                message: "The container could not be located when the pod was found again".into(),
                started_at: since,
                finished_at: now,
            });
        }
    }

    /// Listens to the shim from now on.
    pub(crate) fn follow(&mut self, mut exits: pilotis_sandbox::client::Exits) {
        let sender = self.sender.clone();
        self.watching.push(tokio::spawn(async move {
            loop {
                let event = match exits.next().await {
                    Ok((run_id, exit)) => Event::Exited { run_id, exit },
                    Err(_) => Event::ShimGone,
                };
                let over = matches!(event, Event::ShimGone);
                if sender.send(event).await.is_err() || over {
                    return;
                }
            }
        }));
    }

    async fn take(&mut self, event: Event) {
        match event {
            Event::Exited { run_id, exit } => self.exited(&run_id, exit).await,
            Event::ShimGone => {
                if self.finished.is_none() && self.shim.state().await.is_err() {
                    self.lost();
                }
            }
            Event::Probe(report) => self.probed(report).await,
            Event::Objects => {
                if let Err(error) = self.refresh_volumes().await {
                    warn!(pod = self.record.name, %error, "volumes not refreshed");
                }
            }
        }
    }

    /// Starts a container, unless the pod is deleted meanwhile.
    async fn start(&mut self, name: &str) {
        let deleted = deleted(self.wanted.clone());
        let stop = self.stop.clone();
        let result = tokio::select! {
            () = deleted => return,
            () = stop.cancelled() => return,
            result = self.launch(name) => result,
        };
        match result {
            Ok(run_id) => self.started(name, run_id).await,
            Err(error) => self.not_started(name, &error).await,
        }
        self.save();
    }

    async fn started(&mut self, name: &str, run_id: String) {
        let Some(container) = self.container(name) else {
            return;
        };
        let known = self.record.containers.entry(name.to_owned()).or_default();
        known.state = State::Running {
            id: run_id.clone(),
            since: Timestamp::now(),
        };
        known.started = container.startup_probe.is_none();
        known.ready = known.started && container.readiness_probe.is_none();
        self.event(Level::Normal, "Started", "Container started", Some(name));
        let hook = container
            .lifecycle
            .as_ref()
            .and_then(|hooks| hooks.post_start.clone());
        if let Some(hook) = hook
            && let Err(message) = self.hook(&container, &hook, Duration::from_secs(30)).await
        {
            let text = format!("PostStartHook failed: {message}");
            self.event(Level::Warning, "FailedPostStartHook", &text, Some(name));
            // Ended meanwhile is just as well.
            let _ = self.shim.signal(&run_id, 9).await;
        }
        self.probe(name);
    }

    async fn not_started(&mut self, name: &str, error: &LaunchError) {
        let message = error.message();
        warn!(pod = self.record.name, container = name, reason = error.reason(), %message,
            "container not started");
        let known = self.record.containers.entry(name.to_owned()).or_default();
        known.fail(error.reason(), message.clone(), Timestamp::now());
        self.event(Level::Warning, error.event(), &message, Some(name));
    }

    /// After a failed pull is told once, the wait for the next is what is shown.
    fn back_off_shown(&mut self) -> bool {
        let mut changed = false;
        for known in self.record.containers.values_mut() {
            if let State::Waiting { reason, .. } = &mut known.state
                && reason == "ErrImagePull"
            {
                *reason = "ImagePullBackOff".to_owned();
                changed = true;
            }
        }
        changed
    }

    async fn exited(&mut self, run_id: &str, exit: Exit) {
        let Some((name, known)) = self.by_run(run_id) else {
            return;
        };
        let since = match &known.state {
            State::Running { since, .. } => Some(*since),
            _ => return,
        };
        let reason = match (exit.out_of_memory, exit.code) {
            (true, _) => "OOMKilled",
            (_, 0) => "Completed",
            _ => "Error",
        };
        known.end(Ended {
            id: run_id.to_owned(),
            code: exit.code,
            signal: exit.signal,
            reason: reason.to_owned(),
            message: String::new(),
            started_at: since,
            finished_at: exit
                .finished_at
                .parse()
                .unwrap_or_else(|_| Timestamp::now()),
        });
        info!(
            pod = self.record.name,
            container = name,
            code = exit.code,
            reason,
            "container ended"
        );
        self.end_tasks(run_id);
        if let Err(error) = self.shim.remove(run_id).await {
            warn!(pod = self.record.name, %error, "container not removed");
        }
        let waits = self
            .record
            .containers
            .get(&name)
            .and_then(|known| known.not_before);
        if waits.is_some_and(|moment| moment > Timestamp::now()) && !self.deleting() {
            let text = format!(
                "Back-off restarting failed container {name} in pod {}",
                self.title()
            );
            self.event(Level::Warning, "BackOff", &text, Some(&name));
        }
        self.save();
    }

    async fn probed(&mut self, report: Report) {
        let Some((name, known)) = self.by_run(&report.run_id) else {
            return;
        };
        match (report.kind, report.verdict) {
            (Kind::Startup, Some(true)) => {
                known.started = true;
                let readiness = self
                    .container(&name)
                    .is_some_and(|c| c.readiness_probe.is_some());
                if let Some((_, known)) = self.by_run(&report.run_id) {
                    known.ready = !readiness;
                }
                self.probe(&name);
            }
            (Kind::Readiness, Some(ready)) => known.ready = ready,
            _ => {}
        }
        if !report.message.is_empty() || report.verdict == Some(false) {
            let text = format!("{} probe failed: {}", report.kind.title(), report.message);
            self.event(Level::Warning, "Unhealthy", &text, Some(&name));
        }
        if report.verdict == Some(false) && report.kind != Kind::Readiness {
            let kind = report.kind.title().to_lowercase();
            let text = format!("Container {name} failed {kind} probe, will be restarted");
            self.event(Level::Normal, "Killing", &text, Some(&name));
            self.end_container(&report.run_id, &name, self.grace());
        }
        self.save();
    }

    /// Starts the probes a running container should have now.
    fn probe(&mut self, name: &str) {
        let Some(container) = self.container(name) else {
            return;
        };
        let Some(known) = self.record.containers.get(name) else {
            return;
        };
        let (Some(run_id), Some(address)) = (known.running(), self.record.address) else {
            return;
        };
        let target = Target {
            shim: self.shim.clone(),
            run_id: run_id.to_owned(),
            address,
            network: self.node.network.clone(),
            container: Arc::new(container.clone()),
        };
        let kinds: &[Kind] = if known.started {
            &[Kind::Liveness, Kind::Readiness]
        } else {
            &[Kind::Startup]
        };
        let mut tasks = Vec::new();
        for kind in kinds {
            if let Some(probe) = kind.of(&container) {
                let work = probes::watch(*kind, probe.clone(), target.clone(), self.sender.clone());
                tasks.push(tokio::spawn(work));
            }
        }
        self.tasks.entry(target.run_id).or_default().extend(tasks);
    }

    fn end_tasks(&mut self, run_id: &str) {
        for task in self.tasks.remove(run_id).into_iter().flatten() {
            task.abort();
        }
    }

    /// Ends one container in the background: signal, grace, kill. Its exit is an event as any
    /// other.
    fn end_container(&mut self, run_id: &str, name: &str, grace: Duration) {
        self.end_tasks(run_id);
        let (shim, run_id) = (self.shim.clone(), run_id.to_owned());
        let signal = self.stop_signal(name);
        let key = run_id.clone();
        let task = tokio::spawn(async move {
            // Ended meanwhile is what we want.
            let _ = shim.signal(&run_id, signal).await;
            tokio::time::sleep(grace).await;
            let _ = shim.signal(&run_id, 9).await;
        });
        self.tasks.entry(key).or_default().push(task);
    }

    fn stop_signal(&self, name: &str) -> i32 {
        let image = self.container(name).and_then(|container| container.image);
        let found = image.and_then(|image| self.node.images.find(&image).ok().flatten());
        match found.and_then(|image| image.config.stop_signal).as_deref() {
            Some("SIGINT" | "2") => 2,
            Some("SIGQUIT" | "3") => 3,
            Some("SIGKILL" | "9") => 9,
            Some("SIGUSR1" | "10") => 10,
            Some("SIGHUP" | "1") => 1,
            _ => 15,
        }
    }

    /// All containers are over: gives everything back but the logs.
    async fn finish(&mut self, succeeded: bool) {
        self.finished = Some(succeeded);
        info!(pod = self.record.name, succeeded, "pod finished");
        self.release().await;
        self.save();
    }

    /// Ends the pod: hooks, signals, grace, kill; then takes everything away and tells the API.
    async fn terminate(&mut self) {
        let grace = match self.pod.metadata.deletion_grace_period_seconds {
            Some(seconds) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
            None => Duration::ZERO,
        };
        let deadline = tokio::time::Instant::now() + grace;
        let running = self.running();
        if !running.is_empty() {
            for (name, _) in &running {
                let text = format!("Stopping container {name}");
                self.event(Level::Normal, "Killing", &text, Some(name));
            }
            // Hooks use up the grace; what is left is for the signal.
            let _ = tokio::time::timeout_at(deadline, self.pre_stop(&running)).await;
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            for (name, run_id) in &running {
                self.end_container(run_id, name, left.max(Duration::from_secs(1)));
            }
            self.drain(deadline.max(tokio::time::Instant::now()) + LAST_PATIENCE)
                .await;
        }
        self.release().await;
        self.publish().await;
        self.forget().await;
        self.remove_files();
    }

    fn running(&self) -> Vec<(String, String)> {
        let run = |(name, known): (&String, &ContainerRecord)| {
            known
                .running()
                .map(|run_id| (name.clone(), run_id.to_owned()))
        };
        self.record.containers.iter().filter_map(run).collect()
    }

    async fn pre_stop(&self, running: &[(String, String)]) {
        let mut calls: Vec<BoxFuture<'_, ()>> = Vec::new();
        for (name, _) in running {
            let Some(container) = self.container(name) else {
                continue;
            };
            if let Some(hook) = container.lifecycle.clone().and_then(|hooks| hooks.pre_stop) {
                calls.push(Box::pin(self.pre_stop_one(container, hook)));
            }
        }
        futures::future::join_all(calls).await;
    }

    async fn pre_stop_one(&self, container: Container, hook: LifecycleHandler) {
        // The caller's deadline is the pod's grace; this one only bounds a pod without any.
        if let Err(message) = self
            .hook(&container, &hook, Duration::from_secs(3600))
            .await
        {
            let text = format!("PreStopHook failed: {message}");
            let name = Some(container.name.as_str());
            self.event(Level::Warning, "FailedPreStopHook", &text, name);
        }
    }

    async fn hook(
        &self,
        container: &Container,
        hook: &LifecycleHandler,
        patience: Duration,
    ) -> Result<(), String> {
        let known = self.record.containers.get(&container.name);
        let (Some(run_id), Some(address)) = (
            known.and_then(ContainerRecord::running),
            self.record.address,
        ) else {
            return Err("the container does not run".to_owned());
        };
        let target = Target {
            shim: self.shim.clone(),
            run_id: run_id.to_owned(),
            address,
            network: self.node.network.clone(),
            container: Arc::new(container.clone()),
        };
        if let Some(exec) = &hook.exec {
            return probes::run(&target, exec, patience).await;
        }
        if let Some(get) = &hook.http_get {
            return probes::http_get(&target, get).await;
        }
        if let Some(sleep) = &hook.sleep {
            let seconds = u64::try_from(sleep.seconds).unwrap_or(0);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        Ok(())
    }

    /// Waits for all containers to end.
    async fn drain(&mut self, deadline: tokio::time::Instant) {
        while !self.running().is_empty() {
            match tokio::time::timeout_at(deadline, self.events.recv()).await {
                Ok(Some(Event::Exited { run_id, exit })) => self.exited(&run_id, exit).await,
                Ok(Some(Event::ShimGone)) => self.lost(),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Ends the shim and with it namespaces, mounts and interface.
    pub(super) async fn release(&mut self) {
        match self.shim.shutdown().await {
            Ok(()) | Err(ClientError::Gone(_)) => {}
            Err(error) => warn!(pod = self.record.name, %error, "shim not ended"),
        }
        for task in self.watching.drain(..) {
            task.abort();
        }
        let now = Timestamp::now();
        for (name, run_id) in self.running() {
            let known = self.record.containers.entry(name).or_default();
            known.end(Ended {
                id: run_id,
                code: 137,
                signal: Some(9),
                reason: "Error".into(),
                message: String::new(),
                started_at: None,
                finished_at: now,
            });
        }
        if let Err(error) = cgroup::destroy(&self.node.cgroup(&self.record.uid)) {
            warn!(pod = self.record.name, %error, "control group not removed");
        }
        self.give_back();
    }

    /// Gives back what the sandbox had of the machine: its address and its user ids.
    fn give_back(&mut self) {
        if let Some(address) = self.record.address.take() {
            self.node.network.give_back(address);
            self.node.here.remove(&self.record.uid);
        }
        if let Err(error) = Blocks::default().give_back(&self.directory()) {
            warn!(pod = self.record.name, %error, "user ids not given back");
        }
    }

    /// Tells the API that nothing of the pod is left here.
    async fn forget(&self) {
        if self.wanted.borrow().is_none() {
            return;
        }
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions {
                uid: Some(self.record.uid.clone()),
                ..Preconditions::default()
            }),
            ..DeleteParams::default()
        };
        for _ in 0..20 {
            match self.api().delete(&self.record.name, &parameters).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => return,
                Err(error) => warn!(pod = self.record.name, %error, "pod not removed from the API"),
            }
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    fn remove_files(&self) {
        let places = self.places();
        for path in [&places.disk, &places.memory] {
            if let Err(error) = pilotis_sandbox::mounts::unmount_below(path) {
                warn!(pod = self.record.name, %error, "volume not unmounted");
            }
        }
        let logs =
            self.node
                .log_directory(&self.record.namespace, &self.record.name, &self.record.uid);
        for path in [self.directory(), places.memory, logs] {
            match std::fs::remove_dir_all(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    warn!(pod = self.record.name, %error, "files not removed");
                }
                _ => {}
            }
        }
    }

    /// Writes the status if it differs from the last written; `false` when that failed.
    async fn publish(&mut self) -> bool {
        let outlook = Outlook {
            node_address: self.node.network.node_address(),
            finished: self.finished,
            now: Timestamp::now(),
        };
        let status = status(&self.pod, &self.record, self.told.as_ref(), &outlook);
        let typed = status.clone();
        let Ok(status) = serde_json::to_value(&status) else {
            return true;
        };
        if self.published.as_ref() == Some(&status) {
            return true;
        }
        let patch = json!({ "metadata": { "uid": self.record.uid }, "status": status });
        let sent = self
            .api()
            .patch_status(
                &self.record.name,
                &PatchParams::default(),
                &Patch::Merge(&patch),
            )
            .await;
        match sent {
            Ok(pod) => {
                self.pod = Arc::new(pod);
                self.published = Some(status);
                self.told = Some(typed);
                true
            }
            Err(kube::Error::Api(error)) if error.code == 404 || error.code == 409 => true,
            Err(error) => {
                warn!(pod = self.record.name, %error, "status not written");
                false
            }
        }
    }

    pub(crate) fn event(
        &self,
        level: Level,
        reason: &'static str,
        message: &str,
        container: Option<&str>,
    ) {
        let path = container.and_then(|name| {
            let spec = self.pod.spec.as_ref()?;
            let (_, init) = containers(spec).find(|(one, _)| one.name == name)?;
            let field = if init {
                "spec.initContainers"
            } else {
                "spec.containers"
            };
            Some(format!("{field}{{{name}}}"))
        });
        self.node.events.tell(
            &self.pod,
            path,
            &News {
                level,
                reason,
                message,
            },
        );
    }

    pub(crate) fn save(&self) {
        let path = self.directory().join("record.json");
        let written = serde_json::to_vec(&self.record)
            .map_err(std::io::Error::from)
            .and_then(|bytes| {
                let partial = path.with_extension("partial");
                std::fs::create_dir_all(self.directory())?;
                std::fs::write(&partial, bytes)?;
                std::fs::rename(partial, &path)
            });
        if let Err(error) = written {
            warn!(pod = self.record.name, %error, "record not saved");
        }
    }

    fn by_run(&mut self, run_id: &str) -> Option<(String, &mut ContainerRecord)> {
        self.record
            .containers
            .iter_mut()
            .find(|(_, known)| known.running() == Some(run_id))
            .map(|(name, known)| (name.clone(), known))
    }

    pub(crate) fn container(&self, name: &str) -> Option<Container> {
        let spec = self.pod.spec.as_ref()?;
        containers(spec)
            .find(|(one, _)| one.name == name)
            .map(|(one, _)| one.clone())
    }

    fn deleting(&self) -> bool {
        is_deleted(&self.wanted.borrow())
    }

    fn grace(&self) -> Duration {
        let spec = self.pod.spec.as_ref();
        let seconds = spec
            .and_then(|spec| spec.termination_grace_period_seconds)
            .unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    fn title(&self) -> String {
        format!(
            "{}_{}({})",
            self.record.name, self.record.namespace, self.record.uid
        )
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.node.client().clone(), &self.record.namespace)
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.shim.directory().to_owned()
    }

    pub(crate) fn places(&self) -> Places {
        Places {
            disk: self.directory().join("volumes"),
            memory: self.node.secrets_directory().join(&self.record.uid),
        }
    }
}

fn is_deleted(wanted: &Option<Arc<Pod>>) -> bool {
    wanted
        .as_ref()
        .is_none_or(|pod| pod.metadata.deletion_timestamp.is_some())
}

/// Waits until a pod is to be ended.
async fn deleted(mut wanted: watch::Receiver<Option<Arc<Pod>>>) {
    while !is_deleted(&wanted.borrow_and_update()) {
        if wanted.changed().await.is_err() {
            // Nobody wishes anything any more: the node stops, which others notice.
            std::future::pending::<()>().await;
        }
    }
}
