# shellcheck shell=bash disable=SC2154,SC2034
# The disabled rules see one file; variables cross files here. The rendered whole is checked without them.
#
# Writing: whole files, durable before they are named.

sync_folder() { # makes a rename durable; older sync tools know no operands and flush everything
  limited 20 sync "$@" || limited 20 sync
}

keep_attributes() { # of, to: mode, owner and SELinux label
  chown "$config_owner" -- "$2" && chmod "$config_mode" -- "$2" || return 1
  if [ -e /sys/fs/selinux/enforce ] && has chcon; then chcon --reference="$1" -- "$2" || return 1; fi
}

full_disk() { case $1 in *'No space left'* | *'File too large'* | *'quota exceeded'* | *'Quota exceeded'*) return 0 ;; esac; return 1; }

attempt() { # command...: sets write_problem (full or failed)
  local said
  write_problem=failed
  said=$("$@" 2>&1) && { write_problem=; return 0; }
  if full_disk "$said"; then write_problem=full; fi
  return 1
}

# Text to an existing folder, durable before it is named; sets write_problem (full or failed).
write_new() { # path, text: a new file, 0600, on the disk
  local said
  write_problem=failed
  said=$(printf '%s' "$2" | { dd of="$1" bs=65536 conv=fsync >/dev/null; } 2>&1) && { write_problem=; return 0; }
  if full_disk "$said"; then write_problem=full; fi
  rm -f -- "$1"
  return 1
}

sweep_temporaries() { # what a killed script left beside the env file
  local left
  for left in "${config_real%/*}"/.ecs-rollout.*.tmp; do
    if [ -f "$left" ]; then rm -f -- "$left"; fi
  done
}

config_write() { # text: the env file becomes it, whole or not at all
  local temporary=${config_real%/*}/.ecs-rollout.$run_id-$BASHPID.tmp # its own: a watchdog may write as well
  write_new "$temporary" "$1" || return 1
  write_problem=failed
  if [ -n "$config_mode" ]; then
    keep_attributes "$config_real" "$temporary" || { rm -f -- "$temporary"; return 1; }
  elif has restorecon; then
    restorecon "$temporary"
  fi
  mv -f -- "$temporary" "$config_real" || { rm -f -- "$temporary"; return 1; }
  sync_folder "${config_real%/*}"
  write_problem=
}

config_unlink() {
  write_problem=failed
  rm -f -- "$config_real" || return 1
  sync_folder "${config_real%/*}"
  write_problem=
}
