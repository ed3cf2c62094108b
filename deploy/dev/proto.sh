#!/bin/bash
# Generate the Python stubs from proto/, or check that the committed ones are fresh.
#   deploy/dev/proto.sh            write them
#   deploy/dev/proto.sh --check    compare only; exit code 1 and a diff where they differ
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python="${BERTH_VENV:-.venv}/bin/python"
# The tree below proto/ is the tree of the packages, so that protoc's import paths work unpatched.
mapfile -t folders < <(cd proto && find . -name '*.proto' -printf '%P\n' | xargs -n1 dirname | sort -u)

generate() { # generate OUT
    local out=$1 folder options
    for folder in "${folders[@]}"; do
        options=(--python_out="$out" --pyi_out="$out")
        # Only Berth's own services have stubs: etcd's keep etcd's paths, records are no services.
        if [[ $folder == berth/* ]]; then options+=(--grpc_python_out="$out"); fi
        "$python" -m grpc_tools.protoc -I proto "${options[@]}" "proto/$folder"/*.proto
    done
}

case "${1:-}" in
--check)
    out=$(mktemp -d)
    trap 'rm -rf "$out"' EXIT
    generate "$out"
    stale=0
    for folder in "${folders[@]}"; do
        # The other files of the folder (__init__.py) are written by hand.
        diff --recursive --unified --exclude=__init__.py --exclude=__pycache__ \
            --exclude=py.typed "$folder" "$out/$folder" || stale=1
    done
    if [ "$stale" -ne 0 ]; then
        echo "stubs differ from proto/: run 'make proto' and commit the result" >&2
        exit 1
    fi
    echo "stubs are fresh"
    ;;
"")
    generate .
    ;;
*)
    echo "usage: $0 [--check]" >&2
    exit 2
    ;;
esac
