/* config.h - YAML files into structs by libcyaml, with its complaints turned into one sentence. */
#ifndef OT_BASE_CONFIG_H
#define OT_BASE_CONFIG_H

#include "ohmtrim/base.h"

#include <cyaml/cyaml.h>

/* Reads `path` by `schema` into *out, which ot__config_free frees.  OT_E_OPEN, or OT_E_FORMAT with file, line, key and what is wrong
 * (an unknown key, a value of another type, YAML that does not parse). */
ot_status ot__config_read(cyaml_data_t **out, const char *path, const cyaml_schema_value_t *schema);
void      ot__config_free(cyaml_data_t *data, const cyaml_schema_value_t *schema);

#endif
