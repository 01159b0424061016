/* plot_device.c - see plot_device.h. */
#include "plot_device.h"
#include "gnuplot.h"

enum { POINTS = 400 };

static void write_script(FILE *f, const void *user)
{
    const ot_device *dev = user;
    fprintf(f, "set logscale y\nset grid\nset key left center\nset format y '%%g'\n"
               "set xlabel 'delta = gamma / gamma0 - 1'\nset ylabel 'conductance [uS]'\n");
    if (dev->valid_min > -dev->domain)
        fprintf(f,
                "set arrow from %.17g, graph 0 to %.17g, graph 1 nohead dashtype 2\n"
                "set label 'cells can be written' at %.17g, graph 0.03 left offset 1,0\n",
                dev->valid_min, dev->valid_min, dev->valid_min);
    fprintf(f, "plot '-' with lines linewidth 2 title 'LRS', '-' with lines linewidth 2 title 'HRS'\n");
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i <= POINTS; i++) {
            double delta = 1.2 * dev->domain * (2.0 * i / POINTS - 1);
            fprintf(f, "%.9g %.9g\n", delta, 1e6 * ot_device_conductance(dev, (ot_state)s, delta));
        }
        fputs("e\n", f);
    }
}

ot_status plot_device(const ot_device *dev, const char *path) { return gnuplot_draw(path, "800,560", write_script, dev); }
