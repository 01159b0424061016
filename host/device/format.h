/* format.h - the two file formats of a device: JSON, ours, and CSV tables of measured cells. */
#ifndef OT_DEVICE_FORMAT_H
#define OT_DEVICE_FORMAT_H

#include "ohmtrim/device.h"

#include <cjson/cJSON.h>

/* Both end with ot_device_check; sentences begin with `name`. */
ot_status ot__device_from_json(ot_device *out, const char *text, size_t n_bytes, const char *name);
ot_status ot__device_from_table(ot_device *out, const char *text, size_t n_bytes, const char *name);
/* The object that a device file holds; NULL when memory is short.  cJSON_Delete frees it. */
cJSON *ot__device_to_json(const ot_device *dev);

#endif
