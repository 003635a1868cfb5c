//! `--post-renderer`: a program of the user's that changes manifests before they are printed.
//!
//! For Helm 3 it is a program, by path or found in `PATH`. For Helm 4 it is the name of a plugin
//! that the user has installed; plugins that are WebAssembly are not run.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use clap::{ArgAction, Args};
use pilotis_chart::{Compat, Error, PostRenderer};
use serde_json::Value as Json;

use super::flags::go_io;

/// Most bytes taken from a post-renderer.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Which program, and what it is told.
#[derive(Debug, Clone, Args)]
pub struct PostRender {
    /// Plugin (Helm 4) or program (Helm 3) that changes the manifests
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub post_renderer: Vec<String>,
    /// Argument of the post-renderer; repeat for more
    #[arg(
        long,
        value_name = "ARGUMENT",
        action = ArgAction::Append,
        allow_hyphen_values = true
    )]
    pub post_renderer_args: Vec<String>,
    /// Folders of installed Helm plugins.
    #[arg(long, hide = true, env = "HELM_PLUGINS")]
    pub helm_plugins: Option<String>,
}

/// A program that was found.
struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// What a program that ended left behind.
struct Ended {
    status: ExitStatus,
    output: String,
    errors: String,
}

impl PostRender {
    /// What the flags name, if anything.
    ///
    /// # Errors
    /// A program or plugin that is not there, in the words of the Helm of the profile.
    pub fn renderer(&self, compat: &Compat) -> Result<Option<PostRenderer>, Error> {
        let named: Vec<&String> = self
            .post_renderer
            .iter()
            .filter(|n| !n.is_empty())
            .collect();
        let Some(name) = named.last() else {
            return Ok(None);
        };
        let arguments = self.post_renderer_args.clone();
        let found = match compat.post_renders_files {
            true if named.len() > 1 => {
                Err("cannot specify --post-renderer flag more than once".to_owned())
            }
            true => self.plugin(name, arguments),
            false => program(name, arguments),
        };
        found.map(Some).map_err(|reason| {
            let text = format!("invalid argument {name:?} for \"--post-renderer\" flag: {reason}");
            Error::new(text)
        })
    }

    /// The plugin of a name, as Helm 4 finds it.
    fn plugin(&self, name: &str, arguments: Vec<String>) -> Result<PostRenderer, String> {
        let folders = match &self.helm_plugins {
            Some(list) => std::env::split_paths(list).collect(),
            None => vec![default_plugins()],
        };
        let plugins = folders.iter().flat_map(|folder| plugins_in(folder));
        let found = plugins.into_iter().find(|(_, about)| {
            about["name"] == name
                && about["type"] == "postrenderer/v1"
                && about["apiVersion"] == "v1"
        });
        let Some((folder, about)) = found else {
            return Err(format!(
                "plugin: {{Name:{name} Type:postrenderer/v1}} not found"
            ));
        };
        if about["runtime"] != "subprocess" {
            return Err(format!(
                "plugin {name:?} is no program, and only programs are run"
            ));
        }
        let program = command_of(name, &folder, &about)
            .map(|(path, mut own)| {
                own.extend(arguments);
                (path, own)
            })
            .map(|(path, arguments)| Program {
                path,
                arguments,
                environment: plugin_environment(name, &folder),
            });
        let name = name.to_owned();
        Ok(PostRenderer::new(move |text| {
            let failed = |reason: String| {
                format!("failed to invoke post-renderer plugin {name:?}: {reason}")
            };
            let Some(program) = &program else {
                let reason = "failed to prepare plugin command: no plugin command is applicable";
                return Err(failed(reason.to_owned()));
            };
            let ended = program.run(text).map_err(failed)?;
            if !ended.status.success() {
                return Err(failed(format!("plugin {name:?} exited with error")));
            }
            if ended.output.trim().is_empty() {
                return Err(format!("post-renderer {name:?} produced empty output"));
            }
            Ok(ended.output)
        }))
    }
}

/// The program of a path or a name, as Helm 3 finds it.
fn program(name: &str, arguments: Vec<String>) -> Result<PostRenderer, String> {
    let path = look_up(name)
        .map_err(|reason| format!("unable to find binary at {name}: exec: {name:?}: {reason}"))?;
    let program = Program {
        path,
        arguments,
        environment: Vec::new(),
    };
    Ok(PostRenderer::new(move |text| {
        let shown = program.path.display();
        let failed = |errors: &str, reason: &str| {
            format!("error while running command {shown}. error output:\n{errors}: {reason}")
        };
        let ended = program.run(text).map_err(|reason| failed("", &reason))?;
        match ended.status.success() {
            true => Ok(ended.output),
            false => Err(failed(&ended.errors, &status_text(ended.status))),
        }
    }))
}

fn status_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, signal) => format!("signal: {}", signal.unwrap_or_default()),
    }
}

fn look_up(name: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        runnable(Path::new(name))?;
        let absolute = std::path::absolute(name).map_err(|error| go_io(&error))?;
        return Ok(absolute.components().collect());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
    let found = paths.find(|path| runnable(path).is_ok());
    found.ok_or_else(|| "executable file not found in $PATH".to_owned())
}

fn runnable(path: &Path) -> Result<(), String> {
    let about = path
        .metadata()
        .map_err(|error| format!("stat {}: {}", path.display(), go_io(&error)))?;
    match about.permissions().mode() & 0o111 {
        _ if about.is_dir() => Err("is a directory".to_owned()),
        0 => Err("permission denied".to_owned()),
        _ => Ok(()),
    }
}

impl Program {
    /// Runs it on a text; an error is one of starting it.
    fn run(&self, text: &str) -> Result<Ended, String> {
        let failed =
            |error: std::io::Error| format!("fork/exec {}: {}", self.path.display(), go_io(&error));
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (output, errors) = std::thread::scope(|scope| {
            // Nobody is obliged to read all of it.
            scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(text.as_bytes())));
            let errors = scope.spawn(move || read(stderr));
            (read(stdout), errors.join().unwrap_or_default())
        });
        let status = child.wait().map_err(failed)?;
        if output.len() as u64 >= OUTPUT_BYTES_MAX {
            return Err(format!("output is larger than {OUTPUT_BYTES_MAX} bytes"));
        }
        Ok(Ended {
            status,
            output,
            errors,
        })
    }
}

fn read(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What was read before an error is what there is.
        let _ = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn default_plugins() -> PathBuf {
    data_folder().join("plugins")
}

/// Where Helm keeps what users install.
pub fn data_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let below_home = || PathBuf::from(set("HOME").unwrap_or_default()).join(".local/share");
    match set("HELM_DATA_HOME") {
        Some(data) => PathBuf::from(data),
        None => set("XDG_DATA_HOME")
            .map_or_else(below_home, PathBuf::from)
            .join("helm"),
    }
}

/// Plugins right below a folder, by path; those that cannot be read are left out, as in Helm.
fn plugins_in(folder: &Path) -> Vec<(PathBuf, Json)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    let read = |folder: PathBuf| {
        let text = std::fs::read_to_string(folder.join("plugin.yaml")).ok()?;
        let about = pilotis_yaml::read_json(&text).ok()?.into_iter().next()?;
        Some((folder, about))
    };
    folders.into_iter().filter_map(read).collect()
}

fn plugin_environment(name: &str, folder: &Path) -> Vec<(String, String)> {
    let own = [
        ("HELM_PLUGIN_NAME", name.to_owned()),
        ("HELM_PLUGIN_DIR", folder.display().to_string()),
    ];
    own.map(|(key, value)| (key.to_owned(), value)).to_vec()
}

/// The command a plugin has for this kind of machine: the most specific one wins.
fn command_of(name: &str, folder: &Path, about: &Json) -> Option<(PathBuf, Vec<String>)> {
    let mut environment: BTreeMap<String, String> = std::env::vars().collect();
    environment.extend(plugin_environment(name, folder));
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let word = |command: &Json, key: &str| command[key].as_str().unwrap_or("").to_lowercase();
    let rank = |command: &&Json| match (&*word(command, "os"), &*word(command, "arch")) {
        ("linux", arch) if arch == architecture => Some(0),
        ("linux", "") => Some(1),
        ("", "") => Some(2),
        _ => None,
    };
    let commands = about["runtimeConfig"]["platformCommand"].as_array()?;
    let fitting = commands.iter().filter(|command| rank(command).is_some());
    let command = fitting.min_by_key(rank)?;
    let words = command["command"].as_str()?.split(' ').map(str::to_owned);
    let arguments = command["args"].as_array().into_iter().flatten();
    let arguments = arguments.filter_map(|word| word.as_str().map(str::to_owned));
    let mut all = words
        .chain(arguments)
        .map(|word| expand(&word, &environment));
    let program = all.next().filter(|program| !program.is_empty())?;
    let path = look_up(&program).unwrap_or_else(|_| PathBuf::from(&program));
    Some((path, all.collect()))
}

/// A word with its `$NAME` and `${NAME}` replaced.
fn expand(word: &str, environment: &BTreeMap<String, String>) -> String {
    let value = |name: &str| environment.get(name).cloned().unwrap_or_default();
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'));
        rest = match braced {
            Some((name, after)) => {
                out.push_str(&value(name));
                after
            }
            None => {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let (name, after) = after.split_at(end.unwrap_or(after.len()));
                out.push_str(&value(name));
                after
            }
        };
    }
    out.push_str(rest);
    out
}
