/* trainer.h - everything a training run holds between minibatches; shared by the loop (train.c), the shards (shard.c) and the
 * checkpoint (checkpoint.c). */
#ifndef OT_TRAIN_TRAINER_H
#define OT_TRAIN_TRAINER_H

#include "train/optimizer.h"
#include "train/pool.h"
#include "train/resident.h"
#include "train/robust.h"

enum { OT__TRAIN_EVAL_TILE = 128 };       /* images at once when the test accuracy is measured */
#define OT__TRAIN_STATISTICS_MOMENTUM 0.1 /* running = 0.9 running + 0.1 of the minibatch, as PyTorch */

/* A part of the minibatch: one thread's own plan, images and results. */
typedef struct ot__shard {
    ot_backend *backend;
    ot_plan *plan, *eval;     /* eval: NULL without a test set */
    size_t input;             /* numbers of an image: c h w, with rate coding T c h w */
    float *images, *one;      /* (tile, input); (c, h, w) */
    int32_t *labels;          /* (tile) */
    float *grad, *statistics; /* (n_parameters), (n_statistics) */
    double loss;
    int64_t correct;
} ot__shard;

typedef struct ot__trainer {
    ot_network *net; /* borrowed */
    const ot_data *train, *test;
    const ot_train_options *opt;
    const char *backend; /* name asked for */
    size_t n_parameters, n_statistics;
    float *parameters, *statistics, *grad;
    uint8_t *decays; /* (n_parameters): crossbar weights */
    size_t widest;   /* most rows or columns of a layer's weights */
    double *singular; /* (2 widest): with the penalty, singular vectors; else NULL */
    ot__optimizer optimizer;
    uint32_t *order; /* (train->n): this epoch's */
    float *black;    /* (c): what a black pixel is after normalisation */

    int n_shards, tile, steps; /* tile: images a shard; steps: minibatches an epoch */
    ot__shard *shard;
    ot__pool *pool;

    ot__robust robust;
    ot__resident *resident; /* NULL: minibatches go through the host */

    int epoch, step; /* where training stands: the next minibatch to do */
    double loss_sum; /* of this epoch's minibatches so far */
    int64_t correct_sum;
    char structure[65]; /* of the network training began with: quantising changes it later */
    uint64_t start_hash, data_hash; /* of the parameters training began with; of the training set (0 without a checkpoint) */
} ot__trainer;

/* A sentence for a loss that is not finite, of the minibatch in hand. */
ot_status ot__train_check_loss(const ot__trainer *t, double loss);

/* Jobs for the pool; `user` is the trainer. */
ot_status ot__shard_open(void *trainer, int job);  /* backend, plans, memory; of a resident training the first shard's plan does all passes */
ot_status ot__shard_step(void *trainer, int job);  /* its part of the minibatch: images, forward, backward */
ot_status ot__shard_count(void *trainer, int job); /* its part of the test set, into correct */
void ot__shard_close(ot__shard *s);

/* Written whole or not at all. */
ot_status ot__checkpoint_write(const ot__trainer *t, const char *path);
/* Puts the trainer where the file left off.  OT_E_MISMATCH if the file is of another run; the trainer is then unusable. */
ot_status ot__checkpoint_read(ot__trainer *t, const char *path);
uint64_t ot__train_hash(uint64_t h, const void *bytes, size_t n); /* FNV-1a; begin with 0 */

#endif
