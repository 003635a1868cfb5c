//! `chart create`: a new chart, ours or made from a starter of the user's.
//!
//! Ours passes every rule of `pilotis check` and every lint from the start; a test holds it to
//! that. A starter is any chart in which `<CHARTNAME>` stands for the name.

use crate::errors::Error;
use crate::file::File;
use crate::load::Chart;

/// What stands for the name of the chart.
const NAME: &str = "<CHARTNAME>";
/// Longest name.
const NAME_BYTES_MAX: usize = 250;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_str!(concat!("../scaffold/", $path)))),*]
    };
}

const FILES: [(&str, &str); 17] = files![
    "Chart.yaml",
    "values.yaml",
    "values-dev.yaml",
    "values-prod.yaml",
    "values.schema.json",
    ".helmignore",
    "templates/_helpers.tpl",
    "templates/serviceaccount.yaml",
    "templates/configmap.yaml",
    "templates/deployment.yaml",
    "templates/service.yaml",
    "templates/networkpolicy.yaml",
    "templates/ingress.yaml",
    "templates/poddisruptionbudget.yaml",
    "templates/horizontalpodautoscaler.yaml",
    "templates/NOTES.txt",
    "tests/deployment_test.yaml",
];

/// The files of a new chart, by their path below its folder.
///
/// # Errors
/// A name that no chart may have, in Helm's words.
pub fn scaffold(name: &str) -> Result<Vec<File>, Error> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let text = format!("chart name must be between 1 and {NAME_BYTES_MAX} characters");
        return Err(Error::new(text));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if !name.chars().all(fits) {
        let text = "chart name must match the regular expression \"^[a-zA-Z0-9._-]+$\"";
        return Err(Error::new(text));
    }
    let files = FILES.iter();
    Ok(files
        .map(|(path, text)| File::new(*path, text.replace(NAME, name)))
        .collect())
}

/// The files of a new chart made from another: templates and values with the name put in, the rest
/// as it is. Subcharts are packed again by the caller.
///
/// # Errors
/// A starter whose values are no values once the name is in them.
pub fn from_starter(name: &str, starter: &Chart) -> Result<Vec<File>, Error> {
    let put_in = |data: &[u8]| String::from_utf8_lossy(data).replace(NAME, name);
    let about = format!(
        "apiVersion: v2\nappVersion: 0.1.0\ndescription: A Helm chart for Kubernetes\nname: {name}\n\
         type: application\nversion: 0.1.0\n"
    );
    let mut files = vec![File::new("Chart.yaml", about)];
    if let Some(values) = &starter.values_text {
        let text = put_in(values);
        crate::values::read_plain(text.as_bytes(), crate::values::PLAIN_TYPE)
            .map_err(|reason| Error::new(format!("transforming values file: {reason}")))?;
        files.push(File::new("values.yaml", text));
    }
    if let Some(schema) = &starter.schema {
        files.push(File::new("values.schema.json", schema.as_bytes()));
    }
    for template in &starter.templates {
        files.push(File::new(&*template.path, put_in(template.data())));
    }
    files.extend(starter.files.iter().cloned());
    Ok(files)
}
