# shell.sh - what the shell tests share.  A test sources it first, says `verb=(eval)` if it is of one verb, and ends with `finish`.
#
#     $top $here $cmd                  the source tree, its tests, the command under test
#     $d                               a folder of the test's own, gone at its end; few tests do not stand in it
#     run ARGS...                      the command, with the test's verb; output in $d/out and $d/err, status in $rc, which it returns too
#     check NAME WHAT...               passes if WHAT is true: one word is evaluated, several are a command; $last: the status before check
#     good NAME PATTERN ARGS...        run succeeds, and PATTERN (an extended regular expression) is in its output
#     bad NAME STATUS WORDS ARGS...    run ends with STATUS, WORDS in what it says, nothing on stdout
#     says STATUS WORDS...             for check: the command before it ended so, with one line that has all the words, nothing on stdout
#     field NAME [FILE]                the first value of a field of JSON
#     pass, fail NAME, skip NAME       counted; a failure shows the end of out and err
set -u
here=$(cd "$(dirname "$0")" && pwd) top=$(cd "$(dirname "$0")/.." && pwd)
cmd=${OHMTRIM:-$top/ohmtrim} verb=()
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
p=0 f=0 s=0 rc=0 last=0
pass() { p=$((p + 1)); }
fail() { f=$((f + 1)); echo "FAIL $1"; tail -qn 10 "$d/out" "$d/err" 2>/dev/null | cut -c 1-300; }
skip() { s=$((s + ${2-1})); echo "SKIP $(basename "$0" .sh): $1"; }
run() { "$cmd" "${verb[@]}" "$@" >"$d/out" 2>"$d/err"; rc=$?; return $rc; }
check() {
    last=$?
    local name=$1; shift
    if [ $# = 1 ]; then eval "$1"; else "$@"; fi && pass || fail "$name"
}
good() { run "${@:3}" && grep -Eq -- "$2" "$d/out" && pass || fail "$1"; }
bad() { run "${@:4}"; [ $rc = "$2" ] && grep -qF -- "$3" "$d/err" && [ ! -s "$d/out" ] && pass || fail "$1 (status $rc, want $2 with '$3')"; }
says() {
    [ "$last" = "$1" ] || { echo "exit $last, want $1"; return 1; }
    [ "$(wc -l <"$d/err")" = 1 ] && [ ! -s "$d/out" ] || return 1
    for w in "${@:2}"; do grep -qF -- "$w" "$d/err" || { echo "no '$w'"; return 1; }; done
}
field() { grep -oE "\"$1\":[^,}]*" "${2:-$d/out}" | head -n 1 | cut -d: -f2-; }
finish() { echo "$p passed, $f failed, $s skipped"; [ $f = 0 ] && [ $((p + s)) -gt 0 ]; exit; }
