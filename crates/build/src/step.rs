//! One step of a build: this program, started again, confines itself and becomes the command.
//!
//! `chroot` and the change of user must happen in the child, before the command; a program that
//! starts itself does that with ordinary, checked code. The entry is [`main`]; whoever ships the
//! builder calls it when the first argument is [`ARGUMENT`]. What to run comes through a file, so
//! neither arguments nor secrets show in the process list.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, chroot, setgid, setgroups, setuid};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::root::Root;
use crate::users::User;

/// The hidden argument that makes this program a step; the file follows.
pub const ARGUMENT: &str = "build-step";

const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// What to run, where, as whom.
#[derive(Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) root: PathBuf,
    pub(crate) working_dir: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) words: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

/// How to start this program again.
#[derive(Debug, Clone)]
pub struct Stepper {
    /// The program.
    pub program: PathBuf,
    /// Arguments before [`ARGUMENT`].
    pub arguments: Vec<OsString>,
}

impl Default for Stepper {
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            arguments: Vec::new(),
        }
    }
}

impl Stepper {
    /// Runs a command to its end; what it prints goes to standard error.
    pub(crate) fn run(&self, step: &Step, work: &Path, shown: &str) -> Result<(), Error> {
        let file = work.join("step.json");
        let text = serde_json::to_vec(step).map_err(|_| Error::Image("step".to_owned()))?;
        std::fs::write(&file, text).map_err(Error::file("write", &file))?;
        prepare_devices(&Root::new(&step.root))?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(ARGUMENT)
            .arg(&file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::from(std::io::stderr()))
            .process_group(0)
            .spawn()
            .map_err(Error::file("start", &self.program))?;
        let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
        let status = child
            .wait()
            .map_err(Error::file("wait for", &self.program))?;
        // Whatever it left running must not change files any more.
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = std::fs::remove_file(&file);
        clear_devices(&Root::new(&step.root));
        match status.success() {
            true => Ok(()),
            false => Err(Error::Step {
                command: shown.to_owned(),
                status: status.to_string(),
            }),
        }
    }
}

/// Files stand in for devices where no mount is possible.
fn prepare_devices(root: &Root) -> Result<(), Error> {
    for folder in ["/dev", "/proc", "/sys", "/tmp"] {
        let Some(path) = root.resolve(Path::new(folder)) else {
            continue;
        };
        if !path.exists() {
            std::fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
            let mode = if folder == "/tmp" { 0o1777 } else { 0o755 };
            crate::archive::set_mode(&path, mode)?;
        }
    }
    for name in DEVICES {
        let Some(path) = root.resolve(&Path::new("/dev").join(name)) else {
            continue;
        };
        if !path.exists() {
            std::fs::write(&path, "").map_err(Error::file("create", &path))?;
            crate::archive::set_mode(&path, 0o666)?;
        }
    }
    Ok(())
}

fn clear_devices(root: &Root) {
    for name in DEVICES {
        let path = root.resolve(&Path::new("/dev").join(name));
        if let Some(path) = path.filter(|path| path.is_file()) {
            let _ = std::fs::write(path, "");
        }
    }
}

pub(crate) fn step(root: &Path, user: &User, words: Vec<String>) -> Step {
    Step {
        root: root.to_owned(),
        working_dir: "/".to_owned(),
        uid: user.uid,
        gid: user.gid,
        groups: user.groups.clone(),
        words,
        env: Vec::new(),
    }
}

/// The entry of the child: confines itself as the file says and becomes the command.
#[must_use]
pub fn main(file: &Path) -> ExitCode {
    match become_command(file) {
        Ok(never) => match never {},
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(127)
        }
    }
}

fn become_command(file: &Path) -> Result<std::convert::Infallible, String> {
    let text = std::fs::read(file).map_err(|error| format!("cannot read the step: {error}"))?;
    let step: Step = serde_json::from_slice(&text).map_err(|_| "the step is malformed")?;
    mount_devices(&step.root);
    let failed = |what: &'static str| move |error: nix::Error| format!("cannot {what}: {error}");
    chroot(&step.root).map_err(failed("enter the stage"))?;
    std::env::set_current_dir(&step.working_dir)
        .map_err(|error| format!("cannot enter {}: {error}", step.working_dir))?;
    let groups: Vec<Gid> = step.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups).map_err(failed("set groups"))?;
    setgid(Gid::from_raw(step.gid)).map_err(failed("set the group"))?;
    setuid(Uid::from_raw(step.uid)).map_err(failed("set the user"))?;
    let (program, arguments) = step.words.split_first().ok_or("there is no command")?;
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(step.env.iter().cloned())
        .exec();
    Err(format!("cannot run {program}: {error}"))
}

/// Gives the step real devices and its own view of processes, where that is allowed.
fn mount_devices(root: &Path) {
    if unshare(CloneFlags::CLONE_NEWNS).is_err() {
        return;
    }
    let none: Option<&str> = None;
    if mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).is_err() {
        return;
    }
    let root = Root::new(root);
    let bind = |path: &Path| {
        if let Some(target) = root.resolve(path) {
            let _ = mount(
                Some(path),
                &target,
                none,
                MsFlags::MS_BIND | MsFlags::MS_REC,
                none,
            );
        }
    };
    for name in DEVICES {
        bind(&Path::new("/dev").join(name));
    }
    bind(Path::new("/proc"));
}
