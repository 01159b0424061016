/* plot_device.h - f(delta) of both states as a picture. */
#ifndef OT_PLOT_DEVICE_H
#define OT_PLOT_DEVICE_H

#include "ohmtrim/device.h"

/* FILE ends in .svg or .png.  gnuplot draws it beside its name, then it is renamed.  OT_E_USAGE, OT_E_TOOL, OT_E_WRITE. */
ot_status plot_device(const ot_device *dev, const char *path);

#endif
