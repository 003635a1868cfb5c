//! Command lines as scripts write them, right ones and wrong ones: what Helm prints, says and ends
//! with, `pilotis helm` does too.

use crate::World;
use crate::helms::Helm;

const VALUES: &str = "\
count: 1000000
big: 12345678901234567890
part: 1.5
text: x<y
none:
map: {b: 1, a: {c: [1, 2, {d: true}]}}
list: [{name: a, port: 1}, {name: b, port: 2.5}, {name: c}]
";

const TEMPLATE: &str = "\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  kube: {{ .Capabilities.KubeVersion }}
  text: {{ .Values.text | quote }}
";

/// A chart that wants another under two names.
const TWICE: &str = "\
apiVersion: v2
name: twice
version: 0.1.0
maintainers: [{name: A, email: a@b.example}, {name: B}]
dependencies:
- {name: mid, version: 0.x}
- {name: mid, version: 0.x, alias: other, import-values: [data, {child: a, parent: b}]}
";
const MID: &str = "\
apiVersion: v2
name: mid
version: 0.1.0
dependencies:
- {name: leaf, version: 0.x, alias: named, import-values: [data]}
";
const SHOWN: &str = "\
at: {{ .Template | toJson }}
values: {{ .Values | toJson }}
wanted: {{ .Chart.Dependencies | toJson | quote }}
kept: {{ .Chart.Maintainers | toJson | quote }}
kinds: {{ printf \"%T %T %T\" .Chart.Dependencies .Chart.Maintainers .Chart.Keywords }}
";
/// What Helm 3 looks for in charts of Helm 2, and a mistake behind a hook that is none.
const HOOKED: &str = "\
 ---
kind: A
metadata: {annotations: {\"helm.sh/hook\": crd-install}}
---
# {{ .Release.Time }}
a: b: c
";

/// Command lines of one word each but for what stands between quotes.
const LINES: &str = "\
template
template a web c
template Foo_ web
template '' web
template web --name-template 'A{{ 1 }}'
template web --name-template '{{ .x }}'
template web --name-template 'x{{ 1 '
template -g other web
template web --validate=false
template web --timeout x
template web --timeout 5
template web --timeout 1m30s
template web --wait
template web --wait=true
template web --wait=bad
template web --wait=watcher
template web --skip-crds=maybe
template web --set
template web -f
template web --dry-run
template web --dry-run=bad
template web --dry-run=none
template web --dry-run=true
template web --dry-run=client
template web --dry-run=client --validate=false
template web --burst-limit x
template web --qps x
template web --color never
template web --labels a=b,c=d
template web --labels a
template web --atomic
template web --force
template web --force-replace
template web --force --force-conflicts
template web --hide-notes
template web --create-namespace=x
template web --no-such-flag
template web -X
template web --kube-version ''
template web --kube-version 1
template web --kube-version 01.2
template web --kube-version v1.20.5+k3s
template web --kube-version 1.20
template web --kube-version 1.27.3-eks-1
template web --kube-version x
template web --kube-version x --wait=bad
template web --kube-version x --dry-run=bad
template web -n one -n two --set text=1 --kube-version 1.20 --kube-version 1.21
template web -f list.yaml -f no.yaml
template web --output-dir out -s templates/a.yaml
template twice
lint twice
template hooked
lint hooked
show crds hooked
show all hooked
template ./web
template other/../web
template web/Chart.yaml
template no
template .
template web --repo http://127.0.0.1:1
template web -f no.yaml
template web -f list.yaml
template web -f broken.yaml
template web -f two.yaml
template web --set-json '{'
template web --set-json '{\"text\":1}'
template web --set-json 'text=[1'
lint web -f list.yaml
template web -f web
lint web --kube-version x
lint web --quiet
lint web/Chart.yaml
lint no
lint .
lint
show values
show values web web
show values .
show chart web/Chart.yaml
show values web --jsonpath '{.count} {.part} {.big}'
show values web --jsonpath '{.map}{\"\\n\"}{.none}'
show values web --jsonpath '{.list[*].name}'
show values web --jsonpath '{range .list[*]}{.name}{\"\\t\"}{end}.'
show values web --jsonpath '{.list[?(@.name==\"b\")].port}'
show values web --jsonpath '{.list[?(@.port)].name}'
show values web --jsonpath '{.list[?(@.port>1)].name}'
show values web --jsonpath '{..name}'
show values web --jsonpath '{.list[0,2].name}'
show values web --jsonpath '{.list[-1].name} {.list[1:].name} {.list[::2].name}'
show values web --jsonpath '{.map.a.c[2].d}'
show values web --jsonpath 'plain {.text} text'
show values web --jsonpath '{.text.*}'
show values web --jsonpath '{true}{1}{1.50}'
show values web --jsonpath '{.no}'
show values web --jsonpath '{.count.no}'
show values web --jsonpath '{.list[9]}'
show values web --jsonpath '{range .list[*]}{.name}'
show values web --jsonpath '{range .no[*]}x{end}'
show values web --jsonpath '{end}'
show values web --jsonpath '{@}'
show values web --jsonpath '{.x'
show values web --jsonpath '{#}'
show values web --jsonpath '{.list[x]}'
show values web --jsonpath '{.list[?(@.a==1]}'
show values web --jsonpath '{\"a}'
show values web --jsonpath '{....a}'
show values web --jsonpath '{1.2.3}'
create
create a b
version x
env a b
package
package no
package web/Chart.yaml
package .
package odd
package old
package web --version x
dependency list
dependency list no
repo list x
repo list -o x
repo update x
repo remove
repo index
repo add x
search repo x
plugin list x
verify
push
pull
registry logout
";

fn world() -> World {
    let about =
        |name: &str, format: &str| format!("apiVersion: {format}\nname: {name}\nversion: 0.1.0\n");
    World::new(&[
        ("web/Chart.yaml", &about("web", "v2")),
        ("web/values.yaml", VALUES),
        ("web/templates/a.yaml", TEMPLATE),
        ("list.yaml", "- a\n"),
        ("broken.yaml", "a: b: c\n"),
        ("two.yaml", "text: 1\n---\ntext: 2\n"),
        ("twice/Chart.yaml", TWICE),
        ("twice/charts/mid/Chart.yaml", MID),
        ("twice/charts/mid/values.yaml", "exports: {data: {x: 1}}\n"),
        (
            "twice/charts/mid/charts/leaf/Chart.yaml",
            &about("leaf", "v2"),
        ),
        ("twice/charts/mid/charts/leaf/templates/a.yaml", SHOWN),
        (
            "twice/charts/mid/charts/plain/Chart.yaml",
            &about("plain", "v2"),
        ),
        ("twice/charts/mid/charts/plain/templates/a.yaml", SHOWN),
        ("twice/templates/a.yaml", SHOWN),
        ("hooked/Chart.yaml", &about("hooked", "v2")),
        ("hooked/templates/a.yaml", HOOKED),
        ("hooked/crds/a.yaml", "---\nkind: A\n"),
        ("hooked/crds/b.yaml", "kind: B\n"),
        ("odd/Chart.yaml", &about("odd", "v3")),
        ("old/Chart.yaml", &about("old", "v9")),
    ])
}

/// The words of a line, with what stands between `'` as one.
fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    words.collect()
}

fn as_helm_does(version: &'static str) {
    let world = world();
    let mut helm = Helm::new(version, "arguments");
    let mut wrong = Vec::new();
    for line in LINES.lines() {
        let words = words(line);
        let theirs = helm.run(&world, &words);
        let ours = world.pilotis_as(version, &words);
        if ours != theirs {
            wrong.push(format!("{line}\nHelm: {theirs:?}\nours: {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "Helm {version}\n{}", wrong.join("\n\n"));
}

#[test]
fn command_lines_do_what_helm_4_2_4_does() {
    as_helm_does("4.2.4");
}

#[test]
fn command_lines_do_what_helm_4_2_2_does() {
    as_helm_does("4.2.2");
}

#[test]
fn command_lines_do_what_helm_4_3_1_does() {
    as_helm_does("4.3.1");
}

#[test]
fn command_lines_do_what_helm_3_21_4_does() {
    as_helm_does("3.21.4");
}
