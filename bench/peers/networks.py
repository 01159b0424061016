#!/usr/bin/env python3
"""networks.py - the networks of the benchmarks as PyTorch modules: frozen weights, batch norm as scale and shift, one T-ReLU a layer.

    T-ReLU(x) = min(clip, max(0, (x - offset) * gain))        (gain, offset): the knobs, nn.Parameters; everything else is a buffer

Batch norm stands in evaluation mode, apart from the weights, as on a chip, where only weights become conductances.  `folded` multiplies
its scale into a convolution's weights and takes its shift as the bias: the same function in fewer passes, which a user of PyTorch
would do, and which ours need not.  Half precision means weights and activations in that type and knobs in float32: frozen tensors
are converted once, where autocast would convert them at every step.

Weights are random (He), or an .npz with one array a crossbar layer in the network's order, as `ohmtrim chip --dump F.npz` writes.  Such
a file has no batch norm; `calibrate` sets each scale and shift from a batch of images, so that activations are of order 1 as in a
trained network."""
import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MEAN, SD = 127.5, 64.0            # of a pixel

class TReLU(nn.Module):
    def __init__(self, clip=None):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.offset = nn.Parameter(torch.zeros(()))
        self.clip = clip

    def forward(self, x):
        v = (x - self.offset) * self.gain
        return F.relu(v) if self.clip is None else F.hardtanh(v, 0.0, self.clip)      # both pass no gradient at their kinks


class ConvNorm(nn.Module):
    """A convolution without bias, then a scale and a shift a channel."""

    def __init__(self, c_in, c_out, kernel, stride=1, groups=1):
        super().__init__()
        self.stride, self.pad, self.groups, self.folded = stride, kernel // 2, groups, False
        n_inputs = c_in // groups * kernel * kernel
        self.register_buffer("weight", torch.randn(c_out, c_in // groups, kernel, kernel) * (2 / n_inputs) ** 0.5)
        self.register_buffer("scale", torch.ones(c_out, 1, 1))
        self.register_buffer("shift", torch.zeros(c_out, 1, 1))

    def conv(self, x, bias=None):
        return F.conv2d(x, self.weight, bias, self.stride, self.pad, 1, self.groups)

    def forward(self, x):
        return self.conv(x, self.shift.flatten()) if self.folded else torch.addcmul(self.shift, self.conv(x), self.scale)

    def held(self, weight):
        """What this layer holds for a chip's weight."""
        return weight * self.scale.unsqueeze(1) if self.folded else weight


class Dense(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.register_buffer("weight", torch.randn(c_out, c_in) * (1 / c_in) ** 0.5)
        self.register_buffer("bias", torch.zeros(c_out))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)

    def held(self, weight):
        return weight


class Average(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class Network(nn.Module):
    """Layers one after the other.  `image` is the shape of one input, (channels, height, width)."""

    def __init__(self, layers, image):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.image = image

    def forward(self, x):
        return self.layers(x)

    def crossbars(self):
        """(name of the weight, layer), in the network's order."""
        return [("layers.%d.weight" % i, m) for i, m in enumerate(self.layers) if isinstance(m, (ConvNorm, Dense))]

    def gains(self):
        return [m.gain for m in self.layers if isinstance(m, TReLU)]

    def weights(self):
        return [m.weight.clone() for _, m in self.crossbars()]

    def held(self, weights):
        """A chip's weights as the layers hold them: folded or not, in the network's type."""
        return [m.held(w.to(m.weight.dtype)) for w, (_, m) in zip(weights, self.crossbars())]

    @torch.no_grad()
    def set_weights(self, weights):
        """Makes this the network of another chip, in place."""
        for w, (_, m) in zip(self.held(weights), self.crossbars()):
            m.weight.copy_(w)

    def fold(self):
        for _, m in self.crossbars():
            if isinstance(m, ConvNorm):
                m.folded = True
                m.weight = m.held(m.weight)
        return self

    def freeze_as(self, dtype, channels_last):
        """All but the knobs in this type, and the layout."""
        for m in self.modules():
            for name, buffer in m.named_buffers(recurse=False):
                setattr(m, name, buffer.to(dtype))
        return self.to(memory_format=torch.channels_last) if channels_last else self

    def macs(self):
        """Multiply-accumulates an image."""
        total, (_, height, width) = 0, self.image
        for m in self.layers:
            if isinstance(m, ConvNorm):
                height, width = -(-height // m.stride), -(-width // m.stride)
                total += m.weight.numel() * height * width
            elif isinstance(m, nn.MaxPool2d):
                height, width = height // 2, width // 2
            elif isinstance(m, Dense):
                total += m.weight.numel()
        return total


def random_images(n, image, device):
    """n uint8 images that differ from one another as pictures do: coarse patches, smoothed, under a little noise."""
    patches = F.interpolate(torch.rand(n, image[0], 4, 4, device=device), image[1:], mode="bilinear", align_corners=False)
    return (patches * 215 + torch.rand(n, *image, device=device) * 40).to(torch.uint8)


def normalised(images):
    return (images.float() - MEAN) * (1 / SD)


@torch.no_grad()
def calibrate(net, images):
    """Scale and shift for activations of order 1: one scale a layer, nearly.  A mean and sd of every channel, as training leaves them,
    would make a deep *random* network chaotic (each layer enlarges what differs between images, and rounding with it), and no two
    ways of computing could be compared; trained networks are not.  The dense layer's outputs get mean 0 and sd 1 over the images."""
    x = images
    for m in net.layers:
        if isinstance(m, ConvNorm):
            m.scale.uniform_(0.8, 1.2).div_(m.conv(x).square().mean().sqrt())
            m.shift.normal_(0, 0.1)
        elif isinstance(m, Dense):
            y = m(x)
            m.weight.div_(y.std(0).unsqueeze(1))
            m.bias.copy_(-(y / y.std(0)).mean(0))
        x = m(x)
    return net


def load(net, path):
    """Weights from an .npz, in the order of the file."""
    arrays = np.load(path)
    crossbars = net.crossbars()
    if len(arrays.files) != len(crossbars):
        raise ValueError("%s: %d arrays, the network has %d crossbar layers" % (path, len(arrays.files), len(crossbars)))
    for key, (name, m) in zip(arrays.files, crossbars):
        if arrays[key].shape != tuple(m.weight.shape):
            raise ValueError("%s: %s is %s, %s wants %s" % (path, key, arrays[key].shape, name, tuple(m.weight.shape)))
        m.weight.copy_(torch.from_numpy(arrays[key].astype(np.float32)))
    return net


def mobilenet(blocks, stem, stem_stride=1, image=(3, 32, 32), width=1.0, classes=10, clip=None):
    """A convolution, then (out, stride) depthwise-separable blocks, global average, dense."""
    def wide(c):
        return max(8, int(c * width + 0.5))

    c = wide(stem)
    layers = [ConvNorm(image[0], c, 3, stem_stride), TReLU(clip)]
    for out, stride in blocks:
        layers += [ConvNorm(c, c, 3, stride, c), TReLU(clip), ConvNorm(c, wide(out), 1), TReLU(clip)]
        c = wide(out)
    return Network(layers + [Average(), Dense(c, classes)], image)


def vgg16(width=1.0, classes=10, clip=None):
    layers, c = [], 3
    for out in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):      # 0: pool
        if out:
            layers += [ConvNorm(c, max(8, int(out * width + 0.5)), 3), TReLU(clip)]
            c = max(8, int(out * width + 0.5))
        else:
            layers += [nn.MaxPool2d(2)]
    return Network(layers + [nn.Flatten(), Dense(c, classes)], (3, 32, 32))


MOBILENET = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)] + [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
MOBILENET_S = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1)]
BUILDERS = {
    "mobilenet": lambda width: mobilenet(MOBILENET, 32, width=width),
    "mobilenet-s": lambda width: mobilenet(MOBILENET_S, 8, 2, (1, 28, 28), width),        # models/mobilenet-s.onnx
    "vgg16": lambda width: vgg16(width),
    "tiny": lambda width: mobilenet([(16, 2), (32, 2)], 8, 2, width=width, clip=6.0),     # for --small: every kind of layer
}


def add_options(p):
    p.add_argument("--network", choices=sorted(BUILDERS), help="mobilenet; tiny with --small")
    p.add_argument("--width", type=float, default=1.0, metavar="X", help="width multiplier (1)")
    p.add_argument("--load", metavar="F.npz", help="weights, one array a crossbar layer")


def open_network(options, device):
    """The network that the options ask for, calibrated; float32, folded nowhere."""
    torch.manual_seed(7)
    net = BUILDERS[options.network](options.width)
    if options.load:
        load(net, options.load)
    return calibrate(net, normalised(random_images(256, net.image, "cpu"))).to(device).eval()


def main():
    p = argparse.ArgumentParser(description="A network of the benchmarks: its crossbar layers.")
    add_options(p)
    options = p.parse_args()
    options.network = options.network or "mobilenet"
    net = open_network(options, "cpu")
    for name, m in net.crossbars():
        print("%-20s %-20s sd %.5f" % (name, tuple(m.weight.shape), m.weight.std()))
    print("%s: %d weights, %d knobs, %d multiply-accumulates an image" % (
        options.network, sum(w.numel() for w in net.weights()), len(list(net.parameters())), net.macs()))


if __name__ == "__main__":
    main()
