//! Go templates and their function library: text in, text with origins out.
//!
//! A [`Set`] holds parsed templates; [`Machine::run`] executes one of them on a [`Value`] and gives
//! an [`Output`] whose every piece knows the template position, and the values read, that produced
//! it. Values keep the distinctions Go templates can see (missing and nil, int and int64 and
//! float64, byte strings, maps that are shared and mutable), because charts depend on them. Errors
//! are Go's texts.
//!
//! Nothing here reads a clock, a random source or a cluster: the [`Environment`] gives them. Depth,
//! steps and output are bounded by [`Limits`]. It does not know charts, values files or Helm's way
//! of wrapping errors; crate `chart` does.
//!
//! ```
//! use pilotis_template::{Machine, NoEnvironment, Set, Value};
//! let mut set = Set::new();
//! set.add("hello.txt", "{{ .name | upper | quote }}\n").unwrap();
//! let data = Value::from_json(&serde_json::json!({"name": "world"}));
//! let output = Machine::new(set, &NoEnvironment).run("hello.txt", &data).unwrap();
//! assert_eq!(output.text(), "\"WORLD\"\n");
//! assert_eq!(output.position(0).unwrap().line, 1);
//! ```

mod ast;
mod call;
mod convert;
mod error;
mod exec;
mod files;
mod format;
mod functions;
mod go_address;
mod go_json;
mod go_semver;
mod go_time;
mod go_unicode;
mod go_url;
mod keys;
mod lexer;
mod literal;
mod methods;
mod output;
mod parser;
mod set;
mod text;
mod tree;
mod value;
mod watch;

pub use convert::json_text;
pub use error::{Error, Failure, Trace};
pub use exec::{Environment, Limits, Machine, NoEnvironment, Note};
pub use functions::{Pattern, function_names};
pub use go_address::Address;
pub use go_json::{JsonMistake, json_value_end, read_json};
pub use go_semver::{Constraint, Version};
pub use go_time::parse_duration;
pub use go_url::Url;
pub use literal::unquote;
pub use output::{Output, Piece, Place, lossy, shared_lossy};
pub use set::{Parsed, Set, Source};
pub use text::Text;
pub use tree::{Table, Tree};
pub use value::{List, ListKind, Map, MapKind, Method, Object, Value};
pub use watch::{Point, PointKind, Watched};

/// A value as Go's `%v` prints it.
pub fn go_text(value: &Value) -> String {
    String::from_utf8_lossy(&format::print_value(value)).into_owned()
}

/// A text as Go's `fmt.Sprintf` makes it.
pub fn sprintf(format: &str, values: &[Value]) -> String {
    String::from_utf8_lossy(&format::sprintf(format.as_bytes(), values)).into_owned()
}

/// What Go calls a JSON value it cannot decode into the wanted type.
pub fn json_kind(json: &serde_json::Value) -> &'static str {
    functions::json_kind(json)
}

/// What Go's decoder says of a text that is not one JSON value.
pub fn json_complaint(text: &[u8]) -> String {
    go_json::decoder_complaint(text)
}

/// Whether Go prints a character as it is, in Unicode 15.
pub fn is_print(c: char) -> bool {
    go_unicode::is_print(c)
}

/// A text quoted as Go quotes it.
pub fn quote(bytes: &[u8]) -> String {
    literal::quote(bytes)
}

/// A character quoted as Go quotes it.
pub fn quote_rune(c: char) -> String {
    literal::quote_rune(c)
}

/// What `time.Parse` says of a text that does not fit a layout of Go's.
pub fn time_complaint(layout: &str, text: &str) -> Option<String> {
    go_time::Time::parse(layout, text).err()
}

/// Whether a text is a version, as charts are versioned.
pub fn is_version(text: &str) -> bool {
    go_semver::Version::parse(text).is_ok()
}

/// Whether a version satisfies a constraint, as `semverCompare` decides.
///
/// # Errors
/// What is wrong with the constraint or the version.
pub fn version_matches(constraint: &str, version: &str) -> Result<bool, String> {
    let constraint = go_semver::Constraint::parse(constraint)?;
    Ok(constraint.check(&go_semver::Version::parse(version)?))
}
