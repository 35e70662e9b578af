{{/* Parts of pods. */}}

{{/* The level `restricted` of the Pod Security Standards; the user of the image. */}}
{{- define "botops.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "botops.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{/* Where pods of this chart run. */}}
{{- define "botops.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "botops.environment" -}}
{{- range $name, $value := .Values.env }}
- { name: {{ $name }}, value: {{ $value | toString | quote }} }
{{- end }}
{{- end -}}

{{- define "botops.environmentFrom" -}}
{{- with .Values.secrets.environmentSecret }}
envFrom:
  - secretRef: { name: {{ . }} }
{{- end }}
{{- end -}}

{{/* The settings, the secrets, and a place for temporary files, for every container. */}}
{{- define "botops.mounts" -}}
- { name: tmp, mountPath: /tmp }
- { name: settings, mountPath: /srv/botops/botops.yaml, subPath: botops.yaml, readOnly: true }
{{- if .Values.policy }}
- { name: settings, mountPath: /srv/botops/policy.yaml, subPath: policy.yaml, readOnly: true }
{{- end }}
- { name: secrets, mountPath: /run/secrets/botops, readOnly: true }
{{- if .Values.tls.secretName }}
- { name: tls, mountPath: /run/secrets/botops-tls, readOnly: true }
{{- end }}
{{- end -}}

{{- define "botops.volumes" -}}
- name: tmp
  emptyDir: { sizeLimit: 1Gi }
- name: settings
  configMap: { name: {{ include "botops.fullname" . }} }
- name: secrets
  secret:
    secretName: {{ include "botops.secret" . }}
    # 0440: the group of the pod reads them.
    defaultMode: 288
    items:
      {{- range include "botops.mountedKeys" . | fromJsonArray }}
      - { key: {{ . }}, path: {{ . }} }
      {{- end }}
{{- with .Values.tls.secretName }}
- name: tls
  secret: { secretName: {{ . }}, defaultMode: 288 }
{{- end }}
{{- end -}}

{{/*
The pod template of a job: a dict of `root`, `component`, `args`, and, if wanted, `env`, `image`, `claim` (the workspace), `output`
(a claim at /srv/output), `isWorkspaceInImage`.
A command that ended with 2, 3, 4 or 6 would end so again; 1, 5 and 7 may pass.
*/}}
{{- define "botops.jobPod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "botops.labels" (list $root .component) | nindent 4 }}
    {{- with $root.Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/settings: {{ include "botops.yaml" $root | sha256sum }}
    {{- with $root.Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  restartPolicy: Never
  serviceAccountName: {{ include "botops.serviceAccount" $root }}
  {{- include "botops.podSecurity" $root | nindent 2 }}
  {{- include "botops.placement" $root | nindent 2 }}
  containers:
    - name: botops
      image: {{ .image | default (include "botops.image" $root) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        {{- toYaml (concat (list "--actor" (printf "%s@kubernetes" .component)) .args) | nindent 8 }}
      {{- if or .env $root.Values.env }}
      env:
        {{- with .env }}{{ toYaml . | nindent 8 }}{{ end }}
        {{- include "botops.environment" $root | nindent 8 }}
      {{- end }}
      {{- include "botops.environmentFrom" $root | nindent 6 }}
      resources:
        {{- toYaml $root.Values.jobResources | nindent 8 }}
      {{- include "botops.containerSecurity" $root | nindent 6 }}
      volumeMounts:
        {{- if not .isWorkspaceInImage }}
        - { name: workspace, mountPath: /srv/botops }
        {{- end }}
        {{- if not .claim }}
        - { name: caches, mountPath: /srv/botops/.botops }
        {{- end }}
        {{- if .output }}
        - { name: output, mountPath: /srv/output }
        {{- end }}
        {{- include "botops.mounts" $root | nindent 8 }}
  volumes:
    {{- if .claim }}
    - name: workspace
      persistentVolumeClaim: { claimName: {{ .claim }} }
    {{- else if not .isWorkspaceInImage }}
    - name: workspace
      emptyDir: { sizeLimit: 8Mi }
    {{- end }}
    {{- if not .claim }}
    - name: caches
      emptyDir: { sizeLimit: 16Gi }
    {{- end }}
    {{- with .output }}
    - name: output
      persistentVolumeClaim: { claimName: {{ . }} }
    {{- end }}
    {{- include "botops.volumes" $root | nindent 4 }}
{{- end -}}

{{- define "botops.failures" -}}
podFailurePolicy:
  rules:
    # A node that is drained is no failure of the job.
    - action: Ignore
      onPodConditions: [{ type: DisruptionTarget, status: 'True' }]
    - action: FailJob
      onExitCodes: { containerName: botops, operator: In, values: [2, 3, 4, 6] }
{{- end -}}

{{/* A CronJob: a dict of `root`, `component`, `schedule`, `seconds` and those of "botops.jobPod". */}}
{{- define "botops.cronJob" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "botops.fullname" .root }}-{{ .component }}
  labels:
    {{- include "botops.labels" (list .root .component) | nindent 4 }}
spec:
  schedule: {{ .schedule | quote }}
  timeZone: {{ .root.Values.timeZone }}
  concurrencyPolicy: Forbid
  # A run that could not begin within this time is left out.
  startingDeadlineSeconds: 3600
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    metadata:
      labels:
        {{- include "botops.labels" (list .root .component) | nindent 8 }}
    spec:
      backoffLimit: 3
      activeDeadlineSeconds: {{ int .seconds }}
      ttlSecondsAfterFinished: 604800
      {{- include "botops.failures" .root | nindent 6 }}
      template:
        {{- include "botops.jobPod" . | nindent 8 }}
{{- end -}}
