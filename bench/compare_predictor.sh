#!/bin/sh
# compare_predictor.sh BENCH_PREDICTOR [TIMES] - learning from 1,000 signatures, ours against R earth, scikit-learn and XGBoost, in turns, on the data
# that bench_predictor draws and dumps.  MARS must first be R earth's model (fits within 1e-8 sd) and boosting as good a fit as scikit-learn's
# (training R2 within 0.02), else there is no ratio.  Processor time of one thread; above 1 we are faster.  What is not installed is left out.
set -e
bench=${1:?the bench_predictor program}
times=${2:-3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export OPENBLAS_CORETYPE="${OPENBLAS_CORETYPE:-SKYLAKEX}" OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
python=${PYTHON:-/usr/bin/python3}
cat >"$dir/earth.R" <<'R'
suppressMessages(library(earth))
dir <- commandArgs(TRUE)[1]
read <- function(name) readBin(file.path(dir, paste0(name, ".bin")), "double", 4e6)
for (row in c("mars1_p370", "mars1_p1170", "mars2_p370")) {
    p <- as.integer(sub(".*_p", "", row)); d <- as.integer(substr(row, 5, 5))
    x <- matrix(read(paste0("x_", p)), ncol = p, byrow = TRUE); y <- read(paste0("y_", p))
    t <- system.time(m <- earth(x, y, degree = d, penalty = d + 1, fast.k = if (d == 1) 0 else 20))
    cat(sprintf('{"bench":"predictor","what":"%s","by":"R earth %s","cpu_s":%.4g,"terms":%d,"off_sd":%.3g}\n', row, packageVersion("earth"),
                t[1] + t[2], nrow(m$dirs), max(abs(fitted(m) - read(paste0(row, ".fit")))) / sd(y)))
}
R
cat >"$dir/boost.py" <<'PY'
import json, sys, time
import numpy as np
d = sys.argv[1]
read = lambda name: np.fromfile("%s/%s.bin" % (d, name))
x, y = read("x_370").reshape(1000, 370), read("y_370")
r2 = lambda f: 1 - ((f - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()
ours = r2(read("boost_p370.fit"))
def row(by, what, start, fit):
    t = time.process_time() - start
    print(json.dumps({"bench": "predictor", "what": what, "by": by, "cpu_s": round(t, 4), "r2_off": float("%.3g" % (ours - r2(fit)))}), flush=True)
try:
    import xgboost
    for method in ("exact", "hist"):
        t = time.process_time()
        b = xgboost.train({"objective": "reg:squarederror", "eta": .1, "max_depth": 3, "lambda": 0, "min_child_weight": 1, "tree_method": method,
                           "base_score": y.mean(), "nthread": 1}, xgboost.DMatrix(x, label=y), num_boost_round=100)
        row("XGBoost %s %s" % (xgboost.__version__, method), "boost_p370", t, b.predict(xgboost.DMatrix(x)))
except ImportError:
    print("compare_predictor: left out: no xgboost", file=sys.stderr)
try:
    import sklearn
    from sklearn.ensemble import GradientBoostingRegressor
    t = time.process_time()
    g = GradientBoostingRegressor(random_state=0).fit(x, y)
    row("scikit-learn %s" % sklearn.__version__, "boost_p370", t, g.predict(x))
    from sklearn.linear_model import RidgeCV
    for p in (370, 1170):
        z, v = read("x_%d" % p).reshape(1000, p), read("y_%d" % p)
        z = (z - z.mean(0)) / z.std(0)
        t = time.process_time()
        RidgeCV(np.logspace(-2, 6, 65)).fit(z, v)
        print(json.dumps({"bench": "predictor", "what": "ridge_p%d" % p, "by": "scikit-learn %s" % sklearn.__version__, "cpu_s": round(time.process_time() - t, 4)}), flush=True)
except ImportError:
    print("compare_predictor: left out: no scikit-learn", file=sys.stderr)
PY
i=0
while [ $i -lt "$times" ]; do
    "$bench" --rounds 3 --dump "$dir" | tee -a "$dir/rows"
    if Rscript -e 'library(earth)' >/dev/null 2>&1; then Rscript "$dir/earth.R" "$dir" | tee -a "$dir/rows"; else echo 'compare_predictor: left out: no R earth' >&2; fi
    if "$python" -c 'import numpy' 2>/dev/null; then "$python" "$dir/boost.py" "$dir" | tee -a "$dir/rows"; else echo 'compare_predictor: left out: no numpy' >&2; fi
    i=$((i + 1))
done
"$python" - "$dir/rows" <<'PY'
import json, statistics, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
ours = {w: statistics.median(r["median_cpu_s"] for r in rows if r["by"] == "ohmtrim" and r["what"] == w) for w in dict.fromkeys(r["what"] for r in rows)}
wrong = 0
for what, by in dict.fromkeys((r["what"], r["by"]) for r in rows if r["by"] != "ohmtrim"):
    own = [r for r in rows if (r["what"], r["by"]) == (what, by)]
    theirs = statistics.median(r["cpu_s"] for r in own)
    bad = any(r.get("off_sd", 0) > 1e-8 or abs(r.get("r2_off", 0)) > 0.02 for r in own)
    wrong |= bad
    print(json.dumps({"bench": "compare_predictor", "what": what, "by": by, "cpu_s": theirs, "ours_cpu_s": ours[what], "ratio": None if bad else round(theirs / ours[what], 2)}))
sys.exit(wrong)
PY
