//! The stages a target needs, in build order, and the expansion of their words.
//!
//! `FROM` sees only the `ARG`s before the first `FROM`. A stage sees what it declares: an `ARG`
//! without default takes the build's value or the global one. `ENV` wins over `ARG`.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_report::{Diagnostic, Position};

use crate::expand::{Lexer, Variables};
use crate::instruction::{Instruction, Kind, Span};
use crate::{Command, Copy, Dockerfile, Healthcheck};

/// Build arguments that need no `ARG`: the proxies.
const PREDEFINED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// Where a stage starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An earlier stage, by its index in [`Plan::stages`].
    Stage(usize),
    /// An image reference.
    Image(String),
}

/// What to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The stages needed, each after those it uses; the last one is the target.
    pub stages: Vec<Stage>,
    /// Build arguments nothing declares, and the like.
    pub warnings: Vec<Diagnostic>,
}

/// One stage, its base resolved, its words not yet expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its index in the file.
    pub index: usize,
    /// Its name.
    pub name: Option<String>,
    /// Where it starts from.
    pub base: Base,
    /// Value of `--platform`, expanded.
    pub platform: Option<String>,
    /// The `FROM` instruction's place.
    pub position: Position,
    /// What follows `FROM`.
    pub instructions: Vec<Instruction>,
    /// Names used by `COPY --from` and `RUN --mount=…,from=` that are stages.
    links: BTreeMap<String, usize>,
    escape: char,
    arguments: BTreeMap<String, String>,
    globals: BTreeMap<String, String>,
}

/// One instruction, its words expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The instruction; commands and `ONBUILD` keep their text, which a shell expands.
    pub instruction: Instruction,
    /// `ENV` before this instruction, the base image's included: part of the image.
    pub environment: Variables,
    /// `ARG`s in scope that no `ENV` hides: seen by `RUN`, never part of the image.
    pub arguments: Variables,
}

impl Step {
    /// What a process started by this step sees.
    pub fn variables(&self) -> Variables {
        self.arguments
            .iter()
            .chain(&self.environment)
            .cloned()
            .collect()
    }
}

/// The automatic arguments (`TARGETPLATFORM`, `TARGETOS`, `TARGETARCH`, `TARGETVARIANT` and the
/// same with `BUILD`) for a platform written `os/arch[/variant]`.
pub fn platform_arguments(platform: &str) -> BTreeMap<String, String> {
    let mut parts = platform.splitn(3, '/').map(str::to_owned);
    let [os, arch, variant] = [(); 3].map(|()| parts.next().unwrap_or_default());
    let mut arguments = BTreeMap::new();
    for side in ["TARGET", "BUILD"] {
        arguments.insert(format!("{side}PLATFORM"), platform.to_owned());
        arguments.insert(format!("{side}OS"), os.clone());
        arguments.insert(format!("{side}ARCH"), arch.clone());
        arguments.insert(format!("{side}VARIANT"), variant.clone());
    }
    arguments
}

impl Stage {
    /// The stage a `--from` value names, as an index in [`Plan::stages`]; none means an image.
    pub fn link(&self, from: &str) -> Option<usize> {
        self.links.get(&from.to_ascii_lowercase()).copied()
    }

    /// The stages this one copies from or starts from, as indexes in [`Plan::stages`].
    pub fn sources(&self) -> Vec<usize> {
        let mut sources: BTreeSet<usize> = self.links.values().copied().collect();
        if let Base::Stage(base) = self.base {
            sources.insert(base);
        }
        sources.into_iter().collect()
    }

    /// Whether it copies or mounts files of a stage, by its index in [`Plan::stages`].
    pub fn reads(&self, stage: usize) -> bool {
        self.links.values().any(|index| *index == stage)
    }

    /// Expands every instruction, given the environment of the base image or stage.
    ///
    /// # Errors
    /// Words that cannot be expanded, or expand to nothing where something is due.
    pub fn expand(&self, inherited: &Variables) -> Result<Vec<Step>, Vec<Diagnostic>> {
        let mut scope = Scope {
            escape: self.escape,
            environment: inherited.clone(),
            arguments: Vec::new(),
        };
        for name in PREDEFINED {
            if let Some(value) = self.arguments.get(name) {
                scope.arguments.push((name.to_owned(), value.clone()));
            }
        }
        let mut steps = Vec::new();
        let mut errors = Vec::new();
        for instruction in &self.instructions {
            let (environment, arguments) = (scope.environment.clone(), scope.visible());
            match self.step(&mut scope, instruction) {
                Ok(kind) => steps.push(Step {
                    instruction: Instruction {
                        kind,
                        ..instruction.clone()
                    },
                    environment,
                    arguments,
                }),
                Err(message) => {
                    let place = place(&self.position.file, instruction.span);
                    errors.push(Diagnostic::error(message).at(place));
                }
            }
        }
        if errors.is_empty() {
            Ok(steps)
        } else {
            Err(errors)
        }
    }

    fn step(&self, scope: &mut Scope, instruction: &Instruction) -> Result<Kind, String> {
        let kind = match &instruction.kind {
            Kind::Arg(pairs) => {
                let mut expanded = Vec::new();
                for (name, default) in pairs {
                    let value = self.argument(scope, name, default.as_deref())?;
                    if let Some(value) = &value {
                        set(&mut scope.arguments, name, value.clone());
                    }
                    expanded.push((name.clone(), value));
                }
                Kind::Arg(expanded)
            }
            Kind::Env(pairs) => {
                // Every pair of one ENV sees the values from before it.
                let expanded = scope.pairs(pairs)?;
                for (name, value) in &expanded {
                    set(&mut scope.environment, name, value.clone());
                }
                Kind::Env(expanded)
            }
            other => scope.kind(other)?,
        };
        Ok(kind)
    }

    fn argument(
        &self,
        scope: &Scope,
        name: &str,
        default: Option<&str>,
    ) -> Result<Option<String>, String> {
        if let Some(given) = self.arguments.get(name) {
            return Ok(Some(given.clone()));
        }
        match default {
            Some(default) => scope.word(default).map(Some),
            None => Ok(self.globals.get(name).cloned()),
        }
    }
}

fn set(variables: &mut Variables, name: &str, value: String) {
    match variables.iter_mut().find(|(key, _)| key == name) {
        Some((_, slot)) => *slot = value,
        None => variables.push((name.to_owned(), value)),
    }
}

fn get(variables: &Variables, name: &str) -> Option<String> {
    let found = variables.iter().rev().find(|(key, _)| key == name);
    found.map(|(_, value)| value.clone())
}

fn place(file: &str, span: Span) -> Position {
    Position {
        file: file.to_owned(),
        line: span.line,
        column: span.column,
    }
}

/// The variables at one point of a stage.
struct Scope {
    escape: char,
    environment: Variables,
    arguments: Variables,
}

impl Scope {
    fn visible(&self) -> Variables {
        let hidden = |name: &str| self.environment.iter().any(|(key, _)| key == name);
        let shown = self.arguments.iter().filter(|(name, _)| !hidden(name));
        shown.cloned().collect()
    }

    fn lookup(&self, name: &str) -> Option<String> {
        get(&self.environment, name).or_else(|| get(&self.arguments, name))
    }

    fn word(&self, text: &str) -> Result<String, String> {
        let lookup = |name: &str| self.lookup(name);
        self.lexer(&lookup).word(text)
    }

    fn body(&self, text: &str) -> Result<String, String> {
        let lookup = |name: &str| self.lookup(name);
        self.lexer(&lookup).body(text)
    }

    fn lexer<'a>(&self, lookup: &'a dyn Fn(&str) -> Option<String>) -> Lexer<'a> {
        Lexer {
            escape: self.escape,
            lookup,
        }
    }

    fn each(&self, words: &[String]) -> Result<Vec<String>, String> {
        words.iter().map(|word| self.word(word)).collect()
    }

    fn several(&self, words: &[String]) -> Result<Vec<String>, String> {
        let lookup = |name: &str| self.lookup(name);
        let mut out = Vec::new();
        for word in words {
            out.extend(self.lexer(&lookup).words(word)?);
        }
        Ok(out)
    }

    fn optional(&self, word: Option<&String>) -> Result<Option<String>, String> {
        word.map(|word| self.word(word)).transpose()
    }

    fn pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>, String> {
        let expanded = pairs.iter();
        expanded
            .map(|(key, value)| Ok((self.word(key)?, self.word(value)?)))
            .collect()
    }

    fn kind(&self, kind: &Kind) -> Result<Kind, String> {
        Ok(match kind {
            Kind::Run(run) => {
                let mut run = run.clone();
                for (key, value) in run.mounts.iter_mut().flat_map(|m| &mut m.options) {
                    if key != "from" {
                        *value = self.word(value)?;
                    }
                }
                Kind::Run(run)
            }
            Kind::Label(pairs) => Kind::Label(self.pairs(pairs)?),
            Kind::Copy(copy) => Kind::Copy(self.copy(copy)?),
            Kind::Add(copy) => Kind::Add(self.copy(copy)?),
            Kind::User(user) => Kind::User(full("USER", self.word(user)?)?),
            Kind::Workdir(path) => Kind::Workdir(full("WORKDIR", self.word(path)?)?),
            Kind::Expose(ports) => Kind::Expose(self.several(ports)?),
            Kind::Volume(paths) => Kind::Volume(self.each(paths)?),
            Kind::StopSignal(signal) => Kind::StopSignal(full("STOPSIGNAL", self.word(signal)?)?),
            other => other.clone(),
        })
    }

    fn copy(&self, copy: &Copy) -> Result<Copy, String> {
        let mut heredocs = copy.heredocs.clone();
        for heredoc in heredocs.iter_mut().filter(|heredoc| heredoc.expand) {
            heredoc.content = self.body(&heredoc.content)?;
        }
        Ok(Copy {
            sources: self.each(&copy.sources)?,
            destination: full("destination", self.word(&copy.destination)?)?,
            heredocs,
            chown: self.optional(copy.chown.as_ref())?,
            chmod: self.optional(copy.chmod.as_ref())?,
            checksum: self.optional(copy.checksum.as_ref())?,
            exclude: self.each(&copy.exclude)?,
            ..copy.clone()
        })
    }
}

fn full(what: &str, value: String) -> Result<String, String> {
    match value.is_empty() {
        true => Err(format!("{what} expands to nothing")),
        false => Ok(value),
    }
}

/// A stage before it is known to be needed.
struct Draft<'a> {
    instructions: &'a [Instruction],
    name: Option<String>,
    image: String,
    platform: Option<String>,
    base: Option<usize>,
}

pub(crate) fn plan(
    file: &Dockerfile,
    target: Option<&str>,
    arguments: &BTreeMap<String, String>,
) -> Result<Plan, Vec<Diagnostic>> {
    let globals = globals(file, arguments)?;
    let drafts = drafts(file, &globals)?;
    let last = match target {
        None => drafts.len() - 1,
        Some(target) => find(&drafts, target).ok_or_else(|| {
            let names: Vec<&str> = drafts.iter().filter_map(|d| d.name.as_deref()).collect();
            let hint = format!("stages are: {}", names.join(", "));
            vec![Diagnostic::error(format!("no stage `{target}`")).hint(hint)]
        })?,
    };
    let order = order(file, &drafts, last)?;
    let at: BTreeMap<usize, usize> = order
        .iter()
        .enumerate()
        .map(|(new, old)| (*old, new))
        .collect();
    let stages = order.iter().map(|index| {
        let draft = &drafts[*index];
        let links = links(&drafts, draft).into_iter();
        let base = match draft.base {
            Some(base) => Base::Stage(at[&base]),
            None if draft.image == "scratch" => Base::Scratch,
            None => Base::Image(draft.image.clone()),
        };
        Stage {
            index: *index,
            name: draft.name.clone(),
            base,
            platform: draft.platform.clone(),
            position: file.position(draft.instructions[0].span),
            instructions: draft.instructions[1..].to_vec(),
            links: links.map(|(name, stage)| (name, at[&stage])).collect(),
            escape: file.escape,
            arguments: arguments.clone(),
            globals: globals.iter().cloned().collect(),
        }
    });
    Ok(Plan {
        stages: stages.collect(),
        warnings: unused(file, arguments),
    })
}

fn globals(
    file: &Dockerfile,
    arguments: &BTreeMap<String, String>,
) -> Result<Variables, Vec<Diagnostic>> {
    let automatic = arguments.iter().filter(|(name, _)| is_automatic(name));
    let mut scope = Scope {
        escape: file.escape,
        environment: Vec::new(),
        arguments: automatic.map(|(k, v)| (k.clone(), v.clone())).collect(),
    };
    for instruction in &file.globals {
        let Kind::Arg(pairs) = &instruction.kind else {
            continue;
        };
        for (name, default) in pairs {
            let value = match (arguments.get(name), default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(scope.word(default).map_err(|message| {
                    vec![Diagnostic::error(message).at(file.position(instruction.span))]
                })?),
                (None, None) => None,
            };
            if let Some(value) = value {
                set(&mut scope.arguments, name, value);
            }
        }
    }
    Ok(scope.arguments)
}

fn drafts<'a>(
    file: &'a Dockerfile,
    globals: &Variables,
) -> Result<Vec<Draft<'a>>, Vec<Diagnostic>> {
    let scope = Scope {
        escape: file.escape,
        environment: Vec::new(),
        arguments: globals.clone(),
    };
    let mut drafts: Vec<Draft<'a>> = Vec::new();
    let mut errors = Vec::new();
    for instructions in &file.stages {
        let Some(Instruction {
            kind:
                Kind::From {
                    image,
                    platform,
                    name,
                },
            span,
            ..
        }) = instructions.first()
        else {
            continue;
        };
        let expanded = scope.word(image).and_then(|image| full("FROM", image));
        let expanded = expanded.and_then(|i| Ok((i, scope.optional(platform.as_ref())?)));
        match expanded {
            Ok((image, platform)) => {
                let lower = image.to_ascii_lowercase();
                let base = drafts
                    .iter()
                    .rposition(|d| d.name.as_deref() == Some(&lower));
                drafts.push(Draft {
                    instructions,
                    name: name.clone(),
                    image,
                    platform,
                    base,
                });
            }
            Err(message) => {
                let error = Diagnostic::error(message).at(file.position(*span));
                let hint = "give the ARG before the first FROM a default";
                errors.push(error.hint(hint));
            }
        }
    }
    if errors.is_empty() {
        Ok(drafts)
    } else {
        Err(errors)
    }
}

fn find(drafts: &[Draft<'_>], name: &str) -> Option<usize> {
    let lower = name.to_ascii_lowercase();
    let named = drafts
        .iter()
        .rposition(|d| d.name.as_deref() == Some(&lower));
    named.or_else(|| name.parse().ok().filter(|index| *index < drafts.len()))
}

/// What a stage names in `--from` that is a stage of this file.
fn links(drafts: &[Draft<'_>], draft: &Draft<'_>) -> BTreeMap<String, usize> {
    let mut names: Vec<&str> = Vec::new();
    for instruction in draft.instructions {
        match &instruction.kind {
            Kind::Copy(copy) => names.extend(copy.from.as_deref()),
            Kind::Run(run) => names.extend(run.mounts.iter().filter_map(|m| m.option(&["from"]))),
            _ => {}
        }
    }
    let found = names.into_iter();
    found
        .filter_map(|name| Some((name.to_ascii_lowercase(), find(drafts, name)?)))
        .collect()
}

/// Depth-first from the target: dependencies first, cycles refused.
fn order(
    file: &Dockerfile,
    drafts: &[Draft<'_>],
    target: usize,
) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let mut order = Vec::new();
    let mut open = vec![false; drafts.len()];
    let mut stack = vec![(target, false)];
    while let Some((index, leaving)) = stack.pop() {
        if leaving {
            open[index] = false;
            order.push(index);
            continue;
        }
        if open[index] {
            let place = file.position(drafts[index].instructions[0].span);
            let error = Diagnostic::error("this stage needs itself through other stages");
            return Err(vec![error.at(place)]);
        }
        if order.contains(&index) {
            continue;
        }
        open[index] = true;
        stack.push((index, true));
        let mut needed: Vec<usize> = links(drafts, &drafts[index]).into_values().collect();
        needed.extend(drafts[index].base);
        needed.sort_unstable();
        needed.dedup();
        stack.extend(needed.into_iter().rev().map(|needed| (needed, false)));
    }
    Ok(order)
}

fn is_automatic(name: &str) -> bool {
    let part = name
        .strip_prefix("TARGET")
        .or_else(|| name.strip_prefix("BUILD"));
    part.is_some_and(|part| matches!(part, "PLATFORM" | "OS" | "ARCH" | "VARIANT"))
}

fn unused(file: &Dockerfile, arguments: &BTreeMap<String, String>) -> Vec<Diagnostic> {
    let declared: BTreeSet<&str> = file
        .instructions()
        .filter_map(|instruction| match &instruction.kind {
            Kind::Arg(pairs) => Some(pairs.iter().map(|(name, _)| name.as_str())),
            _ => None,
        })
        .flatten()
        .collect();
    let given = arguments.keys().map(String::as_str);
    let unused =
        given.filter(|n| !declared.contains(n) && !is_automatic(n) && !PREDEFINED.contains(n));
    unused
        .map(|n| Diagnostic::warning(format!("build argument `{n}` is declared nowhere")))
        .collect()
}

/// Words a command reads, for the checks: a shell line or an argument vector as one text.
impl Command {
    /// The command as one line of text.
    pub fn text(&self) -> String {
        match self {
            Self::Shell(line) => line.clone(),
            Self::Exec(words) => words.join(" "),
        }
    }
}

impl Healthcheck {
    /// The value of a timing or of `retries`.
    pub fn option(&self, name: &str) -> Option<&str> {
        let Self::Cmd { options, .. } = self else {
            return None;
        };
        let found = options.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}
