/* onnx.h - what the files of ONNX import share.
 *
 * While a graph is read, every name in it is a value: either a constant (an initialiser, or folded from constants) or the output of a
 * layer.  Integer shape arithmetic that exporters write (Shape, Gather, Concat, ...) folds to constants, in which the unknown batch
 * size stands as ONNX_BATCH. */
#ifndef OT_NETWORK_ONNX_H
#define OT_NETWORK_ONNX_H

#include "impl.h"
#include "onnx.pb-c.h"

#define ONNX_BATCH ((int64_t)-7001001)      /* "the batch size", in folded shapes */
enum { ONNX_RANK = 8 };

typedef struct onnx_value {
    const char *name;            /* borrowed from the message */
    int      layer;              /* index of a layer, or -1: a constant */
    int      rank;               /* of a layer's output as the file sees it: 4, or 2 once flattened */
    double   step;               /* of a layer's output as codes of QuantizeLinear: its scale; else 0 */
    int      whole;              /* constant: numbers are in i, else in f */
    int      n_dims;
    int64_t  dims[ONNX_RANK];
    int64_t  count;
    double  *f;
    int64_t *i;
} onnx_value;

typedef struct onnx_reader {
    const char  *path, *dir;     /* for sentences; where external data may lie, or NULL */
    Onnx__GraphProto *graph;
    int64_t      opset, own_opset;   /* ONNX's, ohmtrim's (0: not imported) */
    ot_network  *net;
    onnx_value  *values;
    int          n_values, room;
} onnx_reader;

/* A sentence about a node: "net.onnx: node 'conv1' (Conv, opset 13): ..." */
ot_status onnx__fail(const onnx_reader *r, const Onnx__NodeProto *node, ot_status st, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
#define NODE_FAIL(st, ...) return onnx__fail(r, node, (st), __VA_ARGS__)

onnx_value *onnx__find(onnx_reader *r, const char *name);
/* A new constant of this shape (memory zeroed), or a layer's output. */
ot_status   onnx__new_constant(onnx_reader *r, onnx_value **out, const char *name, int whole, int n_dims, const int64_t *dims);
ot_status   onnx__new_layer(onnx_reader *r, const char *name, int layer, int rank);
ot_status   onnx__tensor(onnx_reader *r, const char *name, const Onnx__TensorProto *t);      /* -> a constant called `name` */

/* Input k of a node, NULL if left out; attribute getters with a default. */
onnx_value *onnx__input(onnx_reader *r, const Onnx__NodeProto *node, size_t k);
const Onnx__AttributeProto *onnx__attribute(const Onnx__NodeProto *node, const char *name);
int64_t     onnx__int(const Onnx__NodeProto *node, const char *name, int64_t otherwise);
float       onnx__float(const Onnx__NodeProto *node, const char *name, float otherwise);
/* Whole numbers of a constant or an attribute into out (at most `most`); *n of them. */
ot_status   onnx__ints(onnx_reader *r, const Onnx__NodeProto *node, const onnx_value *v, const char *what, int64_t *out, int most, int *n);

/* Folds a node whose inputs are all constant (or Shape): *done says whether it did. */
ot_status onnx__fold(onnx_reader *r, const Onnx__NodeProto *node, int *done);
/* Adds the layers of a node. */
ot_status onnx__lower(onnx_reader *r, const Onnx__NodeProto *node);
/* onnx_quantise.c: QuantizeLinear and DequantizeLinear behind a Relu or Clip become that layer's codes and step. */
ot_status onnx__lower_quantise(onnx_reader *r, const Onnx__NodeProto *node);
ot_status onnx__lower_dequantise(onnx_reader *r, const Onnx__NodeProto *node);
/* How many nodes read a name. */
int       onnx__readers(const onnx_reader *r, const char *name);

#endif
