/* train_robust.c - options of `ohmtrim train` for networks that will be quantised and vary. */
#include "train_robust.h"
#include "eval_noise.h"

#include <string.h>

enum { WEIGHT_BITS = 0x2000, ACTIVATION_BITS, QUANTISE_AFTER, POST_TRAINING, RESCALE, RANGE, WEIGHT_STE, ACTIVATION_STE, NOISE, SAMPLES };
enum { GIVEN_RANGE = 1, GIVEN_WEIGHT_STE = 2, GIVEN_ACTIVATION_STE = 4, GIVEN_NOISE = 8, GIVEN_SAMPLES = 16 };

static const struct argp_option options[] = {
    {"weight-bits", WEIGHT_BITS, "N", 0, "quantise weights to N bits, 2..8: 2^(N-1) - 1 values on either side of 0 (float)", 0},
    {"activation-bits", ACTIVATION_BITS, "N", 0, "quantise ReLU outputs likewise, from 0 up (float)", 0},
    {"quantise-after", QUANTISE_AFTER, "N", 0, "train N epochs in float first (0)", 0},
    {"post-training", POST_TRAINING, 0, 0, "train in float, quantise at the end", 0},
    {"rescale", RESCALE, "N", 0, "find the weights' scales again every N epochs (once, at the beginning)", 0},
    {"range", RANGE, "auto|average|least", 0, "activations' scale: average of the largest, or least squared error (auto: least up to 4 bits)", 0},
    {"weight-ste", WEIGHT_STE, "identity|clipped|inside", 0, "what stands for the derivative of the weights' quantiser (identity)", 0},
    {"activation-ste", ACTIVATION_STE, "identity|clipped|inside", 0, "and of the activations' (clipped)", 0},
    {"noise", NOISE, "proportional|fixed:SW[,SB]|device", 0,
     "train with noise on weights: sd within chips and between them, a share of each weight or of the layer's largest; device: chips of --device-model, --sigma, "
     "--sys-share, --bits, a new one each step (none)", 0},
    {"samples", SAMPLES, "N", 0, "samples of noise a step, whose gradients are averaged (1)", 0},
    {0},
};

static int word_of(struct argp_state *state, const char *option, const char *text, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(text, words[i])) return i;
    argp_error(state, "--%s = '%s', want %s, %s or %s", option, text, words[0], words[1], words[2]);
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const stes[OT_STES] = {"clipped", "identity", "inside"}, *const ranges[] = {"auto", "average", "least"};
    train_robust_args *a = state->input;
    switch (key) {
    case WEIGHT_BITS: a->opt.weight_bits = (int)cli_int(state, "weight-bits", arg, OT_QUANTISE_LEAST_BITS, OT_QUANTISE_MOST_BITS); return 0;
    case ACTIVATION_BITS: a->opt.activation_bits = (int)cli_int(state, "activation-bits", arg, OT_QUANTISE_LEAST_BITS, OT_QUANTISE_MOST_BITS); return 0;
    case QUANTISE_AFTER: a->opt.quantise_after = (int)cli_int(state, "quantise-after", arg, 0, 100000); return 0;
    case POST_TRAINING: a->post_training = 1; return 0;
    case RESCALE: a->opt.rescale_epochs = (int)cli_int(state, "rescale", arg, 0, 100000); return 0;
    case RANGE:
        a->opt.range = (ot_range)word_of(state, "range", arg, ranges, 3);
        a->given |= GIVEN_RANGE;
        return 0;
    case WEIGHT_STE:
        a->opt.weight_ste = (ot_ste)word_of(state, "weight-ste", arg, stes, OT_STES);
        a->given |= GIVEN_WEIGHT_STE;
        return 0;
    case ACTIVATION_STE:
        a->opt.activation_ste = (ot_ste)word_of(state, "activation-ste", arg, stes, OT_STES);
        a->given |= GIVEN_ACTIVATION_STE;
        return 0;
    case NOISE:
        a->device = !strcmp(arg, "device");
        a->given |= GIVEN_NOISE;
        if (!a->device && !cli_parse_noise(&a->opt.noise, arg))
            argp_error(state, "--noise = '%s', want proportional:SW or fixed:SW (SW,SB: within and between chips, 0..1) or device", arg);
        return 0;
    case SAMPLES:
        a->opt.samples = (int)cli_int(state, "samples", arg, 1, 1000);
        a->given |= GIVEN_SAMPLES;
        return 0;
    case ARGP_KEY_END:
        if ((a->post_training || a->opt.quantise_after || a->opt.rescale_epochs) && !a->opt.weight_bits && !a->opt.activation_bits)
            argp_error(state, "--%s says when to quantise, want --weight-bits or --activation-bits too",
                       a->post_training ? "post-training" : a->opt.quantise_after ? "quantise-after" : "rescale");
        if (a->post_training && a->opt.quantise_after) argp_error(state, "--post-training quantises after the last epoch: want it without --quantise-after");
        if ((a->given & GIVEN_SAMPLES) && !(a->given & GIVEN_NOISE)) argp_error(state, "--samples are of noise, want --noise too");
        if ((a->given & GIVEN_WEIGHT_STE) && !a->opt.weight_bits) argp_error(state, "--weight-ste is of quantised weights, want --weight-bits too");
        if ((a->given & GIVEN_ACTIVATION_STE) && !a->opt.activation_bits) argp_error(state, "--activation-ste is of quantised activations, want --activation-bits too");
        if ((a->given & GIVEN_RANGE) && !a->opt.activation_bits) argp_error(state, "--range is of quantised activations, want --activation-bits too");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp train_robust_argp = {options, parse, NULL, NULL, NULL, NULL, NULL};

ot_status train_robust_take(ot_train_options *out, train_robust_args *a, const cli_common *common)
{
    out->robust = a->opt;
    if (a->post_training) out->robust.quantise_after = out->epochs;
    if (!a->device) return OT_OK;
    ot_status st = cli_open_device(common, &a->dev);
    out->robust.device = &a->dev;
    out->robust.variation = common->variation;
    return st;
}
