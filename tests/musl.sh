#!/usr/bin/env bash
# The C library with musl, in a static program on one thread: the bits of Python's run on every instruction set.
#
#     tests/musl.sh WORK PYTHON
#
# WORK is a folder for what it makes; PYTHON has this package. Needs cmake, musl-gcc (Debian: musl-tools).
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
CC=musl-gcc cmake -S csrc -B "$1/build" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$1/build" --parallel 2 >/dev/null
musl-gcc -std=c11 -Wall -Wextra -static -I. tests/standalone.c "$1/build/libpmc.a" -lm -o "$1/standalone"
"$2" -P tests/standalone.py "$1/plans"
"$1/standalone" "$1/plans"
