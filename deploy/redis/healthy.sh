#!/bin/sh
# Whether the server or sentinel on this port answers: `healthy.sh PORT`. As the user probe, who may do nothing else.
secrets=${SECRETS:-/run/secrets}
# shellcheck source=deploy/redis/options.sh
. "$(dirname "$0")/options.sh"
# shellcheck disable=SC2086
redis-cli $tls_client --user probe --pass any --no-auth-warning -p "$1" ping | grep -q PONG
