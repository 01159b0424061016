/* stimulus.c - the few images a chip is tested with.  Here: random ones, balanced over the classes.
 *
 * All images are shuffled by the seed; each class is told how many to send, dealing them out class by class (in a shuffled order of
 * classes, so that no class is favoured when k is no multiple of their number), and the first of each class are taken. */
#include "ohmtrim/test.h"
#include "base/fail.h"
#include "test/shuffle.h"

ot_status ot_stimulus_random(uint32_t *index, int k, const ot_data *data, uint64_t seed)
{
    if (!(k >= 1 && k <= data->n)) OT_FAIL(OT_E_RANGE, "stimulus of %d images, want 1..%d (%s)", k, data->n, data->name);
    uint32_t  classes = (uint32_t)data->classes;
    uint32_t *order = ot_alloc((size_t)data->n, sizeof *order), *room = ot_alloc(classes, sizeof *room),
             *quota = ot_alloc(classes, sizeof *quota), *turn = ot_alloc(classes, sizeof *turn);
    ot_status st = OT_OK;
    if (!order || !room || !quota || !turn) OT_FAIL_TO(done, st, OT_E_NOMEM, "stimulus: no memory for the order of %d images", data->n);
    for (uint32_t i = 0; i < (uint32_t)data->n; i++) order[i] = i;
    for (uint32_t c = 0; c < classes; c++) turn[c] = c;
    for (int i = 0; i < data->n; i++) room[data->labels[i]]++;
    ot__shuffle(order, (uint32_t)data->n, seed, OT__SHUFFLE_STIMULUS, 0);
    ot__shuffle(turn, classes, seed, OT__SHUFFLE_STIMULUS, 1);
    for (int dealt = 0; dealt < k;)
        for (uint32_t t = 0; t < classes && dealt < k; t++)
            if (quota[turn[t]] < room[turn[t]]) { quota[turn[t]]++; dealt++; }
    for (int i = 0, taken = 0; taken < k; i++) {
        uint32_t *q = &quota[data->labels[order[i]]];
        if (*q) { (*q)--; index[taken++] = order[i]; }
    }
done:
    ot_free(turn);
    ot_free(quota);
    ot_free(room);
    ot_free(order);
    return st;
}
