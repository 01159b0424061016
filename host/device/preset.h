/* preset.h - the compiled-in devices, for ot_device_open. */
#ifndef OT_DEVICE_PRESET_H
#define OT_DEVICE_PRESET_H

#include "ohmtrim/device.h"

const ot_device *ot__device_preset_find(const char *name);     /* NULL if there is none of that name */

#endif
