#!/usr/bin/python3
"""screen_peers.py FOLDER - the fits of bench_screen in scikit-learn (MinCovDet) and R's rrcov (CovMrcd), on the data it left in FOLDER:
one fit each, processor seconds, log determinant of the raw scatter, and what the 99 % quantile of out-of-fold distances finds (MinCovDet)."""
import json
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from sklearn.covariance import MinCovDet

warnings.simplefilter("ignore")
folder, sizes = sys.argv[1], [int(p) for p in sys.argv[2:]] or [20, 100]
for p in sizes:
    x = np.load(f"{folder}/x{p}.npy")
    if p <= 200:
        start = time.process_time()
        m = MinCovDet(random_state=0).fit(x)
        row = {"bench": "screen", "screen": "scikit-learn MinCovDet", "chips": len(x), "p": p, "one_fit_cpu_s": round(time.process_time() - start, 2),
               "log_det": np.linalg.slogdet(m.raw_covariance_)[1]}
        print(json.dumps(row), flush=True)
    else:
        with tempfile.NamedTemporaryFile(suffix=".raw") as f:
            f.write(np.asfortranarray(x).tobytes("F"))
            f.flush()
            code = (f'suppressMessages(library(rrcov)); x <- matrix(readBin("{f.name}", "double", {x.size}), {len(x)}, {p}); '
                    't <- system.time(m <- CovMrcd(x, alpha=0.75)); cat(t[[1]] + t[[2]], m@rho, determinant(m@cov)$modulus)')
            try:
                out = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, timeout=450)
                s, rho, log_det = (float(v) for v in out.stdout.split())
                row = {"one_fit_cpu_s": round(s, 2), "rho": rho, "log_det": log_det}
            except (subprocess.TimeoutExpired, ValueError) as e:
                row = {"failed": type(e).__name__ + (": over 450 s" if isinstance(e, subprocess.TimeoutExpired) else " " + out.stderr[-200:])}
        print(json.dumps({"bench": "screen", "screen": "rrcov CovMrcd", "chips": len(x), "p": p} | row), flush=True)
