//! An index in block style cut into one text per chart, by indentation, without parsing it.
//!
//! What Helm and every repository tool writes has this shape: `entries:` alone on its line, one key
//! per chart below it. Anything else (flow style, several documents, tabs) is not cut, and the
//! caller parses the whole. A text cut wrongly, because a quoted scalar goes on at a smaller
//! indentation, does not parse; the caller falls back then too.

use pilotis_yaml::{Resolved, resolve_plain};

/// The text below one key of `entries`, key included.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block<'a> {
    pub(super) text: &'a str,
    /// The key, when it is written plainly and alone on its line.
    pub(super) name: Option<&'a str>,
}

/// An index taken apart.
#[derive(Debug, Default)]
pub(super) struct Cut<'a> {
    /// Everything but the charts.
    pub(super) head: String,
    pub(super) blocks: Vec<Block<'a>>,
}

/// Cuts an index; nothing when it has another shape.
pub(super) fn cut(text: &str) -> Option<Cut<'_>> {
    let mut cutter = Cutter {
        text,
        cut: Cut::default(),
        place: Place::Head,
        seen: false,
        begun: None,
    };
    let mut start = 0;
    while start < text.len() {
        let end = memchr(text, start).map_or(text.len(), |at| at + 1);
        cutter.line(start, end)?;
        start = end;
    }
    cutter.close(text.len());
    Some(cutter.cut)
}

fn memchr(text: &str, from: usize) -> Option<usize> {
    text[from..].find('\n').map(|at| from + at)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Head,
    /// Below `entries`, whose keys have this indentation once the first was seen.
    Entries(Option<usize>),
}

struct Cutter<'a> {
    text: &'a str,
    cut: Cut<'a>,
    place: Place,
    seen: bool,
    /// Where the block being read began, and its key.
    begun: Option<(usize, Option<&'a str>)>,
}

impl<'a> Cutter<'a> {
    fn line(&mut self, start: usize, end: usize) -> Option<()> {
        let line = &self.text[start..end];
        let bare = line.trim_start_matches(' ');
        let indent = line.len() - bare.len();
        let content = bare.trim_end();
        // To YAML these end a line too.
        if content.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            return None;
        }
        if content.is_empty() || content.starts_with('#') {
            if self.place == Place::Head {
                self.cut.head.push_str(line);
            }
            return Some(());
        }
        if bare.starts_with('\t') {
            return None;
        }
        if indent == 0 {
            return self.top(start, line, content);
        }
        let Place::Entries(expected) = self.place else {
            self.cut.head.push_str(line);
            return Some(());
        };
        let expected = expected.unwrap_or(indent);
        self.place = Place::Entries(Some(expected));
        let is_item = content == "-" || content.starts_with("- ");
        if indent == expected && !is_item {
            self.close(start);
            self.begun = Some((start, key(content)));
        } else if indent < expected || self.begun.is_none() {
            return None;
        }
        Some(())
    }

    fn top(&mut self, start: usize, line: &'a str, content: &str) -> Option<()> {
        self.close(start);
        self.place = Place::Head;
        if content == "entries:" {
            let again = std::mem::replace(&mut self.seen, true);
            self.place = Place::Entries(None);
            return (!again).then_some(());
        }
        let is_marker = content.starts_with("---") || content.starts_with("...");
        let odd = content.starts_with(['{', '[', '%', '?', '&', '*', '!', '|', '>', '"', '\'']);
        if is_marker || odd {
            return None;
        }
        self.cut.head.push_str(line);
        Some(())
    }

    fn close(&mut self, end: usize) {
        if let Some((start, name)) = self.begun.take() {
            let text = &self.text[start..end];
            self.cut.blocks.push(Block { text, name });
        }
    }
}

/// The key of a line that has nothing else on it; nothing when it may read otherwise than it is
/// written, as `y` and `0x10` do.
fn key(content: &str) -> Option<&str> {
    let written = content.strip_suffix(':')?;
    let inner = |quote: char| written.strip_prefix(quote)?.strip_suffix(quote);
    let quoted = inner('"').or_else(|| inner('\''));
    let is_itself = quoted.is_some() || resolve_plain(written) == Resolved::String;
    let name = quoted.unwrap_or(written);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
    (is_itself && !name.is_empty() && name.chars().all(plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "apiVersion: v1\nentries:\n  a:\n  - name: a\n    description: |\n      x\n\n      y: z\n  # why\n  \"b\":\n    - name: b\n  c: []\ngenerated: x\n";

    #[test]
    fn a_line_that_ends_otherwise_is_not_cut() {
        for end in ['\r', '\u{85}', '\u{2028}'] {
            let text = format!("entries:\n  a:\n  - name: a{end}  b: 1\n");
            assert!(cut(&text).is_none(), "{end:?}");
        }
        assert!(cut("entries:\r\n  a:\r\n  - name: a\r\n").is_some());
    }

    #[test]
    fn every_chart_is_a_block() {
        let cut = cut(INDEX).unwrap();
        assert_eq!(cut.head, "apiVersion: v1\ngenerated: x\n");
        let names: Vec<_> = cut.blocks.iter().map(|block| block.name).collect();
        assert_eq!(names, [Some("a"), Some("b"), None]);
        assert!(cut.blocks[0].text.ends_with("      y: z\n  # why\n"));
        assert_eq!(cut.blocks[2].text, "  c: []\n");
    }

    #[test]
    fn another_shape_is_not_cut() {
        for text in [
            "{\"entries\": {}}",
            "entries:\n\ta: []\n",
            "entries:\n  a:\n b:\n",
            "entries:\n  a:\n---\nx: 1\n",
            "entries:\n  a:\nentries:\n  b:\n",
        ] {
            assert!(cut(text).is_none(), "{text:?}");
        }
    }
}
