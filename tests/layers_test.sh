#!/bin/bash
# layers_test.sh - data flows one way: a stage includes only itself, stages to its left, base and backend (DESIGN 3).
set -u
cd "$(dirname "$0")/.."
order='base array floor device network data chip quantise backend plan train test tune recipe campaign report'
stage_of() { case $1 in data) echo network ;; fleet | noise) echo plan ;; array) echo base ;; predictor | screen | select | synthesise) echo test ;; learn) echo recipe ;; policy) echo train ;; trial) echo tune ;; *) echo "$1" ;; esac; }
rank() { local i=0 s; for s in $order; do [ "$s" = "$1" ] && { echo $i; return; }; i=$((i + 1)); done; echo -1; }
p=0 f=0
may() {                 # may STAGE INCLUDED FILE: count one include
    local from to
    [ "$2" = backend ] && [ "$(rank "$1")" -ge "$(rank backend)" ] && { p=$((p + 1)); return; }
    [ "$1" = backend ] && [ "$2" = plan ] && { p=$((p + 1)); return; }      # the table speaks of plan options
    from=$(rank "$(stage_of "$1")") to=$(rank "$(stage_of "$2")")
    if [ "$to" -lt 0 ] || [ "$from" -lt 0 ] || [ "$to" -gt "$from" ]; then
        echo "FAIL $3: stage '$1' includes '$2', which is to its right or no stage"; f=$((f + 1))
    else p=$((p + 1)); fi
}
while IFS=: read -r file line; do
    case $file in
        host/*) from=$(cut -d/ -f2 <<<"$file") ;;
        models/*) from=train ;;
        include/ohmtrim/*) from=$(basename "$file" .h) ;;
        kernels/*) from=kernels ;;
    esac
    inc=$(sed -E 's/.*"([^"]+)".*/\1/' <<<"$line")
    case $inc in
        onnx.pb-c.h | commit.inc | kernels/* ) continue ;;
        ohmtrim/*.h) to=$(basename "$inc" .h) ;;
        ohmtrim.h) echo "FAIL $file: includes the umbrella"; f=$((f + 1)); continue ;;
        */*) to=${inc%%/*} ;;
        *) to=$from ;;
    esac
    if [ "$from" = kernels ]; then
        [ "$to" = kernels ] && p=$((p + 1)) || { echo "FAIL $file: kernels include '$inc'"; f=$((f + 1)); }
        continue
    fi
    may "$from" "$to" "$file"
done < <(grep -nE '^ *#include "' -r host include/ohmtrim kernels models --include='*.[ch]' | sed -E 's/:[0-9]+:/:/')
if git grep -nE 'ffast-math|-Ofast' -- '*.mk' Makefile '*.c' '*.h' | grep -vE 'never|[Nn]o -ffast' ; then echo 'FAIL: fast maths'; f=$((f + 1)); else p=$((p + 1)); fi
if git grep -nE '\b(malloc|calloc|realloc|strdup)\(' -- 'host/*.c' 'models/*.c' | grep -v host/base/memory.c; then echo 'FAIL: host memory not through ot_alloc'; f=$((f + 1)); else p=$((p + 1)); fi
if git grep -nE '\b(printf|exit|abort)\(' -- 'host/*.c' 'models/*.c' | grep -vE 'base/(status|progress)\.c|f?snprintf|vsnprintf|"[^"]*printf\('; then echo 'FAIL: the library prints or exits'; f=$((f + 1)); else p=$((p + 1)); fi
echo "$p passed, $f failed, 0 skipped"
[ $f = 0 ]
