#!/usr/bin/python3
"""generate.py - weight gradients of a small spiking network by PyTorch's autograd, in double: batch norm over time steps and images (tdBN),
surrogate gradients, resets held fixed.  Writes the npy files beside it.  conv - norm - IF - average pool - conv - norm - LIF (to zero) -
dense - IF, five steps; parameters in the order of network.h's flat vector."""
import math, os
import numpy as np, torch

torch.manual_seed(5)
T, N, C = 5, 6, 5
here = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(5)
grid = lambda shape, most, step: torch.tensor(rng.integers(-most, most + 1, shape) * step, dtype=torch.double)
P = {"w1": grid((4, 2, 3, 3), 16, 1 / 32), "g1": 1 + grid((4,), 2, 1 / 4), "b1": grid((4,), 2, 1 / 4),
     "w2": grid((6, 4, 3, 3), 16, 1 / 32), "c2": grid((6,), 4, 1 / 16), "g2": 1 + grid((6,), 2, 1 / 4), "b2": grid((6,), 2, 1 / 4),
     "w3": grid((C, 96), 16, 1 / 32), "c3": grid((C,), 4, 1 / 16)}
images = torch.tensor(rng.integers(0, 17, (N, 2, 8, 8)) / 16, dtype=torch.double)
labels = torch.tensor([0, 3, 1, 4, 2, 2])


def spike_of(kind):
    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            ctx.save_for_backward(z)
            return (z > 0).double()

        @staticmethod
        def backward(ctx, g):
            z, = ctx.saved_tensors
            return g * (1 / (1 + (math.pi * z) ** 2) if kind == "atan" else 1 / (1 + 25 * z.abs()) ** 2)
    return Spike.apply


def neurons(current, spike, th, leak=1.0, zero=False):
    m, r, out = torch.zeros_like(current[0]), torch.zeros_like(current[0]), []
    for i in current:
        m = leak * m * (1 - r) + i if zero else leak * m + i - r * th
        s = spike(m - th)
        r = s.detach()
        out.append(s)
    return torch.stack(out)


def norm(x, g, b, stats):                       # over everything but channels; x (frames, c, h, w)
    mean = x.mean((0, 2, 3))
    var = x.var((0, 2, 3), unbiased=False)
    stats += [mean.detach(), x.var((0, 2, 3), unbiased=True).detach()]
    return (x - mean[:, None, None]) / torch.sqrt(var + 1e-5)[:, None, None] * g[:, None, None] + b[:, None, None]


def run(kind, loss):
    p = {k: v.clone().requires_grad_(True) for k, v in P.items()}
    spike, stats = spike_of(kind), []
    still = norm(torch.nn.functional.conv2d(images, p["w1"], padding=1), p["g1"], p["b1"], stats)
    s = neurons(still.expand(T, *still.shape), spike, 0.75)
    x = torch.nn.functional.avg_pool2d(s.flatten(0, 1), 2)
    x = norm(torch.nn.functional.conv2d(x, p["w2"], p["c2"], padding=1), p["g2"], p["b2"], stats)
    s = neurons(x.unflatten(0, (T, N)), spike, 0.5, 0.5, True)
    x = s.flatten(0, 1).flatten(1) @ p["w3"].T + p["c3"]
    s = neurons(x.unflatten(0, (T, N)), spike, 1.0)
    ce = torch.nn.functional.cross_entropy
    value = ce(s.sum(0), labels) if loss == "count" else sum(ce(s[t], labels) for t in range(T)) / T
    value.backward()
    return value.item(), torch.cat([v.grad.flatten() for v in p.values()]).numpy(), torch.cat(stats).numpy(), s.sum(0).detach().numpy()


save = lambda name, a: np.save(os.path.join(here, name + ".npy"), a)
save("parameters", torch.cat([v.flatten() for v in P.values()]).numpy().astype(np.float32))
save("images", images.numpy().astype(np.float32))
for kind in ("atan", "fast_sigmoid"):
    for loss in ("count", "rate"):
        value, grad, stats, counts = run(kind, loss)
        save(f"{kind}_{loss}_gradient", np.concatenate([[value], grad]))
        print(kind, loss, value, np.abs(grad).max(), counts.tolist())
save("statistics", stats)
save("counts", counts)
