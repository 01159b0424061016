/* synthesise.h - test images made from noise, a compact set of them, and pass or fail by a screen alone (EGIS).  Part of the test stage.
 *
 *     enum { CHIPS = 100, IMAGES = 200, Q = 25, K = 10 };               // Q = L + C numbers an image
 *     static float         responses[CHIPS * IMAGES * Q], signatures[CHIPS * K * Q];
 *     static uint8_t       good[CHIPS];
 *     int                  chosen[K];
 *     ot_detector          d;
 *     ot_synthesis        *s;
 *     ot_synthesis_options opt = ot_synthesis_defaults(OT_SYNTHESIS_CONFIDENT);
 *     ot_status st = ot_synthesise(&s, "auto", net, &opt, NULL, NULL);  // 200 candidates: s->images
 *     // ... ot_signature_measure_fleet of simulated chips on all of s->images gives the responses
 *     st = ot_compact_logdet(chosen, NULL, responses, CHIPS, IMAGES, Q, K, 0.1);
 *     // ... and those of the chosen images the signatures
 *     st = ot_detector_fit(&d, signatures, good, CHIPS, K * Q, NULL);
 *
 * No training data are needed: images are moved by gradient through the ideal network until its outputs are as a loss on their entropy
 * wants them.  "An entropy-based loss" is all that is published of it; both readings are here (docs/synthetic-images.md).  Since 0.1. */
#ifndef OHMTRIM_SYNTHESISE_H
#define OHMTRIM_SYNTHESISE_H

#include "ohmtrim/screen.h"
#include "ohmtrim/test.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- Images from noise ---------------------------------------------------------------------------------------------- */

/* p_b: softmax of image b's logits, H: entropy in nats, TV: ot_total_variation of the pixels 0..1.
 * confident: mean of H(p_b) - diversity * H(mean of p_b) + smooth * TV: sure answers, spread over all classes.
 * boundary: - mean of H(p_b) + smooth * TV: images on decision borders, where little is needed to turn an answer. */
typedef enum ot_synthesis_loss { OT_SYNTHESIS_CONFIDENT, OT_SYNTHESIS_BOUNDARY, OT_SYNTHESIS_LOSSES } ot_synthesis_loss;
const char *ot_synthesis_loss_name(ot_synthesis_loss loss);                           /* "confident", "boundary" */
ot_status   ot_synthesis_loss_parse(ot_synthesis_loss *out, const char *name);        /* OT_E_USAGE lists the names */

typedef struct ot_synthesis_options {
    ot_synthesis_loss loss;
    int      images;       /* 1..100000; 200 */
    int      batch;        /* most images that are moved together, 1..4096; 50.  The mean of the p_b is taken over them */
    int      steps;        /* of Adam, 1..100000; 300 */
    double   lr;           /* Adam's rate on pixels 0..1; 0.05 */
    double   diversity;    /* 0..100; 1 */
    double   smooth;       /* 0..100; 1 */
    uint64_t seed;
    int      threads;      /* 0: one a core (on cuda: one); results do not depend on it */
} ot_synthesis_options;
ot_synthesis_options ot_synthesis_defaults(ot_synthesis_loss loss);
ot_status            ot_synthesis_check(const ot_synthesis_options *opt);

typedef struct ot_synthesis {
    ot_data *images;       /* uint8 pixels (a tester's converters take integers); labels: the classes the ideal network sees in them */
    double  *entropy;      /* (images) of the ideal network's answer, nats, after rounding to uint8 */
    double  *loss;         /* (steps) before each step, the mean over all images' batches */
    int      steps;
} ot_synthesis;

/* Told after every ten steps; a failure it returns ends the synthesis and is passed on. */
typedef ot_status (*ot_synthesis_progress)(void *user, int steps_done, int steps, double loss);

/* Pixels start uniform in 0..1, drawn from (seed, image), and are held there; weights and batch norms of `net` are the ideal ones.
 * OT_E_DATA: the network's answer to an image is not finite. */
ot_status ot_synthesise(ot_synthesis **out, const char *backend, const ot_network *net, const ot_synthesis_options *opt, ot_synthesis_progress progress, void *user);
void      ot_synthesis_free(ot_synthesis *s);

/* The parts of the losses.  logits (n, classes); grad (n, classes) gets the derivatives; work: (n + 1, classes). */
double ot_entropy_loss(ot_synthesis_loss loss, double diversity, const float *logits, int n, int classes, double *work, float *grad);
/* Mean over images and over all pairs of neighbours (down, right, each channel apart) of sqrt(d^2 + e^2) - e, e = 0.01, d their difference;
 * weight times the derivatives is added to grad (n, c, h, w).  0 for images of one pixel. */
double ot_total_variation(const float *pixels, int n, int c, int h, int w, double weight, float *grad);
/* H of the softmax of one image's logits, nats. */
double ot_entropy(const float *logits, int classes);

/* -- A compact set -------------------------------------------------------------------------------------------------- */

/* Greedy forward selection of k of `images` candidates from responses (chips, images, q) of simulated chips, q numbers an image (signature.h's:
 * L layer means, C logits).  Number j of the q is measured in units of its own spread: the root mean square, over images, of its sd over
 * chips; `noise` is what a measurement adds, in these units (0.1).  Ties go to the lowest image.  1 <= k <= images.
 *
 * logdet: without labels; each step adds the image that most raises log det(I + C / noise^2), C the covariance over chips of the chosen
 * images' responses; gain (k), or NULL: by how much. */
ot_status ot_compact_logdet(int *chosen, double *gain, const float *responses, int chips, int images, int q, int k, double noise);
/* auc: each step adds the image that most raises the AUC of telling bad chips (good[i] = 0) from good ones by their distance to the good
 * chips, d2 = y' (C_good + noise^2 I)^-1 y; a good chip's distance leaves it out of centre and covariance.  Equal AUCs: the larger gap of
 * the mean log d2.  auc (k), or NULL.  At least 3 good chips and 1 bad one. */
ot_status ot_compact_auc(int *chosen, double *auc, const float *responses, const uint8_t *good, int chips, int images, int q, int k, double noise);

/* Chosen images' numbers out of all: signatures (chips, k q) from responses (chips, images, q). */
void ot_compact_gather(float *signatures, const float *responses, int chips, int images, int q, const int *chosen, int k);

/* -- Pass or fail by the screen alone --------------------------------------------------------------------------------- */

/* Fitted on the signatures of good chips only; a chip fails if it is an outlier among them. */
typedef struct ot_detector { ot_features features; ot_screen screen; } ot_detector;

/* signatures (n, s) of simulated chips, of which those with good[i] count; opt NULL: ot_screen_defaults(OT_SCREEN_MRCD), whose
 * contamination is the share of good chips that may fail. */
ot_status ot_detector_fit(ot_detector *out, const float *signatures, const uint8_t *good, int n, int s, const ot_screen_options *opt);
void      ot_detector_free(ot_detector *d);
/* distance (n) of signatures (n, s); a chip fails if it is past d->screen.threshold. */
ot_status ot_detector_distances(double *distance, const ot_detector *d, const float *signatures, int n);

typedef struct ot_rates {
    int    chips, bad;
    double auc;            /* P(a bad chip is farther out than a good one), ties a half; NaN without one of each */
    double accuracy;       /* share of chips told right */
    double escape;         /* bad chips passed, a share of all chips */
    double overkill;       /* good chips failed, a share of all chips */
} ot_rates;
/* A chip fails with distance > threshold, or NaN.  n >= 1. */
ot_status ot_detector_rates(ot_rates *out, const double *distance, const uint8_t *good, int n, double threshold);
/* The AUC alone, by mid-ranks; a NaN score counts as the farthest. */
ot_status ot_auc(double *out, const double *score, const uint8_t *good, int n);

#ifdef __cplusplus
}
#endif
#endif
