{{- define "wharf.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "wharf.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "wharf.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "wharf.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "wharf.selector" -}}
app.kubernetes.io/name: {{ include "wharf.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wharf.labels" -}}
{{ include "wharf.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "wharf.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "wharf.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "wharf.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* The Secret with the bucket's keys, or nothing. */ -}}
{{- define "wharf.secret" -}}
{{- if .Values.credentials.existingSecret }}
{{- .Values.credentials.existingSecret }}
{{- else if .Values.credentials.accessKey }}
{{- printf "%s-bucket" (include "wharf.fullname" .) }}
{{- end }}
{{- end }}

{{- /* The configuration file. */ -}}
{{- define "wharf.config" -}}
{{- $storage := default dict .Values.config.storage }}
{{- if not $storage.storageDriver }}
{{- fail "config.storage.storageDriver: name the bucket; replicas share nothing else" }}
{{- end }}
{{- range list "accesskey" "secretkey" "sessiontoken" "accountkey" "connectionstring" "credentials" }}
{{- if hasKey $storage.storageDriver . }}
{{- fail (printf "config.storage.storageDriver.%s: a secret does not belong into a ConfigMap; see credentials" .) }}
{{- end }}
{{- end }}
{{- $http := dict "address" "0.0.0.0" "port" 5000 "drainTimeout" (printf "%ds" (int .Values.drainSeconds)) }}
{{- $config := mergeOverwrite (deepCopy .Values.config) (dict "http" (mergeOverwrite (deepCopy (default dict .Values.config.http)) $http)) }}
{{- if .Values.metrics.enabled }}
{{- $config = mergeOverwrite $config (dict "extensions" (dict "metrics" (dict "enable" true "prometheus" (dict "path" "/metrics")))) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- define "wharf.ingressAnnotations" -}}
{{- if eq .Values.ingress.controller "nginx" }}
nginx.ingress.kubernetes.io/proxy-body-size: "0"
nginx.ingress.kubernetes.io/proxy-request-buffering: "off"
nginx.ingress.kubernetes.io/proxy-buffering: "off"
nginx.ingress.kubernetes.io/proxy-http-version: "1.1"
nginx.ingress.kubernetes.io/proxy-connect-timeout: "2"
nginx.ingress.kubernetes.io/proxy-read-timeout: "120"
nginx.ingress.kubernetes.io/proxy-send-timeout: "120"
nginx.ingress.kubernetes.io/proxy-next-upstream: error http_502 http_503
nginx.ingress.kubernetes.io/proxy-next-upstream-tries: "3"
{{- else if eq .Values.ingress.controller "haproxy" }}
haproxy.org/check: "true"
haproxy.org/check-http: /readyz
haproxy.org/load-balance: leastconn
haproxy.org/timeout-connect: 2s
haproxy.org/timeout-server: 120s
haproxy.org/forwarded-for: "true"
{{- else if eq .Values.ingress.controller "alb" }}
alb.ingress.kubernetes.io/target-type: ip
alb.ingress.kubernetes.io/healthcheck-path: /readyz
alb.ingress.kubernetes.io/healthcheck-interval-seconds: "5"
alb.ingress.kubernetes.io/healthcheck-timeout-seconds: "3"
alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=120
alb.ingress.kubernetes.io/target-group-attributes: deregistration_delay.timeout_seconds={{ .Values.drainSeconds }},load_balancing.algorithm.type=least_outstanding_requests
{{- end }}
{{- end }}
