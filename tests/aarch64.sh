#!/usr/bin/env bash
# Builds the package for 64-bit ARM and runs Python with it, Debian's for arm64, under an emulator:
#
#     tests/aarch64.sh WORK -m pytest tests/test_kernels.py -k neon
#
# WORK is a folder for all that it makes; the rest is for Python. Needs Debian 12, root, Python 3.11, and a network that
# reaches Debian's packages and PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
work=$(cd "$1" && pwd) && shift
root=$work/root site=$work/site # Debian's files, Python's packages

if [ ! -e "$site" ]; then
    apt-get -qq update
    apt-get -qq install -y gcc-aarch64-linux-gnu qemu-user cmake >/dev/null

    # arm64 packages go to a folder of their own, with a state of their own: the machine's are not touched
    mkdir -p "$work"/apt/{lists,archives}/partial "$root"
    : >"$work/apt/status"
    apt_arm64=(apt-get -qq -y -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=false
        -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" -o Dir::Cache="$work/apt")
    "${apt_arm64[@]}" update
    "${apt_arm64[@]}" install --download-only python3.11 libpython3.11-dev libgomp1 libstdc++6
    for package in "$work"/apt/archives/*.deb; do dpkg-deb -x "$package" "$root"; done

    python3 -m venv "$work/host" # for Cython, which runs here
    "$work/host/bin/pip" install -q 'cython>=3.0.11'
    "$work/host/bin/pip" install -q --target "$site" --only-binary :all: --python-version 3.11 --implementation cp \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
        numpy click tqdm safetensors Pillow pytest
fi

# Debian's Python.h asks for <aarch64-linux-gnu/python3.11/pyconfig.h>
cmake -S . -B "$work/build" --log-level=WARNING -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
    -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_C_FLAGS="-idirafter $root/usr/include" \
    -DPython_EXECUTABLE="$work/host/bin/python" -DPython_INCLUDE_DIR="$root/usr/include/python3.11" \
    -DPython_NumPy_INCLUDE_DIR="$site/numpy/_core/include" \
    -DSKBUILD_PROJECT_VERSION="$(sed -n 's/^__version__ = "\(.*\)"/\1/p' pymnistcnn/__init__.py)" >/dev/null
cmake --build "$work/build" >/dev/null
rm -rf "$site/pymnistcnn"
cp -r pymnistcnn "$site"
cp "$work/build/_native.so" "$site/pymnistcnn"

# A processor without what came after NEON: this emulator has that, too, but NumPy's matrix products come out wrong.
export QEMU_LD_PREFIX=$root QEMU_CPU=cortex-a72 PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1
exec qemu-aarch64 "$root/usr/bin/python3.11" -P "$@"
