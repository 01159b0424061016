/* 03 - mend a chip by its knobs: match mean and spread of each layer to the ideal network's on 100 unlabelled images (closed form),
 * then 20 steps of Adam. */
#include <ohmtrim.h>
#include <stdio.h>

enum { IMAGES = 100, STEPS = 20, MAX_RELUS = 64 };

int main(int argc, char **argv)
{
    ot_network *net = NULL;
    ot_device dev;
    ot_chip *chip = NULL;
    ot_data *test = NULL, *train = NULL;
    ot_backend *be = NULL;
    ot_plan *plan = NULL;
    ot_variation var = OT_VARIATION_INIT;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    ot_tune_options how = ot_tune_defaults();
    ot_tune_cost cost = {0};
    double mean[MAX_RELUS], sd[MAX_RELUS];
    float gain[MAX_RELUS], offset[MAX_RELUS];
    int64_t before = 0, closed = 0, after = 0;
    opt.use = OT_PLAN_TUNE;
    ot_status st = ot_network_open(&net, argc > 1 ? argv[1] : "models/mobilenet-s.onnx");
    if (st == OT_OK && ot_network_knobs(net) > MAX_RELUS) return 3;
    if (st == OT_OK) st = ot_data_open(&test, "fashion-mnist", OT_SPLIT_TEST, 2000);
    if (st == OT_OK) st = ot_data_open(&train, "fashion-mnist", OT_SPLIT_TRAIN, 5000);
    if (st == OT_OK) st = ot_device_open(&dev, "r1");
    if (st == OT_OK) st = ot_backend_open(&be, "auto", NULL);
    if (st == OT_OK) st = ot_plan_open(&plan, be, net, &opt);
    if (st == OT_OK) st = ot_plan_load(plan, NULL);
    if (st == OT_OK) st = ot_tune_targets(mean, sd, plan, train, NULL, IMAGES);
    if (st == OT_OK) st = ot_chip_draw(&chip, net, &dev, &var, 0);
    if (st == OT_OK) st = ot_plan_load(plan, chip);
    if (st == OT_OK) st = ot_plan_count(plan, test, NULL, test->n, &before, NULL);
    if (st == OT_OK) st = ot_tune_closed_form(plan, train, NULL, IMAGES, mean, sd, gain, offset, &cost);
    if (st == OT_OK) st = ot_plan_count(plan, test, NULL, test->n, &closed, NULL);
    if (st == OT_OK) st = ot_tune_adam(plan, train, NULL, train->n, &how, STEPS, gain, offset, &cost);
    if (st == OT_OK) st = ot_plan_count(plan, test, NULL, test->n, &after, NULL);
    if (st == OT_OK)
        printf("chip 0, right of %d: untuned %lld, closed form %lld, then %d steps %lld\n", test->n, (long long)before, (long long)closed,
               STEPS, (long long)after);
    else
        fprintf(stderr, "%s\n", ot_last_error());
    ot_chip_free(chip);
    ot_plan_free(plan);
    ot_backend_close(be);
    ot_data_free(train);
    ot_data_free(test);
    ot_network_free(net);
    return ot_status_exit(st);
}
