{{- define "penstock.name" -}}
{{- $base := ternary .Release.Name (printf "%s-penstock" .Release.Name) (contains "penstock" .Release.Name) -}}
{{- $base | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- /* A workflow's id as a name of Kubernetes: lower case; a long one, or one with capitals, gets a hash so that no two are one. */ -}}
{{- define "penstock.workflow" -}}
{{- $id := .id -}}
{{- if and (le (len $id) 20) (eq $id (lower $id)) -}}
{{- $id | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (lower $id | trunc 11 | trimSuffix "-") (sha256sum $id | trunc 8) -}}
{{- end -}}
{{- end }}

{{- define "penstock.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "penstock.selector" . }}
{{- end }}

{{- define "penstock.selector" -}}
app.kubernetes.io/name: penstock
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "penstock.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "penstock.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- /* As Penstock has it: a prefix that ends in a letter or digit gets a `.`. */ -}}
{{- define "penstock.prefix" -}}
{{- $prefix := .Values.kafka.topicPrefix -}}
{{- if regexMatch "[a-zA-Z0-9]$" $prefix -}}{{ $prefix }}.{{- else -}}{{ $prefix }}{{- end -}}
{{- end }}

{{- define "penstock.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "penstock.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "penstock.env" -}}
- {name: PENSTOCK_BOOTSTRAP, value: {{ .Values.kafka.bootstrap | quote }}}
- {name: PENSTOCK_CONFIG, value: /etc/penstock/penstock.toml}
{{- with .Values.kafka.topicPrefix }}
- {name: PENSTOCK_TOPIC_PREFIX, value: {{ . | quote }}}
{{- end }}
- {name: PENSTOCK_SECURITY_PROTOCOL, value: {{ .Values.kafka.securityProtocol | quote }}}
{{- with .Values.kafka.saslMechanism }}
- {name: PENSTOCK_SASL_MECHANISM, value: {{ . | quote }}}
{{- end }}
{{- with .Values.kafka.username }}
- {name: PENSTOCK_SASL_PLAIN_USERNAME, value: {{ . | quote }}}
{{- end }}
{{- if .Values.kafka.passwordSecret.name }}
- name: PENSTOCK_SASL_PLAIN_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.kafka.passwordSecret.name | quote }}, key: {{ .Values.kafka.passwordSecret.key | quote }}}}
{{- end }}
{{- if .Values.kafka.caSecret.name }}
- {name: PENSTOCK_SSL_CAFILE, value: /etc/penstock-ca/ca.crt}
{{- end }}
{{- end }}

{{- /* Of `env` and `secretEnv`, wherever they stand. */ -}}
{{- define "penstock.ownEnv" -}}
{{- range $name, $value := .env }}
- {name: {{ $name | quote }}, value: {{ $value | quote }}}
{{- end }}
{{- range $name, $from := .secretEnv }}
- name: {{ $name | quote }}
  valueFrom: {secretKeyRef: {name: {{ $from.name | quote }}, key: {{ $from.key | quote }}}}
{{- end }}
{{- end }}

{{- define "penstock.mounts" -}}
- {name: home, mountPath: /var/lib/penstock}
- {name: tmp, mountPath: /tmp}
- {name: settings, mountPath: /etc/penstock, readOnly: true}
{{- if .Values.kafka.caSecret.name }}
- {name: ca, mountPath: /etc/penstock-ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "penstock.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 256Mi}}
- name: settings
  configMap: {name: {{ include "penstock.name" . }}-settings}
{{- if .Values.kafka.caSecret.name }}
- name: ca
  secret:
    secretName: {{ .Values.kafka.caSecret.name | quote }}
    items: [{key: {{ .Values.kafka.caSecret.key | quote }}, path: ca.crt}]
{{- end }}
{{- end }}
