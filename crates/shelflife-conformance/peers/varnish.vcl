# Varnish as a plain cache, for calibrating the suite. Without a default lifetime and grace, which would be a
# lifetime that nobody has asked for:
#   varnishd -F -n DIR -a 127.0.0.1:8005 -f .../varnish.vcl -p default_ttl=0 -p default_grace=0 -p default_keep=3600
vcl 4.1;
backend origin { .host = "127.0.0.1"; .port = "8000"; }
