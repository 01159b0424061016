/* select.h - which images to show: clustering of correctness vectors, image filters, the remix loop.  Part of the test stage.
 *
 *     enum { IMAGES = 1000, CHIPS = 100 };
 *     static uint8_t  right[CHIPS][(IMAGES + 7) / 8];                // bit i % 8 of byte i / 8: image i is answered rightly
 *     static ot_merge merges[IMAGES - 1];
 *     ot_correctness *v;
 *     ot_selection   *s;
 *     ot_status st = ot_correctness_make(&v, IMAGES, CHIPS);
 *     for (int c = 0; c < CHIPS; c++) ot_correctness_chip(v, c, right[c]);
 *     st = ot_correctness_tree(merges, v, OT_WARD, 0);
 *     st = ot_correctness_select(&s, v, merges, 10, 0);              // s->medoid[0..9]
 *     ot_selection_free(s);
 *     ot_correctness_free(v);
 *
 * Paper 000 III.A: image j is described by which of N chips answer it rightly, V_j in {0, 1}^N; images are clustered by it, and one of each
 * cluster, its medoid, is shown.  The paper names no linkage; Ward is ours (docs/stimulus.md).  Since 0.1. */
#ifndef OHMTRIM_SELECT_H
#define OHMTRIM_SELECT_H

#include "ohmtrim/data.h"
#include "ohmtrim/predictor.h"
#include "ohmtrim/test.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- Correctness vectors ------------------------------------------------------------------------------------------- */

typedef struct ot_correctness {
    int       images, chips, words;          /* words: of 64 bits an image */
    uint64_t *bits;                          /* (images, words); chip c: bit c % 64 of word c / 64; unused bits are 0 */
} ot_correctness;
/* All wrong to begin with.  OT_E_RANGE unless both are at least 1. */
ot_status ot_correctness_make(ot_correctness **out, int images, int chips);
void      ot_correctness_free(ot_correctness *v);
/* One chip's answers to all images, packed as stores keep them: bit i % 8 of byte i / 8 is image i. */
void      ot_correctness_chip(ot_correctness *v, int chip, const uint8_t *right);
void      ot_correctness_set(ot_correctness *v, int image, int chip, int right);
/* How many chips answer one of the two rightly and the other wrongly: the squared Euclidean distance. */
int       ot_correctness_distance(const ot_correctness *v, int a, int b);

/* Agglomerative clustering of the images, Euclidean, as ot_cluster_tree reports it (images - 1 merges).  Equal vectors are merged first.
 * Heights are of float32 distances.  Takes 4 bytes a pair of distinct vectors; threads 0: one a core; the tree does not depend on it. */
ot_status ot_correctness_tree(ot_merge *merges, const ot_correctness *v, ot_linkage linkage, int threads);
const char *ot_linkage_name(ot_linkage linkage);                              /* "ward", "average", "complete" */
ot_status   ot_linkage_parse(ot_linkage *out, const char *name);

/* A cut of the tree into k clusters, largest first. */
typedef struct ot_selection {
    int     k, images;
    int    *label;                           /* (images) 0..k-1 */
    int    *medoid, *size;                   /* (k) image with the least sum of Euclidean distances to its cluster's, ties to the lowest */
    double *spread;                          /* (k) mean distance of a cluster's images to its medoid */
    double  distance;                        /* mean distance of all images to their medoids */
    double  within;                          /* sum over clusters of squared distances to their means */
} ot_selection;
/* OT_E_RANGE unless 1 <= k <= images. */
ot_status ot_correctness_select(ot_selection **out, const ot_correctness *v, const ot_merge *merges, int k, int threads);
void      ot_selection_free(ot_selection *s);

/* -- Image filters ------------------------------------------------------------------------------------------------- */

/* On pixels x in 0..1; outside of an image its nearest edge pixel repeats.  gaussian: weights exp(-i^2 / (2 s^2)), |i| <= int(4 s + 0.5), strength
 * s in pixels; median, box: of k x k neighbours, k odd; brightness: clip(f x); contrast: clip(m + f (x - m)), m the mean luma of the image;
 * gamma: x^g; hue: HSV, H + t turns; saturation: clip(l + f (x - l)), l the pixel's luma, 0.299 R + 0.587 G + 0.114 B.  (The definitions of
 * scikit-image, scipy and Pillow, the latter's without their 8-bit steps.)  Images of one channel are grey: hue and saturation leave them. */
typedef enum ot_filter_kind { OT_GAUSSIAN, OT_MEDIAN, OT_BOX, OT_BRIGHTNESS, OT_CONTRAST, OT_GAMMA, OT_HUE, OT_SATURATION, OT_FILTERS } ot_filter_kind;
typedef struct ot_filter { ot_filter_kind kind; double strength; } ot_filter;
const char *ot_filter_name(ot_filter_kind kind);
/* One image (c, h, w), c 1 or 3; y may not be x.  OT_E_RANGE: strength (gaussian 0.05..10, k odd 1..15, factors and gamma 0..10, turns -1..1). */
ot_status ot_filter_values(double *y, const double *x, int c, int h, int w, ot_filter f);
ot_status ot_filter_pixels(uint8_t *y, const uint8_t *x, int c, int h, int w, ot_filter f);      /* floor(255 y + 0.5) */
/* Draw number (turn, index) of the seed: a kind that changes an image of c channels, and a strength, three digits after the point. */
ot_filter ot_filter_random(uint64_t seed, uint32_t turn, uint32_t index, int c);

/* -- The remix loop (paper 000 III.A; methods: docs/stimulus.md) ---------------------------------------------------- */

/* Images of their own: pixels (n, c, h, w), class labels, where each comes from ("test image 7, gaussian 1.25"). */
enum { OT_WHAT = 64 };
typedef struct ot_images {
    int      n, c, h, w;
    uint8_t *pixels;
    int32_t *labels;
    int32_t *number;                         /* test image it was made from */
    char   (*what)[OT_WHAT];
} ot_images;
ot_status ot_images_make(ot_images *out, int n, int c, int h, int w);
void      ot_images_free(ot_images *m);
void      ot_images_copy(ot_images *to, int at, const ot_images *from, int i);          /* one image */

/* Chips of which the accuracy is known, and who asks them: right (chips, n) 0 or 1; responses (chips, n, q), what a signature holds of each
 * image. */
typedef struct ot_population {
    int           chips, q;
    const double *accuracy;
    ot_status   (*answer)(void *user, const ot_images *images, uint8_t *right, float *responses);
    void         *user;
} ot_population;

typedef struct ot_remix_options {
    int        k, candidates;                /* images to keep, 10; filtered ones a round, 200 */
    ot_linkage linkage;
    uint64_t   seed;
    int        folds, threads;
    ot_predictor_options predictor;          /* MARS of degree 1 */
} ot_remix_options;
ot_remix_options ot_remix_defaults(void);

/* Between rounds: all there is to go on from. */
typedef struct ot_remix {
    int       round, best_round;             /* rounds done; the round that made `best`, 0: the first set */
    double    rmse, best_rmse;               /* cross-validated error of the predictor with `kept`, with `best` */
    ot_images kept, best;
} ot_remix;
/* Round 0: scores `first`, the k images to begin with (copied). */
ot_status ot_remix_start(ot_remix *r, const ot_images *first, const ot_population *p, const ot_remix_options *opt);
/* One round: kept images and filtered test images (drawn from (seed, round)) are answered by all chips, clustered, the medoids become `kept`, and
 * `best` if the predictor is better with them.  `test` must be bytes.  On an error the state is as before. */
ot_status ot_remix_round(ot_remix *r, const ot_data *test, const ot_population *p, const ot_remix_options *opt);
void      ot_remix_free(ot_remix *r);
/* Cross-validated error of the predictor on chosen images: responses (chips, n, q), chosen (k) of n. */
ot_status ot_stimulus_score(double *rmse, const float *responses, int n, const int *chosen, int k, const ot_population *p, const ot_remix_options *opt);

#ifdef __cplusplus
}
#endif
#endif
