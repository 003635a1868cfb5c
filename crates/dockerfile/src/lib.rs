//! Dockerfiles: syntax tree with positions, variable expansion, stage graph, `.dockerignore`.
//!
//! One reading for the builder and for the checks: what is judged is what is built. It does not
//! run anything and does not know images; `RUN` stays text. **Invariant:** a [`Dockerfile`] has
//! at least one stage, and every instruction knows the line and column it came from.
//!
//! The trap: variables cannot all be expanded here, since a base image brings its own
//! environment. [`Dockerfile::plan`] resolves `FROM` and the stage graph; the caller then gives
//! each stage the environment of its base to [`Stage::expand`].
//!
//! ```
//! use pilotis_dockerfile::{Base, Dockerfile};
//!
//! let file = Dockerfile::parse("FROM debian:12 AS build\nRUN make\nFROM scratch\nCOPY --from=build /a /a\n")
//!     .unwrap();
//! let plan = file.plan(None, &Default::default()).unwrap();
//! assert_eq!(plan.stages[0].base, Base::Image("debian:12".into()));
//! assert_eq!(plan.stages[1].sources(), [0]);
//! ```

mod expand;
mod flags;
mod glob;
mod ignore;
mod instruction;
mod lines;
mod parse;
mod plan;
mod words;

pub use expand::{VALUE_BYTES_MAX, Variables};
pub use ignore::Ignore;
pub use instruction::{
    Command, Copy, Healthcheck, Heredoc, Instruction, Kind, Mount, Name, Run, Span,
};
pub use plan::{Base, Plan, Stage, Step, platform_arguments};

use pilotis_report::{Diagnostic, Position};

/// Largest Dockerfile read, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most instructions in one Dockerfile.
pub const INSTRUCTION_COUNT_MAX: usize = 5_000;

/// A Dockerfile as written: nothing expanded, nothing resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Path used in positions.
    pub file: String,
    /// The character that continues a line and escapes: `\` or `` ` ``.
    pub escape: char,
    /// Value of `# syntax=`, which names a front end we do not load.
    pub syntax: Option<String>,
    /// Value of `# check=`, as `skip=…;error=true`.
    pub check: Option<String>,
    /// `ARG` instructions before the first `FROM`.
    pub globals: Vec<Instruction>,
    /// The stages, in order; the first instruction of each is its `FROM`.
    pub stages: Vec<Vec<Instruction>>,
    /// Comment lines with their line number, for inline rule exceptions.
    pub comments: Vec<(u32, String)>,
    /// What is legal and questionable.
    pub warnings: Vec<Diagnostic>,
}

impl Dockerfile {
    /// Reads a file called `Dockerfile`.
    ///
    /// # Errors
    /// Every syntax error found, with its place.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_named("Dockerfile", text)
    }

    /// Reads a file, whose path relative to the root is `file`.
    ///
    /// # Errors
    /// Every syntax error found, with its place.
    pub fn parse_named(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        parse::parse(file, text)
    }

    /// The stages needed to build `target` (the last stage when absent), in build order.
    ///
    /// `arguments` are the values given to the build; add [`platform_arguments`] for `TARGETARCH`
    /// and its kin.
    ///
    /// # Errors
    /// An unknown target, a `FROM` that expands to nothing, a cycle between stages.
    pub fn plan(
        &self,
        target: Option<&str>,
        arguments: &std::collections::BTreeMap<String, String>,
    ) -> Result<Plan, Vec<Diagnostic>> {
        plan::plan(self, target, arguments)
    }

    /// Every instruction in file order.
    pub fn instructions(&self) -> impl Iterator<Item = &Instruction> {
        self.globals.iter().chain(self.stages.iter().flatten())
    }

    /// The place of an instruction.
    pub fn position(&self, span: Span) -> Position {
        Position {
            file: self.file.clone(),
            line: span.line,
            column: span.column,
        }
    }
}
