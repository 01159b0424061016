#!/usr/bin/env python3
"""nearest.py - the casebook's search in PyTorch: which of N signatures is nearest to each of 64 new ones.

A signature is 370 floats, as that of a network with some 35 layers.  Distances are L2 or L1:

    L2  matmul        |s|^2 - 2 s . x over all signatures (|s|^2 once beforehand), then the least
        candidates    the same product in fewer bits (TF32; fp16 with float32 sums) finds 32, which are then measured in float32
        cdist         torch.cdist as it is, and with its matrix form off ("direct")
    L1  cdist         torch.cdist(p=1)
        chunks        |s - x| summed, so many signatures at a time that the differences fit
        whole         the same at once, compiled: the differences never leave the chip

Each as a plain call and as a CUDA graph, and compiled but for cdist.  Every batch is new: eight, in turn.  The casebook (1.5 GB at a
million) is far beyond any cache.

Checked on the whole casebook with the first batch: the distance of what was found is within 1e-4 of the least, by a search in float64
(two signatures that near to each other may swap), and that search against numpy on 500 signatures."""
import numpy as np
import torch
import torch.nn.functional as F

import common

LENGTH, BATCH, BATCHES, CANDIDATES = 370, 64, 8, 32
TOLERANCE = 1e-4            # of a distance; float32 sums of 370 terms are good to some 1e-5


def make(n, device):
    """A casebook, and batches of new chips' signatures.  A chip's systematic variation moves its whole signature, so they lie along a
    curve with a cloud around it, where many are nearly as near as the nearest."""
    direction = 0.5 * torch.randn(1, LENGTH, device=device)

    def signatures(n):
        return torch.randn(n, 1, device=device) * direction + 0.3 * torch.randn(n, LENGTH, device=device)
    return signatures(n), [signatures(BATCH) for _ in range(BATCHES)]


def padded(rows):
    """Rows of 376: products run faster where rows begin at a multiple of 16 bytes, in every type."""
    return F.pad(rows, (0, -LENGTH % 8))


def l2_matmul(factor, squares, x):
    return torch.addmm(squares, padded(x), factor.t(), alpha=-2).argmin(1)


def exactly(book, scores, x):
    """The nearest among the 32 of least score."""
    near = scores.topk(CANDIDATES, 1, largest=False).indices
    distances = (book[near] - x.unsqueeze(1)).square().sum(2)
    return near.gather(1, distances.argmin(1, keepdim=True)).squeeze(1)


def l2_candidates(book, factor, squares, x):
    return exactly(book, torch.addmm(squares, padded(x), factor.t(), alpha=-2), x)


def l2_candidates_fp16(book, factor, squares, x):
    return exactly(book, squares - 2 * torch.mm(padded(x).half(), factor.t(), out_dtype=torch.float32), x)       # PyTorch 2.8


def cdist(book, x, p, mode="use_mm_for_euclid_dist_if_necessary"):
    return torch.cdist(x, book, p=p, compute_mode=mode).argmin(1)


def l1_chunks(book, x, chunk):
    distances = [(x.unsqueeze(1) - some.unsqueeze(0)).abs().sum(2) for some in book.split(chunk)]
    return torch.cat(distances, 1).argmin(1)


def graphed(find, x):
    """find of a batch by a CUDA graph."""
    common.need_cuda(x.device)
    held = x.clone()
    graph, out = common.captured(lambda: find(held))

    def replayed(new):
        held.copy_(new)
        graph.replay()
        return out
    return replayed


def least(book, x, p, chunk):
    """The least distances, in float64."""
    return torch.stack([torch.linalg.vector_norm(x.double().unsqueeze(1) - some.double(), p, dim=2).min(1).values
                        for some in book.split(chunk)]).min(0).values.cpu().numpy()


def check_least(book, x, p, chunk):
    got, book, x = least(book[:500], x, p, chunk), book[:500].double().cpu().numpy(), x.double().cpu().numpy()
    want = np.array([np.linalg.norm(book - row, p, axis=1).min() for row in x])
    if not np.abs(got / want - 1).max() <= 1e-12:
        raise common.Unequal("the search in float64 differs from numpy's")


def check(found, book, x, p, want):
    got = np.linalg.norm((book[found] - x).double().cpu().numpy(), p, axis=1)
    off = np.abs(got / want - 1).max()
    if not off <= TOLERANCE:
        raise common.Unequal("what was found is up to %.2g farther than the nearest, want %g" % (off, TOLERANCE))


def variants(p, book, x, chunk):
    """(name, TF32 or not, what makes a search ready, the search) for the distance L<p>; x: a batch."""
    if p == 2:
        squares = book.square().sum(1)
        factor, halves = padded(book), padded(book).half()
        plain = {
            "matmul": (False, lambda x: l2_matmul(factor, squares, x)),
            "candidates" + " tf32" * book.is_cuda: (True, lambda x: l2_candidates(book, factor, squares, x)),
            "candidates fp16": (False, lambda x: l2_candidates_fp16(book, halves, squares, x)),
            "cdist": (False, lambda x: cdist(book, x, 2.0)),
            "cdist direct": (False, lambda x: cdist(book, x, 2.0, "donot_use_mm_for_euclid_dist")),
        }
    else:
        plain = {"cdist": (False, lambda x: cdist(book, x, 1.0)), "chunks": (False, lambda x: l1_chunks(book, x, chunk))}
    ways = [("", lambda find: find), (" graph", lambda find: graphed(find, x))]
    for name, (on, find) in plain.items():
        for way, ready in ways + [(" compile", lambda find: common.compiled(find, "default"))] * (not name.startswith("cdist")):
            yield name + way, on, ready, find
    if p == 1:
        yield "whole compile", False, lambda find: common.compiled(find, "default"), lambda x: l1_chunks(book, x, len(book))


def main():
    p = common.parser(__doc__)
    p.add_argument("--signatures", type=int, metavar="N", help="signatures in the casebook (1,000,000; 500 with --small)")
    options = common.start(p)
    n = options.signatures or (500 if options.small else 1000000)
    book, batches = make(n, options.device)
    chunk = (1 << 24 if options.small else 1 << 30) // (BATCH * LENGTH)             # 2^30 differences: 4 GB
    results = []
    for norm in (2, 1):
        check_least(book, batches[0], norm, chunk // 4)
        want = least(book, batches[0], norm, chunk // 4)

        def variant(name, on, ready, find):
            def build():
                if "fp16" in name:
                    common.need_cuda(options.device, "fp16 products with float32 sums")
                with common.tf32(on):
                    search = ready(find)
                    check(search(batches[0]), book, batches[0], norm, want)

                def all_batches():
                    with common.tf32(on):
                        for x in batches:
                            search(x)
                return all_batches
            return "L%d %s" % (norm, name), build

        shape = "nearest of %d signatures of %d, batches of %d, L%d" % (n, LENGTH, BATCH, norm)
        results.append(common.compare(options, "peer_nearest", shape, "signatures/s", BATCHES * BATCH,
                                      [variant(*what) for what in variants(norm, book, batches[0], chunk)]))
    common.finish(*results)


if __name__ == "__main__":
    main()
