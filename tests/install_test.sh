#!/bin/bash
# install_test.sh - `make install` into a folder; a program outside the tree builds against what it left, by pkg-config, and runs.
set -u
cd "$(dirname "$0")/.."
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
p=0 f=0 s=0
ok() { if "${@:2}" >"$d/log" 2>&1; then p=$((p + 1)); else echo "FAIL $1"; tail -n 20 "$d/log"; f=$((f + 1)); fi; }
ok 'make install' make --no-print-directory -s install PREFIX="$d/usr" CMD="${OHMTRIM:-./ohmtrim}"
cat >"$d/p.c" <<'C'
#include <ohmtrim.h>
#include <stdio.h>
int main(void)
{
    ot_network *net;
    ot_status st = ot_network_open(&net, "no-such.onnx");
    printf("%s %s\n", OT_VERSION, ot_last_error());
    return st == OT_E_OPEN ? 0 : 1;
}
C
export PKG_CONFIG_PATH="$d/usr/lib/pkgconfig"
ok 'a program outside the tree builds' gcc ${SANITIZE:+-fsanitize=$SANITIZE} -o "$d/p" "$d/p.c" $(pkg-config --cflags --libs ohmtrim 2>/dev/null)
ok 'and runs' "$d/p"
ok 'the installed command runs' "$d/usr/bin/ohmtrim" --version
ok 'the floor example builds outside the tree' gcc ${SANITIZE:+-fsanitize=$SANITIZE} -o "$d/screen" examples/04_screen.c $(pkg-config --cflags --libs ohmtrim-floor 2>/dev/null)
ok 'and runs' "$d/screen" examples/small.recipe
for h in include/ohmtrim/*.h include/ohmtrim.h; do
    ok "$h stands alone in C" gcc -std=c11 -Wall -Wextra -Werror -fsyntax-only -Iinclude -x c "$h"
    if command -v g++ >/dev/null; then ok "$h stands alone in C++" g++ -std=c++17 -Wall -Werror -fsyntax-only -Iinclude -x c++ "$h"
    else echo "SKIP $h in C++: no g++"; s=$((s + 1)); fi
done
# The example at the head of each header compiles (names that other stages make are declared before it).
{
    echo '#include <ohmtrim.h>'
    echo '#include <stdio.h>'
    for h in include/ohmtrim/*.h; do
        n=$(basename "$h" .h)
        echo "void example_$n(ot_network *net, ot_device dev, ot_chip *chip, ot_data *test, ot_campaign_how how);"
        echo "void example_$n(ot_network *net, ot_device dev, ot_chip *chip, ot_data *test, ot_campaign_how how)"
        echo '{ (void)net; (void)dev; (void)chip; (void)test; (void)how; {'
        sed -n '1,/\*\//p' "$h" | sed -nE 's/^ \*     ((if .*|.*[;{}])( *\/\/.*)?)$/\1/p'
        echo '} }'
    done
} >"$d/examples.c"
ok "the headers' examples compile" gcc -std=c11 -Wall -Wno-unused-but-set-variable -Wno-unused-variable -Iinclude -c -o "$d/examples.o" "$d/examples.c"
echo "$p passed, $f failed, $s skipped"
[ $f = 0 ]
