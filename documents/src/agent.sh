# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# What the agent is and says: its container, its introspection endpoint, its tasks, its log.

# One `docker inspect`, one awk. Sets container (present absent unknown) and c_*; c_env_* are what its process was
# started with.
look() {
  local path type value text n complete=
  c_id='' c_started='' c_running='' c_policy='' c_autoremove='' c_network=''
  c_env_type='' c_env_data='' c_env_cluster='' c_env_datadir='' c_env_datadir_set='' c_env_checkpoint=''
  c_env_level='' c_env_level_file=''
  m_type=() m_source=() m_target=() m_writable=()
  container=unknown
  text=$(limited 20 docker inspect "$agent_container") || {
    text=$(limited 20 docker inspect "$agent_container" 2>&1)
    case $text in *[Nn]o\ such*) container=absent ;; esac
    return 1
  }
  while IFS=$'\t' read -r path type value; do
    case $path in
      .) complete=1 ;;
      /0/Id) c_id=$value ;;
      /0/State/Running) c_running=$value ;;
      /0/State/StartedAt) c_started=$value ;;
      /0/HostConfig/AutoRemove) c_autoremove=$value ;;
      /0/HostConfig/NetworkMode) c_network=$value ;;
      */RestartPolicy/Name) c_policy=$value ;;
      */RestartPolicy/*) case $c_policy:$value in on-failure:0) ;; on-failure:*) c_policy+=:$value ;; esac ;;
      /0/Config/Env/*) variable "$value" ;;
      /0/Mounts/*)
        n=${path#/0/Mounts/}
        n=${n%%/*}
        case $path in
          */Type) m_type[n]=$value ;;
          */Source) m_source[n]=$value ;;
          */Destination) m_target[n]=$value ;;
          */RW) m_writable[n]=$value ;;
        esac
        ;;
    esac
  done < <(printf '%s\n' "$text" | json_leaves "$look_at")
  [ -n "$complete" ] && [ -n "$c_id" ] && [ -n "$c_started" ] || return 1
  container=present
}
look_at='^/0/(Id|State/(Running|StartedAt)|HostConfig/(AutoRemove|NetworkMode|RestartPolicy/.*)|Config/Env/[0-9]+|Mounts/[0-9]+/(Type|Source|Destination|RW))$'

variable() { # NAME=VALUE, as json_leaves writes it
  local value=${1#*=}
  case $value in *\\*) printf -v value %b "$value" ;; esac
  case $1 in
    ECS_ENGINE_AUTH_TYPE=*) c_env_type=$value ;;
    ECS_ENGINE_AUTH_DATA=*) c_env_data=$value ;;
    ECS_CLUSTER=*) c_env_cluster=$value ;;
    ECS_DATADIR=*) c_env_datadir=$value c_env_datadir_set=1 ;;
    ECS_CHECKPOINT=*) c_env_checkpoint=$value ;;
    ECS_LOGLEVEL=*) c_env_level=$value ;;
    ECS_LOGLEVEL_ON_INSTANCE=*) c_env_level_file=$value ;;
  esac
}

ask_agent() { # path; a proxy or a .curlrc must not come between us and localhost
  limited 10 curl -q --noproxy '*' -sS --connect-timeout 2 --max-time 5 "$introspection_url$1"
}

# Sets a_arn, a_cluster (a bare name) and a_version; 1: nobody answers, 2: something else answers (F13, F16).
metadata() {
  local text path type value complete='' cluster_said='' version=''
  a_arn='' a_cluster='' a_version=''
  text=$(ask_agent /v1/metadata) || return 1
  local arn=
  while IFS=$'\t' read -r path type value; do
    case $path$type in
      .) complete=1 ;;
      /ContainerInstanceArns) arn=$value ;;
      /Clusters) cluster_said=$value ;;
      /Versions) version=$value ;;
    esac
  done < <(printf '%s\n' "$text" | json_leaves '^/(Cluster|ContainerInstanceArn|Version)$')
  [ -n "$complete" ] || return 2
  [[ $arn =~ ^arn:[a-z0-9-]+:ecs:[a-z0-9-]+:[0-9]+:container-instance/[A-Za-z0-9_/-]+$ ]] || return 2
  [ -n "$cluster_said" ] || return 2
  a_arn=$arn
  a_cluster=${cluster_said##*/} # F11: a name or a whole ARN
  [[ $version =~ v([0-9]+(\.[0-9]+)+) ]] && a_version=${BASH_REMATCH[1]}
  return 0
}

# Sets t_running (a count, -1 unknown) and t_known, the ARNs that the agent knows, each between blanks.
agent_tasks() {
  local text path type value complete='' arns=() states=() n
  t_running=-1 t_known=' ' t_alive=' '
  text=$(ask_agent /v1/tasks) || return 1
  while IFS=$'\t' read -r path type value; do
    n=${path#/Tasks/}
    n=${n%%/*}
    case $path in
      .) complete=1 ;;
      /Tasks) ;; # an empty list
      */Arn) arns[n]=$value ;;
      */KnownStatus) states[n]=$value ;;
    esac
  done < <(printf '%s\n' "$text" | json_leaves '^/Tasks(/[0-9]+/(Arn|KnownStatus))?$')
  [ -n "$complete" ] || return 1
  case $text in *'"Tasks"'*) ;; *) return 1 ;; esac # F13: any other path answers 200 as well
  t_running=0
  for n in "${!arns[@]}"; do
    t_known+="${arns[n]} "
    if [ "${states[n]}" != STOPPED ]; then # F14: stopped ones stay listed
      t_running=$((t_running + 1))
      t_alive+="${arns[n]} "
    fi
  done
}

# Sets d_tasks, the task ARNs of containers that Docker runs, each between blanks, and d_count.
docker_tasks() {
  local arn open='{' text
  d_tasks=' ' d_count=0
  # The template is put together here, because two opening braces in a row mean a parameter to the SSM agent (F51).
  text=$(limited 20 docker ps --no-trunc --filter label=com.amazonaws.ecs.task-arn \
    --format "$open{.Label \"com.amazonaws.ecs.task-arn\"}}") || return 1
  while read -r arn; do
    case $arn:$d_tasks in :* | *" $arn "*) continue ;; esac
    d_tasks+="$arn "
    d_count=$((d_count + 1))
  done < <(printf '%s\n' "$text")
}

# --- is the state persisted? By effect (F30-F34). Sets persistence and why. ---
judge_persistence() { # the container must have been looked at
  local folder=$c_env_datadir n best=-1 length=-1 target inside
  why=()
  persistence=unknown
  if [ "$container" != present ]; then why=(no_container); return; fi
  if checkpoint_is 0 f false; then persistence=ephemeral why=(checkpoint_false); return; fi
  if [ -z "$folder" ]; then
    if [ -n "$c_env_datadir_set" ]; then why=(datadir_empty); else why=(datadir_unset); fi
    if ! checkpoint_is 1 t true; then persistence=ephemeral; return; fi
    why+=(checkpoint_true)
    folder=/data
  else
    case $folder in
      /*) why=(datadir_set) ;;
      *) why=(datadir_odd); return ;;
    esac
  fi
  while [ "$folder" != / ] && [ "${folder%/}" != "$folder" ]; do folder=${folder%/}; done
  for n in "${!m_target[@]}"; do
    target=${m_target[n]%/}
    case $folder/ in "$target"/*) if [ ${#target} -gt "$length" ]; then best=$n length=${#target}; fi ;; esac
  done
  if [ "$best" -lt 0 ]; then persistence=ephemeral why+=(not_mounted); return; fi
  case ${m_type[best]} in
    bind | volume) why+=(mounted) ;;
    tmpfs) persistence=ephemeral why+=(tmpfs); return ;;
    *) why+=(mount_odd); return ;;
  esac
  inside=${m_source[best]%/}${folder#"${m_target[best]%/}"}
  if [ "${m_writable[best]}" = false ]; then why+=(mount_read_only); return; fi
  if [ ! -s "$inside/agent.db" ]; then why+=(no_agent_db); return; fi
  why+=(agent_db)
  if pending_change; then why+=(file_differs); return; fi
  persistence=persistent
}

checkpoint_is() { # the agent reads the words of Go's ParseBool
  local value=${c_env_checkpoint,,}
  [ "$value" = "$1" ] || [ "$value" = "$2" ] || [ "$value" = "$3" ]
}

# Would a restart also bring in somebody's unfinished edit of the identity? Then no word about it can be trusted.
pending_change() {
  [ "$method" != docker-run ] || return 1 # only our two variables are read from the file then
  [ "$config_state" = regular ] || return 1
  if [ -n "$file_datadir_set" ] && [ "${file_datadir%/}" != "${c_env_datadir%/}" ]; then return 0; fi
  [ -n "$file_checkpoint_set" ] && [ "$file_checkpoint" != "$c_env_checkpoint" ]
}

# The same for the cluster, and for a file that has lost the cluster which the agent was started with (F41).
pending_cluster() {
  [ "$method" != docker-run ] || return 1
  if [ "$config_state" = odd ]; then return 1; fi
  if [ -n "$file_cluster_set" ]; then [ "$file_cluster" != "$c_env_cluster" ]; return; fi
  if [ -n "$init_cluster_set" ]; then [ "$init_cluster" != "$c_env_cluster" ]; return; fi
  [ -n "$c_env_cluster" ]
}

# --- the agent's log (F2, F19) ---
log_mark() { log_was=$(stat -c '%i %s' -- "$agent_log_file") || log_was=; }

# Sets log_says to clean, warned or not_checkable, from what was written since log_mark.
log_judge() {
  local level=${c_env_level_file:-${c_env_level:-info}} inode size now_inode now_size from=1 count any=0
  log_says=not_checkable
  case ${level,,} in
    crit* | error | none | off) return ;; # they hide the line that we look for
    warn*) any=1 ;;                       # it hides the lines by which a start is known
  esac
  inode=${log_was% *} size=${log_was#* }
  if read -r now_inode now_size < <(stat -c '%i %s' -- "$agent_log_file"); then
    if [ -n "$size" ] && [ "$now_inode" = "$inode" ] && [ "$now_size" -ge "$size" ]; then from=$((size + 1)); fi
    count=$(tail -c "+$from" -- "$agent_log_file" | awk -v any=$any "$log_awk")
    log_count "$count" && return
  fi
  count=$(limited 20 docker logs "$agent_container" 2>&1 | awk -v any=$any "$log_awk")
  log_count "$count"
}
# shellcheck disable=SC2016 # it is awk's text
log_awk='any || /Starting (Amazon ECS )?Agent|Loading configuration/ { began = 1 }
/dockerauth\.go/ { warned++ }
END { print began + 0, warned + 0 }'

log_count() { # 'BEGAN WARNED'; a log without a sign of the new agent tells nothing
  case $1 in
    *' 0') if [ "${1% *}" = 0 ]; then return 1; fi; log_says=clean ;;
    *' '*) log_says=warned ;;
    *) return 1 ;;
  esac
}

# Container, method, env file, metadata, tasks, persistence; an agent that is just starting gets a moment.
see_agent() { # how many looks: an agent that updates itself is away for a moment, its container too (F18)
  local tries
  for ((tries = 1; ; tries++)); do
    look
    if metadata || [ "$container" = unknown ] || [ "$tries" -ge "$1" ]; then break; fi
    nap 10
  done
  find_method
  config_read
  other_places
  if [ -n "$a_arn" ]; then agent_tasks; else t_running=-1 t_known=' ' t_alive=' '; fi
  judge_persistence
  if [ "$container" = present ] && pending_cluster; then warn cluster_pending; fi
}
