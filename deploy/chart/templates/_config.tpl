{{/* A map without its nulls and without the maps that are empty then, as YAML. */}}
{{- define "trimtab.compact" -}}
{{- $kept := dict -}}
{{- range $key, $value := . -}}
  {{- if kindIs "map" $value -}}
    {{- $inner := include "trimtab.compact" $value | fromYaml -}}
    {{- if $inner -}}{{- $_ := set $kept $key $inner -}}{{- end -}}
  {{- else if not (kindIs "invalid" $value) -}}
    {{- $_ := set $kept $key $value -}}
  {{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end }}

{{/* The KubeProxyConfiguration that is made of the values. */}}
{{- define "trimtab.config" -}}
{{- $fixed := dict "apiVersion" "kubeproxy.config.k8s.io/v1alpha1" "kind" "KubeProxyConfiguration" "mode" "ipvs" -}}
{{- $given := include "trimtab.compact" .Values.config | fromYaml -}}
{{- toYaml (mergeOverwrite $fixed $given (deepCopy .Values.extraConfig)) -}}
{{- end }}

{{/* What the chart's own ConfigMap holds; empty if it is not needed. */}}
{{- define "trimtab.configData" -}}
{{- if not .Values.configFromConfigMap.name -}}
config.yaml: |
  {{- include "trimtab.config" . | nindent 2 }}
{{ end -}}
{{- if .Values.apiServer.url -}}
# The service account's token, and an address of the API server that works before any Service does.
kubeconfig.yaml: |
  apiVersion: v1
  kind: Config
  clusters:
    - name: default
      cluster:
        certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
        server: {{ .Values.apiServer.url }}
        {{- with .Values.apiServer.tlsServerName }}
        tls-server-name: {{ . }}
        {{- end }}
  users:
    - name: default
      user:
        tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
  contexts:
    - name: default
      context:
        cluster: default
        user: default
  current-context: default
{{- end -}}
{{- end }}

{{/*
The name has the content in it: another configuration is another ConfigMap, which the nodes get by the
DaemonSet's update, some at a time. A changed ConfigMap would reach all nodes within a minute.
*/}}
{{- define "trimtab.configMapName" -}}
{{- include "trimtab.fullname" . -}}
{{- if .Values.hashedConfigMap -}}
-{{ include "trimtab.configData" . | sha256sum | trunc 8 }}
{{- end -}}
{{- end }}

{{/* The port of an address such as 0.0.0.0:10256; a lone address or none has the default. */}}
{{- define "trimtab.port" -}}
{{- $port := regexFind "^([^:]*|\\[.*\\]):[0-9]+$" (.address | default "") | regexFind "[0-9]+$" -}}
{{- $port | default .default -}}
{{- end }}

{{- define "trimtab.healthzPort" -}}
{{- include "trimtab.port" (dict "address" .Values.config.healthzBindAddress "default" "10256") -}}
{{- end }}

{{- define "trimtab.metricsPort" -}}
{{- include "trimtab.port" (dict "address" .Values.config.metricsBindAddress "default" "10249") -}}
{{- end }}

{{/* Flags for both containers: they override a ConfigMap that is not the chart's own. */}}
{{- define "trimtab.configFlags" -}}
{{- if .Values.configFromConfigMap.name }}
- --proxy-mode=ipvs
{{- with .Values.config.healthzBindAddress }}
- --healthz-bind-address={{ . }}
{{- end }}
{{- with .Values.config.metricsBindAddress }}
- --metrics-bind-address={{ . }}
{{- end }}
- --oom-score-adj={{ .Values.config.oomScoreAdj }}
{{- end }}
{{- end }}

{{/* Values that contradict each other, each refused by its name. */}}
{{- define "trimtab.check" -}}
{{- if not (or .Values.apiServer.url .Values.apiServer.fromConfigMap.name) -}}
{{- fail "apiServer: set url, or fromConfigMap.name to a ConfigMap that has a kubeconfig" -}}
{{- end -}}
{{- if eq (include "trimtab.healthzPort" .) "0" -}}
{{- fail "config.healthzBindAddress: the pod's probes need a port other than 0" -}}
{{- end -}}
{{- if .Values.configFromConfigMap.name -}}
{{- $flags := list "healthzBindAddress" "metricsBindAddress" "oomScoreAdj" -}}
{{- range $key, $_ := include "trimtab.compact" .Values.config | fromYaml -}}
{{- if not (has $key $flags) -}}
{{- fail (printf "config.%s has no effect with configFromConfigMap.name: set it in that ConfigMap" $key) -}}
{{- end -}}
{{- end -}}
{{- if .Values.extraConfig -}}
{{- fail "extraConfig has no effect with configFromConfigMap.name: set it in that ConfigMap" -}}
{{- end -}}
{{- else if or .Values.monitoring.podMonitor.enabled .Values.monitoring.serviceMonitor.enabled -}}
{{- if regexMatch "^(|127\\..*|\\[::1\\].*|::1)$" (.Values.config.metricsBindAddress | default "") -}}
{{- fail "monitoring: Prometheus cannot reach 127.0.0.1; set config.metricsBindAddress, such as 0.0.0.0:10249" -}}
{{- end -}}
{{- end -}}
{{- end }}
