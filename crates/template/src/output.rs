//! Rendered text as a sequence of pieces that know where they came from.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::set::Source;
use crate::text::{Text, readable};

/// Where a piece came from, while rendering.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) source: u32,
    pub(crate) offset: u32,
    /// The bytes stand in the template as they are, so the offset moves with them.
    pub(crate) literal: bool,
    /// The values that were read to produce it.
    pub(crate) reads: Option<Arc<[Read]>>,
}

/// A value that was read: the path of its map, and its key.
pub(crate) type Read = (Arc<str>, Arc<str>);

/// The path of a value that was read.
pub(crate) fn path_of((map, key): &Read) -> String {
    match &**map {
        "" => key.to_string(),
        map => format!("{map}.{key}"),
    }
}

impl Origin {
    /// The origin of a byte further on.
    pub(crate) fn advanced(&self, bytes: usize) -> Self {
        let bytes = if self.literal { bytes } else { 0 };
        Self {
            offset: self
                .offset
                .saturating_add(u32::try_from(bytes).unwrap_or(0)),
            ..self.clone()
        }
    }
}

/// From `start` to the start of the next span the bytes come from `origin`.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) origin: Origin,
}

/// Texts from this size on are shared with their template as long as they stand alone.
const SHARED_BYTES_MIN: u32 = 4096;

/// An output being written.
pub(crate) struct Buffer {
    /// A text of a template that is all there is so far; then `bytes` is empty.
    whole: Bytes,
    bytes: Vec<u8>,
    pub(crate) spans: Vec<Span>,
    /// Whether origins are kept.
    traced: bool,
}

impl Buffer {
    pub(crate) fn new(traced: bool) -> Self {
        Self {
            whole: Bytes::new(),
            bytes: Vec::new(),
            spans: Vec::new(),
            traced,
        }
    }

    pub(crate) fn of(text: &Text) -> Self {
        Self {
            bytes: text.bytes().to_vec(),
            spans: text.spans().to_vec(),
            ..Self::new(true)
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.whole.len() + self.bytes.len()
    }

    /// Makes it empty, to be written again.
    pub(crate) fn clear(&mut self) {
        self.whole = Bytes::new();
        self.bytes.clear();
        self.spans.clear();
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self.whole.is_empty() {
            true => &self.bytes,
            false => &self.whole,
        }
    }

    /// What was written, as a text with its origins; the buffer keeps its memory.
    pub(crate) fn take_text(&mut self) -> Text {
        let spans = std::mem::take(&mut self.spans);
        Text::with_spans(self.as_slice(), spans)
    }

    /// What was written, in memory of its own size; a buffer of up to so many bytes keeps its
    /// memory.
    pub(crate) fn take_bytes(&mut self, kept_max: usize) -> Bytes {
        if !self.whole.is_empty() {
            return std::mem::take(&mut self.whole);
        }
        match self.bytes.len() <= kept_max {
            true => Bytes::copy_from_slice(&self.bytes),
            false => std::mem::take(&mut self.bytes).into(),
        }
    }

    fn begin(&mut self, origin: Origin) {
        if self.traced {
            let start = self.len();
            self.spans.push(Span { start, origin });
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        if !self.whole.is_empty() {
            self.bytes.reserve(self.whole.len() + bytes.len());
            self.bytes.extend_from_slice(&self.whole);
            self.whole = Bytes::new();
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn write(&mut self, bytes: &[u8], origin: Origin) {
        if bytes.is_empty() {
            return;
        }
        self.begin(origin);
        self.extend(bytes);
    }

    /// Whether a part of a template need not be copied as long as nothing else is written.
    pub(crate) fn shares(&self, length: u32) -> bool {
        self.len() == 0 && length >= SHARED_BYTES_MIN
    }

    /// Begins with a part of a template that is not copied.
    pub(crate) fn share(&mut self, bytes: Bytes, origin: Origin) {
        self.begin(origin);
        self.whole = bytes;
    }

    /// Writes a text; its own origins win, `origin` covers what has none.
    pub(crate) fn write_text(&mut self, text: &Text, origin: Origin) {
        let base = self.len();
        if text.spans().first().is_none_or(|span| span.start > 0) {
            self.write(text.bytes(), origin);
        } else {
            self.extend(text.bytes());
        }
        for span in text.spans() {
            self.spans.push(Span {
                start: base + span.start,
                origin: span.origin.clone(),
            });
        }
    }

    /// Removes every `<no value>`, as Helm does with what Go prints for a missing value.
    pub(crate) fn without_no_value(self) -> Self {
        let mut cuts = Vec::new();
        let mut at = 0;
        let before = self.as_slice();
        while let Some(found) = find(&before[at..], NO_VALUE) {
            cuts.push(at + found);
            at += found + NO_VALUE.len();
        }
        if cuts.is_empty() {
            return self;
        }
        let mut bytes = Vec::with_capacity(before.len());
        let mut from = 0;
        for cut in &cuts {
            bytes.extend_from_slice(&before[from..*cut]);
            from = cut + NO_VALUE.len();
        }
        bytes.extend_from_slice(&before[from..]);
        let moved = |start: usize| {
            let before = cuts.partition_point(|cut| cut + NO_VALUE.len() <= start);
            let inside = cuts.get(before).map_or(0, |cut| start.saturating_sub(*cut));
            start - before * NO_VALUE.len() - inside
        };
        let spans = self.spans.into_iter().map(|span| Span {
            start: moved(span.start),
            origin: span.origin,
        });
        Self {
            whole: Bytes::new(),
            bytes,
            spans: spans.collect(),
            traced: self.traced,
        }
    }
}

/// What Go prints for a missing value.
pub(crate) const NO_VALUE: &[u8] = b"<no value>";

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// A text, invalid UTF-8 replaced; the usual one is only looked through.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// The same, sharing the bytes where they are UTF-8.
pub fn shared_lossy(bytes: &Bytes) -> ByteString {
    let shared = ByteString::try_from(bytes.clone());
    shared.unwrap_or_else(|_| lossy(bytes).into_owned().into())
}

/// A place in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the template file, such as `chart/templates/deployment.yaml`.
    pub template: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

/// One piece of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Offset of its first byte.
    pub start: usize,
    /// Index into [`Output::sources`].
    pub source: u32,
    /// Byte offset in that template.
    pub offset: u32,
    /// Whether the bytes stand in the template as they are.
    pub literal: bool,
    /// Paths of the values read to produce it, such as `image.tag`.
    pub reads: Vec<String>,
}

/// A rendered text and the origin of every piece of it. Plain data: it can cross threads.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The bytes; a template that is nothing but text shares them.
    pub bytes: Bytes,
    /// The templates the pieces come from.
    pub sources: Arc<[Arc<Source>]>,
    pub(crate) spans: Vec<Span>,
}

impl Output {
    /// A text that no template of ours made: its origins are lost.
    pub fn foreign(text: String) -> Self {
        Self {
            bytes: text.into(),
            ..Self::default()
        }
    }

    /// The text, invalid UTF-8 replaced.
    pub fn text(&self) -> Cow<'_, str> {
        lossy(&self.bytes)
    }

    /// The text, sharing the bytes where they are UTF-8. One byte that no YAML may hold stands for
    /// each that is not: offsets are those of the bytes.
    pub fn shared_text(&self) -> ByteString {
        let shared = ByteString::try_from(self.bytes.clone());
        shared.unwrap_or_else(|_| readable(&self.bytes).into_owned().into())
    }

    /// The piece that holds a byte.
    pub fn piece(&self, offset: usize) -> Option<Piece> {
        let Span { start, origin } = self.span(offset)?;
        let reads = origin.reads.as_deref().unwrap_or_default();
        Some(Piece {
            start: *start,
            source: origin.source,
            offset: origin.offset,
            literal: origin.literal,
            reads: reads.iter().map(path_of).collect(),
        })
    }

    /// Where in its template a byte comes from. Inside literal text the place moves with the byte.
    pub fn position(&self, offset: usize) -> Option<Place> {
        let Span { start, origin } = self.span(offset)?;
        let source = self.sources.get(origin.source as usize)?;
        let further = if origin.literal { offset - start } else { 0 };
        Some(source.place(origin.offset as usize + further))
    }

    fn span(&self, offset: usize) -> Option<&Span> {
        let next = self.spans.partition_point(|span| span.start <= offset);
        self.spans.get(next.checked_sub(1)?)
    }
}
