//! A file of a chart: its content, read at once or when somebody looks, and the template it is.
//!
//! Most bytes of a large chart are never looked at (CRDs that are not printed, manuals, tests);
//! reading them costs more than rendering a small chart does.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use bytestring::ByteString;
use pilotis_template::Parsed;

use crate::archive::FILE_BYTES_MAX;
use crate::errors::Error;

/// A file of a chart. Cloning shares its content, and the template it was parsed to.
#[derive(Debug, Clone)]
pub struct File {
    /// Path below the chart, with `/`.
    pub path: String,
    content: Content,
    parsed: Arc<OnceLock<Parsed>>,
}

#[derive(Debug, Clone)]
enum Content {
    Read(Bytes),
    Late(Arc<Late>),
}

/// A file on disk that nobody has looked at yet.
#[derive(Debug)]
struct Late {
    place: PathBuf,
    read: OnceLock<Result<Bytes, String>>,
}

impl Late {
    fn data(&self) -> &Result<Bytes, String> {
        self.read.get_or_init(|| {
            let read = read_bounded(&self.place);
            read.map_err(|reason| format!("cannot read {}: {reason}", self.place.display()))
        })
    }
}

impl File {
    /// A file; a byte order mark at its start is dropped.
    pub fn new(path: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        Self::of(path.into(), Content::Read(without_mark(data.into().into())))
    }

    /// A file on disk, read when its content is first looked at.
    pub(crate) fn late(path: impl Into<String>, place: &Path) -> Self {
        let late = Late {
            place: place.to_owned(),
            read: OnceLock::new(),
        };
        Self::of(path.into(), Content::Late(Arc::new(late)))
    }

    fn of(path: String, content: Content) -> Self {
        Self {
            path,
            content,
            parsed: Arc::default(),
        }
    }

    /// Content. That of a file that could not be read any more is empty, and
    /// [`crate::cli::template`] ends with the reason.
    pub fn data(&self) -> &Bytes {
        static NOTHING: Bytes = Bytes::new();
        match &self.content {
            Content::Read(data) => data,
            Content::Late(late) => late.data().as_ref().unwrap_or(&NOTHING),
        }
    }

    /// Why its content could not be read when somebody looked.
    pub(crate) fn failure(&self) -> Option<Error> {
        let Content::Late(late) = &self.content else {
            return None;
        };
        let failed = late.read.get()?.as_ref().err()?;
        Some(Error::new(failed.clone()))
    }

    /// The content as text; bytes that are none become replacement characters.
    pub fn text(&self) -> Cow<'_, str> {
        pilotis_template::lossy(self.data())
    }

    /// The text, sharing its bytes where they are UTF-8.
    pub(crate) fn shared_text(&self) -> ByteString {
        pilotis_template::shared_lossy(self.data())
    }

    /// The same content under another path.
    pub(crate) fn moved(&self, path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            ..self.clone()
        }
    }

    /// Bytes [`File::template`] would have to parse: none when it is known.
    pub(crate) fn bytes_to_parse(&self, name: &str, absent: &'static [&'static str]) -> usize {
        let known = self
            .parsed
            .get()
            .is_some_and(|parsed| parsed.is(name, absent));
        if known { 0 } else { self.data().len() }
    }

    /// The file as a template of some name. The first parsing is kept for further renderings.
    ///
    /// # Errors
    /// Go's text.
    pub(crate) fn template(
        &self,
        name: &str,
        absent: &'static [&'static str],
    ) -> Result<Cow<'_, Parsed>, pilotis_template::Error> {
        if let Some(parsed) = self.parsed.get().filter(|parsed| parsed.is(name, absent)) {
            return Ok(Cow::Borrowed(parsed));
        }
        let parsed = Parsed::parse(name, self.data().clone(), absent)?;
        // Another chart may hold the same file under another name; then this one is not kept.
        match self.parsed.set(parsed) {
            Ok(()) => self.template(name, absent),
            Err(parsed) => Ok(Cow::Owned(parsed)),
        }
    }
}

impl PartialEq for File {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.data() == other.data()
    }
}

impl Eq for File {}

/// Reads a file that was small enough when it was found.
fn read_bounded(place: &Path) -> Result<Bytes, String> {
    let file = std::fs::File::open(place).map_err(|error| error.to_string())?;
    let mut data = Vec::new();
    let read = file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut data);
    read.map_err(|error| error.to_string())?;
    if data.len() > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes by now"));
    }
    Ok(without_mark(data.into()))
}

fn without_mark(data: Bytes) -> Bytes {
    match data.starts_with(&[0xef, 0xbb, 0xbf]) {
        true => data.slice(3..),
        false => data,
    }
}
