#!/bin/sh
# Makes the ACL file of users.acl and the passwords, then becomes redis-server with redis.conf; further arguments go to it.
# `start.sh reload` makes the file anew for a server that runs: that is how a password is changed. `start.sh acl` only makes it.
#
# NAMESPACES: those of the applications, with blanks between [default: default].
# Passwords: one a line in $SECRETS/redis_NAME; each line is valid. Only their digests reach the ACL file.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
secrets=${SECRETS:-/run/secrets}
acl=${ACL_FILE:-/run/redis/users.acl}
namespaces=${NAMESPACES:-default}

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
  rules=$(awk -v namespaces="$namespaces" '
    /^#/ || /^$/ { next }
    {
      line = ""
      for (i = 1; i <= NF; i++) {
        n = index($i, "@namespace@") ? split(namespaces, each, " ") : 1
        for (j = 1; j <= n; j++) { word = $i; gsub(/@namespace@/, each[j], word); line = line (line == "" ? "" : " ") word }
      }
      print line
    }' "$here/users.acl")
  for user in shelflife onlooker operator; do
    digests=$(passwords "$secrets/redis_$user")
    rules=$(printf '%s\n' "$rules" | sed "s/@passwords:$user@/$digests/")
  done
  case $(redis-server --version) in
    *v=7.0.*) rules=$(printf '%s\n' "$rules" | sed 's/ +client|setinfo//') ;;
  esac
  # Whole or not at all: a server may be reading it.
  (umask 077 && printf '%s\n' "$rules" >"$acl.new")
  mv "$acl.new" "$acl"
}

case ${1:-} in
  acl) make_acl ;;
  reload)
    shift
    make_acl
    REDISCLI_AUTH=$(head -n 1 "$secrets/redis_operator")
    export REDISCLI_AUTH
    exec redis-cli --user operator "$@" acl load
    ;;
  *)
    make_acl
    exec redis-server "$here/redis.conf" --aclfile "$acl" "$@"
    ;;
esac
