//! Why a gate stands where it stands: a code and what it speaks of, for any language.
//!
//! A `Delivery` carries the English sentence for people who read the object, and the code for
//! programs. The console says the same in French from the code. An object written by a newer
//! version may hold a code this list lacks: then the sentence is all there is.
//!
//! ```
//! use pilotis_kinds::reason::Reason;
//! let reason = Reason::Judged { rules: 42, remarks: 1 };
//! assert_eq!(reason.to_string(), "42 rules, 1 remark");
//! assert_eq!(Reason::read(reason.code(), &reason.parameters()), Some(reason));
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Why a gate passed, was skipped, waits or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "reason",
    content = "parameters",
    rename_all_fields = "camelCase"
)]
pub enum Reason {
    /// The commit was pushed to the platform.
    Pushed {
        /// Twelve characters of it.
        commit: String,
    },
    /// The commit was fetched from another forge.
    Fetched {
        /// Twelve characters of it.
        commit: String,
        /// From where.
        url: String,
    },
    /// Rules were evaluated and none of them stops the commit.
    Judged {
        /// How many were evaluated.
        rules: u64,
        /// Findings that do not stop.
        remarks: u64,
    },
    /// A rule is broken; the finding itself says which and where.
    RuleBroken {
        /// Findings that stop, this one included.
        blocking: u64,
    },
    /// There is no Dockerfile where one is expected.
    NoDockerfile {
        /// Where.
        path: String,
    },
    /// There is no chart where one is expected.
    NoChart {
        /// Its folder.
        path: String,
    },
    /// The image would run as root.
    ImageRunsAsRoot,
    /// A pod was asked for.
    PodRequested,
    /// A pod works, or is about to.
    PodWorking {
        /// Its phase, or what it waits for, as Kubernetes says it.
        state: String,
    },
    /// The registry holds the image.
    ImageBuilt {
        /// Its manifest's digest.
        digest: String,
    },
    /// The build ended without an image.
    BuildStopped {
        /// In the builder's words.
        message: String,
    },
    /// The repository is larger than what is read of one.
    SourcesRefused {
        /// Which limit.
        message: String,
    },
    /// The build did not end in time.
    BuildTooLong {
        /// What it may take.
        minutes: u64,
    },
    /// The build needed more memory than it may use.
    BuildTooLarge {
        /// What it may use, as Kubernetes writes it.
        limit: String,
    },
    /// This instance cannot build.
    NoBuilder,
    /// The Dockerfile has no such stage.
    NoTestStage {
        /// Its name.
        stage: String,
    },
    /// The test stage left no report.
    NoTestReport {
        /// Where it was expected.
        path: String,
    },
    /// Tests ran.
    Tested {
        /// How many.
        tests: u64,
        /// Of these, failed.
        failed: u64,
        /// Lines covered, in thousandths.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        coverage_permille: Option<u64>,
    },
    /// The image is signed and its provenance attached.
    Signed,
    /// The image has the commit's name in the registry.
    Published {
        /// Its reference.
        image: String,
    },
    /// There is nowhere to promote to.
    NoEnvironment,
    /// An environment has received the version and is not healthy yet.
    BecomingHealthy {
        /// Which.
        environment: String,
    },
    /// A newer commit was promoted before this one was healthy.
    Superseded {
        /// The delivery that took its place.
        delivery: String,
        /// Where.
        environment: String,
    },
    /// An environment did not become healthy in time.
    NotHealthy {
        /// Which.
        environment: String,
        /// What it was given.
        seconds: u64,
        /// What the Application or its objects said.
        message: String,
    },
    /// Every environment runs the version.
    HealthyIn {
        /// Which, production last.
        environments: Vec<String>,
    },
    /// The platform itself failed, for too long.
    PlatformFailed {
        /// What it said.
        message: String,
    },
}

impl Reason {
    /// The code, stable for programs.
    pub fn code(&self) -> String {
        let text = self.value()["reason"].as_str().map(str::to_owned);
        text.unwrap_or_default()
    }

    /// What it speaks of.
    pub fn parameters(&self) -> Map<String, Value> {
        match self.value()["parameters"].take() {
            Value::Object(parameters) => parameters,
            _ => Map::new(),
        }
    }

    /// The reason behind a code; `None` for one this version does not know.
    pub fn read(code: impl AsRef<str>, parameters: &Map<String, Value>) -> Option<Self> {
        let mut value = json!({"reason": code.as_ref()});
        if !parameters.is_empty() {
            value["parameters"] = Value::Object(parameters.clone());
        }
        serde_json::from_value(value).ok()
    }

    /// Whether only the operator can do something about it.
    pub fn is_operators(&self) -> bool {
        matches!(self, Self::NoBuilder | Self::PlatformFailed { .. })
    }

    /// What to do when this stops a commit; empty when the finding or the tool says it.
    pub fn fix(&self) -> String {
        match self {
            Self::NoDockerfile { path } => {
                format!("add {path}, or set spec.dockerfile of the Repository")
            }
            Self::NoChart { .. } => {
                "add a Helm chart, or set spec.chart of the Repository".to_owned()
            }
            Self::ImageRunsAsRoot => "add `USER 65532` to the Dockerfile's last stage".to_owned(),
            Self::BuildStopped { .. } => "read the build's log, the evidence".to_owned(),
            Self::SourcesRefused { .. } => {
                "make the repository smaller, or keep large files outside it".to_owned()
            }
            Self::BuildTooLong { .. } => "make the build shorter".to_owned(),
            Self::BuildTooLarge { .. } => {
                "build with fewer processes at once, or in smaller steps".to_owned()
            }
            Self::NoBuilder => "start it without --no-containers".to_owned(),
            Self::NoTestReport { path } => format!("write a JUnit report to {path}"),
            Self::Tested { .. } => "make the failing tests pass".to_owned(),
            Self::PlatformFailed { .. } => {
                "look at the platform's log, then push an empty commit".to_owned()
            }
            _ => String::new(),
        }
    }

    fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pushed { commit } => write!(f, "{commit} pushed to the platform"),
            Self::Fetched { commit, url } => write!(f, "{commit} fetched from {url}"),
            Self::Judged { rules, remarks } => {
                write!(
                    f,
                    "{}, {}",
                    count(*rules, "rule"),
                    count(*remarks, "remark")
                )
            }
            Self::RuleBroken { blocking: 1 } => write!(f, "1 finding stops the commit"),
            Self::RuleBroken { blocking } => {
                write!(f, "{} stop the commit", count(*blocking, "finding"))
            }
            Self::NoDockerfile { path } => write!(f, "the commit has no {path}"),
            Self::NoChart { path } => write!(f, "the commit has no chart in {path}"),
            Self::ImageRunsAsRoot => write!(f, "the image runs as root"),
            Self::PodRequested => write!(f, "build pod requested"),
            Self::PodWorking { state } => write!(f, "build pod {state}"),
            Self::ImageBuilt { digest } => write!(f, "{digest}"),
            Self::BuildStopped { message }
            | Self::SourcesRefused { message }
            | Self::NotHealthy { message, .. }
            | Self::PlatformFailed { message } => write!(f, "{message}"),
            Self::BuildTooLong { minutes } => {
                write!(f, "the build did not end within {minutes} minutes")
            }
            Self::BuildTooLarge { limit } => {
                write!(
                    f,
                    "the build needed more memory than the {limit} it may use"
                )
            }
            Self::Superseded {
                delivery,
                environment,
            } => write!(f, "{delivery} was promoted to {environment} meanwhile"),
            Self::NoBuilder => {
                write!(
                    f,
                    "this instance runs no containers, so nothing can be built"
                )
            }
            Self::NoTestStage { stage } => write!(f, "the Dockerfile has no stage named `{stage}`"),
            Self::NoTestReport { path } => write!(f, "the test stage left no {path}"),
            Self::Tested {
                tests,
                failed,
                coverage_permille,
            } => {
                write!(f, "{}, {failed} failed", count(*tests, "test"))?;
                coverage_permille.map_or(Ok(()), |permille| {
                    write!(f, ", coverage {}.{} %", permille / 10, permille % 10)
                })
            }
            Self::Signed => write!(f, "signed, provenance attached"),
            Self::Published { image } => write!(f, "{image}"),
            Self::NoEnvironment => write!(f, "the project has no environment"),
            Self::BecomingHealthy { environment } => write!(f, "{environment} is becoming healthy"),
            Self::HealthyIn { environments } => write!(f, "healthy in {}", environments.join(", ")),
        }
    }
}

fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// One of each, for tests that something is said of all of them.
pub fn samples() -> Vec<Reason> {
    let text = |text: &str| text.to_owned();
    let mut samples = vec![
        Reason::Pushed {
            commit: text("3f9c2ab7d10e"),
        },
        Reason::Fetched {
            commit: text("3f9c2ab7d10e"),
            url: text("https://forge.example.test/a"),
        },
        Reason::Judged {
            rules: 42,
            remarks: 1,
        },
        Reason::RuleBroken { blocking: 2 },
        Reason::NoDockerfile {
            path: text("Dockerfile"),
        },
        Reason::NoChart {
            path: text("chart/"),
        },
        Reason::ImageRunsAsRoot,
        Reason::PodRequested,
        Reason::PodWorking {
            state: text("Running"),
        },
    ];
    samples.extend(later_samples());
    samples
}

/// From the image on.
fn later_samples() -> Vec<Reason> {
    let text = |text: &str| text.to_owned();
    vec![
        Reason::ImageBuilt {
            digest: text("sha256:3d8b4b54eccd"),
        },
        Reason::BuildStopped {
            message: text("RUN make ended with 2"),
        },
        Reason::SourcesRefused {
            message: text("the tree has more than 100000 files"),
        },
        Reason::BuildTooLong { minutes: 30 },
        Reason::BuildTooLarge { limit: text("2Gi") },
        Reason::NoBuilder,
        Reason::NoTestStage {
            stage: text("test"),
        },
        Reason::NoTestReport {
            path: text("reports/junit.xml"),
        },
        Reason::Tested {
            tests: 142,
            failed: 0,
            coverage_permille: Some(942),
        },
        Reason::Signed,
        Reason::Published {
            image: text("registry.pilotis.internal/bonjour/web:3f9c2ab7d10e"),
        },
        Reason::NoEnvironment,
        Reason::BecomingHealthy {
            environment: text("dev"),
        },
        Reason::Superseded {
            delivery: text("web-3f9c2ab7d10e"),
            environment: text("prod"),
        },
        Reason::NotHealthy {
            environment: text("prod"),
            seconds: 600,
            message: text("prod was not healthy after 10 minutes: Deployment web is Degraded"),
        },
        Reason::HealthyIn {
            environments: vec![text("dev"), text("prod")],
        },
        Reason::PlatformFailed {
            message: text("cannot read the build job"),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_back_from_its_code() {
        for reason in samples() {
            let read = Reason::read(reason.code(), &reason.parameters());
            assert_eq!(read.as_ref(), Some(&reason), "{}", reason.code());
            assert!(!reason.to_string().is_empty());
        }
    }

    #[test]
    fn codes_and_sentences_are_a_published_contract() {
        let lines: Vec<String> = samples()
            .iter()
            .map(|r| format!("{}: {r}", r.code()))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_code_of_a_newer_version_is_not_an_error() {
        assert_eq!(Reason::read("FromTheFuture", &Map::new()), None);
        assert_eq!(Reason::read("Pushed", &Map::new()), None);
    }
}
