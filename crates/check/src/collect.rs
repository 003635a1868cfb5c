//! Findings as they come: named, translated, placed, patched, counted once.

use std::collections::{BTreeMap, BTreeSet};

use pilotis_policy::Text;
use pilotis_report::{Diagnostic, Finding, Fix, Level, Position};

use crate::base::{self, Base};
use crate::decisions::Age;
use crate::patch::{Change, Lines};
use crate::referential::Referential;
use crate::report::{Report, Score, Since, Skipped, State, states};
use crate::tree::Tree;
use crate::{Language, Options, patch, secrets};

/// Most findings kept; a tree with more is not read to the end by anyone.
const FINDINGS_MAX: usize = 10_000;
/// Most patches made: each costs a reading of its file.
const PATCHES_MAX: usize = 500;
/// Longest cause of what cannot be read, in characters.
const CAUSE_CHARS_MAX: usize = 400;
/// Longest excerpt kept, in characters.
const EXCERPT_CHARS_MAX: usize = 160;

/// A breach before it is worded.
pub(crate) struct Breach<'a> {
    pub(crate) rule: &'a str,
    pub(crate) message: Text,
    pub(crate) object: Option<String>,
    pub(crate) position: Option<Position>,
    /// What mends it.
    pub(crate) change: Option<Change>,
}

impl<'a> Breach<'a> {
    /// A breach of a file, said in French and English, of no object and without a mend.
    pub(crate) fn of_file(rule: &'a str, position: Position, (fr, en): (&str, &str)) -> Self {
        Self {
            rule,
            message: Text {
                fr: fr.to_owned(),
                en: en.to_owned(),
            },
            object: None,
            position: Some(position),
            change: None,
        }
    }
}

pub(crate) struct Collector<'a> {
    pub(crate) referential: &'a Referential,
    pub(crate) options: &'a Options,
    pub(crate) files: &'a Tree,
    pub(crate) environments: BTreeSet<String>,
    evaluated: BTreeSet<String>,
    findings: Vec<Finding>,
    seen: BTreeSet<(String, Option<Position>, Option<String>, String)>,
    skipped: Vec<Skipped>,
    patches: usize,
    left_out: usize,
    lines: BTreeMap<String, Lines<'a>>,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(referential: &'a Referential, options: &'a Options, files: &'a Tree) -> Self {
        Self {
            referential,
            options,
            files,
            environments: BTreeSet::new(),
            evaluated: BTreeSet::new(),
            findings: Vec::new(),
            seen: BTreeSet::new(),
            skipped: Vec::new(),
            patches: 0,
            left_out: 0,
            lines: BTreeMap::new(),
        }
    }

    /// Records that a rule looked at something; one that can only reveal a breach is not recorded.
    pub(crate) fn looked<'r>(&mut self, rules: impl IntoIterator<Item = &'r str>) {
        let reveals = |id: &&str| self.referential.rule(id).is_some_and(|rule| rule.reveals);
        let proving = rules.into_iter().filter(|id| !reveals(id));
        self.evaluated.extend(proving.map(str::to_owned));
    }

    /// Records that something was not judged.
    pub(crate) fn skip(&mut self, path: &str, fr: &str, en: &str) {
        let reason = self.choose(fr, en);
        self.skipped.push(Skipped {
            path: path.to_owned(),
            reason,
        });
    }

    pub(crate) fn choose(&self, fr: &str, en: &str) -> String {
        match self.options.language {
            Language::French => fr.to_owned(),
            Language::English => en.to_owned(),
        }
    }

    /// The text of a file, when it is there and is text.
    pub(crate) fn text(&self, path: &str) -> Option<&'a str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }

    /// An input that cannot be read is a breach as any other.
    pub(crate) fn unreadable(&mut self, path: &str, diagnostic: Diagnostic) {
        let start = Position {
            file: path.to_owned(),
            line: 1,
            column: 1,
        };
        let words: Vec<&str> = diagnostic.message.split_whitespace().collect();
        let cause: String = words.join(" ").chars().take(CAUSE_CHARS_MAX).collect();
        self.breach(Breach {
            rule: "unreadable-input",
            message: Text {
                fr: format!("illisible : {cause}"),
                en: format!("unreadable: {cause}"),
            },
            object: None,
            position: diagnostic.position.or(Some(start)),
            change: None,
        });
    }

    pub(crate) fn breach(&mut self, breach: Breach<'_>) {
        let Some(rule) = self.referential.rule(breach.rule) else {
            return;
        };
        let message = self.choose(&breach.message.fr, &breach.message.en);
        let key = (
            rule.id.clone(),
            breach.position.clone(),
            breach.object.clone(),
            message.clone(),
        );
        if self.findings.len() >= FINDINGS_MAX {
            // What is known twice is counted twice here: remembering it all is what has no bound.
            self.left_out += 1;
            return;
        }
        if !self.seen.insert(key) {
            return;
        }
        self.evaluated.insert(rule.id.clone());
        let change = breach.change.filter(|_| self.patches < PATCHES_MAX);
        let patch = breach
            .position
            .as_ref()
            .zip(change)
            .and_then(|(at, change)| {
                let file = change.file().unwrap_or(&at.file);
                if !self.lines.contains_key(file) {
                    let lines = Lines::of(self.text(file)?);
                    self.lines.insert(file.to_owned(), lines);
                }
                patch::make((file, self.lines.get(file)?), at, &change)
            });
        self.patches += usize::from(patch.is_some());
        self.findings.push(Finding {
            rule: rule.id.clone(),
            requirement: rule.requirement.clone(),
            level: rule.level,
            message,
            object: breach.object,
            position: breach.position,
            fix: Some(Fix {
                description: self.choose(&rule.fix.fr, &rule.fix.en),
                patch,
            }),
            derogation: None,
        });
    }

    /// What was found until now.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    pub(crate) fn finish(mut self, base: Option<&Base>) -> Report {
        if let Some(base) = base {
            base::judge(&mut self, base);
        }
        self.derogate();
        self.tell_of_derogations();
        if self.left_out > 0 {
            let (count, most) = (self.left_out, FINDINGS_MAX);
            let fr = format!("{count} constats au-delà de {most}, non listés");
            let en = format!("{count} findings beyond {most}, not listed");
            self.skip("", &fr, &en);
        }
        self.findings.sort_by(|a, b| {
            let rank = |f: &Finding| (f.level == Level::I, f.position.clone(), f.rule.clone());
            rank(a).cmp(&rank(b))
        });
        let attested = self.attested();
        let states = states(self.referential, &self.evaluated, &self.findings, &attested);
        let unknown = states
            .iter()
            .filter(|(_, state)| *state == State::NotEvaluated);
        let new = base.map(|base| Since {
            base: base.name.clone(),
            new: base::new_findings(base, &self.findings),
        });
        Report {
            since: new,
            score: Score::of(self.referential, &states),
            not_evaluated: unknown.map(|(id, _)| id.clone()).collect(),
            states,
            excerpts: self.excerpts(),
            evaluated: self.evaluated,
            environments: self.environments,
            skipped: self.skipped,
            findings: self.findings,
        }
    }

    /// Names the derogation that covers each finding.
    pub(crate) fn derogate(&mut self) {
        let derogations = self.options.decisions.derogations();
        for (derogation, _) in derogations.filter(|(_, age)| *age == Age::Current) {
            let covered = self.findings.iter_mut().filter(|f| derogation.covers(f));
            let open = covered.filter(|finding| finding.derogation.is_none());
            open.for_each(|finding| finding.derogation = Some(derogation.name.clone()));
        }
    }

    /// A derogation out of its time is told where it would have held.
    fn tell_of_derogations(&mut self) {
        for (derogation, age) in self.options.decisions.derogations() {
            let holds = self.findings.iter().any(|f| derogation.covers(f));
            let (fr, en) = match age {
                Age::Current => continue,
                _ if !holds => continue,
                Age::Expired => ("dérogation expirée", "derogation expired"),
                Age::Early => ("dérogation à venir", "derogation to come"),
            };
            let (start, end) = (derogation.start, derogation.end);
            let fr = format!("{fr} (du {start} au {end})");
            let en = format!("{en} (from {start} to {end})");
            self.skip(&derogation.name, &fr, &en);
        }
    }

    /// Requirements a person vouches for, among those a person may.
    fn attested(&self) -> BTreeSet<&'a str> {
        let attestations = self.options.decisions.attestations();
        let current = attestations.filter(|(_, age)| *age == Age::Current);
        let known = current.filter_map(|(attestation, _)| {
            let requirement = self.referential.requirement(&attestation.requirement)?;
            requirement
                .planes
                .contains(&'e')
                .then_some(requirement.id.as_str())
        });
        known.collect()
    }

    fn excerpts(&self) -> BTreeMap<(String, u32), String> {
        let mut wanted: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        let mut hidden: BTreeSet<(&str, u32)> = BTreeSet::new();
        for finding in &self.findings {
            // What cannot be read may be anything, the middle of a key included.
            let kept = matches!(
                finding.requirement.as_deref(),
                Some("EXI-ARCH-22" | "EXI-DATA-2")
            );
            let secret = kept || finding.rule == "unreadable-input";
            match finding.position.as_ref() {
                Some(at) if secret => {
                    hidden.insert((&at.file, at.line));
                }
                Some(at) => {
                    wanted.entry(&at.file).or_default().insert(at.line);
                }
                None => {}
            }
        }
        let mut excerpts = BTreeMap::new();
        for (file, numbers) in wanted {
            let text = self.text(file).unwrap_or_default();
            let lines = text.lines().zip(1u32..).filter(|(_, number)| {
                numbers.contains(number) && !hidden.contains(&(file, *number))
            });
            for (line, number) in lines.filter(|(line, _)| !secrets::is_suspect(line)) {
                let clean = line.chars().filter(|c| !c.is_control());
                let line: String = clean.take(EXCERPT_CHARS_MAX).collect();
                excerpts.insert((file.to_owned(), number), line);
            }
        }
        excerpts
    }
}
