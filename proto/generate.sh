#!/usr/bin/env bash
# Contracts to code: proto/tallybook/**.proto -> proto/gen, then buf's lint and its check for breaking changes.
#
# A change breaks when it breaks against the last release (the newest tag v*). Before the first release there is
# none to keep a promise to, so the commit before this one stands in: the check works from the first day, and an
# intended break is seen once, by its author.
set -euo pipefail
cd "$(dirname "$0")"
python=$1
case $python in /*) ;; *) python=../$python ;; esac

mapfile -t files < <(find tallybook -name '*.proto' | sort)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$python" -m grpc_tools.protoc -I . --python_out="$fresh" --pyi_out="$fresh" "${files[@]}"
if diff -rq -x __pycache__ "$fresh" gen >/dev/null; then
  echo "proto: the code for ${#files[@]} files is up to date"
else
  rm -rf gen
  cp -r "$fresh" gen
  chmod 755 gen
  echo "proto: generated the code for ${#files[@]} files anew"
fi

if ! command -v npm >/dev/null; then
  echo "proto: npm is not here, so buf did not check the contracts (CI does)"
  if [ "${CI:-}" = true ]; then exit 1; fi
  exit 0
fi
if [ ! -x node_modules/.bin/buf ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --silent --ignore-scripts --no-audit --no-fund
fi
node_modules/.bin/buf lint .
echo "proto: lint passed"

base=$(git describe --tags --match 'v*' --abbrev=0 2>/dev/null || git rev-parse --verify --quiet HEAD~1 || true)
if [ -z "$base" ] || ! git cat-file -e "$base:proto/buf.yaml" 2>/dev/null; then
  echo "proto: no earlier contracts to compare with"
  exit 0
fi
node_modules/.bin/buf breaking . --against "../.git#ref=$base,subdir=proto"
echo "proto: nothing broken since $base"
