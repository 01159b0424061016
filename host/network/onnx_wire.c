/* onnx_wire.c - what stands between the bytes of an ONNX file and protobuf-c's reader.
 *
 * protobuf-c calls itself for each message within a message without a limit, so a file of a few hundred kilobytes of nothing but nested
 * sub-graphs would overflow the stack.  Therefore the bytes are walked once before, by the same descriptors: a message is a row of
 * (key, value), a value within it is skipped by its length, and only fields that are messages are entered, MAX_DEPTH deep at most
 * (real models need about 8).  Memory comes from ot_alloc, so that it is counted and its lack is told apart from damage. */
#include "onnx_wire.h"

enum { MAX_DEPTH = 32 };

typedef struct bytes { const uint8_t *p, *end; } bytes;

static int varint(bytes *b, uint64_t *out)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (b->p == b->end) return 0;
        uint8_t c = *b->p++;
        if (shift < 64) v |= (uint64_t)(c & 127) << shift;
        if (c < 128) {
            *out = v;
            return 1;
        }
    }
    return 0;
}

/* 1: sound so far; 0: damaged; -1: nested too deeply */
static int walk(const ProtobufCMessageDescriptor *d, bytes b, int depth)
{
    if (depth > MAX_DEPTH) return -1;
    while (b.p < b.end) {
        uint64_t key, n;
        if (!varint(&b, &key)) return 0;
        switch (key & 7) {
        case 0: if (!varint(&b, &n)) return 0; continue;
        case 1: n = 8; break;
        case 5: n = 4; break;
        case 2: if (!varint(&b, &n)) return 0; break;
        default: return 0;                                       /* groups are not used in ONNX */
        }
        if (n > (uint64_t)(b.end - b.p)) return 0;
        const ProtobufCFieldDescriptor *f = key >> 3 <= UINT32_MAX ? protobuf_c_message_descriptor_get_field(d, (unsigned)(key >> 3)) : NULL;
        if ((key & 7) == 2 && f && f->type == PROTOBUF_C_TYPE_MESSAGE) {
            int inner = walk(f->descriptor, (bytes){b.p, b.p + n}, depth + 1);
            if (inner != 1) return inner;
        }
        b.p += n;
    }
    return 1;
}

static void *take(void *failed, size_t n)
{
    void *p = ot_alloc(n, 1);
    if (!p) *(int *)failed = 1;
    return p;
}

static void give(void *failed, void *p)
{
    (void)failed;
    ot_free(p);
}

ot_status onnx__wire_read(Onnx__ModelProto **out, const void *data, size_t n_bytes, const char *path)
{
    int failed = 0;
    ProtobufCAllocator allocator = {take, give, &failed};
    const uint8_t *p = data;
    int sound = n_bytes ? walk(&onnx__model_proto__descriptor, (bytes){p, p + n_bytes}, 1) : 0;
    if (sound < 0) OT_FAIL(OT_E_FORMAT, "%s: messages nested deeper than %d, which no network needs", path, MAX_DEPTH);
    Onnx__ModelProto *m = sound ? onnx__model_proto__unpack(&allocator, n_bytes, p) : NULL;
    if (failed) OT_NOMEM(path, n_bytes);
    if (!m) OT_FAIL(OT_E_FORMAT, "%s: not an ONNX file, or a damaged one (%zu bytes)", path, n_bytes);
    *out = m;
    return OT_OK;
}

void onnx__wire_free(Onnx__ModelProto *m)
{
    int failed = 0;
    ProtobufCAllocator allocator = {take, give, &failed};
    if (m) onnx__model_proto__free_unpacked(m, &allocator);
}
