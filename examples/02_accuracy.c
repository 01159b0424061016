/* 02 - accuracy of three chips and of the ideal network, on the first 2,000 test images. */
#include <ohmtrim.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    ot_network *net = NULL;
    ot_device dev;
    ot_chip *chip = NULL;
    ot_data *test = NULL;
    ot_backend *be = NULL;
    ot_plan *plan = NULL;
    ot_variation var = OT_VARIATION_INIT;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    ot_status st = ot_network_open(&net, argc > 1 ? argv[1] : "models/mobilenet-s.onnx");
    if (st == OT_OK) st = ot_data_open(&test, "fashion-mnist", OT_SPLIT_TEST, 2000);
    if (st == OT_OK) st = ot_data_check(test, net);
    if (st == OT_OK) st = ot_device_open(&dev, "r1");
    if (st == OT_OK) st = ot_backend_open(&be, "auto", NULL);
    if (st == OT_OK) st = ot_plan_open(&plan, be, net, &opt);
    if (st == OT_OK) st = ot_chip_draw(&chip, net, &dev, &var, 0);
    for (uint32_t number = 0; st == OT_OK && number < 4; number++) {
        int64_t correct = 0;
        if (number < 3) st = ot_chip_redraw(chip, number);
        if (st == OT_OK) st = ot_plan_load(plan, number < 3 ? chip : NULL);      /* NULL: the ideal weights */
        if (st == OT_OK) st = ot_plan_count(plan, test, NULL, test->n, &correct, NULL);
        if (st == OT_OK && number < 3)
            printf("chip %u (delta_sys %+.4f): %.2f %%\n", number, ot_chip_delta_sys(chip), 100.0 * (double)correct / test->n);
        else if (st == OT_OK)
            printf("ideal: %.2f %%\n", 100.0 * (double)correct / test->n);
    }
    if (st != OT_OK) fprintf(stderr, "%s\n", ot_last_error());
    ot_chip_free(chip);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_data_free(test);
    ot_network_free(net);
    return ot_status_exit(st);
}
