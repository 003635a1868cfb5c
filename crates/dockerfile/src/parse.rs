//! Logical lines to typed instructions and stages; every error found is reported, not the first.
//!
//! Shapes are checked here (counts, names, forms); what words expand to is checked by the plan.

use pilotis_report::{Diagnostic, Position};

use crate::flags::{self, Flags, Refusal};
use crate::instruction::{Command, Copy, Healthcheck, Heredoc, Instruction, Kind, Run};
use crate::lines::{self, Line};
use crate::{Dockerfile, FILE_BYTES_MAX, INSTRUCTION_COUNT_MAX, words};

const KEYWORDS: [&str; 18] = [
    "FROM",
    "ARG",
    "ENV",
    "LABEL",
    "RUN",
    "CMD",
    "ENTRYPOINT",
    "SHELL",
    "COPY",
    "ADD",
    "USER",
    "WORKDIR",
    "EXPOSE",
    "VOLUME",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "ONBUILD",
    "MAINTAINER",
];

pub(crate) fn parse(file: &str, text: &str) -> Result<Dockerfile, Vec<Diagnostic>> {
    let start = Position {
        file: file.to_owned(),
        line: 1,
        column: 1,
    };
    if text.len() > FILE_BYTES_MAX {
        let limit = FILE_BYTES_MAX >> 20;
        return Err(vec![
            Diagnostic::error(format!("file is larger than {limit} MiB")).at(start),
        ]);
    }
    let text = text.trim_start_matches('\u{feff}');
    let directives = lines::directives(text);
    let escape = match directives.escape.as_deref() {
        None | Some("\\") => '\\',
        Some("`") => '`',
        Some(_) => {
            let message = "escape directive is neither a backslash nor a backtick";
            return Err(vec![Diagnostic::error(message).at(start)]);
        }
    };
    let (lines, comments) = lines::split(text, escape);
    if lines.len() > INSTRUCTION_COUNT_MAX {
        let message = format!("more than {INSTRUCTION_COUNT_MAX} instructions");
        return Err(vec![Diagnostic::error(message).at(start)]);
    }
    let mut parser = Parser {
        escape,
        found: Dockerfile {
            file: file.to_owned(),
            escape,
            syntax: directives.syntax,
            check: directives.check,
            globals: Vec::new(),
            stages: Vec::new(),
            comments,
            warnings: Vec::new(),
        },
        errors: Vec::new(),
    };
    for line in lines {
        parser.line(line);
    }
    parser.finish(start)
}

struct Parser {
    escape: char,
    found: Dockerfile,
    errors: Vec<Diagnostic>,
}

impl Parser {
    fn line(&mut self, line: Line) {
        let place = self.found.position(line.span);
        if let Some(name) = &line.unterminated {
            let error = Diagnostic::error(format!("heredoc `{name}` is not closed"));
            let hint = format!("add a line with `{name}` alone");
            self.errors.push(error.at(place).hint(hint));
            return;
        }
        match self.kind(&line.text, &line.heredocs) {
            Ok(kind) => self.place(Instruction {
                span: line.span,
                kind,
                source: line.text,
            }),
            Err((message, hint)) => {
                let mut error = Diagnostic::error(message).at(place);
                error.hint = hint;
                self.errors.push(error);
            }
        }
    }

    fn place(&mut self, instruction: Instruction) {
        let place = self.found.position(instruction.span);
        match (&instruction.kind, self.found.stages.last_mut()) {
            (Kind::From { name, .. }, _) => {
                if let Some(name) = name.as_ref().filter(|name| self.named(name)) {
                    let warning = Diagnostic::warning(format!("stage `{name}` is defined twice"));
                    self.found.warnings.push(warning.at(place));
                }
                self.found.stages.push(vec![instruction]);
            }
            (_, Some(stage)) => stage.push(instruction),
            (Kind::Arg(_), None) => self.found.globals.push(instruction),
            (kind, None) => {
                let message = format!("{} comes before the first FROM", kind.keyword());
                let hint = "start the file with `FROM image`";
                self.errors
                    .push(Diagnostic::error(message).at(place).hint(hint));
            }
        }
    }

    fn named(&self, name: &str) -> bool {
        let froms = self.found.stages.iter().filter_map(|stage| stage.first());
        froms.into_iter().any(|from| match &from.kind {
            Kind::From { name: Some(n), .. } => n == name,
            _ => false,
        })
    }

    fn finish(self, start: Position) -> Result<Dockerfile, Vec<Diagnostic>> {
        let mut errors = self.errors;
        if self.found.stages.is_empty() && errors.is_empty() {
            let error = Diagnostic::error("no FROM instruction").at(start);
            errors.push(error.hint("start the file with `FROM image`"));
        }
        if errors.is_empty() {
            Ok(self.found)
        } else {
            Err(errors)
        }
    }

    fn kind(&self, text: &str, heredocs: &[Heredoc]) -> Result<Kind, Refusal> {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let keyword = word.to_ascii_uppercase();
        let Some(keyword) = KEYWORDS.iter().find(|known| **known == keyword) else {
            let hint = flags::nearest(&keyword, KEYWORDS);
            // What is no word may be the middle of anything, a key included: it is not repeated.
            let plain = word.len() <= 20 && word.bytes().all(|b| b.is_ascii_alphabetic());
            let message = match plain {
                true => format!("unknown instruction `{word}`"),
                false => "line does not start with an instruction".to_owned(),
            };
            return Err((
                message,
                hint.map(|known| format!("did you mean `{known}`?")),
            ));
        };
        let (flags, rest) = Flags::read(keyword, rest, self.escape)?;
        if rest.is_empty() {
            return Err((format!("{keyword} needs an argument"), None));
        }
        self.typed(keyword, &flags, &rest, heredocs)
    }

    fn typed(
        &self,
        keyword: &str,
        flags: &Flags,
        rest: &str,
        heredocs: &[Heredoc],
    ) -> Result<Kind, Refusal> {
        Ok(match keyword {
            "FROM" => from(flags, rest)?,
            "ARG" => Kind::Arg(self.arguments(rest)?),
            "ENV" => Kind::Env(self.pairs("ENV", rest)?),
            "LABEL" => Kind::Label(self.pairs("LABEL", rest)?),
            "RUN" => Kind::Run(run(flags, rest, heredocs)?),
            "CMD" => Kind::Cmd(command(rest)),
            "ENTRYPOINT" => Kind::Entrypoint(command(rest)),
            "SHELL" => Kind::Shell(array(rest).ok_or_else(|| {
                let hint = "write `SHELL [\"/bin/sh\", \"-c\"]`".to_owned();
                (
                    "SHELL is not a JSON array of strings".to_owned(),
                    Some(hint),
                )
            })?),
            "COPY" => Kind::Copy(self.copy(keyword, flags, rest, heredocs)?),
            "ADD" => Kind::Add(self.copy(keyword, flags, rest, heredocs)?),
            "USER" => Kind::User(self.one(keyword, rest)?),
            "WORKDIR" => Kind::Workdir(rest.to_owned()),
            "EXPOSE" => Kind::Expose(words::split(rest, self.escape)),
            "VOLUME" => Kind::Volume(self.list(rest)),
            "STOPSIGNAL" => Kind::StopSignal(self.one(keyword, rest)?),
            "HEALTHCHECK" => Kind::Healthcheck(healthcheck(flags, rest)?),
            "ONBUILD" => Kind::Onbuild(Box::new(self.onbuild(rest, heredocs)?)),
            _ => Kind::Maintainer(rest.to_owned()),
        })
    }

    fn onbuild(&self, rest: &str, heredocs: &[Heredoc]) -> Result<Kind, Refusal> {
        let kind = self.kind(rest, heredocs)?;
        match kind.keyword() {
            "ONBUILD" | "FROM" | "MAINTAINER" => {
                Err((format!("{} cannot follow ONBUILD", kind.keyword()), None))
            }
            _ => Ok(kind),
        }
    }

    fn one(&self, keyword: &str, rest: &str) -> Result<String, Refusal> {
        let words = words::split(rest, self.escape);
        match words.as_slice() {
            [word] => Ok(word.clone()),
            _ => Err((format!("{keyword} takes exactly one argument"), None)),
        }
    }

    fn list(&self, rest: &str) -> Vec<String> {
        array(rest).unwrap_or_else(|| words::split(rest, self.escape))
    }

    fn arguments(&self, rest: &str) -> Result<Vec<(String, Option<String>)>, Refusal> {
        let words = words::split(rest, self.escape);
        let pair = |word: &String| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word.clone(), None),
        };
        let pairs: Vec<_> = words.iter().map(pair).collect();
        match pairs.iter().find(|(name, _)| name.is_empty()) {
            Some(_) => Err(("ARG has no name before `=`".into(), None)),
            None => Ok(pairs),
        }
    }

    fn pairs(&self, keyword: &str, rest: &str) -> Result<Vec<(String, String)>, Refusal> {
        let words = words::split(rest, self.escape);
        if words.first().is_some_and(|first| !first.contains('=')) {
            return match rest.split_once(char::is_whitespace) {
                Some((key, value)) => Ok(vec![(key.to_owned(), value.trim().to_owned())]),
                None => Err((
                    format!("{keyword} has a name and no value"),
                    Some(format!("write `{keyword} {rest}=value`")),
                )),
            };
        }
        let mut pairs = Vec::new();
        for word in &words {
            match word.split_once('=') {
                Some((key, value)) if !key.is_empty() => {
                    pairs.push((key.to_owned(), value.to_owned()));
                }
                _ => {
                    let hint = Some("put values with spaces in double quotes".to_owned());
                    return Err((
                        format!("{keyword} has a word that is not `name=value`"),
                        hint,
                    ));
                }
            }
        }
        Ok(pairs)
    }

    fn copy(
        &self,
        keyword: &str,
        flags: &Flags,
        rest: &str,
        heredocs: &[Heredoc],
    ) -> Result<Copy, Refusal> {
        let mut sources = self.list(rest);
        let destination = sources.pop().unwrap_or_default();
        if sources.is_empty() {
            return Err((format!("{keyword} needs a source and a destination"), None));
        }
        let many = sources.len() > 1;
        if many
            && !destination.ends_with('/')
            && !destination.starts_with('$')
            && destination != "."
        {
            let message = format!("{keyword} copies several sources to what is not a directory");
            return Err((message, Some(format!("write `{destination}/`"))));
        }
        sources.retain(|source| !heredocs.iter().any(|h| h.word == *source));
        let from = flags.value("from");
        if from.as_ref().is_some_and(|from| from.contains('$')) {
            return Err((
                "--from does not expand variables".into(),
                Some("give the image a stage name with `FROM … AS name` and use that".into()),
            ));
        }
        Ok(Copy {
            sources,
            destination,
            heredocs: heredocs.to_vec(),
            from,
            chown: flags.value("chown"),
            chmod: flags.value("chmod"),
            link: flags.is_set("link"),
            parents: flags.is_set("parents"),
            exclude: flags.all("exclude"),
            checksum: flags.value("checksum"),
            keep_git_dir: flags.is_set("keep-git-dir"),
            unpack: flags.value("unpack").map(|value| value != "false"),
        })
    }
}

fn from(flags: &Flags, rest: &str) -> Result<Kind, Refusal> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (image, name) = match words.as_slice() {
        [image] => (*image, None),
        [image, "AS" | "as" | "As" | "aS", name] => (*image, Some(name.to_ascii_lowercase())),
        _ => {
            let hint = "write `FROM image AS name`".to_owned();
            return Err((
                "FROM takes one image and at most one name".into(),
                Some(hint),
            ));
        }
    };
    if let Some(name) = &name {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fits) {
            let hint = "a stage name is a letter, then letters, digits, `-`, `_` or `.`".to_owned();
            return Err((format!("invalid stage name `{name}`"), Some(hint)));
        }
    }
    Ok(Kind::From {
        image: image.to_owned(),
        platform: flags.value("platform"),
        name,
    })
}

fn run(flags: &Flags, rest: &str, heredocs: &[Heredoc]) -> Result<Run, Refusal> {
    let mounts = flags.all("mount");
    let mounts = mounts.iter().map(|value| flags::mount(value));
    Ok(Run {
        command: command(rest),
        heredocs: heredocs.to_vec(),
        mounts: mounts.collect::<Result<_, _>>()?,
        network: flags.value("network"),
        security: flags.value("security"),
    })
}

fn healthcheck(flags: &Flags, rest: &str) -> Result<Healthcheck, Refusal> {
    let (word, command_text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match word.to_ascii_uppercase().as_str() {
        "NONE" if command_text.trim().is_empty() => Ok(Healthcheck::None),
        "CMD" if !command_text.trim().is_empty() => Ok(Healthcheck::Cmd {
            command: command(command_text.trim()),
            options: flags.pairs(),
        }),
        _ => {
            let hint = "write `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`".to_owned();
            Err(("HEALTHCHECK is neither CMD nor NONE".into(), Some(hint)))
        }
    }
}

fn command(rest: &str) -> Command {
    match array(rest) {
        Some(words) => Command::Exec(words),
        None => Command::Shell(rest.to_owned()),
    }
}

fn array(text: &str) -> Option<Vec<String>> {
    let words: Option<Vec<String>> = text
        .starts_with('[')
        .then(|| serde_json::from_str(text).ok())
        .flatten();
    words
}
