# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# docker-run hosts (F22): the container again, the same but for our two variables.
# At every moment at most one container has a restart policy, and none is started while another one may run: two
# agents would share one agent.db (F32), also after a reboot. The old container is kept aside until the new one is
# proven. Its settings travel as the engine tells them, from pipe to pipe: no option is spelled out here.

aside=$agent_container-before-ecs-rollout fresh=$agent_container-by-ecs-rollout

tell() { limited 60 docker "$@"; }

is_there() { tell inspect --type container "$1"; }

# The engine's own JSON of a container in pieces: 'path TAB type TAB JSON', then a line with a dot.
pieces_of() { # container
  local text
  text=$(engine GET "/containers/$1/json") && printf '%s\n' "$text" |
    json_pieces '^/(Id|Image|(Config|HostConfig|Config/Env|Mounts)/[^/]+)$'
}

encoded() { # sets encoded: a JSON string
  encoded=${1//\\/\\\\}
  encoded=${encoded//\"/\\\"}
  encoded=\"${encoded//$'\t'/\\t}\"
}

# Prints what creates the container again: the same Config and HostConfig, our pair, and no restart policy yet.
body_like() { # pieces, JSON of the image's name
  local path type value body='' environment='' host='' binds='' hostname='' own_hostname=1 name
  while IFS=$'\t' read -r path type value; do
    name=${path##*/}
    case $path in
      /Config/Env/*) case $value in '"ECS_ENGINE_AUTH_TYPE='* | '"ECS_ENGINE_AUTH_DATA='*) ;; *) environment+=,$value ;; esac ;;
      /Config/Env | /Config/Image | /HostConfig/RestartPolicy) ;;
      /Config/Hostname) hostname=,\"$name\":$value ;;
      /Config/*) body+=,\"$name\":$value ;;
      /HostConfig/Binds) case $value in '['?*']') binds+=,${value:1:-1} ;; esac ;;
      /HostConfig/UTSMode) host+=,\"$name\":$value; if [ "$value" = '"host"' ]; then own_hostname=; fi ;;
      /HostConfig/*) host+=,\"$name\":$value ;;
      /Mounts/*) # an anonymous volume would come anew and empty; by its name it is the same one
        [[ $value =~ \"Type\":\"volume\",\"Name\":\"([0-9a-f]{64})\".*\"Destination\":(\"([^\"\\]+)\") ]] || continue
        case $host$binds in *"${BASH_REMATCH[1]}:${BASH_REMATCH[3]}"* | *"\"Target\":${BASH_REMATCH[2]}"*) ;; *) binds+=",\"${BASH_REMATCH[1]}:${BASH_REMATCH[3]}\"" ;; esac
        ;;
    esac
  done < <(printf '%s\n' "$1")
  for name in TYPE DATA; do
    value=$pair_type
    if [ $name = DATA ]; then value=$pair_data; fi
    if [ -n "$value" ]; then encoded "ECS_ENGINE_AUTH_$name=$value"; environment+=,$encoded; fi
  done
  if [ -n "$own_hostname" ]; then body+=$hostname; fi
  printf '{"Image":%s%s,"Env":[%s],"HostConfig":{"Binds":[%s]%s,"RestartPolicy":{"Name":"no"}}}' \
    "$2" "$body" "${environment:1}" "${binds:1}" "$host"
}

# What must be equal in both containers, sorted.
settings_in() { # pieces
  local path type value
  while IFS=$'\t' read -r path type value; do
    case $path in
      /Id | /Config/Env | /Config/Image | /HostConfig/RestartPolicy | /HostConfig/Binds) continue ;;
      /Config/Env/*) case $value in '"ECS_ENGINE_AUTH_'*) continue ;; esac; path=variable ;;
      /Mounts/*) path=mount value=${value/\"Mode\":\"*\"RW\"/} ;;
    esac
    printf '%s %s\n' "$path" "$value"
  done < <(printf '%s\n' "$1") | sort
}

# Sets created, the id of a new container that has not been started.
create_like() { # container
  local old new text image
  old=$(pieces_of "$1") || return 1
  # By its name first, as it was; by its id where the name has gone to another image meanwhile.
  for image in Config/Image Image; do
    tell rm -f "$fresh"
    image=${old#*$'\n/'"$image"$'\ts\t'}
    text=$(body_like "$old" "${image%%$'\n'*}" | engine POST "/containers/create?name=$fresh" \
      -H 'Content-Type: application/json' --data-binary @-) || continue
    [[ $text =~ \"Id\":\"([0-9a-f]{64})\" ]] || continue
    created=${BASH_REMATCH[1]}
    new=$(pieces_of "$created") && new=$(settings_in "$new") && [ "$new" = "$(settings_in "$old")" ] || continue
    write_new "$change_folder/created" "$created
" && return 0
  done
  explain 'the engine does not make the same container again'
  tell rm -f "$fresh"
  return 1
}

restart_by_docker_run() { # with pair_type and pair_data; the container under its name, else the one set aside
  local source=$agent_container created policy=$c_policy
  is_there "$source" || source=$aside
  case $policy in '' | no) policy=${was_policy:-no} ;; esac
  create_like "$source" || return 1
  tell update --restart=no "$source" && tell stop "$source" || return 1
  if [ "$source" != "$aside" ]; then
    if is_there "$aside"; then # a restore that is tried again: what is aside is what was proven
      tell rm "$source"
    else
      tell rename "$source" "$aside"
    fi || return 1
  fi
  tell rename "$created" "$agent_container" && tell update --restart="$policy" "$created" &&
    tell start "$created"
}

# 0: the container of before is there, under its name and with its policy, and was told to run. Safe to repeat.
old_container_back() {
  local ours=
  [ -n "$was_container" ] && is_there "$was_container" || return 1
  if [ -f "$change_folder/created" ]; then read -r ours <"$change_folder/created"; fi
  look
  case $c_id in '' | "$was_container" | "$ours") ;; *) return 1 ;; esac # somebody else has made another one: hands off
  if [ -n "$ours" ] && is_there "$ours"; then
    tell update --restart=no "$ours"
    tell stop "$ours"
    tell rm -f "$ours"
  fi
  tell rm -f "$fresh"
  say 'the old container comes back'
  tell rename "$was_container" "$agent_container" # refused where it has its name already
  tell update --restart="${was_policy:-no}" "$was_container"
  tell start "$was_container"
}

drop_aside() { # what is proven needs no spare
  [ "$method" != docker-run ] || tell rm "$aside" "$fresh"
}
