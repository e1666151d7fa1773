# TLS, as options: for servers, sentinels, and who asks them. Read by the scripts here; TLS=yes switches it on.
tls_client=""
if [ "${TLS:-no}" = yes ]; then
  tls_client="--tls --cacert $secrets/ca.pem --cert $secrets/redis.pem --key $secrets/redis.key"
fi

# For what listens on this port. Who connects has to show a certificate of the same authority; servers are clients of each other, too.
tls_server() {
  [ "${TLS:-no}" = yes ] || return 0
  echo "--port 0 --tls-port $1 --tls-ca-cert-file $secrets/ca.pem --tls-cert-file $secrets/redis.pem --tls-key-file $secrets/redis.key"
  echo "--tls-auth-clients yes --tls-replication yes --tls-cluster yes"
}
