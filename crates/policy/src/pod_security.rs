//! The Pod Security Standards, profiles `baseline` and `restricted`, by Kubernetes version.
//!
//! A pod is judged as it would run: what the platform writes in by itself is in it already. The
//! controls and the versions that changed them are those of the API server's own admission; each
//! breach names the field that makes it, or the one that is missing.

use serde_json::Value;

use crate::place::Path;
use crate::rule::Text;

/// A profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// Prevents known ways out of a container.
    Baseline,
    /// Baseline, and current hardening practice.
    Restricted,
}

/// The newest minor version of Kubernetes whose rules are known: 1.37.
pub const LATEST: u32 = 37;

/// One breach of one control.
#[derive(Debug, Clone, PartialEq)]
pub struct Breach {
    /// The control, as Kubernetes names it.
    pub control: &'static str,
    /// The field, from the root of the object that holds the pod; its end may be absent.
    pub path: Path,
    /// Name of the container concerned, if one is.
    pub container: Option<String>,
    /// The cause.
    pub message: Text,
}

/// What the profile, as Kubernetes 1.`minor` had it, says of a pod.
///
/// `spec` stands at `at` in its object; `annotations` are the pod's.
pub fn judge(
    (profile, minor): (Profile, u32),
    (spec, at): (&Value, &[&str]),
    annotations: &Value,
) -> Vec<Breach> {
    let mut pod = Pod {
        minor,
        spec,
        at: at.iter().map(|step| (*step).to_owned()).collect(),
        annotations,
        breaches: Vec::new(),
    };
    pod.baseline(profile);
    if profile == Profile::Restricted {
        pod.restricted();
    }
    pod.breaches
}

/// Capabilities a container may add under `baseline`.
const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Sysctls that are safe, and the minor version since which they are allowed.
const SYSCTLS: [(&str, u32); 14] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
    ("net.ipv4.tcp_slow_start_after_idle", 37),
    ("net.ipv4.tcp_notsent_lowat", 37),
];

/// Sources of volumes allowed under `restricted`.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io/";

struct Pod<'a> {
    minor: u32,
    spec: &'a Value,
    at: Path,
    annotations: &'a Value,
    breaches: Vec<Breach>,
}

/// A container, the steps that lead to it, and its name.
struct Container<'a> {
    steps: [String; 2],
    value: &'a Value,
    name: &'a str,
}

/// A security context: of the pod, or of a container.
struct Holder<'a> {
    steps: Vec<String>,
    context: &'a Value,
    container: Option<&'a str>,
}

impl<'a> Pod<'a> {
    fn containers(&self) -> Vec<Container<'a>> {
        let mut all = Vec::new();
        for list in LISTS {
            let items = self.spec[list].as_array().map_or(&[][..], Vec::as_slice);
            all.extend(items.iter().enumerate().map(|(index, value)| Container {
                steps: [list.to_owned(), index.to_string()],
                value,
                name: value["name"].as_str().unwrap_or_default(),
            }));
        }
        all
    }

    /// The security contexts, the pod's first.
    fn holders(&self) -> Vec<Holder<'a>> {
        let mut all = vec![Holder {
            steps: Vec::new(),
            context: &self.spec["securityContext"],
            container: None,
        }];
        all.extend(self.containers().into_iter().map(|container| Holder {
            steps: container.steps.to_vec(),
            context: &container.value["securityContext"],
            container: Some(container.name),
        }));
        all
    }

    fn breach(
        &mut self,
        control: &'static str,
        (steps, fields): (&[String], &[&str]),
        container: Option<&str>,
        (fr, en): (&str, &str),
    ) {
        let mut path = self.at.clone();
        path.extend(steps.iter().cloned());
        path.extend(fields.iter().map(|field| (*field).to_owned()));
        let clean = |name: &str| name.chars().filter(|c| !c.is_control()).take(63).collect();
        self.breaches.push(Breach {
            control,
            path,
            container: container.map(clean),
            message: Text {
                fr: fr.to_owned(),
                en: en.to_owned(),
            },
        });
    }

    fn baseline(&mut self, profile: Profile) {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            if self.spec[field] == true {
                let texts = ("le pod partage la machine", "the pod shares the host");
                self.breach("hostNamespaces", (&[], &[field]), None, texts);
            }
        }
        self.volumes(profile);
        self.sysctls();
        self.app_armor_annotations();
        if self.minor < 19 {
            self.seccomp_annotations();
        }
        for holder in self.holders() {
            self.context(&holder, profile);
        }
        for container in self.containers() {
            self.ports(&container);
            if self.minor >= 34 {
                self.handlers(&container);
            }
        }
    }

    fn volumes(&mut self, profile: Profile) {
        let volumes = self.spec["volumes"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        for (index, volume) in volumes.iter().enumerate() {
            let steps = ["volumes".to_owned(), index.to_string()];
            let present = |source: &str| !volume[source].is_null();
            if present("hostPath") {
                let texts = ("le volume est un hostPath", "the volume is a hostPath");
                self.breach("hostPathVolumes", (&steps, &["hostPath"]), None, texts);
            } else if profile == Profile::Restricted && !is_plain(volume) {
                let texts = (
                    "cette sorte de volume n'est pas permise",
                    "this kind of volume is not allowed",
                );
                self.breach("restrictedVolumes", (&steps, &[]), None, texts);
            }
        }
    }

    fn sysctls(&mut self) {
        let sysctls = self.spec["securityContext"]["sysctls"].as_array();
        for (index, sysctl) in sysctls.map_or(&[][..], Vec::as_slice).iter().enumerate() {
            let name = sysctl["name"].as_str().unwrap_or_default();
            let safe = SYSCTLS
                .iter()
                .any(|(known, since)| *known == name && *since <= self.minor);
            if !safe {
                let steps = ["securityContext", "sysctls"].map(str::to_owned);
                let fields = [&*index.to_string(), "name"];
                let texts = (
                    "ce réglage du noyau n'est pas permis",
                    "this sysctl is not allowed",
                );
                self.breach("sysctls", (&steps, &fields), None, texts);
            }
        }
    }

    fn app_armor_annotations(&mut self) {
        let Some(annotations) = self.annotations.as_object() else {
            return;
        };
        let bad = |(key, value): &(&String, &Value)| {
            let value = value.as_str().unwrap_or_default();
            let allowed =
                value.is_empty() || value == "runtime/default" || value.starts_with("localhost/");
            key.starts_with(APP_ARMOR) && !allowed
        };
        for _ in annotations.iter().filter(bad) {
            let texts = (
                "le profil AppArmor est écarté",
                "the AppArmor profile is set aside",
            );
            self.breach("appArmorProfile", (&[], &[]), None, texts);
        }
    }

    fn seccomp_annotations(&mut self) {
        let names: Vec<String> = self
            .containers()
            .iter()
            .map(|c| format!("{SECCOMP}{}", c.name))
            .collect();
        let keys = std::iter::once(SECCOMP_POD.to_owned()).chain(names);
        for key in keys {
            let Some(value) = self.annotations[&key].as_str() else {
                continue;
            };
            let allowed = matches!(value, "runtime/default" | "docker/default")
                || value.starts_with("localhost/");
            if !allowed {
                let texts = (
                    "le profil seccomp est écarté",
                    "the seccomp profile is set aside",
                );
                self.breach("seccompProfile", (&[], &[]), None, texts);
            }
        }
    }

    /// What one security context may not say, under both profiles.
    fn context(&mut self, holder: &Holder<'_>, profile: Profile) {
        let context = holder.context;
        let mut say = |control, fields: &[&str], texts| {
            let all: Vec<&str> = std::iter::once("securityContext")
                .chain(fields.iter().copied())
                .collect();
            self.breach(control, (&holder.steps, &all), holder.container, texts);
        };
        if holder.container.is_some() && context["privileged"] == true {
            let texts = ("le conteneur est privilégié", "the container is privileged");
            say("privileged", &["privileged"], texts);
        }
        if context["windowsOptions"]["hostProcess"] == true {
            let texts = (
                "le processus est celui de la machine",
                "the process is the host's",
            );
            say(
                "windowsHostProcess",
                &["windowsOptions", "hostProcess"],
                texts,
            );
        }
        let app_armor = &context["appArmorProfile"];
        if app_armor.is_object()
            && !matches!(
                app_armor["type"].as_str(),
                Some("RuntimeDefault" | "Localhost")
            )
        {
            let texts = (
                "le profil AppArmor est écarté",
                "the AppArmor profile is set aside",
            );
            say("appArmorProfile", &["appArmorProfile", "type"], texts);
        }
        let seccomp = &context["seccompProfile"];
        if self.minor >= 19 && seccomp.is_object() && !is_seccomp(seccomp) {
            let texts = (
                "le profil seccomp est écarté",
                "the seccomp profile is set aside",
            );
            let mut all = holder.steps.clone();
            all.extend(["securityContext", "seccompProfile"].map(str::to_owned));
            self.breach("seccompProfile", (&all, &["type"]), holder.container, texts);
        }
        self.labels(holder);
        if holder.container.is_some() {
            self.capabilities(holder, profile);
            self.proc_mount(holder, profile);
        }
    }

    fn labels(&mut self, holder: &Holder<'_>) {
        let options = &holder.context["seLinuxOptions"];
        let text = |field: &str| options[field].as_str().unwrap_or_default();
        let types = ["", "container_t", "container_init_t", "container_kvm_t"];
        let engine = self.minor >= 31 && text("type") == "container_engine_t";
        let mut wrong = Vec::new();
        if !types.contains(&text("type")) && !engine {
            wrong.push("type");
        }
        wrong.extend(
            ["user", "role"]
                .into_iter()
                .filter(|field| !text(field).is_empty()),
        );
        for field in wrong {
            let texts = (
                "cette étiquette SELinux n'est pas permise",
                "this SELinux label is not allowed",
            );
            let fields = ["securityContext", "seLinuxOptions", field];
            self.breach(
                "seLinuxOptions",
                (&holder.steps, &fields),
                holder.container,
                texts,
            );
        }
    }

    fn capabilities(&mut self, holder: &Holder<'_>, profile: Profile) {
        let restricted = profile == Profile::Restricted
            && self.minor >= 22
            && !(self.minor >= 25 && self.is_windows());
        let added = holder.context["capabilities"]["add"].as_array();
        for (index, capability) in added.map_or(&[][..], Vec::as_slice).iter().enumerate() {
            let name = capability.as_str().unwrap_or_default();
            let allowed = match restricted {
                true => name == "NET_BIND_SERVICE",
                false => CAPABILITIES.contains(&name),
            };
            if !allowed {
                let texts = (
                    "une capacité non permise est ajoutée",
                    "a capability that is not allowed is added",
                );
                let fields = ["securityContext", "capabilities", "add", &index.to_string()];
                self.breach(
                    "capabilities",
                    (&holder.steps, &fields),
                    holder.container,
                    texts,
                );
            }
        }
    }

    fn proc_mount(&mut self, holder: &Holder<'_>, profile: Profile) {
        let relaxed = self.minor >= 35 && profile == Profile::Baseline && self.has_own_users();
        let mount = holder.context["procMount"].as_str();
        if mount.is_some_and(|mount| mount != "Default") && !relaxed {
            let texts = ("/proc n'est plus masqué", "/proc is no longer masked");
            let fields = ["securityContext", "procMount"];
            self.breach(
                "procMount",
                (&holder.steps, &fields),
                holder.container,
                texts,
            );
        }
    }

    fn ports(&mut self, container: &Container<'_>) {
        let ports = container.value["ports"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        for (index, port) in ports.iter().enumerate() {
            if port["hostPort"].as_i64().is_some_and(|port| port != 0) {
                let texts = (
                    "le conteneur prend un port de la machine",
                    "the container takes a port of the host",
                );
                let fields = ["ports", &index.to_string(), "hostPort"];
                self.breach(
                    "hostPorts",
                    (&container.steps, &fields),
                    Some(container.name),
                    texts,
                );
            }
        }
    }

    /// Probes and hooks may not be sent to another host.
    fn handlers(&mut self, container: &Container<'_>) {
        let probes = [
            ["livenessProbe", ""],
            ["readinessProbe", ""],
            ["startupProbe", ""],
            ["lifecycle", "postStart"],
            ["lifecycle", "preStop"],
        ];
        for [outer, inner] in probes {
            let handler = match inner {
                "" => &container.value[outer],
                inner => &container.value[outer][inner],
            };
            for action in ["httpGet", "tcpSocket"] {
                let host = handler[action]["host"].as_str().unwrap_or_default();
                if !host.is_empty() {
                    let texts = (
                        "la sonde vise un autre hôte",
                        "the probe goes to another host",
                    );
                    let all = [outer, inner, action, "host"];
                    let fields: Vec<&str> = all.into_iter().filter(|f| !f.is_empty()).collect();
                    let control = "hostProbesAndHostLifecycle";
                    self.breach(
                        control,
                        (&container.steps, &fields),
                        Some(container.name),
                        texts,
                    );
                }
            }
        }
    }

    fn restricted(&mut self) {
        let minor = self.minor;
        let windows = minor >= 25 && self.is_windows();
        let own_users = minor >= 35 && self.has_own_users();
        let pod = &self.spec["securityContext"];
        let pod_seccomp = is_seccomp(&pod["seccompProfile"]);
        let pod_non_root = pod["runAsNonRoot"] == true;
        for holder in self.holders() {
            if !own_users {
                self.identity(&holder, pod_non_root);
            }
            let Some(name) = holder.container else {
                continue;
            };
            let context = holder.context;
            let mut missing = |control, fields: &[&str], texts| {
                let all: Vec<&str> = std::iter::once("securityContext")
                    .chain(fields.iter().copied())
                    .collect();
                self.breach(control, (&holder.steps, &all), Some(name), texts);
            };
            if minor >= 8 && !windows && context["allowPrivilegeEscalation"] != false {
                let texts = (
                    "l'élévation de privilège n'est pas interdite",
                    "privilege escalation is not forbidden",
                );
                missing(
                    "allowPrivilegeEscalation",
                    &["allowPrivilegeEscalation"],
                    texts,
                );
            }
            let drops = context["capabilities"]["drop"].as_array();
            let all = drops.is_some_and(|drops| drops.iter().any(|drop| drop == "ALL"));
            if minor >= 22 && !windows && !all {
                let texts = (
                    "les capacités ne sont pas toutes retirées",
                    "capabilities are not all dropped",
                );
                missing("capabilities", &["capabilities", "drop"], texts);
            }
            let unset = context["seccompProfile"].is_null() && !pod_seccomp;
            if minor >= 19 && !windows && unset {
                let texts = ("aucun profil seccomp", "no seccomp profile");
                missing("seccompProfile", &["seccompProfile"], texts);
            }
        }
    }

    fn identity(&mut self, holder: &Holder<'_>, pod_non_root: bool) {
        let non_root = &holder.context["runAsNonRoot"];
        let unset = non_root.is_null() && holder.container.is_some() && !pod_non_root;
        if *non_root == false || unset {
            let texts = (
                "runAsNonRoot n'est pas demandé",
                "runAsNonRoot is not asked for",
            );
            let fields = ["securityContext", "runAsNonRoot"];
            self.breach(
                "runAsNonRoot",
                (&holder.steps, &fields),
                holder.container,
                texts,
            );
        }
        if self.minor >= 23 && holder.context["runAsUser"] == 0 {
            let texts = (
                "runAsUser vaut 0, donc root",
                "runAsUser is 0, which is root",
            );
            let fields = ["securityContext", "runAsUser"];
            self.breach(
                "runAsUser",
                (&holder.steps, &fields),
                holder.container,
                texts,
            );
        }
    }

    fn is_windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }

    fn has_own_users(&self) -> bool {
        self.spec["hostUsers"] == false
    }
}

/// Whether a volume is of a kind `restricted` allows; one of no kind becomes an `emptyDir`.
fn is_plain(volume: &Value) -> bool {
    let sources = volume.as_object().into_iter().flatten();
    let sources = sources.filter(|(key, value)| *key != "name" && !value.is_null());
    let all: Vec<&str> = sources.map(|(key, _)| key.as_str()).collect();
    all.is_empty() || all.iter().any(|source| VOLUMES.contains(source))
}

fn is_seccomp(profile: &Value) -> bool {
    matches!(
        profile["type"].as_str(),
        Some("RuntimeDefault" | "Localhost")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn controls(profile: Profile, minor: u32, spec: &Value) -> Vec<&'static str> {
        let found = judge((profile, minor), (spec, &["spec"]), &Value::Null);
        found.into_iter().map(|breach| breach.control).collect()
    }

    #[test]
    fn a_plain_pod_is_baseline_and_not_restricted() {
        let spec = json!({"containers": [{"name": "a", "image": "a:1"}]});
        assert_eq!(controls(Profile::Baseline, LATEST, &spec), [""; 0]);
        let expected = [
            "runAsNonRoot",
            "allowPrivilegeEscalation",
            "capabilities",
            "seccompProfile",
        ];
        assert_eq!(controls(Profile::Restricted, LATEST, &spec), expected);
        assert_eq!(controls(Profile::Restricted, 7, &spec), ["runAsNonRoot"]);
    }

    #[test]
    fn a_breach_names_its_field_and_its_container() {
        let spec = json!({"initContainers": [{"name": "i", "ports": [{"hostPort": 80}]}]});
        let found = judge(
            (Profile::Baseline, LATEST),
            (&spec, &["spec"]),
            &Value::Null,
        );
        assert_eq!(
            found[0].path.join("/"),
            "spec/initContainers/0/ports/0/hostPort"
        );
        assert_eq!(found[0].container.as_deref(), Some("i"));
    }
}
