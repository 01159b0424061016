/* options.c - the settings of a training, their checks, and the learning rate as a pure function of where training stands. */
#include "base/fail.h"
#include "train/robust.h"

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
                              .lipschitz_sigma = 0.5,
                              .robust = {.weight_ste = OT_STE_IDENTITY, .range_batches = 100, .range_momentum = 0.9, .samples = 1, .variation = OT_VARIATION_INIT},
                              .threads = 0};
}

ot_status ot_train_check(const ot_train_options *o)
{
    if (o->optimizer != OT_OPTIMIZER_SGD && o->optimizer != OT_OPTIMIZER_ADAM)
        OT_FAIL(OT_E_RANGE, "optimizer = %d, want %d (SGD) or %d (Adam)", (int)o->optimizer, OT_OPTIMIZER_SGD, OT_OPTIMIZER_ADAM);
    if ((int)o->schedule < 0 || o->schedule > OT_SCHEDULE_POLICY)
        OT_FAIL(OT_E_RANGE, "schedule = %d, want 0 (cosine), 1 (step), 2 (fixed) or 3 (policy)", (int)o->schedule);
    if (o->schedule == OT_SCHEDULE_POLICY) {
        OT_TRY(ot_policy_check(&o->policy));
        if (!o->policy.n) OT_FAIL(OT_E_RANGE, "schedule = 3 (policy), but the policy is none, want one such as COS k1=0.05 l=100%%");
    }
    if (!(o->lr > 0 && o->lr <= 100)) OT_FAIL(OT_E_RANGE, "lr = %g, want above 0, at most 100", o->lr);
    if (!(o->momentum >= 0 && o->momentum < 1)) OT_FAIL(OT_E_RANGE, "momentum = %g, want 0 or more, below 1", o->momentum);
    if (!(o->weight_decay >= 0 && o->weight_decay <= 1)) OT_FAIL(OT_E_RANGE, "weight_decay = %g, want 0..1", o->weight_decay);
    if (!(o->lipschitz >= 0 && o->lipschitz <= 1e6)) OT_FAIL(OT_E_RANGE, "lipschitz = %g, want 0..1e6 (0: no penalty)", o->lipschitz);
    if (!(o->lipschitz_sigma >= 0 && o->lipschitz_sigma <= 2)) OT_FAIL(OT_E_RANGE, "lipschitz_sigma = %g, want 0..2", o->lipschitz_sigma);
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

/* The schedule as a policy, for `run` minibatches after the warm-up.  None where its lengths do not go with the run. */
static ot_policy policy_of(const ot_train_options *o, double run, int steps)
{
    ot_policy p = {.n = 1};
    switch (o->schedule) {
    case OT_SCHEDULE_COSINE: p.part[0] = (ot_policy_part){.kind = OT_POLICY_COS, .k1 = o->lr, .l.n = run}; break;
    case OT_SCHEDULE_STEP:
        p.part[0] = (ot_policy_part){.kind = OT_POLICY_STEP, .k0 = o->lr, .gamma = o->step_gamma, .l.n = (double)o->step_epochs * steps};
        break;
    case OT_SCHEDULE_FIXED: p.part[0] = (ot_policy_part){.kind = OT_POLICY_FIX, .k0 = o->lr}; break;
    case OT_SCHEDULE_POLICY:
        if (ot_policy_for(&p, &o->policy, run, steps) != OT_OK) p.n = 0;
        break;
    }
    return p;
}

double ot_train_lr(const ot_train_options *o, int epoch, int step, int steps)
{
    double done = (double)epoch * steps + step, warm = (double)o->warmup_epochs * steps;
    ot_policy p = policy_of(o, (double)o->epochs * steps - warm, steps);
    if (done < warm) return (o->schedule == OT_SCHEDULE_POLICY ? ot_policy_lr(&p, 0) : o->lr) * (done + 1) / warm;
    return ot_policy_lr(&p, o->schedule == OT_SCHEDULE_STEP ? done : done - warm); /* steps are of whole epochs from the first */
}
