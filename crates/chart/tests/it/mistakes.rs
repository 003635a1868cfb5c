//! Fifty mistakes people make in charts and values: the tool names the template line, the line of
//! the values that is wrong or near to what is missing, and for a typing error the key that was
//! meant.

use pilotis_chart::coverage::Subject;
use pilotis_chart::usage::odd_values;
use pilotis_chart::{Capabilities, Chart, Compat, File, Input, Options, Release, Values, render};
use pilotis_template::NoEnvironment;

/// Mistakes in which both places have to be told.
const PLACES_MIN: usize = 45;

const VALUES: &str = "\
replicas: 2
image:
  repository: nginx
  tag: \"1.25\"
  pullPolicy: IfNotPresent
service:
  type: ClusterIP
  port: 80
ingress:
  enabled: true
  host: a.example
  annotations: {}
resources:
  limits:
    cpu: 100m
    memory: 128Mi
env:
- name: A
  value: b
version: 1.2.3
labels:
  team: x
";

const HELPERS: &str = "\
{{- define \"demo.image\" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}
{{- define \"demo.labels\" -}}
team: {{ .Values.labels.team | upper }}
{{- end }}
{{- define \"demo.port\" -}}
{{ .port | int }}
{{- end }}
";

/// A mistake: the template it is in or shows in, the user's values, and what has to be told.
struct Mistake {
    name: &'static str,
    template: &'static str,
    values: &'static str,
    /// Template file and line below the chart.
    template_at: &'static str,
    /// Values file and line.
    values_at: &'static str,
    /// The key that was meant, for typing errors.
    meant: Option<&'static str>,
}

const fn mistake(
    name: &'static str,
    (template, values): (&'static str, &'static str),
    (template_at, values_at): (&'static str, &'static str),
    meant: Option<&'static str>,
) -> Mistake {
    Mistake {
        name,
        template,
        values,
        template_at,
        values_at,
        meant,
    }
}

const A2: &str = "templates/a.yaml:2";
const A3: &str = "templates/a.yaml:3";

const MISTAKES: [Mistake; 50] = [
    // Typing errors in templates.
    mistake(
        "typo in the first key",
        ("a: 1\nb: {{ .Values.imge.tag }}\n", ""),
        (A2, "demo/values.yaml:2"),
        Some("image"),
    ),
    mistake(
        "typo in a middle key",
        ("a: 1\nb: {{ .Values.resources.limit.cpu }}\n", ""),
        (A2, "demo/values.yaml:14"),
        Some("limits"),
    ),
    mistake(
        "two letters changed places",
        ("a: 1\nb: {{ .Values.sevrice.port }}\n", ""),
        (A2, "demo/values.yaml:6"),
        Some("service"),
    ),
    mistake(
        "wrong case",
        ("a: 1\nb: {{ .Values.Image.tag }}\n", ""),
        (A2, "demo/values.yaml:2"),
        Some("image"),
    ),
    mistake(
        "plural for singular",
        ("a: 1\nb: {{ .Values.images.tag }}\n", ""),
        (A2, "demo/values.yaml:2"),
        Some("image"),
    ),
    mistake(
        "typo of a required value",
        ("a: 1\nb: {{ required \"a tag\" .Values.image.tagg }}\n", ""),
        (A2, "demo/values.yaml:4"),
        Some("tag"),
    ),
    mistake(
        "typo in with's body",
        (
            "{{- with .Values.image }}\na: 1\nb: {{ .repo.x }}\n{{- end }}\n",
            "",
        ),
        (A3, "demo/values.yaml:3"),
        None,
    ),
    mistake(
        "typo below a dollar",
        (
            "{{- range .Values.env }}\na: 1\nb: {{ $.Values.ingres.host }}\n{{- end }}\n",
            "",
        ),
        (A3, "demo/values.yaml:9"),
        Some("ingress"),
    ),
    mistake(
        "typo that prints nothing",
        ("a: 1\nb: {{ .Values.image.tga }}\n", ""),
        (A2, "demo/values.yaml:4"),
        Some("tag"),
    ),
    mistake(
        "typo in quote",
        ("a: 1\nb: {{ .Values.service.prot | quote }}\n", ""),
        (A2, "demo/values.yaml:8"),
        Some("port"),
    ),
    mistake(
        "typo in toYaml",
        ("a: 1\nb: {{ toYaml .Values.resource }}\n", ""),
        (A2, "demo/values.yaml:13"),
        Some("resources"),
    ),
    mistake(
        "typo in an index",
        ("a: 1\nb: {{ (index .Values.env 0).nam.x }}\n", ""),
        (A2, "demo/values.yaml:18"),
        None,
    ),
    // Typing errors in values files.
    mistake(
        "unknown key at the top",
        ("a: {{ .Values.replicas }}\n", "replica: 3\n"),
        ("", "input/v.yaml:1"),
        Some("replicas"),
    ),
    mistake(
        "unknown key below",
        (
            "a: {{ .Values.image.repository }}\n",
            "image:\n  repositry: x\n",
        ),
        ("", "input/v.yaml:2"),
        Some("repository"),
    ),
    mistake(
        "unknown map",
        ("a: {{ .Values.service.port }}\n", "services:\n  port: 81\n"),
        ("", "input/v.yaml:2"),
        Some("service.port"),
    ),
    mistake(
        "wrong case in values",
        ("a: {{ .Values.service.port }}\n", "Service:\n  port: 81\n"),
        ("", "input/v.yaml:2"),
        Some("service.port"),
    ),
    mistake(
        "letters that changed places",
        ("a: {{ .Values.ingress.host }}\n", "ingress:\n  hots: x\n"),
        ("", "input/v.yaml:2"),
        Some("ingress.host"),
    ),
    mistake(
        "typo in limits",
        (
            "a: {{ .Values.resources.limits.cpu }}\n",
            "resources:\n  limts: {cpu: 1}\n",
        ),
        ("", "input/v.yaml:2"),
        Some("resources.limits.cpu"),
    ),
    // Wrong indents.
    mistake(
        "child at the top",
        ("a: 1\nb: {{ .Values.image.tag }}\n", "image:\ntag: x\n"),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "child that is not read",
        ("a: {{ .Values.service.port }}\n", "port: 81\n"),
        ("", "input/v.yaml:1"),
        Some("service.port"),
    ),
    mistake(
        "sibling too deep",
        ("a: {{ .Values.replicas }}\n", "image:\n  replicas: 3\n"),
        ("", "input/v.yaml:2"),
        Some("replicas"),
    ),
    mistake(
        "template block too shallow",
        (
            "a:\n  b:\n{{ toYaml .Values.labels | indent 1 }}\n   c: 1\n",
            "",
        ),
        ("templates/a.yaml:4", "demo/values.yaml:21"),
        None,
    ),
    mistake(
        "list in a mapping",
        ("a:\n  b: 1\n{{ toYaml .Values.env | indent 2 }}\n", ""),
        (A3, "demo/values.yaml:17"),
        None,
    ),
    mistake(
        "indent lost in a values file",
        (
            "a: 1\nb: {{ .Values.ingress.host | upper }}\n",
            "ingress:\nhost: x\n",
        ),
        (A2, "input/v.yaml:1"),
        None,
    ),
    // Nil in a chain.
    mistake(
        "map set to null",
        ("a: 1\nb: {{ .Values.image.tag }}\n", "image: null\n"),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "absent map",
        ("a: 1\nb: {{ .Values.probes.liveness.path }}\n", ""),
        (A2, ""),
        None,
    ),
    mistake(
        "absent map below",
        ("a: 1\nb: {{ .Values.resources.requests.cpu }}\n", ""),
        (A2, "demo/values.yaml:13"),
        None,
    ),
    mistake(
        "absent in a helper",
        ("a: 1\nb: {{ include \"demo.image\" . }}\n", "image: null\n"),
        ("templates/_h.tpl:2", "input/v.yaml:1"),
        None,
    ),
    mistake(
        "key of a text",
        ("a: 1\nb: {{ .Values.version.major }}\n", ""),
        (A2, "demo/values.yaml:20"),
        None,
    ),
    mistake(
        "key of a number",
        ("a: 1\nb: {{ .Values.replicas.min }}\n", ""),
        (A2, "demo/values.yaml:1"),
        None,
    ),
    mistake(
        "key of a list",
        ("a: 1\nb: {{ .Values.env.name }}\n", ""),
        (A2, "demo/values.yaml:17"),
        None,
    ),
    mistake(
        "key of a boolean",
        ("a: 1\nb: {{ .Values.ingress.enabled.x }}\n", ""),
        (A2, "demo/values.yaml:10"),
        None,
    ),
    // Wrong types.
    mistake(
        "text for a map",
        ("a: 1\nb: {{ .Values.image.tag }}\n", "image: nginx\n"),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "text for a list",
        (
            "a: 1\nb:\n{{- range .Values.env }}\n- {{ .name }}\n{{- end }}\n",
            "env: x\n",
        ),
        (A3, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "number for a text",
        (
            "a: 1\nb: {{ .Values.image.tag | upper }}\n",
            "image:\n  tag: 1.25\n",
        ),
        (A2, "input/v.yaml:2"),
        None,
    ),
    mistake(
        "map for a text",
        (
            "a: 1\nb: {{ .Values.version | trim }}\n",
            "version: {major: 1}\n",
        ),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "list for a map",
        ("a: 1\nb: {{ .Values.labels.team }}\n", "labels: [team]\n"),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "number against text",
        (
            "a: 1\nb: {{ if eq .Values.service.port 80 }}x{{ end }}\n",
            "",
        ),
        (A2, "demo/values.yaml:8"),
        None,
    ),
    mistake(
        "text in a helper",
        (
            "a: 1\nb: {{ include \"demo.labels\" . }}\n",
            "labels: {team: 5}\n",
        ),
        ("templates/_h.tpl:5", "input/v.yaml:1"),
        None,
    ),
    mistake(
        "item of a list of the wrong type",
        (
            "{{- range .Values.env }}\na: 1\nb: {{ .name.x }}\n{{- end }}\n",
            "",
        ),
        (A3, "demo/values.yaml:18"),
        None,
    ),
    mistake(
        "index out of range",
        ("a: 1\nb: {{ index .Values.env 3 }}\n", ""),
        (A2, "demo/values.yaml:17"),
        None,
    ),
    // Versions.
    mistake(
        "a version that is none",
        (
            "a: 1\nb: {{ semverCompare \">=1.0\" .Values.version }}\n",
            "version: latest\n",
        ),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "a constraint that is none",
        (
            "a: 1\nb: {{ semverCompare .Values.version \"1.2.3\" }}\n",
            "version: newest\n",
        ),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "a version of a variable",
        (
            "{{- $v := .Values.version }}\na: 1\nb: {{ semverCompare \">=1.0\" $v }}\n",
            "version: x.y\n",
        ),
        (A3, "input/v.yaml:1"),
        None,
    ),
    // YAML that breaks.
    mistake(
        "colon in a value",
        (
            "a: 1\nb: {{ .Values.ingress.host }}\n",
            "ingress:\n  host: \"x: y: z\"\n",
        ),
        (A2, "input/v.yaml:2"),
        None,
    ),
    mistake(
        "bracket in a value",
        ("a: 1\nb: {{ .Values.version }}\n", "version: \"[1\"\n"),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "star in a value",
        (
            "a: 1\nb: {{ .Values.ingress.host }}\n",
            "ingress:\n  host: \"*.example\"\n",
        ),
        (A2, "input/v.yaml:2"),
        None,
    ),
    mistake(
        "lines in a value",
        (
            "a: 1\nb: {{ .Values.version }}\nc: 2\n",
            "version: |\n  x: 1\n  y\n",
        ),
        (A2, "input/v.yaml:1"),
        None,
    ),
    mistake(
        "broken values file",
        ("a: {{ .Values.version }}\n", "version: 1\nimage: {tag: x\n"),
        ("", "input/v.yaml:"),
        None,
    ),
    mistake(
        "tab in a values file",
        ("a: {{ .Values.version }}\n", "image:\n\ttag: x\n"),
        ("", "input/v.yaml:2"),
        None,
    ),
];

/// Everything that is said about a mistake.
fn told(mistake: &Mistake) -> String {
    let files = [
        ("Chart.yaml", crate::CHART),
        ("values.yaml", VALUES),
        ("templates/a.yaml", mistake.template),
        ("templates/_h.tpl", HELPERS),
    ];
    let files = files.map(|(path, text)| File::new(path, text));
    let chart = Chart::load(files.to_vec()).expect("a chart");
    let input = Input::File("input/v.yaml".into(), mistake.values.to_string().into());
    let mut out = String::new();
    let values = match Values::merge(&[input]) {
        Ok(values) => values,
        Err(error) => return format!("{:?} {}", error.position, at(&error)),
    };
    let (options, release) = (Options::default(), Release::default());
    let capabilities = Capabilities::new(&Compat::default(), None, &[]).expect("capabilities");
    let run = (&options, &NoEnvironment as _);
    match render(&chart, &values, &release, &capabilities, run) {
        Err(error) => out.push_str(&at(&error)),
        Ok(_) => {
            let subject = Subject {
                chart: &chart,
                release: &release,
                capabilities: &capabilities,
            };
            for finding in odd_values(subject, &values, run).expect("findings") {
                let place = finding.position.map_or(String::new(), |p| p.to_string());
                let meant = finding.meant.unwrap_or_default();
                out.push_str(&format!("{place} {} `{meant}`\n", finding.message));
            }
        }
    }
    out
}

fn at(error: &pilotis_chart::Error) -> String {
    let mut out = String::new();
    if let Some(position) = &error.position {
        out.push_str(&format!("{position}\n"));
    }
    if let Some(explanation) = &error.explanation {
        for (note, place) in &explanation.notes {
            let place = place.as_ref().map_or(String::new(), ToString::to_string);
            out.push_str(&format!("{note} {place}\n"));
        }
        out.push_str(explanation.hint.as_deref().unwrap_or_default());
    }
    out
}

#[test]
fn mistakes_are_told_with_both_places_and_the_key_that_was_meant() {
    let (mut places, mut typos, mut meant) = (0, 0, 0);
    let mut missed = Vec::new();
    for mistake in &MISTAKES {
        let text = told(mistake);
        let has_template = mistake.template_at.is_empty()
            || text.contains(&format!("demo/{}:", mistake.template_at));
        let has_values = mistake.values_at.is_empty() || text.contains(mistake.values_at);
        places += usize::from(has_template && has_values);
        let mut found = true;
        if let Some(key) = mistake.meant {
            typos += 1;
            found = text.contains(&format!("{key}`"));
            meant += usize::from(found);
        }
        if !has_template || !has_values || !found {
            missed.push(format!("{}:\n{text}", mistake.name));
        }
    }
    let all = MISTAKES.len();
    let missed = missed.join("\n");
    println!("{places} of {all} with both places, {meant} of {typos} typing errors; missed:");
    println!("{missed}");
    assert!(
        places >= PLACES_MIN,
        "{places} of {all} told with both places\n{missed}"
    );
    assert!(
        meant * 10 >= typos * 8,
        "{meant} of {typos} typing errors\n{missed}"
    );
}
