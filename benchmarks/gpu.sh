#!/usr/bin/env bash
# Everything to run first on a machine with an NVIDIA GPU, in under 9 minutes and without a network: build, tests, the
# sanitizer, speed beside PyTorch and JAX on the same GPU, time to accuracy.
#
#     benchmarks/gpu.sh [FOLDER]      # results, a file a step; ./gpu-results if not given
#
# The machine's Python needs NumPy, Cython, scikit-build-core, CMake, pytest, click, tqdm, safetensors, Pillow; nvcc and
# a GPU. A step that fails or takes too long leaves its output and its exit code, and the next one runs.
set -uo pipefail
cd "$(dirname "$0")/.."
results=$(realpath -m "${1:-gpu-results}")
mkdir -p "$results"
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
failed=0

step() { # a name, seconds at most, a command
    local name=$1 most=$2 code=0
    shift 2
    timeout --kill-after=5 "$most" "$@" >"$results/$name.txt" 2>&1 || code=$?
    printf '%-22s exit code %3d, %4d s in all\n' "$name" "$code" "$SECONDS" | tee -a "$results/steps.txt"
    [ "$code" = 0 ] || failed=1
    return "$code"
}
bench() { # a name, seconds at most, arguments of `pymnistcnn bench`
    local name=$1 most=$2
    shift 2
    step "$name" "$most" "$python" -P -m pymnistcnn bench "$@" --device cuda --check --output "$results/$name.json"
}

: >"$results/steps.txt"
nvidia-smi >"$results/nvidia-smi.txt" 2>&1
python3 -m venv --system-site-packages "$environment"
python=$environment/bin/python
cuda=(-C cmake.define.PYMNISTCNN_CUDA=ON -C cmake.define.CMAKE_CUDA_ARCHITECTURES=90 -C "build-dir=$environment/build")
step build 170 "$python" -m pip install --no-index --no-deps --no-build-isolation "${cuda[@]}" . || exit 1
step info 30 "$python" -P -m pymnistcnn info --device cuda
tests=(tests/test_device.py tests/test_precision.py tests/test_kernels.py tests/test_optimizers.py)
step tests 100 "$python" -m pytest -q -p no:cacheprovider -k cuda "${tests[@]}"
check=(compute-sanitizer --error-exitcode 9)
step memcheck 60 "${check[@]}" --tool memcheck "$python" -m pytest -q -x -p no:cacheprovider -k cuda tests/test_precision.py
step racecheck 60 "${check[@]}" --tool racecheck "$python" -m pytest -q -x -p no:cacheprovider -k cuda tests/test_precision.py
quick=(--rounds 3 --seconds 0.2 --peers --peer-python "$(command -v python3)")
bench training-flux 40 training flux --batch-size 128 "${quick[@]}"
bench training-gorgonia 40 training gorgonia --batch-size 100 "${quick[@]}"
bench accuracy 30 accuracy fast --seeds 10
exit "$failed"
