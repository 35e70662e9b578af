{{/* botops.yaml, of the values that have a key of their own, and of `config`. */}}
{{- define "botops.yaml" -}}
{{- $keys := .Values.secrets.keys -}}
{{- $secrets := dict -}}
{{- range $setting, $key := dict "identity_key" $keys.identityKey "token_key" $keys.tokenKey "old_identity_key" $keys.oldIdentityKey "data_key" $keys.dataKey -}}
{{- if $key -}}{{- $_ := set $secrets $setting (include "botops.reference" $key) -}}{{- end -}}
{{- end -}}
{{- $server := dict "metrics" .Values.metrics.access -}}
{{- if $keys.adminToken -}}{{- $_ := set $server "admin_token" (include "botops.reference" $keys.adminToken) -}}{{- end -}}
{{- if .Values.trustedProxies -}}{{- $_ := set $server "trusted_proxies" .Values.trustedProxies -}}{{- end -}}
{{- if $keys.clientKey -}}{{- $_ := set $server "client_key" (include "botops.reference" $keys.clientKey) -}}{{- end -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $server "tls" (dict "certificate" "/run/secrets/botops-tls/tls.crt" "key" "/run/secrets/botops-tls/tls.key") -}}
{{- end -}}
{{- $store := "memory" -}}
{{- if eq .Values.conversations.store "folder" -}}{{- $store = ".botops/conversations" -}}{{- end -}}
{{- if eq .Values.conversations.store "secret" -}}{{- $store = include "botops.reference" $keys.conversationsUrl -}}{{- end -}}
{{- $all := dict "version" 1 "model" .Values.model "registry" .Values.registry "environment" .Values.environment -}}
{{- if .Values.experiments -}}{{- $_ := set $all "experiments" .Values.experiments -}}{{- end -}}
{{- if .Values.policy -}}{{- $_ := set $all "policy" "policy.yaml" -}}{{- end -}}
{{- if .Values.access.open -}}
{{- $_ := set $all "access" "open" -}}
{{- else -}}
{{- $_ := set $all "access" (dict "keys" .Values.access.keys "jwt" .Values.access.jwt) -}}
{{- end -}}
{{- $_ := set $all "secrets" $secrets -}}
{{- $_ := set $all "server" $server -}}
{{- $_ := set $all "conversations" (dict "store" $store "retention" .Values.conversations.retention) -}}
{{- if $keys.limitsUrl -}}{{- $_ := set $all "limits" (dict "shared" (include "botops.reference" $keys.limitsUrl)) -}}{{- end -}}
{{- mergeOverwrite (deepCopy .Values.config) $all | toYaml -}}
{{- end -}}

{{/* A reference to a key of the Secret. */}}
{{- define "botops.reference" -}}
{{ printf "${file:/run/secrets/botops/%s}" . }}
{{- end -}}

{{/* The keys of the Secret that are mounted, as a JSON list. */}}
{{- define "botops.mountedKeys" -}}
{{- $names := concat (values .Values.secrets.keys) .Values.secrets.extraKeys -}}
{{- without $names "" | uniq | sortAlpha | toJson -}}
{{- end -}}
