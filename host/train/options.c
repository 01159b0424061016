/* options.c - the settings of a training, their checks, and the learning rate as a pure function of where training stands. */
#include "base/fail.h"
#include "train/robust.h"

#include <math.h>

ot_train_options ot_train_defaults(void)
{
    return (ot_train_options){.optimizer = OT_OPTIMIZER_SGD,
                              .schedule = OT_SCHEDULE_COSINE,
                              .lr = 0.05,
                              .momentum = 0.9,
                              .weight_decay = 5e-4,
                              .epochs = 10,
                              .minibatch = 128,
                              .step_gamma = 0.1,
                              .step_epochs = 30,
                              .seed = 1,
                              .robust = {.weight_ste = OT_STE_IDENTITY, .range_batches = 100, .range_momentum = 0.9, .samples = 1, .variation = OT_VARIATION_INIT},
                              .threads = 0};
}

ot_status ot_train_check(const ot_train_options *o)
{
    if (o->optimizer != OT_OPTIMIZER_SGD && o->optimizer != OT_OPTIMIZER_ADAM)
        OT_FAIL(OT_E_RANGE, "optimizer = %d, want %d (SGD) or %d (Adam)", (int)o->optimizer, OT_OPTIMIZER_SGD, OT_OPTIMIZER_ADAM);
    if (o->schedule != OT_SCHEDULE_COSINE && o->schedule != OT_SCHEDULE_STEP && o->schedule != OT_SCHEDULE_FIXED)
        OT_FAIL(OT_E_RANGE, "schedule = %d, want 0 (cosine), 1 (step) or 2 (fixed)", (int)o->schedule);
    if (!(o->lr > 0 && o->lr <= 100)) OT_FAIL(OT_E_RANGE, "lr = %g, want above 0, at most 100", o->lr);
    if (!(o->momentum >= 0 && o->momentum < 1)) OT_FAIL(OT_E_RANGE, "momentum = %g, want 0 or more, below 1", o->momentum);
    if (!(o->weight_decay >= 0 && o->weight_decay <= 1)) OT_FAIL(OT_E_RANGE, "weight_decay = %g, want 0..1", o->weight_decay);
    if (!(o->epochs >= 1 && o->epochs <= 100000)) OT_FAIL(OT_E_RANGE, "epochs = %d, want 1..100000", o->epochs);
    if (!(o->minibatch >= 1 && o->minibatch <= 65536)) OT_FAIL(OT_E_RANGE, "minibatch = %d, want 1..65536", o->minibatch);
    if (!(o->warmup_epochs >= 0 && o->warmup_epochs <= o->epochs))
        OT_FAIL(OT_E_RANGE, "warmup_epochs = %d, want 0..%d (epochs)", o->warmup_epochs, o->epochs);
    if (!(o->step_gamma > 0 && o->step_gamma <= 1)) OT_FAIL(OT_E_RANGE, "step_gamma = %g, want above 0, at most 1", o->step_gamma);
    if (!(o->step_epochs >= 1)) OT_FAIL(OT_E_RANGE, "step_epochs = %d, want 1 or more", o->step_epochs);
    if (!(o->crop_pad >= 0 && o->crop_pad <= 64)) OT_FAIL(OT_E_RANGE, "crop_pad = %d pixels, want 0..64", o->crop_pad);
    if (!(o->label_smoothing >= 0 && o->label_smoothing < 1))
        OT_FAIL(OT_E_RANGE, "label_smoothing = %g, want 0 or more, below 1", o->label_smoothing);
    OT_TRY(ot__robust_check(o, NULL));
    if (o->surrogate < 0 || o->surrogate >= OT_SURROGATES) OT_FAIL(OT_E_RANGE, "surrogate = %d, want one of ot_surrogate", (int)o->surrogate);
    if (!(o->sharpness >= 0 && o->sharpness <= 1e6)) OT_FAIL(OT_E_RANGE, "sharpness of the surrogate = %g, want 0 (the usual one) to 1e6", o->sharpness);
    if (o->spike_loss != OT_SPIKE_LOSS_COUNT && o->spike_loss != OT_SPIKE_LOSS_RATE)
        OT_FAIL(OT_E_RANGE, "spike_loss = %d, want 0 (count) or 1 (rate)", (int)o->spike_loss);
    if (!(o->shards >= 0 && o->shards <= 256)) OT_FAIL(OT_E_RANGE, "shards = %d, want 0 (chosen) to 256", o->shards);
    if (o->shards > 0 && o->minibatch % o->shards)
        OT_FAIL(OT_E_RANGE, "minibatch = %d does not divide into %d equal shards", o->minibatch, o->shards);
    if (!(o->threads >= 0 && o->threads <= 1024)) OT_FAIL(OT_E_RANGE, "threads = %d, want 0 (one a core) to 1024", o->threads);
    return OT_OK;
}

double ot_train_lr(const ot_train_options *o, int epoch, int step, int steps)
{
    double done = (double)epoch * steps + step, warm = (double)o->warmup_epochs * steps;
    if (done < warm) return o->lr * (done + 1) / warm;
    switch (o->schedule) {
    case OT_SCHEDULE_COSINE: return 0.5 * o->lr * (1 + cos(M_PI * (done - warm) / ((double)o->epochs * steps - warm)));
    case OT_SCHEDULE_STEP: return o->lr * pow(o->step_gamma, epoch / o->step_epochs);
    case OT_SCHEDULE_FIXED: break;
    }
    return o->lr;
}
