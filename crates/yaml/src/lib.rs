//! YAML as Go reads and writes it: documents with positions in, exact bytes out.
//!
//! Everything in this project that Kubernetes or Helm would read is read here, so that `yes`,
//! `017`, `1e3` and duplicate keys mean what they mean there (go-yaml v2 under sigs.k8s.io/yaml),
//! with the same error texts (decision 0011).
//!
//! **Invariant:** any text is accepted or refused with one [`Error`]; nothing here panics, and
//! depth, size and alias expansion are bounded ([`DEPTH_MAX`], [`SIZE_MAX`], [`ALIAS_NODES_MAX`]).
//!
//! It does not rewrite files in place; [`Written`] writes a document again with its comments.
//!
//! ```
//! let node = pilotis_yaml::parse_first("spec:\n  replicas: 0x10\n").unwrap().unwrap();
//! let replicas = node.at(&["spec", "replicas"]).unwrap();
//! assert_eq!((replicas.start.line, replicas.start.column), (2, 13));
//! assert_eq!(pilotis_yaml::to_json(&node).unwrap()["spec"]["replicas"], 16);
//! ```

mod block;
mod bytes;
mod emit;
mod error;
mod json;
mod node;
pub mod number;
mod parse;
mod resolve;
mod rewrite;
mod scalar;
mod scan;

pub use bytes::{parse_first_bytes, replaced, text_of};
pub use emit::{Flavour, StandIn, emit, emit_with};
pub use error::Error;
pub use json::{Build, build, check_json, to_json, to_json_strict};
pub use node::{Content, Document, Mark, Node, Style};
pub use parse::{
    ALIAS_NODES_MAX, DEPTH_MAX, SIZE_MAX, parse, parse_by_token, parse_first, parse_for_json,
};
pub use resolve::{Resolved, resolve_plain};
pub use rewrite::Written;

use serde_json::Value;

/// Every document of a text as JSON, in order; empty documents are left out.
///
/// # Errors
/// The first syntax or typing error, with its line in the whole text.
pub fn read_json(text: &str) -> Result<Vec<Value>, Error> {
    let mut values = Vec::new();
    for document in parse(text)? {
        if let Some(root) = &document.root {
            let value = to_json(root)?;
            if !value.is_null() {
                values.push(value);
            }
        }
    }
    Ok(values)
}
