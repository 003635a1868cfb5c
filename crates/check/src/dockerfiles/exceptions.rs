//! Rules set aside by a comment above an instruction, as public tools write them.
//!
//! `# hadolint ignore=DL3008,DL3015` and `# pilotis ignore=dockerfile-apt-version` hold for the
//! next instruction, `# hadolint global ignore=…` and `# check=skip=…` for the file. Only advice
//! and important requirements can be set aside here: a primordial one needs a signed derogation.

use std::collections::BTreeSet;

use pilotis_dockerfile::Dockerfile;

/// What comments of one file set aside.
#[derive(Debug, Default)]
pub(super) struct Exceptions {
    everywhere: BTreeSet<String>,
    by_line: BTreeSet<(u32, String)>,
}

impl Exceptions {
    pub(super) fn of(file: &Dockerfile) -> Self {
        let mut exceptions = Self::default();
        if let Some(skip) = file.check.as_deref().and_then(|check| {
            check
                .split(';')
                .find_map(|part| part.trim().strip_prefix("skip="))
        }) {
            exceptions.everywhere.extend(ids(skip));
        }
        for (line, text) in &file.comments {
            let text = text.trim_start_matches(['#', ' ', '\t']);
            let Some(rest) = ["hadolint", "pilotis"]
                .iter()
                .find_map(|tool| text.strip_prefix(tool))
            else {
                continue;
            };
            let rest = rest.trim_start();
            if let Some(list) = rest
                .strip_prefix("global")
                .and_then(|r| r.trim_start().strip_prefix("ignore="))
            {
                exceptions.everywhere.extend(ids(list));
            } else if let Some(list) = rest.strip_prefix("ignore=") {
                let mut lines = file.instructions().map(|i| i.span.line);
                if let Some(next) = lines.find(|start| start > line) {
                    exceptions.by_line.extend(ids(list).map(|id| (next, id)));
                }
            }
        }
        exceptions
    }

    /// Whether one of a rule's names is set aside at a line.
    pub(super) fn cover<'n>(&self, line: u32, mut names: impl Iterator<Item = &'n str>) -> bool {
        names.any(|name| {
            self.everywhere.contains(name) || self.by_line.contains(&(line, name.to_owned()))
        })
    }
}

fn ids(list: &str) -> impl Iterator<Item = String> {
    let words = list.split([',', ' ', '\t']).map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_hold_for_the_next_instruction_or_the_file() {
        let text = "# hadolint global ignore=DL3003\nFROM a:1\n# hadolint ignore=DL3008,DL3015\n\
                    # why\nRUN a\nRUN b\n# pilotis ignore=dockerfile-shell-command\nCMD c\n";
        let exceptions = Exceptions::of(&Dockerfile::parse(text).unwrap());
        let cover = |line, name: &str| exceptions.cover(line, [name].into_iter());
        assert!(cover(2, "DL3003") && cover(6, "DL3003"));
        assert!(cover(5, "DL3008") && cover(5, "DL3015"));
        assert!(!cover(6, "DL3008"));
        assert!(cover(8, "dockerfile-shell-command"));
    }
}
