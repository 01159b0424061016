/* gpu_train.c - see gpu_train.h. */
#include "gpu_train.h"
#include "base/fail.h"

#include <math.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ot_status gradient(float *out, ot_backend *be, const ot_network *net, const ot_data *data, int n)
{
    const size_t    image = (size_t)data->c * (size_t)data->h * (size_t)data->w;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    ot_plan        *plan = NULL;
    ot_status       st = OT_OK;
    float          *x = ot_alloc((size_t)n, image * sizeof *x);
    if (!x) OT_NOMEM("images", (size_t)n * image * sizeof *x);
    opt.use = OT_PLAN_TRAIN, opt.tile = n;
    for (int i = 0; i < n; i++) ot_data_image(data, net, i, x + (size_t)i * image);
    OT_TRY_TO(done, st, ot_plan_open(&plan, be, net, &opt));
    st = ot_plan_train(plan, x, data->labels, n, out, NULL, NULL, NULL);
done:
    ot_plan_free(plan);
    ot_free(x);
    return st;
}

ot_status gpu_train_error(double *error, ot_backend *be, const ot_network *net, const ot_data *data, int n)
{
    const size_t count = ot_network_parameters(net);
    ot_backend  *cpu = NULL;
    ot_status    st = OT_OK;
    double       most = 0, apart = 0;
    float       *want = ot_alloc(count, sizeof *want), *got = ot_alloc(count, sizeof *got);
    if (!want || !got) OT_FAIL_TO(done, st, OT_E_NOMEM, "no memory for the gradients of %zu parameters", count);
    OT_TRY_TO(done, st, ot_backend_open(&cpu, "cpu", NULL));
    OT_TRY_TO(done, st, gradient(want, cpu, net, data, n));
    OT_TRY_TO(done, st, gradient(got, be, net, data, n));
    for (size_t i = 0; i < count; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);
        most = fmax(most, fabs((double)want[i]));
        apart = d > apart || isnan(d) ? d : apart;
    }
    *error = apart / most;
done:
    ot_backend_close(cpu);
    ot_free(got);
    ot_free(want);
    return st;
}

typedef struct clockwork { double *seconds, last; } clockwork;

static ot_status tick(void *user, int epoch, double loss, double train, double test, double lr)
{
    clockwork   *c = user;
    const double t = now();
    (void)train, (void)test, (void)lr;
    if (!isfinite(loss)) OT_FAIL(OT_E_DATA, "epoch %d: loss = %g", epoch + 1, loss);
    if (epoch) c->seconds[epoch - 1] = t - c->last;
    c->last = t;
    return OT_OK;
}

ot_status gpu_train_times(double *seconds, int rounds, const char *backend, const ot_network *net, const ot_data *data, int minibatch)
{
    ot_train_options o = ot_train_defaults();
    ot_network      *own;
    clockwork        c = {seconds, 0};
    o.epochs = rounds + 1, o.minibatch = minibatch, o.shards = 1, o.crop_pad = 4, o.flip = 1, o.lr = 0.01;
    OT_TRY(ot_network_copy(&own, net));
    const ot_status st = ot_train(own, backend, data, NULL, &o, tick, &c);
    ot_network_free(own);
    return st;
}
