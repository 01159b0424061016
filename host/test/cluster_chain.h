/* cluster_chain.h - the nearest-neighbour chain for distances of type REAL (set before this is included): its n - 1 merges in the order found.
 *
 * size[i]: points of slot i to begin with, 0 marks one that is gone; stack: the walk, at most 2 n. */

/* Distance of the union of I (s points) and J (t) to K (v). */
static inline double lance_williams(ot_linkage linkage, double ik, double jk, double ij, int s, int t, int v)
{
    switch (linkage) {
    case OT_WARD: return ((double)(v + s) * ik - (double)v * ij + (double)(v + t) * jk) / (double)(s + t + v);
    case OT_AVERAGE: return ((double)s * ik + (double)t * jk) / (double)(s + t);
    case OT_COMPLETE: break;
    }
    return ik > jk ? ik : jk;
}

/* Pair (k, i) for k = 0, 1, .. i - 1 stands n - k - 2 further each time; pairs (i, k) for k > i stand in a row. */
static int nearest(double *least, const REAL *d, int n, const int *size, int i, int near)
{
    size_t at = (size_t)i - 1;
    for (int k = 0; k < i; at += (size_t)(n - k - 2), k++)
        if (size[k] && (double)d[at] < *least) *least = (double)d[at], near = k;
    const REAL *row = d + ot__pair(n, i, i + 1);
    for (int k = i + 1; k < n; k++)
        if (size[k] && (double)row[k - i - 1] < *least) *least = (double)row[k - i - 1], near = k;
    return near;
}

static void chain(raw_merge *raw, REAL *d, int n, ot_linkage linkage, int *size, int *stack)
{
    int depth = 0, lowest = 0;
    for (int m = 0; m < n - 1; m++) {
        if (depth == 0) {
            while (!size[lowest]) lowest++;
            stack[depth++] = lowest;
        }
        for (;;) {
            int    top = stack[depth - 1], from = depth > 1 ? stack[depth - 2] : -1;    /* on a tie the one we came from: a pair */
            double least = from >= 0 ? (double)d[from < top ? ot__pair(n, from, top) : ot__pair(n, top, from)] : INFINITY;
            int    near = nearest(&least, d, n, size, top, from);
            if (depth == 1 || near != from) {
                stack[depth++] = near;
                continue;
            }
            int i = top < near ? top : near, j = top < near ? near : top;
            raw[m] = (raw_merge){i, j, m, linkage == OT_WARD ? sqrt(least) : least};
            for (int k = 0; k < n; k++)
                if (size[k] && k != i && k != j) {
                    size_t jk = j < k ? ot__pair(n, j, k) : ot__pair(n, k, j), ik = i < k ? ot__pair(n, i, k) : ot__pair(n, k, i);
                    d[jk] = (REAL)lance_williams(linkage, (double)d[ik], (double)d[jk], least, size[i], size[j], size[k]);
                }
            size[j] += size[i];
            size[i] = 0;
            /* Rounding can bring the new cluster nearer to an older one of the walk than either part was: go back to before it. */
            for (depth = 0; stack[depth] != i && stack[depth] != j; depth++) {}
            break;
        }
    }
}
