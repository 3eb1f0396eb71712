# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# The result: one flat JSON object of at most 2,000 bytes on the first line (F59).

finish() { # outcome, reason
  local line code=1
  put_evidence
  printf -v line '{"v":1,"op":"%s","outcome":"%s","reason":"%s","changed":%s%s}' "$op" "$1" "$2" "$changed" "$fields"
  say "result: $1 $2"
  emit "$line"
  case $1 in updated | current | inspected) code=0 ;; rolled_back) if [ "$op" = restore ]; then code=0; fi ;; esac
  exit $code
}

put_evidence() {
  fields=
  put_plain fence "$fence_seen"
  put generation "$marker_generation"
  put run "$marker_run"
  put method "${method:-none}"
  put persistence "${persistence:-unknown}"
  put_list why "${why[@]}"
  put arn "$a_arn"
  put cluster "$a_cluster"
  put version "$a_version"
  put_plain tasks "${t_running:--1}"
  "evidence_of_$op"
  put_list warnings "${warnings[@]}"
}
