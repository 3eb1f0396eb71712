# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# The agent's env file: read as ecs-init reads it and edited in our two lines only (F34, F40, F41).

largest_file=1048576    # a larger one is no env file; refused
largest_line=131000     # the kernel takes no longer variable (F40's last row)

# What read_env fills, for three files.
file_type='' file_data='' file_cluster='' file_datadir='' file_checkpoint=''
file_type_set='' file_data_set='' file_cluster_set='' file_datadir_set='' file_checkpoint_set=''
old_type='' old_data='' old_type_set='' old_data_set='' init_type_set='' init_data_set='' init_cluster='' init_cluster_set=''

# Sets config_real, config_state (regular absent odd), config_text, and file_* as ecs-init reads the file.
config_read() {
  local size
  config_text='' config_mode='' config_owner='' config_odd=''
  read_env file /dev/null
  config_real=$(readlink -f -- "$config_file") || config_real=$config_file
  config_state=odd
  if [ ! -e "$config_real" ]; then
    if [ -d "${config_real%/*}" ]; then config_state=absent; else config_odd='its folder is missing'; fi
    return
  fi
  if [ ! -f "$config_real" ]; then config_odd='not a regular file'; return; fi
  read -r size config_mode config_owner < <(stat -c '%s %a %u:%g' -- "$config_real")
  if [ -z "$size" ]; then config_odd='cannot be read'; return; fi
  if [ "$size" -gt $largest_file ]; then config_odd='over 1 MB'; return; fi
  config_text=$(cat -- "$config_real" && printf x) || { config_odd='cannot be read'; return; }
  config_text=${config_text%x}
  if [ ${#config_text} -ne "$size" ]; then config_text='' config_odd='holds NUL bytes'; return; fi
  config_state=regular
  read_env file "$config_real"
}

# Reads a file's variables as ecs-init does (F40): sets P_type P_data P_cluster P_datadir P_checkpoint, and each
# with _set behind it: 1, or empty where the file does not name it.
read_env() { # P, path
  local line name key lines=()
  for name in type data cluster datadir checkpoint; do printf -v "$1_$name" %s '' && printf -v "$1_${name}_set" %s ''; done
  mapfile -t lines <"$2" # from the file itself: a pipe would be read byte by byte
  for line in "${lines[@]}"; do
    case $line in *ECS_ENGINE_AUTH_*=* | *ECS_CLUSTER*=* | *ECS_DATADIR*=* | *ECS_CHECKPOINT*=*) ;; *) continue ;; esac
    while [[ $line == [[:space:]]* ]]; do line=${line:1}; done
    while [[ $line == *[[:space:]] ]]; do line=${line:0:${#line}-1}; done
    key=${line%%=*}
    case $key in
      ECS_ENGINE_AUTH_TYPE) name='type' ;;
      ECS_ENGINE_AUTH_DATA) name=data ;;
      ECS_CLUSTER) name=cluster ;;
      ECS_DATADIR) name=datadir ;;
      ECS_CHECKPOINT) name=checkpoint ;;
      *) continue ;;
    esac
    printf -v "$1_$name" %s "${line#*=}" && printf -v "$1_${name}_set" %s 1
  done
}

# Stdin: the new type, the new data, then the file's lines. `mode` is set or remove; `final` is 0 where the file
# does not end with a new line. Prints 'PLACE LIVE DEAD' (live: our lines of before, dead: commented-out ones) and
# then the new file, or nothing at all when no place keeps every other variable as systemd reads it.
# The two other readers go by lines, so whole lines of ours can harm nothing there.
# shellcheck disable=SC2016 # it is awk's text
edit_awk='
function without_bom(s) { return substr(s, 1, 3) == "\357\273\277" ? substr(s, 4) : s }
function ours(s,   commented) {
  s = without_bom(s)
  sub(/^[ \t\r\f\v]+/, "", s)
  commented = s ~ /^[#;]/
  sub(/^[#; \t]+/, "", s)
  sub(/^export[ \t]+/, "", s)
  if (s !~ /^ECS_ENGINE_AUTH_(TYPE|DATA)[ \t]*=/) return 0
  return commented ? 2 : 1
}
# What systemd makes of lines 1..n of `l`, as one string; `joined`: a comment that ends with a backslash goes on
# in the next line, as it does before systemd 254.
function systemd(n, last_is_whole, joined,   i, j, c, s, size, state, key, value, keep, out) {
  out = ""
  state = "start"
  for (i = 1; i <= n; i++) {
    s = l[i]
    if (state == "start") {
      if (s ~ /^[ \t]*$/ || s ~ /^[ \t]*[#;][^\\\r]*$/) continue
      if (s ~ /^[A-Za-z_][A-Za-z0-9_]*=[^\\\r \t"\047][^\\\r]*$/) {
        j = index(s, "=")
        value = substr(s, j + 1)
        sub(/[ \t]+$/, "", value)
        out = out assigned(substr(s, 1, j - 1), value)
        continue
      }
    }
    if (i < n || last_is_whole) s = s "\n"
    size = length(s)
    for (j = 1; j <= size; j++) {
      c = substr(s, j, 1)
      if (state == "start") {
        if (c == "#" || c == ";") state = "comment"
        else if (c !~ /[ \t\r\n]/) { state = "key"; key = c }
      } else if (state == "comment") {
        if (c == "\\") state = "comment\\"
        else if (c ~ /[\r\n]/) state = "start"
      } else if (state == "comment\\") {
        state = c == "\n" && !joined ? "start" : "comment"
      } else if (state == "key") {
        if (c ~ /[\r\n]/) state = "start"
        else if (c == "=") { state = "before"; value = ""; keep = 0; sub(/[ \t]+$/, "", key) }
        else key = key c
      } else if (state == "before" || state == "value") {
        if (c ~ /[\r\n]/) {
          out = out assigned(key, state == "value" ? substr(value, 1, keep) : value)
          state = "start"
        } else if (c == "\\") state = "value\\"
        else if (state == "before" && c == "\047") state = "single"
        else if (state == "before" && c == "\"") state = "double"
        else if (state == "value" || c !~ /[ \t]/) {
          state = "value"
          value = value c
          if (c !~ /[ \t]/) keep = length(value)
        }
      } else if (state == "value\\") {
        state = "value"
        if (c !~ /[\r\n]/) value = value c
        keep = length(value)
      } else if (state == "single") {
        if (c == "\047") { state = "before"; keep = length(value) }
        else value = value c
      } else if (state == "double") {
        if (c == "\"") { state = "before"; keep = length(value) }
        else if (c == "\\") state = "double\\"
        else value = value c
      } else if (state == "double\\") {
        state = "double"
        if (index("\"\\`$", c) > 0) value = value c
        else if (c != "\n") value = value "\\" c
      }
    }
  }
  if (state == "value") value = substr(value, 1, keep)
  if (state != "start" && state != "key" && state !~ /^comment/) out = out assigned(key, value)
  return out
}
function assigned(key, value) {
  if (key !~ /^[A-Za-z_][A-Za-z0-9_]*$/ || key ~ /^ECS_ENGINE_AUTH_(TYPE|DATA)$/) return ""
  return key "=" value "\n"
}
function add(s) { l[++size_new] = s }
function build(place,   i) {
  size_new = 0
  for (i = 1; i <= size; i++) {
    if (i == place) { add(ours_type); add(ours_data) }
    if (!mine[i]) add(file[i])
  }
  if (place > size) { add(ours_type); add(ours_data) }
  whole = place > size || final || mine[size]
}
function try(place, name,   i) {
  build(place)
  if (systemd(size_new, whole, 0) != before[0] || systemd(size_new, whole, 1) != before[1]) return 0
  print name, live, dead
  for (i = 1; i < size_new; i++) print l[i]
  if (size_new) printf "%s%s", l[size_new], whole ? "\n" : ""
  return 1
}
NR == 1 { ours_type = "ECS_ENGINE_AUTH_TYPE=" $0; next }
NR == 2 { ours_data = "ECS_ENGINE_AUTH_DATA=" $0; next }
{
  file[++size] = $0
  kind = ours($0)
  mine[size] = kind > 0
  if (kind == 1) { live++; if (!first) first = size }
  if (kind == 2) dead++
}
END {
  live += 0
  dead += 0
  for (n = 1; n <= size; n++) l[n] = file[n]
  for (n = 0; n < 2; n++) before[n] = systemd(size, final, n)
  if (mode == "remove") exit !try(-1, "removed")
  if (first && try(first, "in-place")) exit 0
  if (try(size + 1, "end")) exit 0
  if (without_bom(file[1]) == file[1] && try(1, "start")) exit 0
  exit 1
}'

# set TYPE DATA, or remove: sets new_text, edit_live and edit_dead; 1 when this file cannot be edited safely.
config_edit() {
  local final=1 text=$config_text edited head
  if [ -n "$text" ] && [ "${text%$'\n'}" = "$text" ]; then final=0; text+=$'\n'; fi
  edited=$(printf '%s\n%s\n%s' "$2" "$3" "$text" | awk -v mode="$1" -v final=$final "$edit_awk" && printf x) || return 1
  edited=${edited%x}
  head=${edited%%$'\n'*}
  new_text=${edited#*$'\n'}
  edit_dead=${head##* }
  head=${head% *}
  edit_live=${head##* }
}

# --- the other places that can hold a credential (F9) ---
other_places() {
  local text
  if [ -f "$init_config_file" ]; then
    read_env init "$init_config_file"
    if [ -n "$init_type_set$init_data_set" ]; then warn init_config_has_auth; fi
  fi
  if [ -f "$json_config_file" ]; then
    text=$(<"$json_config_file")
    case ${text,,} in *'"engineauthtype"'* | *'"engineauthdata"'*) warn json_config_has_auth ;; esac
  fi
}
