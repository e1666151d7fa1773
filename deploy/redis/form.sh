#!/bin/sh
# Forms a cluster of NODES (host:port, with blanks between), half of which become replicas; nothing if it is formed already. Ends when every slot is served.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
secrets=${SECRETS:-/run/secrets}
# shellcheck source=deploy/redis/options.sh
. "$here/options.sh"
REDISCLI_AUTH=$(tail -n 1 "$secrets/redis_operator")
export REDISCLI_AUTH

ask() {
  node=$1
  shift
  # shellcheck disable=SC2086
  redis-cli $tls_client --user operator --no-auth-warning -h "${node%:*}" -p "${node##*:}" "$@"
}

# Every node says so itself: they tell each other, and that takes a moment.
is_formed() {
  for node in $NODES; do
    info=$(ask "$node" cluster info) || return 1
    case $info in *cluster_state:ok*) ;; *) return 1 ;; esac
    case $info in *cluster_slots_ok:16384*) ;; *) return 1 ;; esac
  done
}

# One that is well, but for a node that is down, is formed as well.
knows_slots() {
  for node in $NODES; do
    case $(ask "$node" cluster info 2>/dev/null) in *cluster_slots_assigned:16384*) return 0 ;; esac
  done
  return 1
}

if ! knows_slots; then
  # CLUSTER MEET takes addresses, not names.
  addresses=""
  for node in $NODES; do
    host=${node%:*}
    case $host in *[!0-9.]*) host=$(getent ahostsv4 "$host" | awk 'NR == 1 { print $1 }') ;; esac
    addresses="$addresses $host:${node##*:}"
  done
  # shellcheck disable=SC2086
  redis-cli $tls_client --user operator --no-auth-warning --cluster create $addresses --cluster-replicas 1 --cluster-yes
fi
tries=0
until is_formed; do
  tries=$((tries + 1))
  [ "$tries" -lt 60 ] || { echo "form.sh: not all nodes serve after a minute" >&2; exit 1; }
  sleep 1
done
echo "every slot is served"
