#!/bin/sh
# Makes an authority of our own and what it vouches for, valid for a week, in certificates/ beside this script.
set -eu
cd "$(dirname "$0")"
[ -f certificates/client.pem ] && exit 0
mkdir -p certificates
cd certificates

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 \
  -subj '/CN=Example authority' -keyout ca.key -out ca.pem 2>/dev/null

# issue NAME SUBJECT-ALT-NAME EXTENDED-KEY-USAGE
issue() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
  printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "$2" "$3" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 7 -extfile "$1.ext" -out "$1.pem" 2>/dev/null
  rm "$1.csr" "$1.ext"
}

issue shop DNS:shop.example.test serverAuth
issue api DNS:api.example.test serverAuth
issue client DNS:partner.example.test clientAuth
