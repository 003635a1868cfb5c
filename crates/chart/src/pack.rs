//! A chart to the archive `helm package` makes: the same files in the same order.

use std::io::Write;

use flate2::{Compression, GzBuilder};

use crate::errors::Error;
use crate::load::Chart;

/// The bytes of `name-version.tgz`; every file carries one time, seconds since 1970.
///
/// # Errors
/// A schema that is no JSON; an archive that cannot be written.
pub fn pack(chart: &Chart, modified: u64) -> Result<Vec<u8>, Error> {
    let broken = |error: std::io::Error| Error::new(format!("failed to save: {error}"));
    let gzip = GzBuilder::new()
        .comment("Helm")
        .write(Vec::new(), Compression::default());
    let mut archive = tar::Builder::new(gzip);
    let mut files = Vec::new();
    collect(chart, "", &mut files)?;
    for (path, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(modified);
        archive
            .append_data(&mut header, path, data.as_slice())
            .map_err(broken)?;
    }
    let mut gzip = archive.into_inner().map_err(broken)?;
    gzip.flush().map_err(broken)?;
    gzip.finish().map_err(broken)
}

fn collect(chart: &Chart, prefix: &str, out: &mut Vec<(String, Vec<u8>)>) -> Result<(), Error> {
    let base = format!("{prefix}{}", chart.metadata.name);
    let is_v1 = chart.metadata.api_version == "v1";
    let mut metadata = chart.metadata.clone();
    if is_v1 {
        // They stay in requirements.yaml.
        metadata.dependencies.clear();
    }
    out.push((
        format!("{base}/Chart.yaml"),
        metadata.to_yaml().into_bytes(),
    ));
    if let Some(lock) = chart.lock.as_ref().filter(|_| !is_v1) {
        out.push((format!("{base}/Chart.lock"), lock.to_vec()));
    }
    if let Some(values) = &chart.values_text {
        out.push((format!("{base}/values.yaml"), values.to_vec()));
    }
    if let Some(schema) = &chart.schema {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(schema);
        if parsed.is_err() {
            return Err(Error::new(
                "failed to save: invalid JSON in values.schema.json",
            ));
        }
        out.push((
            format!("{base}/values.schema.json"),
            schema.clone().into_bytes(),
        ));
    }
    for file in chart.templates.iter().chain(&chart.files) {
        out.push((format!("{base}/{}", file.path), file.data().to_vec()));
    }
    for dependency in &chart.dependencies {
        collect(dependency, &format!("{base}/charts/"), out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::File;

    #[test]
    fn a_packed_chart_loads_as_it_was() {
        let files = vec![
            File::new("Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n"),
            File::new("values.yaml", "x: 1 # why\n"),
            File::new("templates/a.yaml", "a: {{ .Values.x }}\n"),
            File::new(
                "charts/b/Chart.yaml",
                "apiVersion: v2\nname: b\nversion: 2.0.0\n",
            ),
        ];
        let chart = Chart::load(files).unwrap();
        let again = Chart::load_archive(&pack(&chart, 0).unwrap()).unwrap();
        assert_eq!(again.values_text.as_deref(), Some(&b"x: 1 # why\n"[..]));
        assert_eq!(again.templates, chart.templates);
        assert_eq!(
            again.dependencies[0].metadata,
            chart.dependencies[0].metadata
        );
    }
}
