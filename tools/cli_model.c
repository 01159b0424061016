/* cli_model.c - built-in networks on the command line: is a word one, and the shapes of the known data sets, which need no file. */
#include "base/fail.h"
#include "cli.h"

#include <string.h>
#include <unistd.h>

int cli_is_model(const char *word)
{
    const size_t n = strcspn(word, "@");
    if (access(word, F_OK) == 0) return 0;
    for (int i = 0; ot_model_name(i); i++)
        if (strlen(ot_model_name(i)) == n && !strncmp(ot_model_name(i), word, n)) return 1;
    return 0;
}

ot_status cli_published_data(ot_data **out, const char *name)
{
    static const struct {
        const char *name;
        ot_data shape;
    } sets[] = {
        {"mnist", {.n = 60000, .c = 1, .h = 28, .w = 28, .classes = 10}},
        {"fashion-mnist", {.n = 60000, .c = 1, .h = 28, .w = 28, .classes = 10}},
        {"cifar10", {.n = 50000, .c = 3, .h = 32, .w = 32, .classes = 10}},
        {"cifar100", {.n = 50000, .c = 3, .h = 32, .w = 32, .classes = 100}},
    };
    enum { N = sizeof sets / sizeof *sets };
    size_t i = 0, n = strcspn(name, ":");
    while (i < N && (strlen(sets[i].name) != n || strncmp(sets[i].name, name, n))) i++;
    if (i == N) OT_FAIL(OT_E_USAGE, "data set '%s', want mnist, fashion-mnist, cifar10 or cifar100", name);
    ot_data *d = ot_alloc(1, sizeof *d);
    if (d) *d = sets[i].shape;
    if (!d || !(d->name = ot_strdup(sets[i].name))) {
        ot_data_free(d);
        OT_FAIL(OT_E_NOMEM, "data set %s: no memory", sets[i].name);
    }
    *out = d;
    return OT_OK;
}
