//! Helm charts: load, merge values, render, with the origin of every line.
//!
//! [`Chart::load`] takes files that somebody read; [`Values::merge`] the values files and `--set`
//! words; [`render`] gives what `helm template` of the chosen [`Compat`] prints, as [`Manifest`]s
//! that know the template line behind each of their lines and the values behind each template
//! action.
//!
//! Nothing here fetches charts, installs them or talks to a cluster. Only [`read_dir`] touches the
//! disk.
//!
//! **Invariant:** the same files, values and environment give the same bytes; where Helm's order is
//! random (undeclared subcharts, schema errors) ours is sorted.

mod archive;
mod capabilities;
pub mod cli;
mod coalesce;
mod compat;
pub mod coverage;
mod dependencies;
pub mod diff;
mod errors;
mod explain;
mod file;
mod ignore;
mod index;
mod json_path;
pub mod lint;
mod load;
mod lock;
mod lookup;
mod manifest;
mod metadata;
mod objects;
mod origins;
mod pack;
mod parallel;
mod post_render;
mod print;
mod read;
mod render;
mod scaffold;
mod schema;
mod search;
mod separators;
mod set;
mod structure;
pub mod testing;
pub mod usage;
mod values;
mod warnings;

pub use archive::{ARCHIVE_BYTES_MAX, FILE_BYTES_MAX, unpack};
pub use capabilities::Capabilities;
pub use compat::{ChartObject, CommandLine, Compat, ErrorStyle, LogStyle, RegistryLog, Separator};
pub use errors::Error;
pub use explain::Explanation;
pub use file::File;
pub use index::{
    Chosen, INDEX_BYTES_MAX, IRREGULAR_INDEX_BYTES_MAX, Index, IndexEntry, IndexForm, NoVersion,
    Packaged, choose_tag, index_of, tags_as_versions,
};
pub use load::Chart;
pub use lock::Lock;
pub use lookup::Objects;
pub use manifest::{Hook, Manifest};
pub use metadata::{Dependency, Maintainer, Metadata};
pub use origins::Origins;
pub use pack::pack;
pub use post_render::PostRenderer;
pub use print::{Printing, Printout, Written, print, show_only};
pub use read::{Link, read_dir, read_dir_and_links, read_dir_to_render};
pub use render::{Options, Release, Rendered, merged_values, render};
pub use scaffold::{from_starter, scaffold};
pub use search::{Catalogue, Hit, Term};
pub use values::{Input, Source, Values};
