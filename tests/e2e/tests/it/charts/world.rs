//! Two programs with a home each, an HTTP server, a registry.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use pilotis_testkit::{eventually, free_port, judge, pilotis_binary};

/// The real Helm and ours, each in its own folder with the same names below.
pub struct Twins {
    pub root: tempfile::TempDir,
    /// Set for both.
    pub variables: Vec<(&'static str, String)>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Helm,
    Pilotis,
}

impl Program {
    fn folder(self) -> &'static str {
        match self {
            Self::Helm => "real",
            Self::Pilotis => "ours",
        }
    }
}

impl Twins {
    pub fn new() -> Result<Self> {
        let root = tempfile::tempdir()?;
        for program in [Program::Helm, Program::Pilotis] {
            fs::create_dir_all(root.path().join(program.folder()).join("bin"))?;
        }
        symlink(judge("helm"), root.path().join("real/bin/helm"))?;
        symlink(pilotis_binary()?, root.path().join("ours/bin/helm"))?;
        let variables = Vec::new();
        Ok(Self { root, variables })
    }

    /// The folder of one of them.
    pub fn home(&self, program: Program) -> PathBuf {
        self.root.path().join(program.folder())
    }

    /// Writes a file for both.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        for program in [Program::Helm, Program::Pilotis] {
            write(&self.home(program).join(path), text.as_bytes())?;
        }
        Ok(())
    }

    /// Copies what one of them made to the other, times included.
    pub fn share(&self, from: Program, path: &str) -> Result<()> {
        let to = match from {
            Program::Helm => Program::Pilotis,
            Program::Pilotis => Program::Helm,
        };
        let target = self.home(to).join(path);
        fs::create_dir_all(target.parent().context("no folder")?)?;
        let copied = Command::new("cp")
            .args(["-rpT"])
            .arg(self.home(from).join(path))
            .arg(target)
            .status()?;
        anyhow::ensure!(copied.success(), "cannot copy {path}");
        Ok(())
    }

    /// Runs one of them in its folder, as `helm`.
    pub fn run(&self, program: Program, words: &[&str]) -> Result<Output> {
        self.run_with_input(program, words, "")
    }

    pub fn run_with_input(&self, program: Program, words: &[&str], input: &str) -> Result<Output> {
        let home = self.home(program);
        let mut command = Command::new(home.join("bin/helm"));
        command.args(words).current_dir(&home).env("HOME", &home);
        for (name, folder) in [
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_DATA_HOME", "data"),
            ("DOCKER_CONFIG", "docker"),
        ] {
            command.env(name, home.join(folder));
        }
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no input")?;
        // A program that does not read it may be gone.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        Ok(child.wait_with_output()?)
    }

    /// What one of them printed and how it ended, its own folder left out.
    pub fn told(&self, program: Program, words: &[&str]) -> Result<String> {
        Ok(self.shown(program, &self.run(program, words)?))
    }

    fn shown(&self, program: Program, output: &Output) -> String {
        let home = self.home(program).display().to_string();
        let clean = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home, "HOME");
        format!(
            "exit {:?}\n--- stdout\n{}--- stderr\n{}",
            output.status.code(),
            clean(&output.stdout),
            clean(&output.stderr)
        )
    }

    /// Runs both and requires that they say the same; returns what they said.
    pub fn same(&self, words: &[&str]) -> Result<String> {
        self.same_with_input(words, "")
    }

    pub fn same_with_input(&self, words: &[&str], input: &str) -> Result<String> {
        let [helm, ours] = [Program::Helm, Program::Pilotis].map(|program| {
            let output = self.run_with_input(program, words, input);
            output.map(|output| self.shown(program, &output))
        });
        let (helm, ours) = (helm?, ours?);
        assert_eq!(ours, helm, "helm {}", words.join(" "));
        Ok(helm)
    }

    /// Requires that a file is the same in both folders; returns it.
    pub fn same_file(&self, path: &str) -> Result<String> {
        let read = |program| {
            let path = self.home(program).join(path);
            fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let (helm, ours) = (read(Program::Helm)?, read(Program::Pilotis)?);
        assert_eq!(ours, helm, "{path}");
        Ok(helm)
    }

    /// Requires that a folder has the same names in both; returns them.
    pub fn same_names(&self, path: &str) -> Result<Vec<String>> {
        let names = |program| names(&self.home(program).join(path));
        let (helm, ours) = (names(Program::Helm)?, names(Program::Pilotis)?);
        assert_eq!(ours, helm, "{path}");
        Ok(helm)
    }
}

pub fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("no folder")?)?;
    Ok(fs::write(path, bytes)?)
}

/// A chart with one object, as files below a folder.
pub fn chart(folder: &Path, name: &str, version: &str) -> Result<()> {
    let about = format!(
        "apiVersion: v2\nname: {name}\nversion: {version}\ndescription: Chart <{name}> & more\n\
         appVersion: \"9\"\nkeywords: [k]\nmaintainers:\n- name: m\n  email: m@example.org\n"
    );
    let object = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{{{ .Release.Name }}}}-{name}\ndata:\n  \
         from: {name}-{version}\n"
    );
    let folder = folder.join(name);
    write(&folder.join("Chart.yaml"), about.as_bytes())?;
    write(&folder.join("values.yaml"), b"greeting: hello\n")?;
    write(&folder.join("templates/object.yaml"), object.as_bytes())
}

/// A request an HTTP server saw: path, and who asked.
pub type Request = (String, Option<String>);

/// A folder over HTTP, on a port of its own, until the test ends.
pub struct Site {
    pub address: String,
    pub folder: PathBuf,
    pub requests: Arc<Mutex<Vec<Request>>>,
}

/// Who may read, and where some paths lead.
#[derive(Default, Clone)]
pub struct Rules {
    pub password: Option<&'static str>,
    pub redirects: BTreeMap<String, String>,
}

impl Site {
    pub fn serve(folder: PathBuf, rules: Rules) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, root) = (Arc::clone(&requests), folder.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is its own affair.
                let _ = answer(stream, &root, &rules, &seen);
            }
        });
        Ok(Self {
            address,
            folder,
            requests,
        })
    }

    pub fn seen(&self) -> Vec<Request> {
        std::mem::take(&mut *held(&self.requests))
    }
}

fn held(requests: &Mutex<Vec<Request>>) -> MutexGuard<'_, Vec<Request>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(
    mut stream: TcpStream,
    root: &Path,
    rules: &Rules,
    seen: &Mutex<Vec<Request>>,
) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().context("no request")??;
    let path = first.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut asker = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        let header = line.to_ascii_lowercase();
        if header.starts_with("authorization: basic ") {
            let code = line["authorization: basic ".len()..].to_owned();
            let plain = base64::engine::general_purpose::STANDARD.decode(code)?;
            asker = Some(String::from_utf8(plain)?);
        }
    }
    held(seen).push((path.clone(), asker.clone()));
    if let Some(target) = rules.redirects.get(&path) {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\n");
        return reply(&mut stream, &head, b"");
    }
    if rules.password.is_some() && asker.as_deref() != rules.password {
        return reply(&mut stream, "HTTP/1.1 401 Unauthorized\r\n", b"");
    }
    let path = path.replace("%2B", "+");
    match fs::read(root.join(path.trim_start_matches('/'))) {
        Ok(body) => reply(&mut stream, "HTTP/1.1 200 OK\r\n", &body),
        Err(_) => reply(&mut stream, "HTTP/1.1 404 Not Found\r\n", b""),
    }
}

fn reply(stream: &mut TcpStream, head: &str, body: &[u8]) -> Result<()> {
    let length = body.len();
    let head = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body)?)
}

/// Debian's `docker-registry`, until it is dropped.
pub struct Registry {
    process: Child,
    pub name: String,
}

impl Registry {
    /// Starts one; `more` is added to its configuration below `http`, `rest` at the top.
    pub async fn start(folder: &Path, more: &str, rest: &str) -> Result<Self> {
        let port = free_port()?;
        let name = format!("127.0.0.1:{port}");
        let storage = folder.join("blobs").display().to_string();
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\nstorage: \
             {{filesystem: {{rootdirectory: {storage}}}}}\n{rest}http:\n  addr: {name}\n{more}"
        );
        let file = folder.join("registry.yaml");
        write(&file, text.as_bytes())?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("docker-registry: run `cargo xtask test`, which installs it")?;
        let registry = Self { process, name };
        eventually("the registry listens", Duration::from_secs(20), || async {
            TcpStream::connect(&registry.name).map_err(|error| error.to_string())
        })
        .await;
        Ok(registry)
    }

    /// A file of one account.
    pub fn accounts(folder: &Path, user: &str, password: &str) -> Result<String> {
        let hash = bcrypt::hash(password, 4)?.replace("$2b$", "$2y$");
        let file = folder.join("htpasswd");
        write(&file, format!("{user}:{hash}\n").as_bytes())?;
        let shown = file.display();
        Ok(format!(
            "auth: {{htpasswd: {{realm: test, path: {shown}}}}}\n"
        ))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
