//! Typed instructions: what each keyword says, words still unexpanded.
//!
//! Values keep their quotes and dollars until [`crate::Stage::expand`]; only shapes are checked.

/// Where an instruction stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First line, from 1.
    pub line: u32,
    /// Column of the keyword, from 1.
    pub column: u32,
    /// Last line, heredocs included.
    pub line_end: u32,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// Where it stands.
    pub span: Span,
    /// What it says.
    pub kind: Kind,
    /// The logical line as written, continuations joined, for logs and image history.
    pub source: String,
}

/// What an instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `FROM [--platform=P] IMAGE [AS NAME]`.
    From {
        /// Image or earlier stage, as written.
        image: String,
        /// Value of `--platform`.
        platform: Option<String>,
        /// Stage name, in lower case.
        name: Option<Name>,
    },
    /// `ARG NAME[=DEFAULT] …`.
    Arg(Vec<(String, Option<String>)>),
    /// `ENV KEY=VALUE …` or the older `ENV KEY VALUE`.
    Env(Vec<(String, String)>),
    /// `LABEL KEY=VALUE …`.
    Label(Vec<(String, String)>),
    /// `RUN …`.
    Run(Run),
    /// `CMD …`.
    Cmd(Command),
    /// `ENTRYPOINT …`.
    Entrypoint(Command),
    /// `SHELL ["…"]`.
    Shell(Vec<String>),
    /// `COPY …`.
    Copy(Copy),
    /// `ADD …`.
    Add(Copy),
    /// `USER NAME[:GROUP]`.
    User(String),
    /// `WORKDIR PATH`.
    Workdir(String),
    /// `EXPOSE PORT[/PROTOCOL] …`.
    Expose(Vec<String>),
    /// `VOLUME …`.
    Volume(Vec<String>),
    /// `STOPSIGNAL SIGNAL`.
    StopSignal(String),
    /// `HEALTHCHECK …`.
    Healthcheck(Healthcheck),
    /// `ONBUILD INSTRUCTION`.
    Onbuild(Box<Kind>),
    /// `MAINTAINER …`, deprecated.
    Maintainer(String),
}

impl Kind {
    /// The keyword in upper case.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::From { .. } => "FROM",
            Self::Arg(_) => "ARG",
            Self::Env(_) => "ENV",
            Self::Label(_) => "LABEL",
            Self::Run(_) => "RUN",
            Self::Cmd(_) => "CMD",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Shell(_) => "SHELL",
            Self::Copy(_) => "COPY",
            Self::Add(_) => "ADD",
            Self::User(_) => "USER",
            Self::Workdir(_) => "WORKDIR",
            Self::Expose(_) => "EXPOSE",
            Self::Volume(_) => "VOLUME",
            Self::StopSignal(_) => "STOPSIGNAL",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Onbuild(_) => "ONBUILD",
            Self::Maintainer(_) => "MAINTAINER",
        }
    }
}

/// The name a stage gives itself, in lower case.
pub type Name = String;

/// A command in one of its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Text for the shell.
    Shell(String),
    /// An argument vector, run as it is.
    Exec(Vec<String>),
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command; with heredocs, its first line.
    pub command: Command,
    /// Heredocs the command reads, in order.
    pub heredocs: Vec<Heredoc>,
    /// `--mount=…`, in order.
    pub mounts: Vec<Mount>,
    /// `--network=default|none|host`.
    pub network: Option<String>,
    /// `--security=sandbox|insecure`.
    pub security: Option<String>,
}

impl Run {
    /// The text the shell receives: heredocs are given back as the shell's own.
    ///
    /// When the line is one heredoc and nothing else, its content is the script.
    pub fn script(&self) -> Option<String> {
        let Command::Shell(line) = &self.command else {
            return None;
        };
        match self.heredocs.as_slice() {
            [] => Some(line.clone()),
            [only] if only.word == line.trim() => Some(only.content.clone()),
            several => {
                let bodies = several.iter().map(|h| {
                    let end = if h.content.ends_with('\n') || h.content.is_empty() {
                        ""
                    } else {
                        "\n"
                    };
                    format!("\n{}{end}{}", h.content, h.name)
                });
                Some(line.clone() + &bodies.collect::<String>())
            }
        }
    }
}

/// One heredoc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The word as written, such as `<<-"EOF"`.
    pub word: String,
    /// The terminator, which also names the file when copied.
    pub name: String,
    /// The lines before the terminator, leading tabs removed for `<<-`.
    pub content: String,
    /// Whether variables are expanded: false when the terminator is quoted.
    pub expand: bool,
}

/// `RUN --mount=…`, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount {
    /// `bind`, `cache`, `tmpfs`, `secret` or `ssh`.
    pub kind: String,
    /// Every other key, in order; a key alone has the value `true`.
    pub options: Vec<(String, String)>,
}

impl Mount {
    /// The value of the first of `keys` that is set.
    pub fn option(&self, keys: &[&str]) -> Option<&str> {
        let found = self
            .options
            .iter()
            .find(|(key, _)| keys.contains(&key.as_str()));
        found.map(|(_, value)| value.as_str())
    }
}

/// `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Copy {
    /// Paths, globs, or for `ADD` URLs; empty when only heredocs are copied.
    pub sources: Vec<String>,
    /// Where to.
    pub destination: String,
    /// Inline files.
    pub heredocs: Vec<Heredoc>,
    /// `--from`: stage name, stage number or image.
    pub from: Option<String>,
    /// `--chown`.
    pub chown: Option<String>,
    /// `--chmod`.
    pub chmod: Option<String>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`, in order.
    pub exclude: Vec<String>,
    /// `ADD --checksum`.
    pub checksum: Option<String>,
    /// `ADD --keep-git-dir`.
    pub keep_git_dir: bool,
    /// `ADD --unpack`.
    pub unpack: Option<bool>,
}

/// `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: forget the base image's.
    None,
    /// A command with its timings, as written (`30s`, `1m30s`).
    Cmd {
        /// The command.
        command: Command,
        /// `interval`, `timeout`, `start-period`, `start-interval`, `retries`.
        options: Vec<(String, String)>,
    },
}
