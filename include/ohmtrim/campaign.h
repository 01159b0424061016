/* campaign.h - many chips, measured, tested and tuned, in one SQLite file that survives being killed (DESIGN 4.8, 4.10, 4.17).
 *
 *     ot_campaign_spec spec;
 *     ot_campaign_how how = {0};
 *     ot_status st = ot_campaign_spec_read(&spec, "spec.yaml");
 *     st = ot_campaign_run("c.db", &spec, &how);                      // again after a kill: measures only what is missing
 *     ot_campaign_results *r;
 *     st = ot_campaign_results_read(&r, "c.db");
 *     ot_yield y;
 *     ot_campaign_yield(&y, r, 0.02);                                 // at two points below the ideal accuracy
 *
 * Chips 0..casebook_chips-1 are tuned exhaustively and make the casebook; the `chips` after them are measured untuned and with every
 * tuner.  Same spec, backend, build, libraries and instruction set: same digest, whatever the threads, interruptions and order.
 * docs/campaign.md describes the keys, the tables and the definitions.  Since 0.1. */
#ifndef OHMTRIM_CAMPAIGN_H
#define OHMTRIM_CAMPAIGN_H

#include "ohmtrim/learn.h"
#include "ohmtrim/select.h"
#include "ohmtrim/tune.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What decides the results.  Field names are the YAML keys (those of `tune` below the key `tune`). */
typedef struct ot_campaign_spec {
    char            network[512];      /* ONNX file; its SHA-256 is stored */
    char            data[512];         /* NAME[:DIR] */
    int             test_limit;        /* test images, 0: all */
    int             train_limit;       /* training images the tuners draw from, 0: all */
    char            device_model[512];
    ot_variation    variation;         /* sigma, sys_share, bits, seed */
    int             casebook_chips;    /* chips 0..casebook_chips-1 */
    int             chips;             /* evaluation chips, numbered after them */
    int             stimulus_images;   /* K of the random stimulus */
    char            stimulus[64];      /* the one that tuners look at: "random", or a name that `select` gave; may change until an
                                          evaluation chip is measured */
    char            signature[8];      /* what tuners look at of a chip's answers: "full", or "final" (class outputs: of spiking networks spike counts) */
    ot_ladder       ladder;            /* spiking networks: levels that tuned thresholds are rounded to; ladder_bits 0: none */
    int             n_tuners;
    ot_tuner        tuners[OT_TUNERS];
    ot_tune_options tune;              /* its seed is variation.seed */
    int             tile;
    char            backend[16];
} ot_campaign_spec;

void      ot_campaign_spec_defaults(ot_campaign_spec *spec);
ot_status ot_campaign_spec_check(const ot_campaign_spec *spec);
/* Over the defaults.  An unknown key, a value of another type or outside its range: OT_E_FORMAT naming file and key. */
ot_status ot_campaign_spec_read(ot_campaign_spec *spec, const char *yaml_path);
/* One key from text: "sigma" "0.035", "tune.steps" "50", "tuners" "learned,closed-form".  OT_E_RANGE. */
ot_status ot_campaign_spec_set(ot_campaign_spec *spec, const char *key, const char *value);
/* All of it as YAML that ot_campaign_spec_read reads back; freed with ot_free. */
ot_status ot_campaign_spec_text(char **out, const ot_campaign_spec *spec);
/* The spec that a campaign's database holds. */
ot_status ot_campaign_spec_stored(ot_campaign_spec *spec, const char *db_path);

typedef enum ot_phase { OT_PHASE_BOTH, OT_PHASE_CASEBOOK, OT_PHASE_EVALUATE } ot_phase;

/* How it is run: changes time and memory, never results. */
typedef struct ot_campaign_how {
    int      threads;        /* 0: one a core */
    size_t   memory;         /* bytes; 0: no limit */
    int      durable;        /* synchronous = FULL: a power cut loses nothing either */
    int      mixed;          /* resume although build or machine differ */
    ot_phase phase;
    volatile int *stop;      /* set to nonzero by a signal handler: finish the chips in hand and return OT_E_INTERRUPTED; may be NULL */
    void   (*say)(void *user, const char *sentence);   /* remarks; may be NULL */
    void    *user;
} ot_campaign_how;

/* Bytes a run would take, and how many chips it would have in flight.  OT_E_MEMORY_PLAN if `how->memory` is too little for one. */
typedef struct ot_campaign_need { size_t shared_bytes, chip_bytes, total_bytes; int in_flight; } ot_campaign_need;
ot_status ot_campaign_measure(ot_campaign_need *out, const ot_campaign_spec *spec, const ot_campaign_how *how);

/* Starts or continues.  OT_E_MISMATCH: the file holds another campaign (names the keys that differ), or another build's.
 * OT_E_LOCKED: another process writes to it.  OT_E_WRITE: no space, not writable; what was committed stays. */
ot_status ot_campaign_run(const char *db_path, const ot_campaign_spec *spec, const ot_campaign_how *how);
/* The stored spec's hash: SHA-256 of all that decides results, in 64 digits. */
ot_status ot_campaign_spec_hash(char hex[65], const char *db_path);
/* SHA-256 over all result rows in key order, floats as bits; not over times, host, paths, threads, memory. */
ot_status ot_campaign_digest(const char *db_path, char hex[65]);
/* One CSV file a table, and summary.csv, into `dir` (made if missing). */
ot_status ot_campaign_export_csv(const char *db_path, const char *dir);
/* Arrays of the casebook: stimulus (k) test images' numbers, -1 for those with stimulus_pixels (k, C H W) of their own, chip (n), signature
 * (n, S), accuracy (n), gain and offset (n, L), tuned_signature, tuned_accuracy (what `tune --casebook` and `learn --update` read); and of
 * the evaluation chips: evaluate_chip, evaluate_signature, evaluate_accuracy, and with _TUNER behind it each tuner's, evaluate_gain_TUNER,
 * evaluate_offset_TUNER.  Only chips that are done.  `stimulus` NULL: the spec's.  Errors of ot_campaign_answers_read. */
ot_status ot_campaign_export_npz(const char *db_path, const char *path, const char *stimulus, ot_signature_kind kind);

/* -- What came out ---------------------------------------------------------------------------------------------- */

/* Evaluation chips that are done, in chip order.  A chip that failed counts with 0 right answers. */
typedef struct ot_campaign_results {
    int64_t   images, ideal;             /* test images, and how many the ideal network gets right; 0 before it is measured */
    int       chips, done, failed;       /* all of the campaign */
    int       casebook_chips, casebook_done, evaluate_chips, evaluate_done;
    int       n, n_tuners;               /* rows below; tuners of the campaign */
    ot_tuner  tuners[OT_TUNERS];
    uint32_t *chip;                      /* (n) */
    double   *delta_sys;                 /* (n) */
    int64_t  *untuned, *tuned;           /* (n), (n, n_tuners) right answers */
    int64_t  *unrounded;                 /* (n, n_tuners) spiking networks with a ladder: before thresholds were rounded; NULL without */
    int64_t  *forward, *backward;        /* (n, n_tuners) images run through the chip to tune it */
    double   *seconds;                   /* (n, n_tuners) */
} ot_campaign_results;
ot_status ot_campaign_results_read(ot_campaign_results **out, const char *db_path);
void      ot_campaign_results_free(ot_campaign_results *r);

typedef struct ot_rate { double value, low, high; } ot_rate;            /* low, high: 95 % */

/* Yield at `drop` below the ideal accuracy by the oracle rule: a chip is flagged if its untuned accuracy is below; then the tuned
 * accuracy counts, else the untuned one.  Entry 0: untuned; 1 + t: tuner t. */
typedef struct ot_yield {
    double  drop, threshold;             /* fractions */
    int     chips, flagged;
    ot_rate yield[1 + OT_TUNERS];        /* Wilson interval */
    double  accuracy[1 + OT_TUNERS];     /* mean of the final accuracies */
    double  images[1 + OT_TUNERS], seconds[1 + OT_TUNERS];              /* a flagged chip; NaN if none is */
} ot_yield;
void ot_campaign_yield(ot_yield *out, const ot_campaign_results *r, double drop);

/* Paper 002's Table II: of the chips below the threshold untuned (bad[0]), how many still are with each tuner (bad[1 + t]), and what share was
 * recovered, (bad[0] - bad[1 + t]) / bad[0], with its Wilson interval; NaN if none was bad. */
typedef struct ot_recovery {
    double  drop;
    int     bad[1 + OT_TUNERS];
    ot_rate recovered[1 + OT_TUNERS];
} ot_recovery;
void ot_campaign_recovery(ot_recovery *out, const ot_campaign_results *r, double drop);

/* Entries a and b (as above) on the same chips at `drop`. */
typedef struct ot_paired {
    int     only_a, only_b;              /* chips good with one of them only */
    double  p;                           /* McNemar's exact test of equal yields, two-sided */
    ot_rate difference;                  /* mean of accuracy a - accuracy b; bootstrap over chips, 2,000 draws, percentiles */
} ot_paired;
ot_status ot_campaign_compare(ot_paired *out, const ot_campaign_results *r, int a, int b, double drop);

/* Puts images into a campaign's file as the stimulus `name`: those with number >= 0 and no comma in `what` are test images as they are, the
 * others keep their pixels.  The next run lets every chip answer it.  The same images under the same name
 * once more change nothing.  OT_E_RANGE: other images have the name, or it is no word. */
ot_status ot_campaign_add_stimulus(const char *db_path, const char *name, const char *source, const ot_images *images);

/* -- What chips answered, for learners -------------------------------------------------------------------------- */

/* Chips of one role ("casebook", "evaluate") with one set of knobs ("untuned", or a tuner's name), in chip order; failed ones are left out. */
typedef struct ot_campaign_answers {
    ot_layout layout;                    /* of a signature: K, L, C, S */
    int       asked;                     /* images of the stimulus; K may be fewer */
    int64_t   images, ideal;             /* test images, and the ideal network's right answers */
    int       n;
    uint32_t *chip;                      /* (n) */
    float    *signature;                 /* (n, S); moments of untuned chips are measured while matching (docs/recipe.md) */
    double   *accuracy;                  /* (n) */
    float    *gain, *offset;             /* (n, L); 1, 0 if untuned */
    size_t    n_bits;
    uint8_t  *bits;                      /* (n, n_bits) right answers */
    double    seconds;                   /* of tuning, all together */
} ot_campaign_answers;
/* OT_E_RANGE: no such stimulus; OT_E_FORMAT: not answered yet; OT_E_VERSION: a file of an older version. */
ot_status ot_campaign_answers_read(ot_campaign_answers **out, const char *db_path, const char *role, const char *knobs, const char *stimulus,
                                   ot_signature_kind kind, int images);
void      ot_campaign_answers_free(ot_campaign_answers *a);

/* -- Verdicts: what rules make of the evaluation chips ------------------------------------------------------------ */

/* What judges think of every chip.  `tuned`: the same chips with the knobs a test floor would set; after (may be NULL: every tuned chip
 * gets the full test) judges those.  OT_E_SHAPE: signatures of another length; OT_E_DATA: not the same chips. */
typedef struct ot_opinions ot_opinions;
ot_status ot_opinions_make(ot_opinions **out, const ot_judge *before, const ot_judge *after, const ot_campaign_answers *untuned, const ot_campaign_answers *tuned);
void      ot_opinions_free(ot_opinions *o);
/* Mean and sd of a_hat - a over these chips. */
void      ot_opinions_errors(const ot_opinions *o, double *before_mean, double *before_sd, double *after_mean, double *after_sd);

/* A chip that passes is shipped; one to tune gets knobs and a second verdict; a full test ships or rejects (a bad untuned chip is tuned
 * first).  Rates are of all chips: yield: shipped and good; escape: shipped and bad; overkill: rejected though good untuned or tuned. */
typedef struct ot_verdicts {
    ot_rule_kind rule;
    double  cutoff, guard, guard_after;
    int     chips, first[OT_VERDICTS], tuned, second[OT_VERDICTS], rejected;
    int     escaped[2];                        /* at the first verdict, at the second */
    ot_rate yield, escape, overkill;           /* 95 % Wilson */
    double  images;                            /* applied a chip on average, fall-backs included */
} ot_verdicts;
void ot_opinions_verdicts(ot_verdicts *out, const ot_opinions *o, const ot_rule *rule);

/* -- Learning: a campaign becomes a recipe ------------------------------------------------------------------------ */

typedef struct ot_campaign_learn_options {
    ot_book_options   book;              /* its cutoff NaN: `drop` below the ideal accuracy; its `ideal` is filled */
    double            drop;              /* 0.02 */
    char              stimulus[64];      /* "": the spec's */
    ot_signature_kind kind;              /* OT_SIGNATURE_KINDS: what the campaign's tuners look at; the mender moments makes it moments */
    int               images;            /* > 0: only the first so many of the stimulus */
    const ot_chips   *more, *more_tuned; /* (n_more, n_more_tuned) chips tested in full since, which teach too; borrowed */
    int               n_more, n_more_tuned;
} ot_campaign_learn_options;
ot_campaign_learn_options ot_campaign_learn_defaults(void);

/* Learned from the casebook chips; the evaluation chips say what it is worth. */
typedef struct ot_campaign_learned {
    ot_campaign_learn_options opt;       /* resolved: cutoff, stimulus, kind */
    /* casebook_tuned: with the knobs of the casebook; casebook_mended: with those of the mender's tuner, each from chips of other folds
     * (n = 0: a casebook too small for that); evaluate_tuned: with the mender's tuner, NULL: the campaign has not run it */
    ot_campaign_answers *casebook, *casebook_tuned, *casebook_mended, *evaluate, *evaluate_tuned;
    ot_campaign_answers *casebook_others[OT_MENDERS];        /* with those of the other menders' tuners that the campaign has run; or NULL */
    ot_book             *book;
    ot_opinions         *opinions;       /* NULL without evaluate_tuned */
    char                 network[512], network_sha[65], spec_sha[65];
    ot_knob_kind         knobs;
    ot_ladder            ladder;         /* a spiking network's: the levels they are rounded to */
} ot_campaign_learned;
ot_status ot_campaign_learn(ot_campaign_learned **out, const char *db_path, const ot_campaign_learn_options *opt);
void      ot_campaign_learned_free(ot_campaign_learned *l);
/* What a rule makes of the evaluation chips at a cutoff.  OT_E_RANGE as ot_rule_guard; OT_E_DATA without opinions. */
ot_status ot_campaign_learned_verdicts(ot_verdicts *out, const ot_campaign_learned *l, ot_rule_kind rule, double cutoff);
/* The tuner whose knobs a mender gives; OT_TUNERS for none. */
ot_tuner  ot_mender_tuner(ot_mender mender);
/* The mender whose tuner the campaign names first; none if it names no such tuner. */
ot_mender ot_campaign_mender(const ot_campaign_spec *spec);
/* The recipe file, with the stimulus' images if the campaign's data set is there (*without_images = 1 if not). */
ot_status ot_campaign_learned_save(const ot_campaign_learned *l, const char *db_path, const char *path, int *without_images);

/* What the modules of self-tuning or self-tuning-ltm cost a chip of the spec's network, which is read again: OT_E_OPEN where it is no longer there.
 * Since 0.1. */
ot_status ot_campaign_modules(ot_self_tuning_cost *out, const ot_campaign_spec *spec, ot_tuner tuner);

ot_rate ot_wilson(int64_t good, int64_t n);      /* n = 0: value NaN, 0..1 */
double  ot_mcnemar(int64_t only_a, int64_t only_b);

#ifdef __cplusplus
}
#endif
#endif
