//! `fromToml`: TOML to values, and what Helm says of a text that is none.
//!
//! Helm's reader is not strict: it takes some texts TOML forbids and refuses some it allows, and
//! charts print what it says. So this reader keeps what decides its answers: which line is named,
//! which key came last, which of several mistakes is met first, and the marks the reader sets on
//! key paths. A character is looked at when the reader needs it and not before, so the first
//! mistake met is the one Helm tells.

mod dates;
mod document;
mod numbers;
mod reader;
mod scanner;
mod strings;
#[cfg(test)]
mod tests;

use crate::value::{Map, Value};
use reader::Reader;

/// Deepest key path, and deepest nesting of arrays and inline tables. Helm has no limit; ours
/// keeps a hostile text from using up the stack.
const DEPTH_MAX: usize = 500;
/// How many bytes are searched for a NUL, the sign of UTF-16.
const NUL_SEARCHED: usize = 6;

/// The table a text holds; under `Error` what is wrong with it.
pub(super) fn from_toml(text: &[u8]) -> Value {
    match read(without_mark(text)) {
        Ok(map) => Value::Map(map),
        Err(error) => {
            let map = Map::new();
            map.insert("Error", Value::text(error));
            Value::Map(map)
        }
    }
}

fn read(text: &[u8]) -> Result<Map, String> {
    if text.iter().take(NUL_SEARCHED).any(|byte| *byte == 0) {
        return Err("toml: line 1: files cannot contain NULL bytes; \
                    probably using UTF-16; TOML files must be UTF-8"
            .to_string());
    }
    Reader::new(text).read()
}

/// The text after its byte order mark, which may be one of UTF-16.
fn without_mark(text: &[u8]) -> &[u8] {
    let marks: [&[u8]; 3] = [b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"];
    let found = marks.iter().find_map(|mark| text.strip_prefix(*mark));
    found.unwrap_or(text)
}
