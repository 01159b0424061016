#!/usr/bin/env python3
"""expand.py - a chip's weights in PyTorch: bit-sliced, two arrays, every cell drawn, all weights of a chip at once.

A weight w of a layer is q = rint(w (2^B - 1) / max|w|); bit j of |q| is one cell of its own array in LRS or HRS, with a cell in HRS in
the other array.  A cell in state s conducts g_s p_s(u), u = (delta_sys + sigma_rand z) / domain, and the weight that results is

    sgn(q) step sum_j 2^j (X_own,j - X_other,j)        X = clip(G) / (g_L - g_H)

with normals z from torch.randn.  As in our kernels, once a chip p_s becomes a polynomial in z itself and g_H / (g_L - g_H) is taken
from every X (docs/chip.md): 2 B cells a weight then cost three polynomials of degree 5 and 7 and no division.

Checked in two ways.  From given normals: equal to numpy in double, which goes the long way through u and G.  From each variant's own
normals: mean and sd of weights of several q, 20,000 draws each, within five standard errors of numpy's.  (Normals differ from ours, so
bits do; ours are in tests/test_chip.c.)"""
from typing import NamedTuple

import numpy as np
import torch

import common
import networks

# the device r1 (host/device/preset.c)
G = 5.7992146e-05, 8.1856972e-07                                   # LRS, HRS
POLY = ([1, 0.62187439, 0.0426885, -0.00947134, -0.00417215, 0.00498616],
        [1, -1.91047211, 2.38770771, -2.45577617, 1.82429626, -0.30227418, -0.7219633, 0.40070862])
DOMAIN, G_MIN, G_MAX = 0.25, 2.981028175024701e-07, 0.00010016384873033965
SIGMA, SYS_SHARE, BITS = 0.048, 0.5, 16
SIGMA_SYS, SIGMA_RAND = SIGMA * SYS_SHARE ** 0.5, SIGMA * (1 - SYS_SHARE) ** 0.5
X_HRS = G[1] / (G[0] - G[1])
X_MIN, X_MAX = G_MIN / (G[0] - G[1]) - X_HRS, G_MAX / (G[0] - G[1]) - X_HRS


class Map(NamedTuple):
    """One chip's cells as functions of z; tensors, so that a compiled or captured expansion serves every chip."""
    lrs: torch.Tensor       # coefficients of z^k
    hrs: torch.Tensor
    z_min: torch.Tensor     # where |u| is 1
    z_max: torch.Tensor


class Ideal(NamedTuple):
    """A network's weights, quantised, one after the other."""
    q: torch.Tensor         # (n) int32
    step: torch.Tensor      # (n) float32, its layer's
    shapes: list            # of the layers


def delta_sys(chip):
    return SIGMA_SYS * np.random.default_rng(chip).standard_normal()


def make_map(delta, device):
    scaled = np.polynomial.Polynomial([delta / DOMAIN, SIGMA_RAND / DOMAIN])
    terms = [np.polynomial.Polynomial(p)(scaled).coef * g / (G[0] - G[1]) for p, g in zip(POLY, G)]
    for coefficients in terms:
        coefficients[0] -= X_HRS
    bounds = (-DOMAIN - delta) / SIGMA_RAND, (DOMAIN - delta) / SIGMA_RAND
    return Map(*(torch.tensor(x, dtype=torch.float32, device=device) for x in (*terms, *bounds)))


def quantise(weights):
    full, q, step = 2 ** BITS - 1, [], []
    for w in weights:
        scale = float(w.abs().max())
        q.append(torch.round(w.double().flatten() * (full / scale)).int())
        step.append(torch.full((w.numel(),), scale / full, device=w.device))
    return Ideal(torch.cat(q), torch.cat(step), [w.shape for w in weights])


def polynomial(c, z):
    p = c[-1]
    for k in range(len(c) - 2, -1, -1):
        p = torch.addcmul(c[k], p, z)
    return p


def from_normals(q, step, m, z_own, z_other):
    """Weights (n) from normals (n, B) of the two arrays."""
    bit = torch.arange(BITS, device=q.device)
    z_own, z_other = (torch.minimum(torch.maximum(z, m.z_min), m.z_max) for z in (z_own, z_other))
    own = torch.where((q.abs().unsqueeze(1) >> bit) & 1 == 1, polynomial(m.lrs, z_own), polynomial(m.hrs, z_own))
    difference = own.clamp(X_MIN, X_MAX) - polynomial(m.hrs, z_other).clamp(X_MIN, X_MAX)
    return torch.where(q < 0, -step, step) * (difference * (1 << bit)).sum(1)


def expand(q, step, m):
    """Weights (n) of the chip whose map this is."""
    return from_normals(q, step, m, torch.randn(len(q), BITS, device=q.device), torch.randn(len(q), BITS, device=q.device))


def graphed(device):
    """expand by CUDA graphs, one for each number of weights."""
    common.need_cuda(device)
    graphs = {}

    def expand_some(q, step, m):
        new = [q, step, *m]
        if len(q) not in graphs:
            held = [t.clone() for t in new]
            graphs[len(q)] = held, common.captured(lambda: expand(held[0], held[1], Map(*held[2:])))
        held, (graph, out) = graphs[len(q)]
        for t, value in zip(held, new):
            t.copy_(value)
        graph.replay()
        return out.clone()

    return expand_some


EXPANDERS = {"eager": lambda device: expand, "compile": lambda device: common.compiled(expand, "default"), "graph": graphed}


def in_chunks(expand_some, ideal, m, chunk):
    """All weights of a chip, at most `chunk` at a time, in pieces of one or two sizes."""
    pieces = -(-len(ideal.q) // chunk)
    return torch.cat([expand_some(q, step, m) for q, step in zip(ideal.q.tensor_split(pieces), ideal.step.tensor_split(pieces))])


def in_layers(flat, ideal):
    sizes = [int(np.prod(shape)) for shape in ideal.shapes]
    return [w.reshape(shape) for w, shape in zip(flat.split(sizes), ideal.shapes)]


def numpy_weights(q, delta, z_own, z_other):
    """The same from the definition, in double; step 1."""
    def x(state, z):
        u = np.clip((delta + SIGMA_RAND * z) / DOMAIN, -1, 1)
        return np.clip(G[state] * np.polynomial.polynomial.polyval(u, POLY[state]), G_MIN, G_MAX) / (G[0] - G[1])

    bit = np.arange(BITS)
    own = np.where(np.abs(q)[:, None] >> bit & 1, x(0, z_own), x(1, z_own))
    return np.sign(q + 0.5) * ((own - x(1, z_other)) * 2.0 ** bit).sum(1)


def check_polynomials(device):
    """from_normals against numpy: 16 terms of float32 polynomials, so some eps of the largest weight."""
    draw = np.random.default_rng(5)
    q, z_own, z_other = draw.integers(-65535, 65536, 4096), draw.standard_normal((4096, BITS)), draw.standard_normal((4096, BITS))
    z_own[::64], z_other[1::64] = 7.5, -7.5                        # beyond the domain
    for delta in (0.0, 0.1, -0.1):
        want = numpy_weights(q, delta, z_own, z_other)
        tensors = [torch.tensor(a, dtype=t, device=device) for a, t in ((q, torch.int32), (z_own, torch.float32), (z_other, torch.float32))]
        got = from_normals(tensors[0], torch.ones(len(q), device=device), make_map(delta, device), *tensors[1:]).double().cpu().numpy()
        off = np.abs(got - want).max() / np.abs(want).max()
        if not off <= 4e-6:
            raise common.Unequal("weights from given normals are off by %.2g of the largest, want 4e-6" % off)


def check_moments(expand_some, device):
    """Mean and sd of weights against numpy's draws."""
    n, delta, draw = 20000, 0.03, np.random.default_rng(6)
    torch.manual_seed(6)
    for q in (0, 1, 1000, -65535, 43690):
        want = numpy_weights(np.full(n, q), delta, draw.standard_normal((n, BITS)), draw.standard_normal((n, BITS)))
        got = expand_some(torch.full((n,), q, dtype=torch.int32, device=device), torch.ones(n, device=device), make_map(delta, device))
        got, sd = got.double().cpu().numpy(), want.std()
        kurtosis = ((want - want.mean()) ** 4).mean() / sd ** 4
        mean_off = abs(got.mean() - want.mean()) / (sd * (2 / n) ** 0.5)
        sd_off = abs(got.std() - sd) / (sd * ((kurtosis - 1) / 4 * 2 / n) ** 0.5)
        if not (mean_off < 5 and sd_off < 5):
            raise common.Unequal("q = %d: mean off by %.1f, sd by %.1f standard errors of %d draws" % (q, mean_off, sd_off, n))


def main():
    p = common.parser(__doc__)
    networks.add_options(p)
    p.add_argument("--chips", type=int, metavar="N", help="chips a run (4; 2 with --small)")
    options = common.start(p)
    options.network = options.network or ("tiny" if options.small else "mobilenet")
    chips, device = options.chips or (2 if options.small else 4), options.device
    ideal = quantise(networks.open_network(options, device).weights())
    maps = [make_map(delta_sys(chip), device) for chip in range(chips)]

    def variant(name, make, chunk):
        def build():
            expand_some = make(device)
            check_polynomials(device)
            check_moments(expand_some, device)

            def all_chips():
                for m in maps:
                    in_chunks(expand_some, ideal, m, chunk)
            return all_chips
        return "%s, %d at once" % (name, chunk), build

    chunks = [1 << 10, 1 << 12] if options.small else [1 << 22, 1 << 20, 1 << 18]      # 2^20 weights: 128 MiB of normals
    variants = [variant(name, make, chunk) for name, make in EXPANDERS.items() for chunk in chunks]
    n = chips * len(ideal.q)
    shape = "%s x %g, %d weights a chip, %d chips, %d bits" % (options.network, options.width, len(ideal.q), chips, BITS)
    common.finish(common.compare(options, "peer_expand", shape, "weights/s", n, variants))


if __name__ == "__main__":
    main()
