#!/bin/bash
# run-simt.sh RUNNER SUITE... - suites of a sanitizer build of run-simt, two at a time; a sanitizer's complaint fails its suite.
here=$(cd "$(dirname "$0")" && pwd)
runner=$1; shift
TSAN_OPTIONS=${TSAN_OPTIONS-} ASAN_OPTIONS=detect_stack_use_after_return=1:${ASAN_OPTIONS-} RUNNER=$runner SUITES_ONLY=1 "$here/run.sh" "$@"
