/* onnx_build.h - small ONNX models for tests, in memory, sound or not.
 *
 *     build_start(13);
 *     build_input("x", 1, "N,3,8,8");                     // 1: float
 *     build_floats("w", "4,3,3,3", NULL);                 // NULL: small repeatable numbers
 *     build_node("Conv", "conv", "x,w", "y", "pads=1,1,1,1 strides=2,2");
 *     build_output("y");
 *     OK(build_read(&net));
 *
 * One model at a time, in static storage.  Attributes: `k=1` is an int, `k=1,2` or `k=1,` ints, `k=1.5` a float, `k='text'` a string. */
#ifndef OT_TESTS_ONNX_BUILD_H
#define OT_TESTS_ONNX_BUILD_H

#include "ohmtrim/network.h"

#include "onnx.pb-c.h"

void build_start(int64_t opset);
void build_input(const char *name, int type, const char *dims);          /* a dimension that is no number is a dim_param */
void build_output(const char *name);
void build_floats(const char *name, const char *dims, const float *values);
void build_ints(const char *name, const char *dims, const int64_t *values);
void build_node(const char *op, const char *name, const char *inputs, const char *outputs, const char *attributes);
void build_meta(const char *key, const char *value);
/* The message itself, to spoil it; and the last node or initialiser. */
Onnx__ModelProto  *build_model(void);
Onnx__NodeProto   *build_last_node(void);
Onnx__TensorProto *build_last_tensor(void);
/* Packs; the bytes are static.  Packs and reads. */
const void *build_bytes(size_t *n);
ot_status   build_read(ot_network **out);
ot_status   build_read_in(ot_network **out, const char *dir);

#endif
