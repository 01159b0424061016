/* cmd_doctor.c - ohmtrim doctor: what was built in, what this machine has, where data sets lie. */
#include "base/build.h"
#include "cli.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const char doc[] = "What was built in and what this machine has.\vExample:\n  ohmtrim doctor\n";

typedef struct arguments { cli_common common; } arguments;

static error_t parse(int key, char *arg, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->common; return 0;
    case ARGP_KEY_ARG: argp_error(state, "'%s': doctor takes no arguments", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* The program's path as the shell would find it; 0 if it is nowhere. */
static int on_path(const char *program, char *found, size_t n)
{
    const char *path = getenv("PATH");
    for (const char *p = path ? path : ""; *p;) {
        size_t length = strcspn(p, ":");
        snprintf(found, n, "%.*s/%s", (int)length, p, program);
        if (access(found, X_OK) == 0) return 1;
        p += length + (p[length] == ':');
    }
    return 0;
}

int cmd_doctor(int argc, char **argv);
int cmd_doctor(int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_argp, 0, "Common options:", 10}, {0}};
    static const struct argp argp = {NULL, parse, NULL, doc, children, NULL, NULL};
    arguments a;
    cli_defaults(&a.common);
    cli_parse(&argp, argc, argv, &a);

    cJSON *o = cJSON_CreateObject(), *backends = cJSON_CreateObject(), *libraries = cJSON_CreateObject(), *data = cJSON_CreateObject(), *gpus = cJSON_CreateArray();
    char   no_gpu[512] = "";
    cJSON_AddStringToObject(o, "version", OT_VERSION);
    cJSON_AddStringToObject(o, "commit", ot__build_commit());
    cJSON_AddStringToObject(o, "compiler", ot__build_compiler());
    cJSON_AddNumberToObject(o, "cores", (double)sysconf(_SC_NPROCESSORS_ONLN));
    static const char *const names[] = {"cpu", "ref", "cuda"};
    for (size_t i = 0; i < 3; i++) {
        ot_backend *be;
        if (ot_backend_open(&be, names[i], NULL) == OT_OK) {
            cJSON_AddStringToObject(backends, names[i], ot_backend_detail(be));
            if (!strcmp(names[i], "cuda")) cJSON_AddItemToArray(gpus, cJSON_CreateString(ot_backend_detail(be)));
            ot_backend_close(be);
        } else {
            char text[512];
            snprintf(text, sizeof text, "no: %s", ot_last_error());
            cJSON_AddStringToObject(backends, names[i], text);
            if (!strcmp(names[i], "cuda")) snprintf(no_gpu, sizeof no_gpu, "%s", ot_last_error());
        }
    }
    cJSON_AddItemToObject(o, "backends", backends);
    cJSON_AddItemToObject(o, "gpus", gpus);
    cJSON_AddStringToObject(libraries, "sqlite", sqlite3_libversion());
    cJSON_AddStringToObject(libraries, "zlib", zlibVersion());
    cJSON_AddStringToObject(libraries, "cjson", cJSON_Version());
    char found[512];
    cJSON_AddStringToObject(libraries, "gnuplot", on_path("gnuplot", found, sizeof found) ? found : "no (report draws no plots without it)");
    cJSON_AddItemToObject(o, "libraries", libraries);
    static const char *const sets[] = {"fashion-mnist", "mnist", "cifar10", "cifar100"};
    for (size_t i = 0; i < 4; i++) {
        ot_data *d;
        if (ot_data_open(&d, sets[i], OT_SPLIT_TEST, 1) == OT_OK) {
            cJSON_AddStringToObject(data, sets[i], "found");
            ot_data_free(d);
        } else
            cJSON_AddStringToObject(data, sets[i], ot_last_error());
    }
    cJSON_AddItemToObject(o, "data", data);
    if (a.common.json) {
        cli_print_json(o);
        return 0;
    }
    printf("ohmtrim %s, commit %s, %s, %ld cores\n", OT_VERSION, ot__build_commit(), ot__build_compiler(), sysconf(_SC_NPROCESSORS_ONLN));
    static const char *const groups[] = {"backends", "libraries", "data"};
    for (size_t i = 0; i < 3; i++) {
        printf("%s\n", groups[i]);
        for (const cJSON *c = cJSON_GetObjectItem(o, groups[i])->child; c; c = c->next) printf("  %-14s %s\n", c->string, c->valuestring);
    }
    printf("gpus\n  %s%s\n", *no_gpu ? "none: " : cJSON_GetArrayItem(gpus, 0)->valuestring, no_gpu);
    cJSON_Delete(o);
    return 0;
}
