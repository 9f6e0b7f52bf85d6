#!/usr/bin/env bash
# Builds the wheel for 64-bit ARM and runs Python with it, Debian's for arm64, under an emulator:
#
#     tests/aarch64.sh WORK -m pytest tests/test_kernels.py -k neon
#
# WORK is a folder for all that it makes; the rest is for Python. Needs Debian 12, root, Python 3.11, and a network that
# reaches Debian's packages and PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
work=$(cd "$1" && pwd) && shift
root=$work/system/root site=$work/site # Debian's files, Python's packages

if [ ! -e "$site" ]; then
    apt-get -qq update
    apt-get -qq install -y gcc-aarch64-linux-gnu qemu-user >/dev/null
    python3 packaging/debian.py "$work/system" bookworm aarch64 python3.11 libstdc++6
    python3 packaging/build_wheels.py --architecture aarch64 --output "$work/dist"
    python3 -m venv "$work/host"
    "$work/host/bin/pip" install -q --target "$site" --only-binary :all: --python-version 3.11 --implementation cp --abi cp311 \
        --abi abi3 --abi none --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux2014_aarch64 "$(echo "$work"/dist/*.whl)[test]"
fi

# A processor without what came after NEON: this emulator has that, too, but NumPy's matrix products come out wrong.
export QEMU_LD_PREFIX=$root QEMU_CPU=cortex-a72 PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1
exec qemu-aarch64 "$root/usr/bin/python3.11" -P "$@"
