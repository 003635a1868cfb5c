//! Files to a chart and its subcharts.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use pilotis_template::Table;

use crate::compat::Compat;
use crate::errors::Error;
use crate::file::File;
use crate::ignore::Rules;
use crate::lock::Lock;
use crate::metadata::{Metadata, UNKNOWN_FORMAT};
use crate::values::{self, Nodes};
use crate::warnings::Warning;

/// A chart, as loaded. Plain data: it can be shared between threads and rendered many times.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// `Chart.yaml`.
    pub metadata: Metadata,
    /// `values.yaml`; every number is a float.
    pub values: Table,
    /// `values.yaml` with its positions.
    pub(crate) values_nodes: Arc<Nodes>,
    /// `values.yaml` as it was written.
    pub values_text: Option<Bytes>,
    /// `Chart.lock` as it was written.
    pub lock: Option<Bytes>,
    /// `values.schema.json`.
    pub schema: Option<String>,
    /// Files under `templates/`.
    pub templates: Vec<File>,
    /// Other files, `crds/` included.
    pub files: Vec<File>,
    /// Subcharts under `charts/`.
    pub dependencies: Vec<Chart>,
    /// Paths of this chart's templates in messages start with it.
    pub full_path: String,
    /// What Helm logged while it read the chart and those below it, one line each.
    pub log: Vec<String>,
}

/// How charts are read, and what is logged meanwhile.
struct Reader<'a> {
    compat: &'a Compat,
    log: Vec<String>,
}

impl Reader<'_> {
    fn log(&mut self, place: &'static str, message: &str) {
        let line = Warning::plain(place, message.to_string());
        self.log.push(line.text(self.compat));
    }
}

const OLD_REQUIREMENTS: &str = "Warning: Dependencies are handled in Chart.yaml since apiVersion \
                                \"v2\". We recommend migrating dependencies to Chart.yaml.";
const OLD_LOCK: &str = "Warning: Dependency locking is handled in Chart.lock since apiVersion \
                        \"v2\". We recommend migrating to Chart.lock.";
/// Deepest nesting of subcharts.
const DEPTH_MAX: u32 = 20;

impl Chart {
    /// Loads a chart from the files of its directory; `.helmignore` is applied.
    ///
    /// # Errors
    /// What Helm refuses, in its words.
    pub fn load(files: Vec<File>) -> Result<Self, Error> {
        Self::load_for(files, &Compat::default())
    }

    /// The same as one Helm version does it.
    ///
    /// # Errors
    /// What Helm refuses, in its words.
    pub fn load_for(files: Vec<File>, compat: &Compat) -> Result<Self, Error> {
        let rules = files.iter().find(|file| file.path == ".helmignore");
        let rules = Rules::parse(&rules.map_or(Cow::Borrowed(""), File::text))?;
        let kept = files
            .into_iter()
            .filter(|file| !rules.ignores_file(&file.path));
        Self::read(kept.collect(), compat)
    }

    /// Reads a chart that has no parent.
    fn read(files: Vec<File>, compat: &Compat) -> Result<Self, Error> {
        let mut reader = Reader {
            compat,
            log: Vec::new(),
        };
        match Self::from_files(files, 0, &mut reader) {
            Ok(mut chart) => {
                chart.log = reader.log;
                chart.name_paths(None);
                Ok(chart)
            }
            Err(error) => Err(Error {
                warnings: reader.log,
                ..compat.typed(error)
            }),
        }
    }

    /// Loads a chart from a `.tgz` archive.
    ///
    /// # Errors
    /// As [`Chart::load`], and a broken or dangerous archive.
    pub fn load_archive(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(crate::archive::unpack(bytes)?, &Compat::default())
    }

    /// Whether rendering it is worth several threads.
    pub fn is_large(&self) -> bool {
        self.template_bytes() >= crate::parallel::WORTH_BYTES
    }

    /// Why a file could not be read when somebody looked at it.
    pub(crate) fn late_failure(&self) -> Option<Error> {
        let own = self.files.iter().find_map(File::failure);
        own.or_else(|| self.dependencies.iter().find_map(Self::late_failure))
    }

    fn template_bytes(&self) -> usize {
        let own = self.templates.iter().map(|file| file.data().len());
        let below = self.dependencies.iter().map(Self::template_bytes);
        own.chain(below).sum()
    }

    /// The name templates and values know it by.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Refuses a chart whose declared dependencies are not all there.
    ///
    /// # Errors
    /// The names that are missing, in Helm's words.
    pub fn check_complete(&self) -> Result<(), Error> {
        crate::dependencies::check_present(self)
    }

    /// Refuses a format that cannot be installed: Helm 4 knows three and installs two.
    ///
    /// # Errors
    /// In its words.
    pub fn check_format(&self, compat: &Compat) -> Result<(), Error> {
        match self.metadata.api_version.as_str() {
            "v1" | "v2" => Ok(()),
            _ if !compat.refuses_api_versions => Ok(()),
            "v3" => Err(Error::new("invalid chart apiVersion")),
            _ => Err(Error::new(UNKNOWN_FORMAT)),
        }
    }

    pub(crate) fn is_library(&self) -> bool {
        self.metadata.chart_type.eq_ignore_ascii_case("library")
    }

    fn name_paths(&mut self, parent: Option<&str>) {
        self.full_path = match parent {
            None => self.metadata.name.clone(),
            Some(parent) => format!("{parent}/charts/{}", self.metadata.name),
        };
        let own = self.full_path.clone();
        for dependency in &mut self.dependencies {
            dependency.name_paths(Some(&own));
        }
    }

    fn from_files(files: Vec<File>, depth: u32, reader: &mut Reader<'_>) -> Result<Self, Error> {
        if depth > DEPTH_MAX {
            return Err(Error::new(format!(
                "charts are nested deeper than {DEPTH_MAX}"
            )));
        }
        let mut chart = Self::default();
        let mut found = false;
        if let Some(file) = files.iter().find(|file| file.path == "Chart.yaml") {
            chart.metadata = Metadata::parse(&file.text(), "Chart.yaml")?;
            if chart.metadata.api_version.is_empty() {
                chart.metadata.api_version = "v1".to_string();
            }
            found = true;
        }
        let mut subcharts: BTreeMap<String, Vec<File>> = BTreeMap::new();
        let mut files = files;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        for file in files {
            chart.sort_in(file, &mut subcharts, reader)?;
        }
        if !found {
            return Err(Error::new("Chart.yaml file is missing"));
        }
        chart.metadata.validate()?;
        for (name, files) in subcharts {
            chart.add_subchart(&name, files, depth, reader)?;
        }
        Ok(chart)
    }

    fn sort_in(
        &mut self,
        file: File,
        subcharts: &mut BTreeMap<String, Vec<File>>,
        reader: &mut Reader<'_>,
    ) -> Result<(), Error> {
        let is_old = self.metadata.api_version == "v1";
        match file.path.as_str() {
            "Chart.yaml" => {}
            "Chart.lock" => {
                Lock::parse(&file.text(), "Chart.lock")?;
                self.lock = Some(file.data().clone());
            }
            "values.yaml" => {
                let first_only = !reader.compat.merges_value_documents;
                self.values = values::read_defaults(file.data(), first_only)
                    .map_err(|e| Error::new(format!("cannot load values.yaml: {}", e.message)))?;
                self.values_nodes = Nodes::of(file.data(), first_only).into();
                self.values_text = Some(file.data().clone());
            }
            "values.schema.json" => self.schema = Some(file.text().into_owned()),
            "requirements.yaml" => {
                if !is_old {
                    reader.log("load.go:120", OLD_REQUIREMENTS);
                }
                let needed = Metadata::parse(&file.text(), "requirements.yaml")?;
                if needed.lists_dependencies {
                    self.metadata.lists_dependencies = true;
                    self.metadata.dependencies = needed.dependencies;
                }
                if is_old {
                    self.files.push(file);
                }
            }
            "requirements.lock" => {
                Lock::parse(&file.text(), "requirements.lock")?;
                if is_old {
                    self.files.push(file);
                } else {
                    reader.log("load.go:138", OLD_LOCK);
                }
            }
            path if path.starts_with("templates/") => self.templates.push(file),
            path if path.starts_with("charts/") && !path.ends_with(".prov") => {
                let inner = path["charts/".len()..].to_string();
                let name = inner.split('/').next().unwrap_or_default().to_string();
                subcharts.entry(name).or_default().push(file.moved(inner));
            }
            _ => self.files.push(file),
        }
        Ok(())
    }

    fn add_subchart(
        &mut self,
        name: &str,
        files: Vec<File>,
        depth: u32,
        reader: &mut Reader<'_>,
    ) -> Result<(), Error> {
        if name.starts_with(['_', '.']) {
            return Ok(());
        }
        let wrap = |error: Error| {
            let own = &self.metadata.name;
            let message = error.message;
            Error::new(format!(
                "error unpacking subchart {name} in {own}: {message}"
            ))
        };
        let loaded = if name.ends_with(".tgz") {
            let first = files.first();
            if let Some(file) = first.filter(|file| file.path != name) {
                let (own, path) = (&self.metadata.name, &file.path);
                return Err(Error::new(format!(
                    "error unpacking subchart tar in {own}: expected {name}, got {path}"
                )));
            }
            let bytes = first.map_or(&[][..], |file| file.data());
            crate::archive::unpack(bytes)
                .and_then(|files| Self::from_files(files, depth + 1, reader))
        } else {
            let inner = files.into_iter().filter_map(|file| {
                let (_, path) = file.path.split_once('/')?;
                Some(file.moved(path))
            });
            Self::from_files(inner.collect(), depth + 1, reader)
        };
        self.dependencies.push(loaded.map_err(wrap)?);
        Ok(())
    }
}
