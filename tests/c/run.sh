#!/bin/sh
# Build a program of tests/c with all of csrc in a temporary directory and run it.
# usage: tests/c/run.sh [plain|scalar|address|thread|neon] [driver|accuracy] [ARGUMENT ...]
#   plain     optimised, for this machine
#   scalar    the same without vectors: baseline is plain C
#   address   AddressSanitizer and UndefinedBehaviorSanitizer
#   thread    ThreadSanitizer
#   neon      cross-compiled for AArch64 and run by qemu-user (Debian: gcc-aarch64-linux-gnu
#             libc6-dev-arm64-cross qemu-user)
#   driver    every kernel against plain loops (the default); its arguments are instruction sets
#   accuracy  the elementwise kernels' errors in ulp; its arguments are explained in accuracy.c
# CC, CFLAGS and RUN (a program to run the other under, such as valgrind) are obeyed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
csrc=$here/../../csrc
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

case ${1:-plain} in
plain) mode="-O2" ;;
scalar) mode="-O2 -DTG_PLAIN_C" ;;
address) mode="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined" ;;
thread) mode="-O1 -g -fsanitize=thread" ;;
neon)
    mode="-O2 -static"
    CC=${CC:-aarch64-linux-gnu-gcc}
    RUN=${RUN:-qemu-aarch64}
    NO_FORK=1 # in a process with threads, which qemu-user cannot do
    export NO_FORK
    ;;
*)
    sed -n '2,/^set/s/^# //p' "$0" >&2
    exit 2
    ;;
esac
[ $# -eq 0 ] || shift
program=${1:-driver}
[ $# -eq 0 ] || shift

CC=${CC:-cc}
libraries="-lm -pthread"
# binary128 for accuracy.c, where the compiler has it apart from long double.
echo '#include <quadmath.h>' >"$build/quadmath.c"
if [ "$program" = accuracy ] && $CC -E "$build/quadmath.c" >"$build/quadmath.i" 2>&1; then
    libraries="-lquadmath $libraries"
fi

warnings="-Wall -Wextra -Werror"
pids=
for source in "$csrc"/*.c "$here/$program.c"; do
    # shellcheck disable=SC2086
    $CC -std=c11 -ffp-contract=off $warnings $mode ${CFLAGS:-} -I"$csrc" -c "$source" \
        -o "$build/$(basename "$source").o" &
    pids="$pids $!"
done
for pid in $pids; do
    wait "$pid"
done
# shellcheck disable=SC2086
$CC $mode ${CFLAGS:-} "$build"/*.o -o "$build/$program" $libraries

# Under ThreadSanitizer a child may start threads of its own only when asked to go on.
TSAN_OPTIONS="die_after_fork=0 halt_on_error=1 ${TSAN_OPTIONS:-}"
export TSAN_OPTIONS
${RUN:-} "$build/$program" "$@"
