"""scipy on the bits that bench_select dumps: seconds and memory of Ward linkage, squares within ten clusters.

    bench_select 10000 1000 0.74 bits.bin; select_peers.py bits.bin 10000 1000"""
import json, resource, sys, time
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

path, images, chips = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
words = np.fromfile(path, "<u8").reshape(images, -1)
bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :chips].astype(np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
start = time.time()
ones = bits.sum(1)
d2 = (ones[:, None] + ones[None, :] - 2 * bits @ bits.T)
d = np.sqrt(np.maximum(d2[np.triu_indices(images, 1)], 0)).astype(np.float64)
tree = linkage(d, "ward")
seconds = time.time() - start
label = fcluster(tree, 10, "maxclust")
within = sum(((bits[label == k] - bits[label == k].mean(0, dtype=np.float64)) ** 2).sum() for k in range(1, 11))
print(json.dumps({"peer": "scipy", "seconds": round(seconds, 2), "peak_growth_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before),
                  "within": round(float(within), 1)}))
