#!/bin/sh
# Build tests/c/driver.c with all of csrc in a temporary directory and run it.
# usage: tests/c/run.sh [plain|address|thread]
#   address  AddressSanitizer and UndefinedBehaviorSanitizer
#   thread   ThreadSanitizer
# CC, CFLAGS and RUN (a program to run the driver under, such as valgrind) are obeyed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
csrc=$here/../../csrc
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

case ${1:-plain} in
plain) mode="-O2" ;;
address) mode="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined" ;;
thread) mode="-O1 -g -fsanitize=thread" ;;
*)
    echo "usage: $0 [plain|address|thread]" >&2
    exit 2
    ;;
esac

warnings="-Wall -Wextra -Werror"
for source in "$csrc"/*.c "$here"/driver.c; do
    # shellcheck disable=SC2086
    ${CC:-cc} -std=c11 -ffp-contract=off $warnings $mode ${CFLAGS:-} -I"$csrc" -c "$source" \
        -o "$build/$(basename "$source").o" &
done
wait
# shellcheck disable=SC2086
${CC:-cc} $mode ${CFLAGS:-} "$build"/*.o -o "$build/driver" -lm -pthread

# Under ThreadSanitizer a child may start threads of its own only when asked to go on.
TSAN_OPTIONS="die_after_fork=0 halt_on_error=1 ${TSAN_OPTIONS:-}"
export TSAN_OPTIONS
${RUN:-} "$build/driver"
