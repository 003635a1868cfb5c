//! Faults in places of charts that are easy to miss: aliases, helpers, loops, whole lists.
//!
//! Each was tried on the program before it was kept; those it missed were mended first.

use crate::samples::expect;

#[test]
fn a_subchart_under_an_alias_is_blamed_in_its_own_folder() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n\
             dependencies:\n\
             - name: db\n\
             \x20 version: 1.0.0\n\
             \x20 repository: file://charts/db\n\
             \x20 alias: base\n",
            ),
            (
                "chart/values.yaml",
                "# parent\n\
             base:\n\
             \x20 image:\n\
             \x20   tag: latest\n\
             \x20 pullPolicy: Always\n",
            ),
            (
                "chart/charts/db/Chart.yaml",
                "apiVersion: v2\n\
             name: db\n\
             version: 1.0.0\n",
            ),
            (
                "chart/charts/db/values.yaml",
                "image:\n\
             \x20 repository: ghcr.io/etat/db\n\
             \x20 tag: 16.1\n\
             pullPolicy: IfNotPresent\n\
             privileged: true\n",
            ),
            (
                "chart/charts/db/templates/db.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: db\n\
             \x20       image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"\n\
             \x20       imagePullPolicy: {{ .Values.pullPolicy }}\n\
             \x20       securityContext:\n\
             \x20         privileged: {{ .Values.privileged }}\n",
            ),
        ],
        &[
            "container-image-tag chart/values.yaml:4",
            "container-image-pull-policy chart/values.yaml:5",
            "container-privileged chart/charts/db/values.yaml:5",
        ],
        &[],
    );
}

#[test]
fn defaults_of_helpers_are_blamed_in_the_helper() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "image: {repository: ghcr.io/etat/web}\n",
            ),
            (
                "chart/templates/_helpers.tpl",
                "{{- define \"web.image\" -}}\n\
             {{- $tag := .Values.image.tag | default \"latest\" -}}\n\
             {{- printf \"%s:%s\" .Values.image.repository $tag -}}\n\
             {{- end -}}\n\
             {{- define \"web.security\" -}}\n\
             privileged: {{ .Values.privileged | default true }}\n\
             allowPrivilegeEscalation: true\n\
             {{- end -}}\n",
            ),
            (
                "chart/templates/web.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: {{ include \"web.image\" . }}\n\
             \x20       securityContext: {{- include \"web.security\" . | nindent 10 }}\n",
            ),
        ],
        &[
            "container-privileged chart/templates/_helpers.tpl:6",
            "container-privilege-escalation chart/templates/_helpers.tpl:7",
        ],
        &[],
    );
}

#[test]
fn items_of_a_range_are_blamed_in_the_values() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "workers:\n\
             \x20 fast:\n\
             \x20   image: ghcr.io/etat/fast:1.2.3\n\
             \x20 slow:\n\
             \x20   image: ghcr.io/etat/slow:latest\n\
             \x20   env:\n\
             \x20     API_TOKEN: q8Zx72Lm01Pf44\n\
             extra:\n\
             - name: x\n\
             \x20 hostPath: /srv\n",
            ),
            (
                "chart/templates/w.yaml",
                "{{- range $name, $w := .Values.workers }}\n\
             ---\n\
             apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: {{ $name }}\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: {{ $name }}\n\
             \x20       image: {{ $w.image }}\n\
             \x20       {{- with $w.env }}\n\
             \x20       env:\n\
             \x20       {{- range $k, $v := . }}\n\
             \x20       - name: {{ $k }}\n\
             \x20         value: {{ $v | quote }}\n\
             \x20       {{- end }}\n\
             \x20       {{- end }}\n\
             \x20     volumes:\n\
             \x20     {{- range $.Values.extra }}\n\
             \x20     - name: {{ .name }}\n\
             \x20       hostPath:\n\
             \x20         path: {{ .hostPath }}\n\
             \x20     {{- end }}\n\
             {{- end }}\n",
            ),
        ],
        &[
            "container-image-tag chart/values.yaml:5",
            "container-secret-in-environment chart/values.yaml:7",
            "pod-host-path chart/templates/w.yaml:23",
        ],
        &[],
    );
}

#[test]
fn whole_lists_written_by_to_yaml_are_blamed_item_by_item() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "initContainers:\n\
             - name: droits\n\
             \x20 image: ghcr.io/etat/outils:1.0\n\
             \x20 securityContext:\n\
             \x20   runAsUser: 0\n\
             \x20   privileged: true\n\
             volumes:\n\
             - name: scratch\n\
             \x20 ephemeral:\n\
             \x20   volumeClaimTemplate:\n\
             \x20     spec:\n\
             \x20       accessModes: [ReadWriteOnce]\n\
             \x20       resources: {requests: {storage: 2Ti}}\n\
             - name: docker\n\
             \x20 hostPath: {path: /var/run/docker.sock}\n",
            ),
            (
                "chart/templates/w.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     {{- with .Values.initContainers }}\n\
             \x20     initContainers:\n\
             \x20       {{- toYaml . | nindent 8 }}\n\
             \x20     {{- end }}\n\
             \x20     containers: []\n\
             \x20     volumes: {{- toYaml .Values.volumes | nindent 6 }}\n",
            ),
        ],
        &[
            "container-explicit-root chart/values.yaml:5",
            "container-privileged chart/values.yaml:6",
            "pod-host-path chart/values.yaml:15",
            "volume-claim-size chart/values.yaml:13",
        ],
        &[],
    );
}

#[test]
fn secrets_in_blocks_and_pairs_are_told_at_their_line() {
    expect(
        &[
            (
                "k8s/cm.yaml",
                "apiVersion: v1\n\
             kind: ConfigMap\n\
             metadata:\n\
             \x20 name: c\n\
             data:\n\
             \x20 app.properties: |\n\
             \x20   url=jdbc:postgresql://db/app\n\
             \x20   spring.datasource.password=Zr7-kkaQ2\n\
             \x20 conf.json: >-\n\
             \x20   {\"apiKey\": \"q8Zx72Lm01Pf44\"}\n",
            ),
            (
                "k8s/s.yaml",
                "apiVersion: v1\n\
             kind: Secret\n\
             metadata:\n\
             \x20 name: s\n\
             data:\n\
             \x20 token: cThaeDcyTG0wMVBmNDQ=\n",
            ),
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "config: |\n\
             \x20 log: info\n\
             \x20 database:\n\
             \x20   password: Zr7-kkaQ2\n\
             envs:\n\
             - name: DB_PASSWORD\n\
             \x20 value: Zr7-kkaQ2\n\
             - {name: API_TOKEN, value: q8Zx72Lm01Pf44}\n",
            ),
        ],
        &[
            "config-map-secret k8s/cm.yaml:8",
            "config-map-secret k8s/cm.yaml:10",
            "secret-in-clear k8s/s.yaml:6",
            "values-secret chart/values.yaml:4",
            "values-secret chart/values.yaml:7",
            "values-secret chart/values.yaml:8",
        ],
        &[],
    );
}

#[test]
fn values_of_environments_beside_the_chart_are_laid_over_it() {
    expect(
        &[
            (
                "helm/web/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "helm/web/values.yaml",
                "replicas: 2\n\
             policy: IfNotPresent\n",
            ),
            ("environments/prod/values.yaml", "replicas: 1\n"),
            ("environments/dev.yaml", "policy: Always\n"),
            (
                "helm/web/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 replicas: {{ .Values.replicas }}\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: ghcr.io/etat/web:1.0.0\n\
             \x20       imagePullPolicy: {{ .Values.policy }}\n",
            ),
        ],
        &[
            "workload-replicas environments/prod/values.yaml:1",
            "container-image-pull-policy environments/dev.yaml:1",
        ],
        &["workload-replicas helm"],
    );
}

#[test]
fn lines_that_end_as_windows_ends_them() {
    expect(
        &[
            (
                "Dockerfile",
                "FROM docker.io/library/debian:12\r\n\
             ENV A=1 \\\r\n\
             \x20   DB_PASSWORD=Zr7-kkaQ2\r\n\
             USER root\r\n",
            ),
            (
                "k8s/d.yaml",
                "apiVersion: apps/v1\r\n\
             kind: Deployment\r\n\
             metadata:\r\n\
             \x20 name: web\r\n\
             spec:\r\n\
             \x20 template:\r\n\
             \x20   spec:\r\n\
             \x20     hostPID: true\r\n\
             \x20     containers:\r\n\
             \x20     - name: web\r\n\
             \x20       image: ghcr.io/etat/web:latest\r\n",
            ),
            (
                "chart/Chart.yaml",
                "apiVersion: v2\r\n\
             name: web\r\n\
             version: 1.0.0\r\n",
            ),
            (
                "chart/values.yaml",
                "a: 1\r\n\
             image: ghcr.io/etat/web:latest\r\n",
            ),
            (
                "chart/templates/d.yaml",
                "apiVersion: apps/v1\r\n\
             kind: Deployment\r\n\
             metadata:\r\n\
             \x20 name: web\r\n\
             spec:\r\n\
             \x20 template:\r\n\
             \x20   spec:\r\n\
             \x20     containers:\r\n\
             \x20     - name: web\r\n\
             \x20       image: {{ .Values.image }}\r\n",
            ),
        ],
        &[
            "dockerfile-root-user Dockerfile:4",
            "dockerfile-secret Dockerfile:2",
            "pod-host-namespaces k8s/d.yaml:8",
            "container-image-tag k8s/d.yaml:11",
            "container-image-tag chart/values.yaml:2",
        ],
        &[],
    );
}

#[test]
fn a_byte_order_mark_hides_nothing() {
    expect(
        &[
            (
                "Dockerfile",
                "\u{feff}FROM docker.io/library/debian:12\n\
             USER root\n",
            ),
            (
                "k8s/d.yaml",
                "\u{feff}apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     hostPID: true\n\
             \x20     containers: []\n",
            ),
            (
                "chart/Chart.yaml",
                "\u{feff}apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "\u{feff}image: ghcr.io/etat/web:latest\n",
            ),
            (
                "chart/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: {{ .Values.image }}\n",
            ),
            ("conf/app.yml", "\u{feff}password: Zr7-kkaQ2\n"),
        ],
        &[
            "dockerfile-root-user Dockerfile:2",
            "pod-host-namespaces k8s/d.yaml:8",
            "container-image-tag chart/values.yaml:1",
            "source-secret conf/app.yml:1",
        ],
        &[],
    );
}

#[test]
fn values_that_are_templates_globals_and_anchors() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n\
             dependencies:\n\
             - {name: sub, version: 1.0.0}\n",
            ),
            (
                "chart/values.yaml",
                "global:\n\
             \x20 registry: docker.exemple.org\n\
             \x20 policy: Always\n\
             imageTpl: \"{{ .Values.global.registry }}/web:latest\"\n\
             anchors:\n\
             \x20 sc: &sc\n\
             \x20   privileged: true\n\
             securityContext:\n\
             \x20 <<: *sc\n",
            ),
            (
                "chart/charts/sub/Chart.yaml",
                "apiVersion: v2\n\
             name: sub\n\
             version: 1.0.0\n",
            ),
            (
                "chart/charts/sub/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: sub\n\
             \x20       image: \"{{ .Values.global.registry }}/sub:1.0.0\"\n\
             \x20       imagePullPolicy: {{ .Values.global.policy }}\n",
            ),
            (
                "chart/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     containers:\n\
             \x20     - name: web\n\
             \x20       image: {{ tpl .Values.imageTpl . }}\n\
             \x20       securityContext: {{- toYaml .Values.securityContext | nindent 10 }}\n",
            ),
        ],
        &[
            "container-image-registry chart/values.yaml:2",
            "container-image-pull-policy chart/values.yaml:3",
            "container-image-tag chart/values.yaml:4",
            "container-privileged chart/values.yaml:7",
        ],
        &[],
    );
}

#[test]
fn digests_overlays_and_tests_are_no_faults() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "image: {repository: ghcr.io/etat/web, tag: \"\", digest: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n\
             replicas: 2\n",
            ),
            ("chart/values-dev.yaml", "replicas: 1\n"),
            (
                "chart/templates/_h.tpl",
                "{{- define \"img\" -}}\n\
             {{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default \"latest\" }}{{ end }}\n\
             {{- end -}}\n",
            ),
            (
                "chart/templates/cm.yaml",
                "apiVersion: v1\n\
             kind: ConfigMap\n\
             metadata: {name: c}\n\
             data:\n\
             \x20 note: |\n\
             \x20   le mot de passe est dans le Secret db\n\
             \x20   password_file=/run/secrets/db\n\
             \x20 url: https://api.exemple.fr:8443/v1\n\
             \x20 masque: 255.255.255.0\n",
            ),
            (
                "chart/templates/tests/t.yaml",
                "apiVersion: v1\n\
             kind: Pod\n\
             metadata:\n\
             \x20 name: t\n\
             \x20 annotations: {helm.sh/hook: test}\n\
             spec:\n\
             \x20 restartPolicy: Never\n\
             \x20 containers:\n\
             \x20 - name: t\n\
             \x20   image: {{ include \"img\" .Values.image }}\n\
             \x20   securityContext: {readOnlyRootFilesystem: true}\n\
             \x20   resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 10m, memory: 16Mi}}\n",
            ),
        ],
        &[],
        &[
            "container-image-tag",
            "config-map-secret",
            "unreadable",
            "workload",
            "container-probes",
            "hard-coded",
            "config-map-address",
        ],
    );
}

#[test]
fn a_secret_s_default_in_its_template() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            ("chart/values.yaml", "a: 1\n"),
            (
                "chart/templates/s.yaml",
                "apiVersion: v1\n\
             kind: Secret\n\
             metadata:\n\
             \x20 name: s\n\
             stringData:\n\
             \x20 password: {{ .Values.password | default \"Zr7-kkaQ2xx\" | quote }}\n\
             \x20 other: {{ required \"il faut\" .Values.a | toString | quote }}\n",
            ),
        ],
        &["secret-in-clear chart/templates/s.yaml:6"],
        &[],
    );
}

#[test]
fn jobs_made_by_a_loop() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "jobs:\n\
             - name: purge\n\
             \x20 privileged: true\n\
             \x20 policy: Always\n",
            ),
            (
                "chart/templates/j.yml",
                "{{- range .Values.jobs }}\n\
             ---\n\
             apiVersion: batch/v1\n\
             kind: CronJob\n\
             metadata:\n\
             \x20 name: {{ .name }}\n\
             spec:\n\
             \x20 jobTemplate:\n\
             \x20   spec:\n\
             \x20     template:\n\
             \x20       spec:\n\
             \x20         containers:\n\
             \x20         - name: {{ .name }}\n\
             \x20           image: ghcr.io/etat/p:1.0.0\n\
             \x20           imagePullPolicy: {{ .policy }}\n\
             \x20           securityContext:\n\
             \x20             privileged: {{ .privileged }}\n\
             {{- end }}\n",
            ),
        ],
        &[
            "container-privileged chart/values.yaml:3",
            "container-image-pull-policy chart/values.yaml:4",
        ],
        &[],
    );
}

#[test]
fn a_helper_given_a_part_of_the_values() {
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\n\
             name: web\n\
             version: 1.0.0\n",
            ),
            (
                "chart/values.yaml",
                "web:\n\
             \x20 sc:\n\
             \x20   runAsUser: 0\n\
             \x20   readOnlyRootFilesystem: false\n",
            ),
            (
                "chart/templates/_p.tpl",
                "{{- define \"pod\" -}}\n\
             hostIPC: true\n\
             containers:\n\
             - name: web\n\
             \x20 image: ghcr.io/etat/web\n\
             \x20 {{- with .sc }}\n\
             \x20 securityContext:\n\
             \x20   {{- toYaml . | nindent 4 }}\n\
             \x20 {{- end }}\n\
             {{- end -}}\n",
            ),
            (
                "chart/templates/d.yaml",
                "apiVersion: apps/v1\n\
             kind: Deployment\n\
             metadata:\n\
             \x20 name: web\n\
             spec:\n\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     {{- include \"pod\" .Values.web | nindent 6 }}\n",
            ),
        ],
        &[
            "pod-host-namespaces chart/templates/_p.tpl:2",
            "container-image-tag chart/templates/_p.tpl:5",
            "container-explicit-root chart/values.yaml:3",
            "container-writable-root chart/values.yaml:4",
        ],
        &[],
    );
}

#[test]
fn a_chart_without_values_for_production_is_judged_with_its_own() {
    let deployment = "apiVersion: apps/v1\n\
                      kind: Deployment\n\
                      metadata: {name: web}\n\
                      spec:\n\
                      \x20 replicas: {{ .Values.replicas }}\n\
                      \x20 template: {spec: {containers: []}}\n";
    expect(
        &[
            (
                "chart/Chart.yaml",
                "apiVersion: v2\nname: web\nversion: 1.0.0\n",
            ),
            ("chart/values.yaml", "replicas: 1\n"),
            ("chart/values-dev.yaml", "replicas: 1\n"),
            ("chart/templates/web.yaml", deployment),
        ],
        &["workload-replicas chart/values.yaml:1"],
        &["workload-replicas chart/values-dev.yaml"],
    );
}

#[test]
fn a_chart_that_only_renders_for_its_environments_is_not_broken() {
    let service = "apiVersion: v1\n\
                   kind: Service\n\
                   metadata: {name: {{ required \"un nom\" .Values.name }}}\n\
                   spec: {type: {{ .Values.type }}}\n";
    let report = crate::judge(&crate::tree(&[
        (
            "chart/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        ),
        ("chart/values.yaml", "type: ClusterIP\n"),
        ("chart/values-recette.yaml", "name: web\n"),
        ("chart/templates/web.yaml", service),
    ]));
    assert_eq!(report.findings, []);
    assert_eq!(report.skipped[0].path, "chart");
}
