# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# inspect: reads only. It makes no file, takes no lock and keeps no log.

registry_names=() registries_total=0 auth_type=''

# The registries of the running agent, or of the file where none runs. Keys that do not look like a registry are
# counted and not named: what lies there may be anything.
name_registries() { # type, data
  local path type value complete='' name seen=$'\n'
  case $1 in docker | dockercfg | '') auth_type=$1 ;; *) auth_type=other ;; esac
  [ -n "$2" ] || return 0
  while IFS=$'\t' read -r path type value; do
    if [ "$path" = . ]; then complete=1; continue; fi
    name=${path#/}
    case $name in */*) name=${name%%/*} ;; *) if [ "$type" != '{' ]; then name=$'\a'; fi ;; esac
    name=${name//\~1//}
    name=${name//\~0/\~}
    case $seen in *$'\n'"$name"$'\n'*) continue ;; esac
    seen+=$name$'\n'
    registries_total=$((registries_total + 1))
    if [[ $name =~ ^(https?://)?[A-Za-z0-9]([A-Za-z0-9-]*[.:])[A-Za-z0-9.:-]*(/[A-Za-z0-9._/-]*)?$ ]] || [ "$name" = localhost ]; then
      registry_names+=("$name")
    elif [ "$name" = auths ]; then
      warn auths_wrapper # F6
    else
      warn odd_registry
    fi
  done < <(printf '%s\n' "$2" | json_leaves .)
  if [ -z "$complete" ]; then warn auth_data_malformed; fi
}

count_copies() { # dead and double copies of our lines
  [ "$config_state" = regular ] || { if [ "$config_state" = odd ]; then warn config_odd; fi; return; }
  if config_edit remove; then
    if [ "$edit_live" -gt 2 ]; then warn duplicate_auth; fi
    if [ "$edit_dead" -gt 0 ]; then warn commented_auth; fi
  else
    warn config_unsupported
  fi
  case $config_mode in *[4567]) if [ "$edit_live" != 0 ]; then warn config_world_readable; fi ;; esac
}

evidence_of_inspect() {
  put agent "$agent_state"
  put_plain agrees "$agrees"
  put type "$auth_type"
  put_plain registries_total "$registries_total"
  put armed "$armed"
  put last "$last_what"
  put last_run "$last_run"
  put curl "$curl_version"
  put fetch "$fetcher"
}

# As many names as fit; the whole list on a second line when they do not. The count is on the first either way.
emit() { # line
  local line=${1%\}} some=() all=() name size
  size=$((${#line} + 20))
  for name in "${registry_names[@]}"; do
    if [ $((size + ${#name} + 3)) -le 2000 ]; then some+=("$name"); fi
    size=$((size + ${#name} + 3))
    if [ "$size" -le 20000 ]; then all+=("$name"); fi
  done
  fields=
  put_list registries "${some[@]}"
  printf '%s%s}\n' "$line" "$fields" >&3
  if [ ${#some[@]} -lt ${#registry_names[@]} ]; then
    fields=
    put_list registries "${all[@]}"
    printf '{"v":1%s}\n' "$fields" >&3
  fi
}

inspect() {
  op=inspect agent_state=absent agrees=false armed=no fetcher=none
  if missing_tool flock sha256sum awk stat cat readlink docker curl; then
    warn "no_$missing"
    case $missing in docker | curl | awk) finish failed tool_missing ;; esac
  fi
  read_marker
  read_fence
  read_last
  armed_state
  see_agent 1
  find_fetcher
  case $container in
    present) agent_state=down; if [ -n "$a_arn" ]; then agent_state=up; fi ;;
    unknown) agent_state=down; warn docker_silent ;;
  esac
  count_copies
  if all_agree; then agrees=true; fi
  if [ "$container" = present ]; then
    name_registries "$c_env_type" "$c_env_data"
  else
    name_registries "$file_type" "$file_data"
  fi
  finish inspected verified
}
