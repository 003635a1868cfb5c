//! Starting one container: sandbox, objects, volumes, image, configuration, run, in this order.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, Container, Pod, PodSpec, Secret, ServiceAccount, ServiceAccountTokenProjection,
    Volume,
};
use kube::Api;
use kube::api::PostParams;
use pilotis_sandbox::client::{ClientError, Shim};
use pilotis_sandbox::config::{Network as PodNetwork, PodConfig};
use tracing::info;

use super::env::{EnvError, Facts, Objects, environment, service_variables};
use super::record::containers;
use super::start::{ConfigError, Material, configure};
use super::volumes::{self, Sources, VolumeError};
use super::worker::{Event, Worker};
use crate::events::Level;
use crate::images::{Credentials, Image, ImageError};
use crate::network::NetworkError;
use crate::users::{BlockError, Blocks};

/// Why a container was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error("cannot make the pod's sandbox")]
    Sandbox(#[source] ClientError),
    #[error("cannot make the pod's network")]
    Network(#[from] NetworkError),
    #[error("the rules of the pod's network are not in force yet")]
    Rules,
    #[error("cannot have user ids for the pod")]
    Users(#[from] BlockError),
    #[error("cannot write the pod's files")]
    Files(#[from] std::io::Error),
    #[error("cannot read what the pod refers to")]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error("Failed to pull image \"{name}\"")]
    Pull { name: String, source: ImageError },
    #[error("Container image \"{0}\" is not present with pull policy of Never")]
    NeverPull(String),
    #[error("Failed to apply default image \"{name}\"")]
    ImageName { name: String, source: ImageError },
    #[error(transparent)]
    Environment(#[from] EnvError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("failed to start container")]
    Run(#[source] ClientError),
    #[error("work on the disk was interrupted")]
    Interrupted,
}

impl LaunchError {
    /// Reason of the container's waiting state.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            LaunchError::Pull { .. } => "ErrImagePull",
            LaunchError::NeverPull(_) => "ErrImageNeverPull",
            LaunchError::ImageName { .. } => "InvalidImageName",
            LaunchError::Environment(_) | LaunchError::Config(_) => "CreateContainerConfigError",
            LaunchError::Run(_) => "RunContainerError",
            _ => "ContainerCreating",
        }
    }

    /// Reason of the event.
    pub(crate) fn event(&self) -> &'static str {
        match self {
            LaunchError::Sandbox(_) | LaunchError::Network(_) | LaunchError::Users(_) => {
                "FailedCreatePodSandBox"
            }
            LaunchError::Volume(_) | LaunchError::Api(_) => "FailedMount",
            LaunchError::ImageName { .. } => "InspectFailed",
            _ => "Failed",
        }
    }

    /// The whole chain of causes.
    pub(crate) fn message(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.ends_with(&next) {
                let _ = write!(text, ": {next}");
            }
            cause = error.source();
        }
        text
    }
}

impl Worker {
    /// Starts the next run of a container and names it.
    pub(super) async fn launch(&mut self, name: &str) -> Result<String, LaunchError> {
        self.sandbox().await?;
        let objects = self.prepare_volumes().await?;
        let pod = self.pod.clone();
        let container = self.container(name).ok_or(LaunchError::Interrupted)?;
        let image = self.image(&container).await?;
        let environment = self.environment(&container, &image, &objects)?;
        let node = self.node.clone();
        let known = self.record.containers.entry(name.to_owned()).or_default();
        known.again();
        known.image_id.clone_from(&image.reference);
        let id = known.run_id(name);
        let log = node
            .log_directory(&self.record.namespace, &self.record.name, &self.record.uid)
            .join(name)
            .join(format!("{}.log", known.restarts));
        let facts = self.facts(&pod);
        let material = Material {
            image: &image,
            facts: &facts,
            places: &self.places(),
            files: &self.directory(),
            environment,
            log,
            id: id.clone(),
        };
        let config = configure(&pod, &container, material)?;
        let own_network = pod
            .spec
            .as_ref()
            .is_none_or(|s| s.host_network != Some(true));
        if own_network && !node.here.wait(&self.record.uid).await {
            return Err(LaunchError::Rules);
        }
        self.event(Level::Normal, "Created", "Container created", Some(name));
        // What an interrupted start may have left under this name.
        self.shim.remove(&id).await.map_err(LaunchError::Run)?;
        self.shim.run(config).await.map_err(LaunchError::Run)?;
        info!(
            pod = self.record.name,
            container = name,
            run = id,
            "container started"
        );
        Ok(id)
    }

    /// The pod's namespaces, shim and network, made unless they are there.
    async fn sandbox(&mut self) -> Result<(), LaunchError> {
        if self.record.address.is_some() && self.shim.state().await.is_ok() {
            return Ok(());
        }
        let made = self.make_sandbox().await;
        if made.is_err() {
            // Half a sandbox must not be taken for a whole one at the next attempt.
            self.release().await;
            self.save();
        }
        made
    }

    async fn make_sandbox(&mut self) -> Result<(), LaunchError> {
        let spec = self.pod.spec.clone().unwrap_or_default();
        let host_network = spec.host_network == Some(true);
        let node = self.node.clone();
        let address = if host_network {
            node.network.node_address()
        } else {
            node.network.take()?
        };
        self.record.address = Some(address);
        self.save();
        if !host_network {
            node.here.add(&self.record.uid, address);
        }
        let directory = self.directory();
        fs::create_dir_all(&directory)?;
        let hostname = hostname(&self.pod);
        fs::write(directory.join("hostname"), format!("{hostname}\n"))?;
        fs::write(directory.join("hosts"), hosts(&spec, &hostname, address))?;
        fs::write(directory.join("resolv.conf"), self.resolver(&spec))?;
        let config = PodConfig {
            id: self.record.uid.clone(),
            hostname,
            cgroup: node.cgroup(&self.record.uid),
            network: if host_network {
                PodNetwork::Join(node.network.path().to_owned())
            } else {
                PodNetwork::Own
            },
            share_processes: spec.share_process_namespace == Some(true),
            user_namespace: match spec.host_users {
                Some(false) => Some(Blocks::default().take(&directory)?),
                _ => None,
            },
        };
        let program = &node.settings.program;
        let shim = Shim::start(program, &directory, &config)
            .await
            .map_err(LaunchError::Sandbox)?;
        let (state, exits) = shim.watch().await.map_err(LaunchError::Sandbox)?;
        if !host_network {
            let holder = state.holder;
            let network = node.network.clone();
            tokio::task::spawn_blocking(move || network.attach(holder, address))
                .await
                .map_err(|_| LaunchError::Interrupted)??;
        }
        self.follow(exits);
        self.watch_objects();
        Ok(())
    }

    fn resolver(&self, spec: &PodSpec) -> String {
        let settings = &self.node.settings;
        let extra = spec.dns_config.clone().unwrap_or_default();
        let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
        let (mut servers, mut search, mut options) = (Vec::new(), Vec::new(), Vec::new());
        if policy == "ClusterFirst" || policy == "ClusterFirstWithHostNet" {
            let domain = &settings.cluster_domain;
            servers.push(settings.addresses.dns.to_string());
            search.push(format!("{}.svc.{domain}", self.record.namespace));
            search.push(format!("svc.{domain}"));
            search.push(domain.clone());
            options.push("ndots:5".to_owned());
        } else if policy == "Default" {
            let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
            servers.extend(
                text.lines()
                    .filter_map(|line| line.strip_prefix("nameserver "))
                    .map(str::to_owned),
            );
        }
        servers.extend(extra.nameservers.into_iter().flatten());
        search.extend(extra.searches.into_iter().flatten());
        for option in extra.options.into_iter().flatten() {
            let name = option.name.unwrap_or_default();
            options.push(
                option
                    .value
                    .map_or(name.clone(), |value| format!("{name}:{value}")),
            );
        }
        let mut text = String::new();
        for server in servers {
            let _ = writeln!(text, "nameserver {server}");
        }
        if !search.is_empty() {
            let _ = writeln!(text, "search {}", search.join(" "));
        }
        if !options.is_empty() {
            let _ = writeln!(text, "options {}", options.join(" "));
        }
        text
    }

    /// Reads what the pod refers to and makes its volumes of it.
    async fn prepare_volumes(&mut self) -> Result<Objects, LaunchError> {
        let objects = self.objects().await?;
        self.refresh_tokens().await?;
        let pod = self.pod.clone();
        let facts = self.facts(&pod);
        let sources = Sources {
            facts: &facts,
            objects: &objects,
            tokens: &self.tokens,
        };
        volumes::prepare(&pod, &self.places(), &sources)?;
        Ok(objects)
    }

    /// Brings volumes in step after a change.
    pub(super) async fn refresh_volumes(&mut self) -> Result<(), LaunchError> {
        if self.finished.is_some() || self.record.address.is_none() {
            return Ok(());
        }
        self.prepare_volumes().await.map(|_| ())
    }

    async fn objects(&self) -> Result<Objects, LaunchError> {
        let names = Names::of(self.pod.spec.as_ref());
        let client = self.node.client().clone();
        let namespace = &self.record.namespace;
        let mut objects = Objects::default();
        let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        for name in names.config_maps {
            if let Some(found) = config_maps.get_opt(&name).await? {
                let text = found
                    .data
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| (k, v.into_bytes()));
                let binary = found
                    .binary_data
                    .into_iter()
                    .flatten()
                    .map(|(k, v)| (k, v.0));
                objects
                    .config_maps
                    .insert(name, text.chain(binary).collect());
            }
        }
        let secrets: Api<Secret> = Api::namespaced(client, namespace);
        for name in names.secrets {
            if let Some(found) = secrets.get_opt(&name).await? {
                let data = found.data.into_iter().flatten().map(|(k, v)| (k, v.0));
                objects.secrets.insert(name, data.collect());
            }
        }
        Ok(objects)
    }

    /// Asks for tokens of projected volumes when there are none or they are old.
    async fn refresh_tokens(&mut self) -> Result<(), LaunchError> {
        if self
            .tokens_until
            .is_some_and(|until| until > Timestamp::now())
        {
            return Ok(());
        }
        let spec = self.pod.spec.clone().unwrap_or_default();
        let account = spec
            .service_account_name
            .unwrap_or_else(|| "default".to_owned());
        let api: Api<ServiceAccount> =
            Api::namespaced(self.node.client().clone(), &self.record.namespace);
        let mut soonest: Option<SignedDuration> = None;
        for (volume, wanted) in token_sources(spec.volumes.as_deref().unwrap_or_default()) {
            let seconds = wanted.expiration_seconds.unwrap_or(3600).max(600);
            let request = TokenRequest {
                spec: TokenRequestSpec {
                    audiences: wanted.audience.iter().cloned().collect(),
                    expiration_seconds: Some(seconds),
                    bound_object_ref: Some(BoundObjectReference {
                        api_version: Some("v1".to_owned()),
                        kind: Some("Pod".to_owned()),
                        name: Some(self.record.name.clone()),
                        uid: Some(self.record.uid.clone()),
                    }),
                },
                ..TokenRequest::default()
            };
            let parameters = PostParams::default();
            let made = api
                .create_token_request(&account, &parameters, &request)
                .await?;
            let token = made.status.map(|status| status.token).unwrap_or_default();
            self.tokens.insert((volume, wanted.path), token);
            let life = SignedDuration::from_secs(seconds * 4 / 5);
            soonest = Some(soonest.map_or(life, |other| other.min(life)));
        }
        if let Some(life) = soonest {
            self.tokens_until = Some(Timestamp::now() + life);
            let sender = self.sender.clone();
            let sleep = std::time::Duration::try_from(life).unwrap_or_default();
            self.watching.push(tokio::spawn(async move {
                tokio::time::sleep(sleep).await;
                // A worker that is gone needs no token.
                let _ = sender.send(Event::Objects).await;
            }));
        }
        Ok(())
    }

    /// Watches the ConfigMaps and Secrets of volumes, one by one: the node may read no others.
    pub(super) fn watch_objects(&mut self) {
        let spec = self.pod.spec.clone().unwrap_or_default();
        let names = Names::of_volumes(spec.volumes.as_deref().unwrap_or_default());
        let client = self.node.client().clone();
        for name in names.config_maps {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), &self.record.namespace);
            self.watching.push(tokio::spawn(super::watch_one(
                api,
                name,
                self.sender.clone(),
            )));
        }
        for name in names.secrets {
            let api: Api<Secret> = Api::namespaced(client.clone(), &self.record.namespace);
            self.watching.push(tokio::spawn(super::watch_one(
                api,
                name,
                self.sender.clone(),
            )));
        }
    }

    async fn image(&self, container: &Container) -> Result<Image, LaunchError> {
        let name = container.image.clone().unwrap_or_default();
        let here = self
            .node
            .images
            .find(&name)
            .map_err(|source| LaunchError::ImageName {
                name: name.clone(),
                source,
            })?;
        let policy = container
            .image_pull_policy
            .as_deref()
            .unwrap_or("IfNotPresent");
        match (here, policy) {
            (Some(image), "IfNotPresent" | "Never") => {
                let text = format!("Container image \"{name}\" already present on machine");
                self.event(Level::Normal, "Pulled", &text, Some(&container.name));
                return Ok(image);
            }
            (None, "Never") => return Err(LaunchError::NeverPull(name)),
            _ => {}
        }
        let text = format!("Pulling image \"{name}\"");
        self.event(Level::Normal, "Pulling", &text, Some(&container.name));
        let begun = std::time::Instant::now();
        let credentials = self.credentials().await?;
        let pulled = self.node.images.pull(&name, &credentials).await;
        let image = pulled.map_err(|source| LaunchError::Pull {
            name: name.clone(),
            source,
        })?;
        let text = format!(
            "Successfully pulled image \"{name}\" in {}ms. Image size: {} bytes.",
            begun.elapsed().as_millis(),
            image.size
        );
        self.event(Level::Normal, "Pulled", &text, Some(&container.name));
        Ok(image)
    }

    /// Credentials of the pod's image pull secrets.
    async fn credentials(&self) -> Result<Vec<Credentials>, LaunchError> {
        let spec = self.pod.spec.clone().unwrap_or_default();
        let client = self.node.client().clone();
        let api: Api<Secret> = Api::namespaced(client, &self.record.namespace);
        let mut all = Vec::new();
        for reference in spec.image_pull_secrets.into_iter().flatten() {
            let Some(secret) = api.get_opt(&reference.name).await? else {
                continue;
            };
            let data = secret.data.unwrap_or_default();
            if let Some(config) = data.get(".dockerconfigjson") {
                all.extend(docker_credentials(&config.0));
            }
        }
        Ok(all)
    }

    fn environment(
        &self,
        container: &Container,
        image: &Image,
        objects: &Objects,
    ) -> Result<Vec<(String, String)>, LaunchError> {
        let links = self
            .pod
            .spec
            .as_ref()
            .and_then(|spec| spec.enable_service_links);
        let services = self.node.services.state();
        let mut base: Vec<(String, String)> = image
            .config
            .env
            .iter()
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let links = links.unwrap_or(true);
        base.extend(service_variables(&services, &self.record.namespace, links));
        let facts = self.facts(&self.pod);
        Ok(environment(container, &facts, objects, base)?)
    }

    fn facts<'p>(&'p self, pod: &'p Pod) -> Facts<'p> {
        Facts {
            pod,
            pod_ip: self
                .record
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            node_ip: self.node.network.node_address().to_string(),
            node_name: &self.node.settings.name,
            cpu_cores: self.node.capacity.cpu_cores,
            memory_bytes: self.node.capacity.memory_bytes,
        }
    }
}

/// Objects a pod refers to, by name.
#[derive(Debug, Default)]
struct Names {
    config_maps: std::collections::BTreeSet<String>,
    secrets: std::collections::BTreeSet<String>,
}

impl Names {
    fn of(spec: Option<&PodSpec>) -> Self {
        let Some(spec) = spec else {
            return Names::default();
        };
        let mut names = Names::of_volumes(spec.volumes.as_deref().unwrap_or_default());
        for (container, _) in containers(spec) {
            for source in container.env_from.iter().flatten() {
                names
                    .config_maps
                    .extend(source.config_map_ref.iter().map(|one| one.name.clone()));
                names
                    .secrets
                    .extend(source.secret_ref.iter().map(|one| one.name.clone()));
            }
            let sources = container
                .env
                .iter()
                .flatten()
                .filter_map(|variable| variable.value_from.as_ref());
            for source in sources {
                let map = source.config_map_key_ref.iter().map(|one| one.name.clone());
                names.config_maps.extend(map);
                names
                    .secrets
                    .extend(source.secret_key_ref.iter().map(|one| one.name.clone()));
            }
        }
        names
    }

    fn of_volumes(volumes: &[Volume]) -> Self {
        let mut names = Names::default();
        for volume in volumes {
            names
                .config_maps
                .extend(volume.config_map.iter().map(|one| one.name.clone()));
            names.secrets.extend(
                volume
                    .secret
                    .iter()
                    .filter_map(|one| one.secret_name.clone()),
            );
            let projected = volume
                .projected
                .iter()
                .flat_map(|one| &one.sources)
                .flatten();
            for source in projected {
                names
                    .config_maps
                    .extend(source.config_map.iter().map(|one| one.name.clone()));
                names
                    .secrets
                    .extend(source.secret.iter().map(|one| one.name.clone()));
            }
        }
        names
    }
}

/// Tokens a pod's volumes want, with the name of the volume.
fn token_sources(volumes: &[Volume]) -> Vec<(String, ServiceAccountTokenProjection)> {
    let mut all = Vec::new();
    for volume in volumes {
        let sources = volume
            .projected
            .iter()
            .flat_map(|one| &one.sources)
            .flatten();
        let tokens = sources.filter_map(|source| source.service_account_token.clone());
        all.extend(tokens.map(|token| (volume.name.clone(), token)));
    }
    all
}

fn hostname(pod: &Pod) -> String {
    let spec = pod.spec.as_ref().and_then(|spec| spec.hostname.clone());
    let mut name = spec
        .or_else(|| pod.metadata.name.clone())
        .unwrap_or_default();
    name.truncate(63);
    name
}

fn hosts(spec: &PodSpec, hostname: &str, address: Ipv4Addr) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
    let _ = writeln!(text, "{address}\t{hostname}");
    for alias in spec.host_aliases.iter().flatten() {
        let names = alias.hostnames.clone().unwrap_or_default().join("\t");
        let _ = writeln!(text, "{}\t{names}", alias.ip);
    }
    text
}

/// Users in a Docker configuration file; malformed ones are as good as none.
fn docker_credentials(bytes: &[u8]) -> Vec<Credentials> {
    #[derive(serde::Deserialize)]
    struct File {
        auths: BTreeMap<String, Auth>,
    }
    #[derive(serde::Deserialize)]
    struct Auth {
        username: Option<String>,
        password: Option<String>,
        auth: Option<String>,
    }
    let Ok(file) = serde_json::from_slice::<File>(bytes) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (host, auth) in file.auths {
        let decoded = auth.auth.and_then(|text| {
            use base64::Engine;
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(text)
                .ok()?;
            let text = String::from_utf8(bytes).ok()?;
            text.split_once(':')
                .map(|(user, password)| (user.to_owned(), password.to_owned()))
        });
        let pair = auth.username.zip(auth.password).or(decoded);
        let host = host
            .trim_start_matches("https://")
            .split('/')
            .next()
            .unwrap_or("")
            .to_owned();
        if let Some((user, password)) = pair {
            all.push(Credentials {
                host,
                user,
                password,
            });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_configurations_are_read_in_both_forms() {
        let bytes = br#"{"auths":{"r.internal":{"auth":"dTpw"},
            "https://s/v1/":{"username":"a","password":"b"}}}"#;
        let all = docker_credentials(bytes);
        assert_eq!((all[0].host.as_str(), all[0].password.as_str()), ("s", "b"));
        assert_eq!(
            (all[1].host.as_str(), all[1].user.as_str()),
            ("r.internal", "u")
        );
        assert!(docker_credentials(b"{").is_empty());
    }
}
