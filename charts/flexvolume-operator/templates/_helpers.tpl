{{- /* Names are fixed, not made from the release's: two operators in one cluster would fight over
the same nodes, and Helm refuses a second release whose cluster roles another one owns. */ -}}
{{- define "flexvolume-operator.name" -}}
flexvolume-operator
{{- end }}

{{- define "flexvolume-operator.selector" -}}
app.kubernetes.io/name: flexvolume-operator
{{- end }}

{{- define "flexvolume-operator.labels" -}}
{{ include "flexvolume-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") | quote }}
{{- end }}

{{- /* Takes a list: the image's values and the root. */ -}}
{{- define "flexvolume-operator.image" -}}
{{- $image := index . 0 -}}
{{- $root := index . 1 -}}
{{- $tagged := printf "%s:%s" $image.repository ($image.tag | default $root.Chart.AppVersion) -}}
{{- if $image.digest }}{{ printf "%s@%s" $tagged $image.digest }}{{ else }}{{ $tagged }}{{ end }}
{{- end }}
