#!/bin/bash
# demo.sh - a whole campaign on real images: 200 chips drawn, measured, tested and tuned; yields and a report.  `make demo` calls it;
# stopped and started again it goes on where it was.  More options are passed on: examples/demo.sh --set chips=20 --threads 1
set -eu
cd "$(dirname "$0")/.."
cmd=${OHMTRIM:-$PWD/ohmtrim}
out=${DEMO_OUT:-demo-out}
start=$(date +%s)
mkdir -p "$out"
cat <<TEXT
Campaign: 200 chips (100 for the casebook, 100 to evaluate) of models/mobilenet-s.onnx, Fashion-MNIST, 4,000 test images.
The exhaustive tuner runs on a SHORT SCHEDULE OF 50 STEPS here (examples/full.yaml has the full one).
TEXT
rc=0
"$cmd" campaign run examples/demo.yaml -o "$out/campaign.db" "$@" || rc=$?
if [ $rc = 3 ] && [ -e "$out/campaign.db" ]; then
    echo "To begin anew: rm -r $out" >&2
fi
[ $rc = 0 ] || exit $rc
if command -v gnuplot >/dev/null; then
    "$cmd" report "$out/campaign.db" -o "$out/report" >/dev/null
    echo
    echo "report    $out/report/index.html (curves: yield.png, accuracy.png)"
else
    echo "report    none: gnuplot is not installed (Debian: gnuplot-nox)"
fi
echo "database  $out/campaign.db (ohmtrim campaign status $out/campaign.db; tables: docs/campaign.md)"
echo "time      $(($(date +%s) - start)) s"
