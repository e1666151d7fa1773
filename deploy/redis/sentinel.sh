#!/bin/sh
# Becomes a sentinel. It writes into its file what it learns: who the primary is, and who the others are. So that belongs in a volume, and is made once;
# who may ask it, and with what password it asks, stands in it as the secrets are at each start.
#
# PRIMARY: host:port of the primary when all begins. ANNOUNCE: host:port of this sentinel. QUORUM: how many must agree that it is down [default: 2].
# Passwords and TLS: as in start.sh.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
secrets=${SECRETS:-/run/secrets}
conf=${SENTINEL_FILE:-/data/sentinel.conf}
# shellcheck source=deploy/redis/options.sh
. "$here/options.sh"

# The newest, with which it asks; and all, any of which it is asked with.
password() { tail -n 1 "$secrets/redis_$1"; }
passwords() { sed '/^$/d; s/^/>/' "$secrets/redis_$1" | paste -sd ' '; }

# The lines that come of secrets.
of_secrets='^user |^sentinel auth-pass |^sentinel sentinel-pass '

make_conf() {
  sed '/^#/d; /^$/d' "$here/sentinel.conf" | sed \
    -e "s/@primary@/${PRIMARY%:*} ${PRIMARY##*:} ${QUORUM:-2}/" \
    -e "s/@announce@/${ANNOUNCE%:*}/; s/@announce-port@/${ANNOUNCE##*:}/" \
    -e "s/@passwords:shelflife@/$(passwords shelflife)/; s/@passwords:sentinel@/$(passwords sentinel)/" \
    -e "s/@password:sentinel@/$(password sentinel)/"
}

umask 077
make_conf >"$conf.new"
case $(redis-server --version) in
  *v=7.0.*) sed -i 's/ +client|setinfo//' "$conf.new" ;;
esac
if [ -s "$conf" ]; then
  # What it has learned, and who may ask it now.
  { grep -Ev "$of_secrets" "$conf" && grep -E "$of_secrets" "$conf.new"; } >"$conf.both"
  mv "$conf.both" "$conf.new"
fi
mv "$conf.new" "$conf"
# shellcheck disable=SC2046
exec redis-server "$conf" --sentinel $(tls_server "${PORT:-26379}") "$@"
