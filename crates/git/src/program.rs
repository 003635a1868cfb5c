//! The `git` program in a clean room.
//!
//! Nothing of the caller's environment, home directory or system configuration reaches it: a
//! repository or a machine cannot change what it does. Settings go through `GIT_CONFIG_COUNT`
//! variables and never through arguments, because arguments are visible to every user.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

/// Where `git` and its own helpers are looked for.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Settings every run gets. Hooks are off; unfinished configuration cannot turn a transport on.
const ALWAYS: [(&str, &str); 9] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("safe.directory", "*"),
    ("protocol.allow", "never"),
    ("protocol.https.allow", "always"),
    ("protocol.http.allow", "always"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("credential.helper", ""),
];

/// A `git` command for the bare repository `directory`, with extra settings.
///
/// It is killed when its handle is dropped and cannot ask a person anything.
pub fn git(directory: &Path, settings: &[(String, String)]) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_DIR", directory)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let always = ALWAYS
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut count = 0;
    for (key, value) in always.chain(settings.iter().cloned()) {
        command.env(format!("GIT_CONFIG_KEY_{count}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{count}"), value);
        count += 1;
    }
    command.env("GIT_CONFIG_COUNT", count.to_string());
    command
}
