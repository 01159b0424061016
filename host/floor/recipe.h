/* recipe.h - inside the recipe reader: the file's header as a table, and the open recipe. */
#ifndef OT_FLOOR_RECIPE_H
#define OT_FLOOR_RECIPE_H

#include "ohmtrim/floor.h"

enum { OT_RECIPE_DIMS = 4, OT_RECIPE_TENSORS = 96, OT_RECIPE_TEXTS = 256, OT_RECIPE_HEADER = 16 << 20 };
#define OT_RECIPE_FORMAT  "ohmtrim.recipe"
#define OT_RECIPE_VERSION "1"

typedef enum ot_dtype { OT_DTYPE_F64, OT_DTYPE_F32, OT_DTYPE_I32, OT_DTYPE_U8, OT_DTYPES } ot_dtype;
const char *ot__dtype_name(ot_dtype t);             /* as safetensors says it: "F64" */
size_t      ot__dtype_bytes(ot_dtype t);

typedef struct ot_tensor {
    const char *name;
    ot_dtype    dtype;
    int         n_dims, used;
    int64_t     dims[OT_RECIPE_DIMS];
    int64_t     begin, end;                         /* bytes from the end of the header */
} ot_tensor;

typedef struct ot_header {
    ot_tensor   tensor[OT_RECIPE_TENSORS];
    const char *key[OT_RECIPE_TEXTS], *text[OT_RECIPE_TEXTS];
    int         n_tensors, n_texts, has_texts;
} ot_header;

/* Reads the JSON header text[0..n) of a safetensors file with n_data bytes of tensors behind it; names and texts are unescaped in place
 * and point into it.  Tensors come out in the order of their bytes, which they cover without hole or overlap. */
ot_status ot__header_parse(ot_header *out, char *text, size_t n, int64_t n_data, const char *name);

struct ot_floor {
    ot_layout   layout;
    ot_judge    judge[2];
    int         has_after;
    ot_rule     rule;
    ot_mending  mending;
    int         image[3];                           /* c, h, w of the stimulus; 0: none */
    const uint8_t *stimulus;
    char       *sources;                            /* where the images came from, line after line */
    const char **source;                            /* (K) into sources; NULL: not said */
    ot_header   header;
    char       *bytes, *data;                       /* the file, its tensors; models and texts point into it */
    double     *x, *work;                           /* scratch: (p), what the models ask for */
    float      *gain, *offset;                      /* (L) */
};

/* The text `key`, or a sentence that it is missing. */
ot_status ot__recipe_text(const char **out, const ot_floor *f, const char *key, const char *name);
/* The same as a whole number of at least `least`. */
ot_status ot__recipe_count(int *out, const ot_floor *f, const char *key, int least, const char *name);
int       ot__recipe_has(const ot_floor *f, const char *tensor);
/* The numbers of tensor "PREFIX.TENSOR" (PREFIX may be ""), of this type and shape (dims, each as wanted or -1: any, then set); all
 * finite.  Marks it as used.  out: address of the model's pointer. */
ot_status ot__recipe_take(void *out, ot_floor *f, const char *prefix, const char *tensor, ot_dtype dtype, int n_dims, int64_t *dims,
                          const char *name);
/* The models of one judge ("before", "after"), of the mender; every index, sign and order checked.  The layout is set. */
ot_status ot__recipe_judge(ot_judge *out, ot_floor *f, const char *prefix, const char *name);
ot_status ot__recipe_mending(ot_mending *out, ot_floor *f, const char *name);

#endif
