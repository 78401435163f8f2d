#!/usr/bin/env bash
# Install the sdist in an armhf Debian root under qemu-user, as on a board: Debian's Python, numpy, cffi, Pillow and
# gcc, no build isolation, no package index. Then classify a demo picture and look whether NEON is active.
set -euo pipefail

usage() {
    cat <<'USAGE'
usage: tools/armhf_root.sh [--sdist FILE] [--root DIR] [--suite NAME] [--mirror URL] [--cpu NAME] [--network NAME]

  --sdist FILE   sdist to install (default: built from this checkout)
  --root DIR     armhf root to use; made there if it is empty, and kept (default: a temporary one, removed)
  --suite NAME   Debian release (default: this machine's)
  --mirror URL   Debian mirror (default: the one in apt's configuration)
  --cpu NAME     processor that qemu plays (default: cortex-a9, the one of a Zynq-7000)
  --network NAME network that classifies the demo pictures (default: lfc-w1a1-mnist)

As root. Needs mmdebstrap, arch-test, qemu-user-static and binfmt_misc:
  apt-get install mmdebstrap arch-test qemu-user-static binfmt-support
USAGE
}

die() { echo "armhf_root: $*" >&2; exit 3; }

here=$(cd "$(dirname "$0")/.." && pwd)
sdist="" root="" suite="" mirror="" cpu=cortex-a9 network=lfc-w1a1-mnist
while [ $# -gt 0 ]; do
    case $1 in
        --sdist | --root | --suite | --mirror | --cpu | --network)
            [ $# -ge 2 ] || { usage >&2; exit 2; }
            printf -v "${1#--}" %s "$2"
            shift 2 ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done

[ -z "$sdist" ] || [ -f "$sdist" ] || die "no file $sdist"
[ "$(id -u)" -eq 0 ] || die "must run as root, to make and enter the root: sudo $0"
for tool in mmdebstrap arch-test; do
    command -v "$tool" >/dev/null || die "$tool is missing: apt-get install mmdebstrap arch-test qemu-user-static binfmt-support"
done
if [ ! -e /proc/sys/fs/binfmt_misc/status ]; then
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || die "this kernel has no binfmt_misc"
fi
if ! arch-test armhf >/dev/null 2>&1; then
    command -v update-binfmts >/dev/null && update-binfmts --enable qemu-arm || true
    arch-test armhf >/dev/null 2>&1 || die "this machine runs no armhf programs: apt-get install qemu-user-static binfmt-support"
fi

work=$(mktemp -d)
cleanup() {
    if mountpoint -q "$root/proc"; then umount "$root/proc"; fi
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
root=${root:-$work/root}

suite=${suite:-$(. /etc/os-release && echo "${VERSION_CODENAME:-}")}
if [ -z "$mirror" ]; then
    # What apt itself uses for this suite, wherever that is configured.
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' |
        awk -v suite="$suite" '$2 == suite && $3 == "main" && $4 == "Debian" { print $1; exit }')
    [ -n "$mirror" ] || die "apt's configuration names no Debian mirror for '$suite': give --suite and --mirror"
fi

if [ -z "$sdist" ]; then
    echo "== sdist"
    (cd "$here" && "${PYTHON:-python3}" setup.py -q sdist --dist-dir "$work/dist" >"$work/sdist.log" 2>&1) ||
        { tail -n 20 "$work/sdist.log" >&2; die "the sdist could not be built"; }
    sdist=$(ls "$work"/dist/*.tar.gz)
fi
ls -l "$sdist"

if [ ! -e "$root/usr/bin/python3" ]; then
    echo "== Debian $suite, armhf, from $mirror"
    before=$SECONDS
    mmdebstrap --quiet --architectures=armhf --variant=minbase \
        --include=python3,python3-dev,python3-numpy,python3-cffi,python3-pil,python3-pip,python3-setuptools,python3-wheel,gcc,libc6-dev \
        "$suite" "$root" "$mirror"
    echo "made in $((SECONDS - before)) s"
fi
mountpoint -q "$root/proc" || mount -t proc proc "$root/proc"
[ -c "$root/dev/null" ] || die "$root/dev has no null: not a root that mmdebstrap made as root"

name=$(basename "$sdist")
cp "$sdist" "$root/tmp/$name"
inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LC_ALL=C.UTF-8 \
        PIP_ROOT_USER_ACTION=ignore QEMU_CPU="$cpu" "$@"
}

echo "== pip install $name (qemu plays a $cpu)"
before=$SECONDS
inside pip3 --version
options=()
if inside pip3 install --help | grep -q break-system-packages; then options+=(--break-system-packages); fi
inside pip3 uninstall -q -y "${options[@]}" qnn-pynq 2>/dev/null || true
inside pip3 install -q --no-build-isolation --no-index "${options[@]}" "/tmp/$name"
echo "installed in $((SECONDS - before)) s"

echo "== import, classify, NEON"
inside python3 - "$network" <<'PY'
import json
import platform
import subprocess
import sys
import time

start = time.perf_counter()
import qnn_pynq
from qnn_pynq import kernels

print("python {}, {}, qnn_pynq {} imported from {} in {:.2f} s".format(
    platform.python_version(), platform.machine(), qnn_pynq.__version__, qnn_pynq.__file__, time.perf_counter() - start))
print("instruction sets: built {}, supported {}, active {}".format(
    kernels.isa_built(), kernels.isa_supported(), kernels.isa_active()))
if kernels.isa_active() != "neon":
    sys.exit("NEON is not active")


def command(*arguments):
    start = time.perf_counter()
    done = subprocess.run(["qnn-pynq"] + list(arguments) + ["--json"], stdout=subprocess.PIPE)
    print("qnn-pynq {}: exit code {}, {:.2f} s".format(" ".join(arguments), done.returncode, time.perf_counter() - start))
    if done.returncode:
        sys.exit(done.stdout.decode())
    return json.loads(done.stdout.decode())


for board in ("emulated", "cpu"):
    answer = command("classify", "--demo", "--board", board, "-n", sys.argv[1])
    first = answer["pictures"][0]
    print("  {}: {} (drawn as {}), by {}; {} of {} demo pictures right".format(
        first["picture"], first["label"], first["expected"], answer["board"], answer["right"], len(answer["pictures"])))
    if first["label"] != first["expected"]:
        sys.exit("the first demo picture has the wrong label")
selftest = command("selftest")
compared = sum(outcome["pictures"] for outcome in selftest["outcomes"])
print("  {} known answers compared".format(compared))
if not compared:
    sys.exit("the networks in this sdist bring no known answers: tools/make_selftest.py writes them")
PY
echo "== done"
