//! A byte string that can remember where its pieces came from.
//!
//! Go strings are bytes, and charts cut them anywhere. Text that `include` produced keeps the
//! origins of its pieces through the functions charts apply to it next (`indent`, `nindent`,
//! `trim…`).

use std::borrow::Cow;
use std::sync::Arc;

use pilotis_yaml::replaced;

use crate::output::Span;

/// An immutable byte string, cheap to clone.
#[derive(Clone)]
pub struct Text {
    bytes: Arc<[u8]>,
    spans: Option<Arc<Vec<Span>>>,
}

impl Text {
    /// A text without origins.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self {
            bytes: Arc::from(bytes.as_ref()),
            spans: None,
        }
    }

    /// A text that shares its bytes.
    pub(crate) fn shared_from(bytes: &Arc<[u8]>) -> Self {
        Self {
            bytes: Arc::clone(bytes),
            spans: None,
        }
    }

    /// The same of a text that is known to be one.
    pub(crate) fn sharing(text: &Arc<str>) -> Self {
        Self {
            bytes: Arc::from(Arc::clone(text)),
            spans: None,
        }
    }

    pub(crate) fn with_spans(bytes: &[u8], spans: Vec<Span>) -> Self {
        Self {
            bytes: Arc::from(bytes),
            spans: (!spans.is_empty()).then(|| Arc::new(spans)),
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn shared(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// The text, each byte that is no UTF-8 replaced, as Go does.
    pub fn lossy(&self) -> Cow<'_, str> {
        replaced(&self.bytes, char::REPLACEMENT_CHARACTER)
    }

    pub(crate) fn spans(&self) -> &[Span] {
        self.spans.as_ref().map_or(&[], |spans| spans.as_slice())
    }

    /// The part between two offsets, with its origins.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Self {
        let Some(spans) = &self.spans else {
            return Self::new(&self.bytes[start..end]);
        };
        let first = spans.partition_point(|span| span.start <= start).max(1) - 1;
        let kept = spans[first..]
            .iter()
            .take_while(|span| span.start < end.max(1));
        let spans = kept
            .map(|span| Span {
                start: span.start.saturating_sub(start),
                origin: span.origin.advanced(start.saturating_sub(span.start)),
            })
            .collect();
        Self::with_spans(&self.bytes[start..end], spans)
    }

    /// The text with `pad` before every line and `prefix` before everything.
    pub(crate) fn indented(&self, prefix: &str, pad: usize) -> Self {
        let lines = memchr::memchr_iter(b'\n', &self.bytes).count() + 1;
        let mut bytes = Vec::with_capacity(prefix.len() + self.bytes.len() + pad * lines);
        bytes.extend_from_slice(prefix.as_bytes());
        if self.spans.is_none() {
            for line in self.bytes.split_inclusive(|byte| *byte == b'\n') {
                bytes.extend(std::iter::repeat_n(b' ', pad));
                bytes.extend_from_slice(line);
            }
            if self.bytes.last().is_none_or(|byte| *byte == b'\n') {
                bytes.extend(std::iter::repeat_n(b' ', pad));
            }
            return Self::new(bytes);
        }
        let mut spans = self.spans().iter().peekable();
        let mut current: Option<&Span> = None;
        let mut moved: Vec<Span> = Vec::new();
        let mut at_line_start = true;
        for (index, byte) in self.bytes.iter().enumerate() {
            if at_line_start {
                bytes.extend(std::iter::repeat_n(b' ', pad));
            }
            let mut starts = at_line_start;
            while let Some(span) = spans.next_if(|span| span.start <= index) {
                current = Some(span);
                starts = true;
            }
            if let Some(span) = current.filter(|_| starts) {
                moved.push(Span {
                    start: if index == 0 { 0 } else { bytes.len() },
                    origin: span.origin.advanced(index - span.start),
                });
            }
            bytes.push(*byte);
            at_line_start = *byte == b'\n';
        }
        if at_line_start {
            bytes.extend(std::iter::repeat_n(b' ', pad));
        }
        Self::with_spans(&bytes, moved)
    }
}

/// A text in which one byte stands for each that is no UTF-8, so that everything stays in its
/// place: U+007F, which YAML refuses and templates take for nothing, as they do what it stands for.
pub(crate) fn readable(bytes: &[u8]) -> Cow<'_, str> {
    replaced(bytes, '\u{7f}')
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}
