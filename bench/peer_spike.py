#!/usr/bin/python3
"""peer_spike.py NPZ [ROUNDS] - the same work in PyTorch: counting spikes and one step of threshold tuning of snn-s or snn-vgg9, as code in
snnTorch's style has it: a loop over time steps, layer by layer within a step, autograd through time, thresholds as parameters.  NPZ is
what `bench_spike --export DIR` wrote: in double, counts and gradients of a few images must be those of the ref backend before a time is
taken; in float a spike may flip.  One thread, CPU time, both memory
layouts; a step is half of the images; each row also as a variant that computes the first convolution once.  One JSON line a row.

Where SpikingJelly is installed (0.0.0.0.14 goes with old versions of PyTorch) it counts too: multi-step IF neurons, time folded into the batch.
Its thresholds are plain numbers without gradients, so it has no row for tuning; instead one for a backward pass to the current of the first layer."""
import json
import math
import os
import resource
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5


class Spike(torch.autograd.Function):
    """1 where z > 0; backward: atan, alpha 2."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return (z > 0).to(z.dtype)

    @staticmethod
    def backward(ctx, grad):
        (z,) = ctx.saved_tensors
        return grad / (1 + (math.pi * z) ** 2)


def load(path):
    z = np.load(path)
    weights = [torch.tensor(z["w%d" % k]) for k in range(sum(n.startswith("w") for n in z.files))]
    return weights, torch.tensor(z["images"]), torch.tensor(z["labels"]).long(), z["thresholds"], z["counts"], z["grad"]


class Net:
    """Layers as (crossbar, batch norm, what comes before); batch norm of the exported networks is the one they start with."""

    def __init__(self, name, weights, layout):
        self.vgg, self.layout = name == "snn-vgg9", layout
        self.T = 25 if self.vgg else 6
        self.w = [w.contiguous(memory_format=layout) if w.shape[2] == 3 else w.flatten(1) for w in weights]
        self.bn = [tuple(f(w.shape[0]) for f in (torch.zeros, torch.ones, torch.ones, torch.zeros)) for w in weights]
        self.strides = [1] * 7 if self.vgg else [2, 1, 2, 1, 2]
        self.pools = {2, 4} if self.vgg else set()

    def current(self, k, s):
        if k in self.pools or (self.vgg and k == 7):
            s = F.avg_pool2d(s, 2)
        if k < len(self.strides):
            mean, var, gamma, beta = self.bn[k]
            return F.batch_norm(F.conv2d(s, self.w[k], stride=self.strides[k], padding=1), mean, var, gamma, beta, eps=1e-5)
        return F.linear(s.flatten(1), self.w[k])

    def counts(self, x, th, once):
        mem, total = [None] * len(th), 0
        first = self.current(0, x) if once else None
        for _ in range(self.T):
            s = x
            for k in range(len(th)):
                cur = first if k == 0 and once else self.current(k, s)
                if mem[k] is None:
                    mem[k] = torch.zeros_like(cur)
                reset = (mem[k] > th[k]).to(x.dtype).detach()
                mem[k] = mem[k] + cur - reset * th[k]
                s = Spike.apply(mem[k] - th[k])
            total = total + s
        return total


class Jelly(Net):
    """The same with SpikingJelly's multi-step neurons: layer by layer over all steps, as we do it."""

    def counts(self, x, th, once):
        from spikingjelly.activation_based import neuron, surrogate
        s, T, n = x, self.T, len(x)
        for k in range(len(th)):
            cur = self.current(k, s)
            cur = cur.unsqueeze(0).expand(T, *cur.shape) if k == 0 else cur.unflatten(0, (T, n))
            node = neuron.IFNode(v_threshold=float(th[k]), v_reset=None, step_mode="m", surrogate_function=surrogate.ATan(alpha=2.0), detach_reset=True)
            s = node(cur).flatten(0, 1)
        return s.unflatten(0, (T, n)).sum(0)


def jelly_rows(name, weights, images, labels, thresholds, counts, TILE):
    try:
        import spikingjelly.activation_based.neuron  # noqa: F401
    except ImportError:
        return
    for label, layout in (("default", torch.contiguous_format), ("channels_last", torch.channels_last)):
        net = Jelly(name, weights, layout)
        batches = [(images[i:i + TILE].contiguous(memory_format=layout), labels[i:i + TILE]) for i in range(0, len(images), TILE)]

        def count():
            with torch.no_grad():
                return torch.cat([net.counts(x, thresholds, 1) for x, _ in batches]).numpy()

        def back():
            for x, y in batches:
                x = x.clone().requires_grad_(True)
                F.cross_entropy(net.counts(x, thresholds, 1), y).backward()

        far = np.abs(count() - counts).max()
        if far > 1:
            sys.exit("peer_spike: %s: SpikingJelly's counts are off by %g: not the same network" % (name, far))
        for what, work in (("eval", count), ("back", back)):
            ms = []
            for i in range(ROUNDS + 1):
                start = time.process_time()
                work()
                if i >= 1:
                    ms.append((time.process_time() - start) / len(images) * 1e3)
            ms.sort()
            print(json.dumps({"bench": "peer_spikingjelly", "network": name, "steps": net.T, "what": what, "layout": label, "tile": TILE, "n": ROUNDS,
                              "median_ms_per_image": round(ms[len(ms) // 2], 3), "min": round(ms[0], 3), "counts_off": float(far),
                              "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "torch": torch.__version__}), flush=True)


def same(name, weights, images, labels, thresholds, z):
    """In double: the network that the ref backend ran."""
    n = len(z["ref_counts"])
    net = Net(name, [w.double() for w in weights], torch.contiguous_format)
    net.bn = [tuple(t.double() for t in b) for b in net.bn]
    th = [torch.tensor(float(t), dtype=torch.float64, requires_grad=True) for t in thresholds]
    counts = net.counts(images[:n].double(), th, 1)
    grad = np.array([float(g) for g in torch.autograd.grad(F.cross_entropy(counts, labels[:n]), th)])
    off = np.abs(grad - z["ref_grad"]).max() / np.abs(grad).max()
    if np.abs(counts.detach().numpy() - z["ref_counts"]).max() > 0 or off > 1e-3:
        sys.exit("peer_spike: %s: not the network of the ref backend: gradients off by %g" % (name, off))


def main():
    torch.set_num_threads(1)
    name = os.path.basename(sys.argv[1])[:-4]
    weights, images, labels, thresholds, counts, grad = load(sys.argv[1])
    z = np.load(sys.argv[1])
    TILE = len(images) // 2
    same(name, weights, images, labels, thresholds, z)
    for label, layout in (("default", torch.contiguous_format), ("channels_last", torch.channels_last)):
        for once in (0, 1):
            net = Net(name, weights, layout)
            th = [torch.tensor(float(t), requires_grad=True) for t in thresholds]

            def batches():
                for i in range(0, len(images), TILE):
                    yield images[i:i + TILE].contiguous(memory_format=layout), labels[i:i + TILE]

            def tune():
                total = [0.0] * len(th)
                for x, y in batches():
                    for k, g in enumerate(torch.autograd.grad(F.cross_entropy(net.counts(x, th, once), y, reduction="sum") / len(images), th)):
                        total[k] += float(g)
                return np.array(total)

            def count():
                with torch.no_grad():
                    return torch.cat([net.counts(x, th, once) for x, _ in batches()]).numpy()

            far = np.abs(count() - counts).max()
            off = np.abs(tune() - grad).max() / np.abs(grad).max()
            if far > 1:
                sys.exit("peer_spike: %s: counts off by %g, gradients by %g: not the same network" % (name, far, off))
            for what, work in (("eval", count), ("tune", tune)):
                ms = []
                for i in range(ROUNDS + 1):
                    start = time.process_time()
                    work()
                    if i >= 1:
                        ms.append((time.process_time() - start) / len(images) * 1e3)
                ms.sort()
                print(json.dumps({"bench": "peer_spike", "network": name, "steps": net.T, "what": what, "layout": label, "first_once": once, "tile": TILE, "n": ROUNDS,
                                  "median_ms_per_image": round(ms[len(ms) // 2], 3), "min": round(ms[0], 3), "counts_off": float(far), "grad_off": float("%.1e" % off),
                                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, "torch": torch.__version__}), flush=True)

    jelly_rows(name, weights, images, labels, thresholds, counts, TILE)


main()
