#!/bin/sh
# Makes the ACL file of users.acl and the passwords, then becomes redis-server with redis.conf; further arguments go to it.
# `start.sh reload` makes the file anew for a server that runs: that is how a password is changed. `start.sh acl` only makes it.
#
# NAMESPACES: those of the applications, with blanks between [default: default].
# Passwords: one a line in $SECRETS/redis_NAME; each line is valid. Only their digests reach the ACL file.
# TLS=yes: TLS and nothing else; certificates as deploy/certificates makes them.
# SENTINELS: their addresses, with blanks between: who is the primary is theirs to say. PRIMARY: who it is as long as none of them answers.
# FAILOVER: for how many seconds a server that they take for the primary waits for them to name another: it was one, and is empty [default: 40].
# CLUSTER=yes: a node of a cluster.
# ANNOUNCE: host:port by which the others reach this one; needed with SENTINELS and CLUSTER.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
secrets=${SECRETS:-/run/secrets}
acl=${ACL_FILE:-/run/redis/users.acl}
namespaces=${NAMESPACES:-default}
# shellcheck source=deploy/redis/options.sh
. "$here/options.sh"

sha256() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# The digests of the passwords in a file, as ACL rules.
passwords() {
  if ! [ -s "$1" ]; then
    echo "start.sh: $1 has no password; deploy/passwords init makes one" >&2
    exit 1
  fi
  while IFS= read -r password || [ -n "$password" ]; do
    [ -z "$password" ] || printf '#%s ' "$(printf %s "$password" | sha256)"
  done <"$1"
}

make_acl() {
  rules=$(awk -v namespaces="$namespaces" -v cluster="${CLUSTER:-no}" -v sentinels="${SENTINELS:-}" '
    /^#/ || /^$/ { next }
    # Nobody follows a server that stands alone, and a cluster has no sentinels: their passwords need not be there.
    sentinels == "" && /^user sentinel / { next }
    sentinels == "" && cluster != "yes" && /^user replica / { next }
    {
      line = ""
      for (i = 1; i <= NF; i++) {
        # Only a cluster is asked these.
        if (sub(/^@cluster@/, "", $i) && cluster != "yes") continue
        n = index($i, "@namespace@") ? split(namespaces, each, " ") : 1
        for (j = 1; j <= n; j++) { word = $i; gsub(/@namespace@/, each[j], word); line = line (line == "" ? "" : " ") word }
      }
      print line
    }' "$here/users.acl")
  for user in shelflife onlooker operator replica sentinel; do
    case $rules in
      *"@passwords:$user@"*)
        digests=$(passwords "$secrets/redis_$user")
        rules=$(printf '%s\n' "$rules" | sed "s/@passwords:$user@/$digests/")
        ;;
    esac
  done
  case $(redis-server --version) in
    *v=7.0.*) rules=$(printf '%s\n' "$rules" | sed 's/ +client|setinfo//') ;;
  esac
  # Whole or not at all: a server may be reading it.
  (umask 077 && printf '%s\n' "$rules" >"$acl.new")
  mv "$acl.new" "$acl"
}

# What it is among others, as options. Those are told by a file, which sentinels may have written anew: it holds passwords.
among_others() {
  [ -n "${SENTINELS:-}" ] || [ "${CLUSTER:-no}" = yes ] || return 0
  host=${ANNOUNCE%:*}
  echo "masteruser replica"
  echo "masterauth $(tail -n 1 "$secrets/redis_replica")"
  # The default waits 5 s for further replicas before a copy begins.
  echo "repl-diskless-sync-delay 0"
  if [ "${CLUSTER:-no}" = yes ]; then
    echo "cluster-enabled yes"
    echo "cluster-node-timeout 5000"
    echo "cluster-announce-hostname $host"
    echo "cluster-preferred-endpoint-type hostname"
    # A part that is lost costs loads of its own keys, not of all.
    echo "cluster-require-full-coverage no"
  else
    echo "replica-announce-ip $host"
    echo "replica-announce-port ${ANNOUNCE##*:}"
    # See "Sentinels" in deploy/README.md.
    echo "min-replicas-to-write ${MIN_REPLICAS:-1}"
    echo "min-replicas-max-lag 2"
    primary=$(next_primary)
    [ "$primary" = "$ANNOUNCE" ] || echo "replicaof ${primary%:*} ${primary##*:}"
  fi
}

# A primary that was restarted before its sentinels have missed it would be the primary again, without what it had, and its replicas with it. They
# need down-after-milliseconds (3 s) to miss it, and make no other the primary within twice failover-timeout (30 s) of the last time; where there is
# none, it serves empty.
next_primary() {
  tries=${FAILOVER:-40}
  while told=$(primary) && [ "$told" = "$ANNOUNCE" ] && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    sleep 1
  done
  echo "${told:-$PRIMARY}"
}

# Who the sentinels say it is, if one of them answers; one that is frozen is not waited for.
primary() {
  for sentinel in $SENTINELS; do
    # shellcheck disable=SC2086
    told=$(REDISCLI_AUTH=$(tail -n 1 "$secrets/redis_shelflife") timeout 2 redis-cli $tls_client -h "${sentinel%:*}" -p "${sentinel##*:}" --user shelflife \
      sentinel get-master-addr-by-name mymaster 2>/dev/null | paste -sd :) || continue
    case $told in *:*[0-9]) echo "$told" && return ;; esac
  done
  return 1
}

case ${1:-} in
  acl) make_acl ;;
  reload)
    shift
    make_acl
    REDISCLI_AUTH=$(head -n 1 "$secrets/redis_operator")
    export REDISCLI_AUTH
    # shellcheck disable=SC2086
    exec redis-cli $tls_client --user operator "$@" acl load
    ;;
  *)
    make_acl
    conf=$(dirname "$acl")/redis.conf
    (umask 077 && { cat "$here/redis.conf" && among_others; } >"$conf")
    # shellcheck disable=SC2086
    exec redis-server "$conf" --aclfile "$acl" $(tls_server "${PORT:-6379}") "$@"
    ;;
esac
