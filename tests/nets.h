/* nets.h - small networks, random data and the list of backends, for tests. */
#ifndef OT_TESTS_NETS_H
#define OT_TESTS_NETS_H

#include "check.h"

/* Building: each call adds a layer on top of layer `in` and gives its index; weights are random, of the usual size. */
int net_conv(ot_network *net, check_rng *r, int in, int c, int k, int stride, int pad, int groups, int bias);
int net_dense(ot_network *net, check_rng *r, int in, int c);
int net_batch_norm(ot_network *net, check_rng *r, int in);
int net_bias(ot_network *net, check_rng *r, int in);
int net_relu(ot_network *net, int in, float clip);
int net_spike(ot_network *net, int in, float threshold, float leak, ot_reset reset, float u_rst);
int net_add(ot_network *net, int a, int b);
int net_pool(ot_network *net, int in, ot_op op, int k, int stride, int pad);
int net_global(ot_network *net, int in);
int net_pad(ot_network *net, int in, int channels, int space);
int net_slice(ot_network *net, int in, int step);
int net_flatten(ot_network *net, int in);

/* Every kind of layer, residuals with and without a shortcut convolution, a tensor with three readers, clips: (3, 13, 11) in, 5
 * classes, 8 ReLU layers.  `branch` adds one that nobody reads. */
ot_network *net_everything(uint64_t seed, int branch);

/* One channel of 6 x 6, three classes; batch norm, a bias, groups, two ReLU layers: small enough for gradients by differences. */
enum { NET_TINY_SIDE = 6, NET_TINY_CLASSES = 3 };
ot_status net_tiny(ot_network **net, uint64_t seed);

/* n random images of a network's shape with random labels; floats, or bytes. */
ot_data *net_data(const ot_network *net, uint64_t seed, int n, int bytes);

/* Names of the backends of this build; NULL past the last. */
const char *net_backend(int i);

#endif
