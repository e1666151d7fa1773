#!/bin/sh
# Becomes a sentinel. Its file is made once, for it writes there what it learns: who the primary is, and who the others are. It belongs in a volume.
#
# PRIMARY: host:port of the primary when all begins. ANNOUNCE: host:port of this sentinel. QUORUM: how many must agree that it is down [default: 2].
# Passwords and TLS: as in start.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
secrets=${SECRETS:-/run/secrets}
conf=${SENTINEL_FILE:-/data/sentinel.conf}
# shellcheck source=deploy/redis/options.sh
. "$here/options.sh"

password() { tail -n 1 "$secrets/redis_$1"; }

if ! [ -s "$conf" ]; then
  (umask 077 && sed '/^#/d; /^$/d' "$here/sentinel.conf" | sed \
    -e "s/@primary@/${PRIMARY%:*} ${PRIMARY##*:} ${QUORUM:-2}/" \
    -e "s/@announce@/${ANNOUNCE%:*}/; s/@announce-port@/${ANNOUNCE##*:}/" \
    -e "s/@password:shelflife@/$(password shelflife)/" \
    -e "s/@password:sentinel@/$(password sentinel)/" >"$conf.new")
  case $(redis-server --version) in
    *v=7.0.*) sed -i 's/ +client|setinfo//' "$conf.new" ;;
  esac
  mv "$conf.new" "$conf"
fi
# shellcheck disable=SC2046
exec redis-server "$conf" --sentinel $(tls_server "${PORT:-26379}") "$@"
