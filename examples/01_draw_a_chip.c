/* 01 - draw a chip: the same seed and number give the same chip, here and everywhere.
 *
 *     cc 01_draw_a_chip.c $(pkg-config --cflags --libs ohmtrim) && ./a.out models/mobilenet-s.onnx */
#include <ohmtrim.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    ot_network *net = NULL;
    ot_device dev;
    ot_chip *chip = NULL;
    ot_variation var = OT_VARIATION_INIT;           /* sigma 4.8 %, half of it systematic, 16 bits, seed 1 */
    ot_status st = ot_network_open(&net, argc > 1 ? argv[1] : "models/mobilenet-s.onnx");
    if (st == OT_OK) st = ot_device_open(&dev, "r1");
    if (st == OT_OK) st = ot_chip_draw(&chip, net, &dev, &var, 17);
    if (st == OT_OK) {
        const float *ideal = ot_network_crossbar(net, 0)->weight, *drawn = ot_chip_weights(chip, 0);
        printf("chip 17: delta_sys %+.4f, hash %016llx\n", ot_chip_delta_sys(chip), (unsigned long long)ot_chip_hash(chip));
        for (int i = 0; i < 4; i++) printf("  weight %d: ideal %+.5f, on the chip %+.5f\n", i, ideal[i], drawn[i]);
    } else
        fprintf(stderr, "%s\n", ot_last_error());
    ot_chip_free(chip);
    ot_network_free(net);
    return ot_status_exit(st);
}
