{{- define "hello" }}hello {{ . }}{{ end }}
{{- define "lines" }}a: 1
b:
  c: {{ .Values.s }}
{{ end }}
{{- define "fails" }}{{ .Values.nope.x }}{{ end }}
{{- define "loop" }}{{ include "loop" . }}{{ end }}
