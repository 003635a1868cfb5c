{{/* Labels every object carries; app, env and tier are asked for by the platform. */}}
{{- define "bonjour.labels" -}}
app: {{ .Release.Name }}
env: {{ .Values.environment }}
tier: {{ .Values.tier }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* The image, by digest once the platform has built it. */}}
{{- define "bonjour.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Chart.AppVersion }}
{{- end -}}
{{- end }}
