//! What commands that reach charts elsewhere share: where Helm's files are, who we are there, and
//! how progress is told.

use std::future::Future;
use std::path::PathBuf;

use clap::Args;
use pilotis_chart::{Error, RegistryLog};
use pilotis_chart_repository::{Access, Places, Reach, Talk, Tls, Verify};

use super::flags::Common;
use super::pflag::Switch;

/// Who we are at a repository or registry, and whom we trust there.
#[derive(Clone, Default, Args)]
pub struct Remote {
    /// User name at the repository
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub username: String,
    /// Password at the repository
    #[arg(
        long,
        value_name = "PASSWORD",
        default_value = "",
        hide_default_value = true
    )]
    pub password: String,
    /// Trust the authorities in this file only
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Our certificate
    #[arg(long, value_name = "FILE")]
    pub cert_file: Option<PathBuf>,
    /// Key of our certificate
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Take any certificate
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub insecure_skip_tls_verify: Switch,
    /// Speak to registries without TLS
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub plain_http: Switch,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

impl Remote {
    /// The same for the library.
    pub fn access(&self) -> Access {
        Access {
            username: self.username.clone(),
            password: self.password.clone(),
            plain_http: self.plain_http.0,
            tls: Tls {
                ca_file: self.ca_file.clone(),
                cert_file: self.cert_file.clone(),
                key_file: self.key_file.clone(),
                insecure: self.insecure_skip_tls_verify.0,
            },
            ..Access::default()
        }
    }
}

/// How to reach a chart.
///
/// # Errors
/// When no profile has the name asked for, or a certificate is unusable.
pub fn reach(common: &Common, access: Access, verify: Verify) -> Result<Reach, Error> {
    access.check().map_err(|error| {
        let reason = error.message;
        Error::new(format!("missing registry client: {reason}"))
    })?;
    Ok(Reach {
        places: places(common),
        access,
        compat: common.profile()?,
        verify,
    })
}

/// Where Helm's files are.
pub fn places(common: &Common) -> Places {
    let flags = &common.cluster;
    let or = |flag: &Option<PathBuf>, other: PathBuf| flag.clone().unwrap_or(other);
    let docker = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let docker = docker.or_else(|| Some(home()?.join(".docker")));
    Places {
        repositories: or(
            &flags.repository_config,
            folder(&CONFIG).join("repositories.yaml"),
        ),
        cache: or(&flags.repository_cache, folder(&CACHE).join("repository")),
        content: or(&flags.content_cache, folder(&CACHE).join("content")),
        credentials: or(
            &flags.registry_config,
            folder(&CONFIG).join("registry/config.json"),
        ),
        docker: docker.map(|folder| folder.join("config.json")),
        keyring: default_keyring(common),
    }
}

/// A kind of folder: variable of Helm, variable of the desktop, place below the home folder.
type Kind = (&'static str, &'static str, &'static str);

/// Settings.
pub const CONFIG: Kind = ("HELM_CONFIG_HOME", "XDG_CONFIG_HOME", ".config");
/// What can be fetched again.
pub const CACHE: Kind = ("HELM_CACHE_HOME", "XDG_CACHE_HOME", ".cache");
/// Plug-ins.
pub const DATA: Kind = ("HELM_DATA_HOME", "XDG_DATA_HOME", ".local/share");

/// Where Helm keeps a kind of files.
pub fn folder((helm, desktop, below_home): &Kind) -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(own) = set(helm) {
        return own.into();
    }
    let base = set(desktop).map(PathBuf::from);
    let base = base.unwrap_or_else(|| home().unwrap_or_default().join(below_home));
    base.join("helm")
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

fn default_keyring(common: &Common) -> PathBuf {
    let folder = match std::env::var_os("GNUPGHOME") {
        Some(folder) => folder.into(),
        None => home().unwrap_or_default().join(".gnupg"),
    };
    let compat = common.profile();
    let ring = folder.join("pubring.gpg");
    let keybox = folder.join("pubring.kbx");
    let looks = compat.is_ok_and(|compat| compat.command_line.finds_keyboxes);
    match looks && !ring.exists() && keybox.exists() {
        true => keybox,
        false => ring,
    }
}

/// Output on standard output, log on standard error, each line at once.
pub struct Aloud {
    logs_registries: bool,
}

impl Aloud {
    /// As the Helm asked for does.
    pub fn of(common: &Common) -> Self {
        Self::logging(common, &[RegistryLog::Always])
    }

    /// The same while a chart is rendered or shown.
    pub fn rendering(common: &Common) -> Self {
        Self::logging(common, &[RegistryLog::Always, RegistryLog::Rendering])
    }

    fn logging(common: &Common, when: &[RegistryLog]) -> Self {
        let asked = common.profile().map(|compat| compat.registry_log);
        Self {
            logs_registries: asked.is_ok_and(|asked| when.contains(&asked)),
        }
    }
}

impl Talk for Aloud {
    fn say(&mut self, line: &str) {
        super::tell::data(&format!("{line}\n"));
    }

    fn report(&mut self, line: &str) {
        match self.logs_registries {
            true => self.warn(line),
            false => self.say(line),
        }
    }

    fn warn(&mut self, line: &str) {
        super::tell::warnings(&[line.to_owned()]);
    }
}

/// The log only.
pub struct Muttering;

impl Talk for Muttering {
    fn say(&mut self, _: &str) {}

    fn report(&mut self, _: &str) {}

    fn warn(&mut self, line: &str) {
        super::tell::warnings(&[line.to_owned()]);
    }
}

/// Runs a request to its end.
///
/// # Errors
/// Its own.
pub fn wait<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    crate::before_network();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let failed = |error: std::io::Error| Error::new(format!("cannot start: {error}"));
    runtime.map_err(failed)?.block_on(request)
}

/// Refuses another number of arguments than a command takes, in Helm's words.
///
/// # Errors
/// Too few or too many.
pub fn count(
    words: &[String],
    wanted: std::ops::RangeInclusive<usize>,
    usage: &str,
) -> Result<(), Error> {
    let (least, most) = (*wanted.start(), *wanted.end());
    if wanted.contains(&words.len()) {
        return Ok(());
    }
    let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
    let words = match (least, most) {
        (0, 0) => "accepts no arguments".to_owned(),
        (least, most) if least == most => format!("requires {least} {}", plural(least)),
        (0, most) => format!("accepts at most {most} {}", plural(most)),
        (least, _) => format!("requires at least {least} {}", plural(least)),
    };
    let path: Vec<&str> = usage
        .split(' ')
        .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()))
        .collect();
    let path = path.join(" ");
    Err(Error::new(format!("{path:?} {words}\n\nUsage:  {usage}")))
}
