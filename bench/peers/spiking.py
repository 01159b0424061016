#!/usr/bin/env python3
"""spiking.py - spiking networks in PyTorch: counting spikes, and threshold tuning (Adam on one threshold a layer, frozen weights).

snn-vgg9 is ours (25 steps, integrate and fire, reset by subtraction, averages of 2 x 2): 64 64 pool 128 128 pool 256 256 256 pool 1024 10.
The image is the current into the first layer at every step, so its convolution is done once.  Weights are random, scaled layer by layer so
that a threshold of 1 lies two spreads above the current's mean; batch norm is folded into them.

    way        loop: a loop over steps, layer by layer within each, as code in snnTorch's style has it
               folded: layer by layer, all steps as one batch, a loop over steps in the neurons alone (SpikingJelly's multi-step mode)
               snntorch, spikingjelly: their neurons in these two ways, where installed (SpikingJelly's thresholds take no gradient)
    run        eager; compile (torch.compile of the neurons); graph (a CUDA graph of the whole step)
    precision  fp32 (TF32 on a GPU); half: frozen weights, spikes and currents in fp16 (bf16 on a CPU), membranes in float32
    layout     nchw or nhwc (channels_last)

Each variant is checked on eight images against the eager loop in float32 without TF32: counts on average, thresholds' gradients in norm.
Spikes that turn where a membrane comes close to its threshold turn others, hence the tolerances."""
import math
import sys

import torch
import torch.nn.functional as F

import common

LEARNING_RATE = 0.01
# mean |counts - reference| over all classes and images; |gradients - reference| / |reference|.  Seen on a CPU, snn-vgg9: noise of 1e-7 in all
# products 0.075 and 0.005, rounding to half 0.33 and 0.23
TOLERANCE = {"exact": (0.3, 0.2), "11 bits": (1.0, 0.8), "8 bits": (2.0, 1.5)}
NETWORKS = {
    "snn-vgg9": ((64, 64, 0, 128, 128, 0, 256, 256, 256, 0), (1024, 10), (3, 32, 32), 25),
    "tiny": ((16, 0, 16, 0), (10,), (3, 12, 12), 5),
}


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


def integrate(membrane, current, threshold):
    """One step: spikes and membranes."""
    reset = (membrane > threshold).to(membrane.dtype).detach()
    membrane = membrane + current.float() - reset * threshold
    return Spike.apply(membrane - threshold), membrane


def over_steps(current, threshold, steps):
    """All steps of a layer: current (T, ...) or, standing still, (1, ...); spikes (T, ...)."""
    membrane, spikes = torch.zeros_like(current[0], dtype=torch.float32), []
    for t in range(steps):
        s, membrane = integrate(membrane, current[t if current.shape[0] > 1 else 0], threshold)
        spikes.append(s)
    return torch.stack(spikes)


class Net:
    """Crossbars with what comes before each: (weight, bias, pooled before); half and layout as asked."""

    def __init__(self, name, device):
        convs, dense, self.image, self.steps = NETWORKS[name]
        torch.manual_seed(7)
        self.layers, c, pooled, side = [], self.image[0], False, self.image[1]
        for out in convs:
            if out:
                self.layers.append([torch.randn(out, c, 3, 3), torch.zeros(out), pooled])
                c, pooled = out, False
            else:
                pooled, side = True, side // 2
        c *= side * side
        for out in dense:
            self.layers.append([torch.randn(out, c), torch.zeros(out), pooled])
            c, pooled = out, False
        self.layers = [[w.to(device), b.to(device), p] for w, b, p in self.layers]
        self.dtype, self.nhwc, self.device = torch.float32, False, device

    def like(self, half, nhwc):
        """A copy in this precision and layout."""
        net = object.__new__(Net)
        net.__dict__.update(self.__dict__)
        net.dtype, net.nhwc = common.half(self.device)[0] if half else torch.float32, nhwc
        net.layers = [[net.laid(w.to(net.dtype)), b.to(net.dtype), p] for w, b, p in self.layers]
        return net

    def laid(self, x):
        return x.contiguous(memory_format=torch.channels_last) if self.nhwc and x.dim() == 4 else x

    def current(self, k, s):
        """What layer k's crossbar makes of spikes (N, ...)."""
        w, b, pooled = self.layers[k]
        if pooled:
            s = F.avg_pool2d(s, 2)
        return F.conv2d(s, w, b, padding=1) if w.dim() == 4 else F.linear(s.flatten(1), w, b)

    @torch.no_grad()
    def calibrate(self, x):
        """Weights divided so that a threshold of 1 is two spreads above the mean of each layer's current."""
        s, ones = x.unsqueeze(0), torch.ones((), device=self.device)
        for k, layer in enumerate(self.layers):
            cur = self.folded(k, s)
            layer[0] /= (cur.mean() + 2 * cur.std()).clamp(min=0.05 * float(cur.std()))
            s = over_steps(self.folded(k, s), ones, self.steps)
        return self

    def folded(self, k, s):
        """The current of all steps as one batch: (T, N, ...)."""
        return self.current(k, self.laid(s.flatten(0, 1))).unflatten(0, s.shape[:2])

    def prepared(self, images):
        """uint8 images as currents."""
        return self.laid(((images.float() - 127.5) / 64).to(self.dtype))


def counts_by_loop(net, x, thresholds, step=integrate):
    membranes, total = [None] * len(net.layers), 0
    first = net.current(0, x)
    for _ in range(net.steps):
        for k, threshold in enumerate(thresholds):
            current = first if k == 0 else net.current(k, s)
            if membranes[k] is None:
                membranes[k] = torch.zeros_like(current, dtype=torch.float32)
            s, membranes[k] = step(membranes[k], current, threshold)
            s = s.to(net.dtype)
        total = total + s.float()
    return total


def counts_folded(net, x, thresholds, scan=over_steps):
    s = x.unsqueeze(0)
    for k, threshold in enumerate(thresholds):
        s = scan(net.folded(k, s), threshold, net.steps).to(net.dtype)
    return s.float().sum(0)


def counts_snntorch(net, x, thresholds):
    """snnTorch's neuron in the loop; its thresholds are ours, so that they take gradients."""
    try:
        import snntorch
        from snntorch import surrogate
    except ImportError as e:
        raise common.Skip("no snntorch here") from e
    neurons = [snntorch.Leaky(beta=1.0, threshold=1.0, spike_grad=surrogate.atan(alpha=2.0), reset_mechanism="subtract").to(net.device) for _ in net.layers]
    for neuron, threshold in zip(neurons, thresholds):
        del neuron._buffers["threshold"]
        neuron.threshold = threshold
    membranes, total = [neuron.reset_mem() for neuron in neurons], 0
    first = net.current(0, x)
    for _ in range(net.steps):
        for k, neuron in enumerate(neurons):
            s, membranes[k] = neuron((first if k == 0 else net.current(k, s)).float(), membranes[k])
            s = s.to(net.dtype)
        total = total + s.float()
    return total


def counts_spikingjelly(net, x, thresholds):
    """SpikingJelly's multi-step neuron, by its CuPy kernels where there are any.  Fires at the threshold too, which no membrane meets."""
    try:
        from spikingjelly.activation_based import neuron, surrogate
    except ImportError as e:
        raise common.Skip("no spikingjelly here") from e
    if any(threshold.requires_grad for threshold in thresholds) and torch.is_grad_enabled():
        raise common.Skip("thresholds of SpikingJelly's neurons take no gradient")
    try:
        import cupy                                                   # noqa: F401
        backend = "cupy" if net.device.type == "cuda" else "torch"
    except ImportError:
        backend = "torch"

    def scan(current, threshold, steps):
        node = neuron.IFNode(v_threshold=1.0, v_reset=None, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m", backend=backend)
        whole = current if current.shape[0] > 1 else current.expand(steps, *current.shape[1:]).contiguous()
        return node((whole / threshold).float())                      # a threshold of 1, in its place

    return counts_folded(net, x, thresholds, scan)


def compiled_neurons(counts):
    """The way with its neurons compiled."""
    if counts is counts_by_loop:
        step = common.compiled(integrate, "default")
        return lambda net, x, thresholds: counts_by_loop(net, x, thresholds, step)
    scan = common.compiled(over_steps, "default")
    return lambda net, x, thresholds: counts_folded(net, x, thresholds, scan)


class Work:
    """One variant: its network, thresholds, Adam, images."""

    def __init__(self, net, counts, images, labels, batch, in_graph=False):
        self.net, self.counts, self.images, self.labels, self.batch = net, counts, images, labels, batch
        self.thresholds = [torch.ones((), device=net.device, requires_grad=True) for _ in net.layers]
        self.adam = torch.optim.Adam(self.thresholds, lr=LEARNING_RATE, **({"capturable": True} if in_graph else {}))

    def count(self, index):
        with torch.no_grad():
            return self.counts(self.net, self.net.prepared(self.images.index_select(0, index)), self.thresholds)

    def gradient(self, index):
        self.adam.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.counts(self.net, self.net.prepared(self.images.index_select(0, index)), self.thresholds), self.labels.index_select(0, index))
        loss.backward()
        return torch.stack([t.grad.detach().clone() for t in self.thresholds])

    def tune(self, index):
        self.gradient(index)
        self.adam.step()


def graphed(work, index):
    held = index.clone()
    graph, _ = common.captured(lambda: work(held))

    def step(index):
        held.copy_(index)
        graph.replay()

    return step


def check(counts, gradients, want_counts, want_gradients, tolerance):
    """Raises Unequal unless counts and gradients are near those wanted."""
    far = float((counts - want_counts).abs().mean())
    if not far <= tolerance[0]:
        raise common.Unequal("counts off by %.2g on average, want %g" % (far, tolerance[0]))
    if gradients is None:
        return
    off = float((gradients - want_gradients).norm() / want_gradients.norm())
    if not off <= tolerance[1]:
        raise common.Unequal("gradients of thresholds off by %.2g of their norm, want %g" % (off, tolerance[1]))


def main():
    p = common.parser(__doc__)
    p.add_argument("--network", choices=sorted(NETWORKS), help="snn-vgg9; tiny with --small")
    p.add_argument("--images", type=int, metavar="N", help="images of a run (1,280; 64 with --small)")
    p.add_argument("--batch", type=int, metavar="N", help="images at once (128; 16 with --small)")
    options = common.start(p)
    name = options.network or ("tiny" if options.small else "snn-vgg9")
    n, batch, device = options.images or (64 if options.small else 1280), options.batch or (16 if options.small else 128), options.device
    net = Net(name, device)
    images, labels = torch.randint(0, 256, (n,) + net.image, device=device, dtype=torch.uint8), torch.randint(0, 10, (n,), device=device)
    few, batches = torch.arange(8, device=device), torch.arange(n // batch * batch, device=device).reshape(-1, batch)
    with common.tf32(False):
        net.calibrate(net.prepared(images[:8]))
        plain = Work(net, counts_by_loop, images, labels, batch)
        want = plain.count(few), plain.gradient(few)
    rate = float(want[0].mean()) / net.steps
    print("peer_spiking: %s: an output neuron fires at %.2f of the steps" % (name, rate), file=sys.stderr)

    def variant(what, counts, run, half, nhwc):
        def build():
            if run == "graph":
                common.need_cuda(device)
            how = compiled_neurons(counts) if run == "compile" else counts
            work = Work(net.like(half, nhwc), how, images, labels, batch, in_graph=run == "graph")
            bits = "exact" if device.type == "cpu" and not half else "8 bits" if work.net.dtype == torch.bfloat16 else "11 bits"
            check(work.count(few), work.gradient(few) if what == "tune" else None, *want, TOLERANCE[bits])
            step = work.tune if what == "tune" else work.count
            step(batches[0])                                          # makes Adam's state, compiles for this size
            if run == "graph":
                step = graphed(step, batches[0])

            def whole():
                for index in batches:
                    step(index)
            return whole

        way = {counts_by_loop: "loop", counts_folded: "folded", counts_snntorch: "snntorch", counts_spikingjelly: "spikingjelly"}[counts]
        return " ".join([what, way, run, common.half(device)[1] if half else "fp32", "nhwc" if nhwc else "nchw"]), build

    results = []
    for what in ("eval", "tune"):
        variants = [variant(what, counts, run, half, nhwc)
                    for run in ("graph", "eager", "compile") for half in (True, False) for counts in (counts_folded, counts_by_loop) for nhwc in (True, False)]
        variants += [variant(what, counts, run, half, True) for counts in (counts_spikingjelly, counts_snntorch) for run in ("graph", "eager") for half in (True, False)]
        results.append(common.compare(options, "peer_spiking", "%s, %d steps, %d images, %d at once" % (name, net.steps, n // batch * batch, batch), "images/s",
                                      n // batch * batch, variants))
    common.finish(*results)


if __name__ == "__main__":
    main()
