/* onnx_wire.h - a serialised ONNX model to its message, safely. */
#ifndef OT_NETWORK_ONNX_WIRE_H
#define OT_NETWORK_ONNX_WIRE_H

#include "base/fail.h"
#include "onnx.pb-c.h"

/* The message of these bytes; freed with onnx__wire_free.  `path` is for sentences. */
ot_status onnx__wire_read(Onnx__ModelProto **out, const void *bytes, size_t n_bytes, const char *path);
void      onnx__wire_free(Onnx__ModelProto *m);

#endif
