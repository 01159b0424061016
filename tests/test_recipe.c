/* test_recipe.c - recipes written and read back bit for bit, every kind of model; damaged and wrong ones refused. */
#include "check.h"
#include "floor/recipe.h"
#include "tests/recipes.h"

static recipe_plan plan_of(int i)
{
    return (recipe_plan){.signature = OT_SIGNATURE_MOMENTS, .images = 2, .relus = 2, .classes = 3, .features = i == 3 ? 4 : 5, .predictor = (ot_predictor_kind)(i % OT_PREDICTORS),
                         .screen = (ot_screen_kind)(i / 2 % OT_SCREENS), .mender = (ot_mender)(i % OT_MENDERS), .cases = 7, .clusters = 3, .after = i % 2,
                         .stimulus = i % 4 < 2, .seed = 17 + (uint64_t)i};
}

/* A recipe of bytes with the models it was made from. */
typedef struct pair {
    recipe_made made;
    void       *bytes;
    size_t      n;
    ot_floor   *floor;
} pair;

static ot_status pair_open(pair *p, const recipe_plan *plan)
{
    *p = (pair){0};
    recipe_make(&p->made, plan);
    ot_status st = ot_recipe_write(&p->bytes, &p->n, &p->made.r);
    return st == OT_OK ? ot_floor_read(&p->floor, p->bytes, p->n, "test") : st;
}

static void pair_close(pair *p)
{
    ot_floor_free(p->floor);
    ot_free(p->bytes);
    recipe_unmake(&p->made);
}

#define SAME(A, B, N) ASSERT_MEM_EQ((A), (B), (size_t)(N) * sizeof *(A))

static enum greatest_test_res same_judge(const ot_judge *a, const ot_judge *b)
{
    int p = a->features.p;
    ASSERT_EQ(p, b->features.p);
    ASSERT_EQ(a->features.s, b->features.s);
    SAME(a->features.feature, b->features.feature, p);
    SAME(a->features.mean, b->features.mean, p);
    SAME(a->features.sd, b->features.sd, p);
    ASSERT_EQ(a->predictor.kind, b->predictor.kind);
    ASSERT_EQ(p, b->predictor.p);
    const ot_mars  *m = &a->predictor.mars, *n = &b->predictor.mars;
    const ot_boost *g = &a->predictor.boost, *h = &b->predictor.boost;
    ASSERT(m->terms == n->terms && m->hinges == n->hinges && g->trees == h->trees && g->nodes == h->nodes);
    ASSERT(!memcmp(&g->init, &h->init, sizeof g->init) && !memcmp(&g->rate, &h->rate, sizeof g->rate));
    if (m->terms) {
        SAME(m->coef, n->coef, m->terms);
        SAME(m->start, n->start, m->terms + 1);
        SAME(m->feature, n->feature, m->hinges);
        SAME(m->dir, n->dir, m->hinges);
        SAME(m->cut, n->cut, m->hinges);
    }
    if (g->nodes) {
        SAME(g->root, h->root, g->trees);
        SAME(g->feature, h->feature, g->nodes);
        SAME(g->left, h->left, g->nodes);
        SAME(g->value, h->value, g->nodes);
    }
    if (a->predictor.kind == OT_PREDICTOR_RIDGE) {
        SAME(&a->predictor.ridge.intercept, &b->predictor.ridge.intercept, 1);
        SAME(a->predictor.ridge.coef, b->predictor.ridge.coef, p);
    }
    const ot_screen *s = &a->screen, *t = &b->screen;
    ASSERT(s->kind == t->kind && s->p == t->p && s->q == t->q);
    SAME(&s->threshold, &t->threshold, 1);
    SAME(s->centre, t->centre, s->q);
    SAME(s->factor, t->factor, s->q * s->q);
    ASSERT_EQ(s->middle == NULL, t->middle == NULL);
    ASSERT_EQ(p % 2 == 0, t->middle == NULL);
    if (s->middle) {
        SAME(s->middle, t->middle, p);
        SAME(s->width, t->width, p);
    }
    if (s->kind == OT_SCREEN_PCA_MCD) {
        SAME(s->mean, t->mean, p);
        SAME(s->axes, t->axes, (s->q - 1) * p);
    }
    SAME(&a->low, &b->low, 5);                             /* low, high, rmse, sd, mean stand in a row */
    PASS();
}

TEST models_come_back_bit_for_bit(int i)
{
    pair        p;
    recipe_plan plan = plan_of(i);
    int         c, h, w;
    OK(pair_open(&p, &plan));
    const ot_recipe  *r = &p.made.r;
    const ot_mending *m = &r->mending, *n = ot_floor_mending(p.floor);
    ASSERT_MEM_EQ(&r->layout, ot_floor_layout(p.floor), sizeof r->layout);
    SAME(&r->rule.cutoff, &ot_floor_rule(p.floor)->cutoff, 5);
    ASSERT_EQ(r->rule.kind, ot_floor_rule(p.floor)->kind);
    CHECK_CALL(same_judge(&r->before, ot_floor_judge(p.floor, OT_FLOOR_BEFORE)));
    ASSERT_EQ(r->has_after, ot_floor_judge(p.floor, OT_FLOOR_AFTER) != NULL);
    if (r->has_after) CHECK_CALL(same_judge(&r->after, ot_floor_judge(p.floor, OT_FLOOR_AFTER)));
    ASSERT(m->kind == n->kind && m->k == n->k && m->cases.n == n->cases.n && m->cases.l == n->cases.l && m->cases.clusters == n->cases.clusters);
    SAME(m->cases.x, n->cases.x, m->cases.n * m->cases.p);
    SAME(m->cases.gain, n->cases.gain, m->cases.n * m->cases.l);
    SAME(m->cases.offset, n->cases.offset, m->cases.n * m->cases.l);
    SAME(m->cases.label, n->cases.label, m->cases.n);
    SAME(m->cases.medoid, n->cases.medoid, m->cases.clusters);
    if (m->kind == OT_MENDER_RIDGE) {
        SAME(m->ridge.coef, n->ridge.coef, 2 * m->ridge.l * m->ridge.p);
        SAME(m->ridge.intercept, n->ridge.intercept, 2 * m->ridge.l);
    }
    if (m->kind == OT_MENDER_MOMENTS) {
        SAME(m->moments.mean, n->moments.mean, m->moments.l);
        SAME(m->moments.sd, n->moments.sd, m->moments.l);
        SAME(m->moments.mean_at, n->moments.mean_at, m->moments.l);
        SAME(m->moments.sd_at, n->moments.sd_at, m->moments.l);
    }
    const uint8_t *pixels = ot_floor_stimulus(p.floor, &c, &h, &w);
    ASSERT_EQ(plan.stimulus, pixels != NULL);
    if (pixels) {
        ASSERT(c == 3 && h == 2 && w == 2);
        SAME(r->stimulus, pixels, 2 * 12);
        ASSERT_STR_EQ(r->source[1], ot_floor_stimulus_source(p.floor, 1));
    }
    ASSERT(!ot_floor_stimulus_source(p.floor, 2));
    ASSERT_STR_EQ("made by hand", ot_floor_text(p.floor, "network"));
    ASSERT(!ot_floor_text(p.floor, "spec_hash"));
    pair_close(&p);
    PASS();
}

TEST equal_recipes_give_equal_bytes(void)
{
    pair        a, b;
    recipe_plan plan = plan_of(3);
    char        path[400];
    OK(pair_open(&a, &plan));
    OK(pair_open(&b, &plan));
    ASSERT_EQ(a.n, b.n);
    ASSERT_MEM_EQ(a.bytes, b.bytes, a.n);
    snprintf(path, sizeof path, "%s/a.recipe", check_scratch());
    OK(ot_recipe_save(&a.made.r, path));
    ot_floor *f = NULL;
    OK(ot_floor_open(&f, path));
    ASSERT_MEM_EQ(a.floor->data, f->data, a.n - 8 - (size_t)(f->data - f->bytes - 8));
    ot_floor_free(f);
    FAILS(OT_E_OPEN, "no.recipe: No such file", ot_floor_open(&f, "no.recipe"));
    FAILS(OT_E_OPEN, check_scratch(), ot_floor_open(&f, check_scratch()));
    FAILS(OT_E_WRITE, "no/such/a.recipe", ot_recipe_save(&a.made.r, "no/such/a.recipe"));
    pair_close(&b);
    pair_close(&a);
    PASS();
}

TEST texts_survive(void)
{
    recipe_made          m;
    recipe_plan          plan = plan_of(0);
    const char          *odd = "tab\t quote\" back\\slash \x01 newline\n \xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\xa7 / end";
    const ot_recipe_text texts[] = {{"note", odd}, {"empty", ""}};
    void                *bytes;
    size_t               n;
    ot_floor            *f;
    recipe_make(&m, &plan);
    m.r.texts = texts, m.r.n_texts = 2, m.r.expected_error = "1 %";
    OK(ot_recipe_write(&bytes, &n, &m.r));
    OK(ot_floor_read(&f, bytes, n, "test"));
    ASSERT_STR_EQ(odd, ot_floor_text(f, "note"));
    ASSERT_STR_EQ("", ot_floor_text(f, "empty"));
    ASSERT_STR_EQ("1 %", ot_floor_text(f, "expected_error"));
    ASSERT_STR_EQ(OT_VERSION, ot_floor_text(f, "ohmtrim"));
    ot_floor_free(f);
    ot_free(bytes);
    m.r.texts = (const ot_recipe_text[]){{"bad", "\xc3("}}, m.r.n_texts = 1;
    FAILS(OT_E_FORMAT, "begins no UTF-8", ot_recipe_write(&bytes, &n, &m.r));
    m.r.texts = (const ot_recipe_text[]){{"commit", "again"}};
    FAILS(OT_E_FORMAT, "text 'commit' stands twice", ot_recipe_write(&bytes, &n, &m.r));
    recipe_unmake(&m);
    PASS();
}

/* What no recipe may say is refused when it is written, by the reader's own check. */
TEST wrong_models_are_not_written(void)
{
    static const char *const lines[] = {"one\ntwo", "three"};
    static const struct { int plan, what; ot_status st; const char *words; } rows[] = {
        {0, 0, OT_E_FORMAT, "before.feature[0] = 14, want 0..13"},
        {0, 1, OT_E_FORMAT, "before.feature[1] = 0 behind 0"},
        {0, 2, OT_E_DATA, "before.sd[2] = 0, want 1e-12"},
        {0, 3, OT_E_DATA, "tensor 'before.mean' holds nan (number 1 of 5)"},
        {0, 4, OT_E_FORMAT, "before.mars.start[2] = "},
        {0, 5, OT_E_FORMAT, "before.mars.dir[0] = 3"},
        {0, 6, OT_E_FORMAT, "before.mars.feature[1] = 5, want 0..4"},
        {1, 7, OT_E_FORMAT, "before.boost.left[1] = 1, want 2.."},
        {1, 8, OT_E_FORMAT, "before.boost.left[0] = 74, want 1..73"},
        {1, 9, OT_E_FORMAT, "before.boost.root[0] = -1"},
        {1, 10, OT_E_FORMAT, "before.boost.feature[3] = 5"},
        {0, 11, OT_E_DATA, "before.screen.factor[1][1] = -1"},
        {0, 12, OT_E_DATA, "before.screen.factor[0][1] = 1, want 0"},
        {0, 13, OT_E_DATA, "before.screen.threshold[0] = -1"},
        {0, 14, OT_E_DATA, "cases.gain[1][0] = 0.0156, want 1/64"},
        {0, 15, OT_E_DATA, "tensor 'cases.offset' holds nan (number 2 of 14)"},
        {0, 16, OT_E_FORMAT, "cases.label[0] = 3, want 0..2"},
        {0, 17, OT_E_FORMAT, "cases.medoid[0] = 7, want 0..6"},
        {0, 18, OT_E_FORMAT, "cases.medoid[0] is chip 1 of cluster 1"},
        {2, 19, OT_E_FORMAT, "mender.k = 8 in a casebook of 7"},
        {2, 20, OT_E_FORMAT, "mender.k = '0', want a whole number 1"},
        {4, 21, OT_E_FORMAT, "moments.mean_at[0] = 14"},
        {4, 22, OT_E_DATA, "moments.sd[1] = -1"},
        {0, 23, OT_E_DATA, "the cutoff) = 80, want 0..1"},
        {0, 24, OT_E_DATA, "before.interval is 0.5..0.015"},
        {0, 25, OT_E_SHAPE, "the casebook is empty, want 1 chip"},
        {0, 26, OT_E_SHAPE, "signatures of 15 numbers"},
        {0, 27, OT_E_SHAPE, "5 features, a predictor of 4"},
        {0, 28, OT_E_USAGE, "no network_sha256"},
        {0, 29, OT_E_SHAPE, "a casebook of 5 features and 3 layers"},
        {0, 30, OT_E_SHAPE, "'before.mars.coef' has no numbers"},
        {0, 31, OT_E_SHAPE, "stimulus.sources has 3 lines for 2 images"},
        {0, 32, OT_E_FORMAT, "predictor '?' is not known"},
        {0, 33, OT_E_DATA, "tensor 'rule.numbers' holds nan"},
        {0, 34, OT_E_SHAPE, "of 3 x 0 x 2 pixels"},
        {0, 35, OT_E_DATA, "before.error[1] = -1"},
        {0, 36, OT_E_DATA, "before.screen.width[2] = 0, want more than 0"},
        {0, 37, OT_E_SHAPE, "'before.screen.width' has no numbers"},
        {0, 38, OT_E_DATA, "tensor 'before.screen.middle' holds inf"},
        {0, 39, OT_E_DATA, "ladder of 17 bits from 0.5 to 1.5"},
        {0, 40, OT_E_DATA, "ladder of 5 bits from 1.5 to 0.5"},
        {0, 41, OT_E_DATA, "tensor 'ladder' holds nan"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        recipe_made m;
        recipe_plan plan = plan_of(rows[i].plan);
        void       *bytes = (void *)&m;
        size_t      n;
        recipe_make(&m, &plan);
        ot_recipe *r = &m.r;
#define PUT(PLACE, VALUE) (*(__typeof__((PLACE) + 0) *)(uintptr_t)&(PLACE) = (VALUE))
        switch (rows[i].what) {
        case 0: PUT(r->before.features.feature[0], 14); break;
        case 1: PUT(r->before.features.feature[1], 0); break;
        case 2: PUT(r->before.features.sd[2], 0); break;
        case 3: PUT(r->before.features.mean[1], NAN); break;
        case 4: PUT(r->before.predictor.mars.start[1], r->before.predictor.mars.start[2] + 1); break;
        case 5: PUT(r->before.predictor.mars.dir[0], 3); break;
        case 6: PUT(r->before.predictor.mars.feature[1], 5); break;
        case 7: PUT(r->before.predictor.boost.left[1], 1); break;
        case 8: PUT(r->before.predictor.boost.left[0], 74); break;
        case 9: PUT(r->before.predictor.boost.root[0], -1); break;
        case 10: PUT(r->before.predictor.boost.feature[3], 5); break;
        case 11: PUT(r->before.screen.factor[r->before.screen.q + 1], -1); break;
        case 12: PUT(r->before.screen.factor[1], 1); break;
        case 13: r->before.screen.threshold = -1; break;
        case 14: PUT(r->mending.cases.gain[2], 0.0156F); break;
        case 15: PUT(r->mending.cases.offset[2], NAN); break;
        case 16: PUT(r->mending.cases.label[0], 3); break;
        case 17: PUT(r->mending.cases.medoid[0], 7); break;
        case 18: PUT(r->mending.cases.medoid[0], 1); break;
        case 19: r->mending.k = 8; break;
        case 20: r->mending.k = 0; break;
        case 21: PUT(r->mending.moments.mean_at[0], 14); break;
        case 22: PUT(r->mending.moments.sd[1], -1); break;
        case 23: r->rule.cutoff = 80; break;
        case 24: r->before.low = 0.5; break;
        case 25: r->mending.cases.n = 0; break;
        case 26: r->layout.length = 15; break;
        case 27: r->before.predictor.p = 4; break;
        case 28: r->network_sha256 = NULL; break;
        case 29: r->mending.cases.l = 3; break;
        case 30: r->before.predictor.mars.coef = NULL; break;
        case 31: r->source = lines; break;
        case 32: r->before.predictor.kind = OT_PREDICTORS; break;
        case 33: r->rule.guard = NAN; break;
        case 34: r->h = 0; break;
        case 35: r->before.sd = -1; break;
        case 36: PUT(r->before.screen.width[2], 0); break;
        case 37: r->before.screen.width = NULL; break;
        case 38: PUT(r->before.screen.middle[0], INFINITY); break;
        case 39: r->mending.knobs = OT_KNOBS_THRESHOLD, r->mending.ladder = (ot_ladder){17, 0.5, 1.5}; break;
        case 40: r->mending.knobs = OT_KNOBS_GAIN, r->mending.ladder = (ot_ladder){5, 1.5, 0.5}; break;
        case 41: r->mending.knobs = OT_KNOBS_THRESHOLD, r->mending.ladder = (ot_ladder){5, 0.5, NAN}; break;
        }
        FAILS(rows[i].st, rows[i].words, ot_recipe_write(&bytes, &n, r));
        ASSERT_EQ((void *)&m, bytes);
        recipe_unmake(&m);
    }
    PASS();
}

/* A spiking network's recipe says so, and its mender's thresholds are levels of the ladder. */
TEST thresholds_and_their_ladder(void)
{
    for (int i = 0; i < 3; i++) {
        pair        p = {0};
        recipe_plan plan = plan_of(0);
        float       signature[64] = {0}, gain[64], offset[64];
        int         clamped = 0;
        ot_floor_result result;
        recipe_make(&p.made, &plan);
        p.made.r.mending.knobs = i ? OT_KNOBS_THRESHOLD : OT_KNOBS_GAIN_OFFSET;
        p.made.r.mending.ladder = (ot_ladder){i == 2 ? 0 : 4, 0.25, 2};
        p.made.r.rule.cutoff = 1, p.made.r.rule.guard = 10;            /* nothing passes */
        if (i)
            for (int k = 0; k < p.made.r.mending.cases.n * p.made.r.layout.relus; k++) PUT(p.made.r.mending.cases.offset[k], 0);
        OK(ot_recipe_write(&p.bytes, &p.n, &p.made.r));
        OK(ot_floor_read(&p.floor, p.bytes, p.n, "test"));
        const ot_mending *m = ot_floor_mending(p.floor);
        ASSERT_EQ(p.made.r.mending.knobs, m->knobs);
        ASSERT_EQ(i == 1 ? 4 : 0, m->ladder.bits);
        OK(ot_floor_screen(p.floor, OT_FLOOR_BEFORE, signature, &result, gain, offset));
        for (int l = 0; l < p.made.r.layout.relus; l++) {
            const float own = m->cases.gain[result.nearest * m->cases.l + l];
            if (i == 1) ASSERT(gain[l] == ot_ladder_value(&m->ladder, ot_ladder_code(&m->ladder, own, &clamped)) && offset[l] == 0);
            else ASSERT(gain[l] == own);
        }
        ASSERT_EQ(clamped, result.held);
        pair_close(&p);
    }
    PASS();
}

/* A file of this header and so many zero bytes. */
static ot_status read_header(const char *json, size_t n_data)
{
    char      bytes[4096] = {0};
    uint64_t  padded = (strlen(json) + 7) / 8 * 8;
    ot_floor *f = NULL;
    memcpy(bytes, &padded, 8);
    memset(bytes + 8, ' ', padded);
    memcpy(bytes + 8, json, strlen(json));
    ot_status st = ot_floor_read(&f, bytes, 8 + padded + n_data, "t");
    ot_floor_free(f);
    return st;
}

TEST damaged_headers_are_refused(void)
{
#define T(BODY) "{\"a\":{" BODY "}}"
    static const struct { const char *json; size_t n; ot_status st; const char *words; } rows[] = {
        {"[]", 0, OT_E_FORMAT, "header byte 0: '[', want '{'"},
        {"{", 0, OT_E_FORMAT, "header byte 8: the end, want '\"'"},
        {"{\"a\"", 0, OT_E_FORMAT, "the end, want ':'"},
        {"{\"abcdef", 0, OT_E_FORMAT, "the header ends in a string"},
        {"{\"a\\x\"", 0, OT_E_FORMAT, "header byte 3: no JSON escape"},
        {"{\"\\u12g4\"", 0, OT_E_FORMAT, "header byte 2: no JSON escape"},
        {"{\"\\ud800x\"", 0, OT_E_FORMAT, "half of a surrogate pair"},
        {"{\"\\ud800\\u0041\"", 0, OT_E_FORMAT, "half of a surrogate pair"},
        {"{\"\\udc00\"", 0, OT_E_FORMAT, "\\udc00 stands for no character"},
        {"{\"\\u0000\"", 0, OT_E_FORMAT, "\\u0000 stands for no character"},
        {"{\"\x01\"", 0, OT_E_FORMAT, "byte 0x01 in a string"},
        {"{\"\xff\"", 0, OT_E_FORMAT, "byte 0xff begins no UTF-8"},
        {"{\"\xc0\xaf\"", 0, OT_E_FORMAT, "begins no UTF-8"},             /* overlong */
        {"{\"\xe0\x80\xaf\"", 0, OT_E_FORMAT, "begins no UTF-8"},
        {"{\"\xed\xa0\x80\"", 0, OT_E_FORMAT, "begins no UTF-8"},         /* a surrogate */
        {"{\"\xf4\x90\x80\x80\"", 0, OT_E_FORMAT, "begins no UTF-8"},     /* beyond the last */
        {T("\"shape\":[1],\"dtype\":\"F64\""), 0, OT_E_FORMAT, "tensor 'a' has no data_offsets"},
        {T("\"shape\":[1],\"shape\":[1]"), 0, OT_E_FORMAT, "tensor 'a' has 'shape' twice"},
        {T("\"size\":[1]"), 0, OT_E_FORMAT, "tensor 'a' has 'size', want"},
        {T("\"dtype\":\"F16\""), 0, OT_E_FORMAT, "dtype 'F16', want"},
        {T("\"shape\":[1,2,3,4,5]"), 0, OT_E_FORMAT, "more than 4 dimensions"},
        {T("\"shape\":[-1]"), 0, OT_E_FORMAT, "'-', want a whole number"},
        {T("\"shape\":[1.5]"), 0, OT_E_FORMAT, "'.', want ',' or ']'"},
        {T("\"shape\":[01]"), 0, OT_E_FORMAT, "begins with 0"},
        {T("\"shape\":[9223372036854775808]"), 0, OT_E_FORMAT, "beyond 9223372036854775807"},
        {T("\"shape\":[[1]]"), 0, OT_E_FORMAT, "'[', want a whole number"},
        {T("\"shape\":[4611686018427387904,4],\"dtype\":\"U8\",\"data_offsets\":[0,8]"), 8, OT_E_FORMAT, "a shape beyond 2^63"},
        {T("\"shape\":[1],\"dtype\":\"F64\",\"data_offsets\":[0,8]"), 0, OT_E_FORMAT, "stands at bytes 0..8 of 0"},
        {T("\"shape\":[1],\"dtype\":\"F64\",\"data_offsets\":[8,0]"), 8, OT_E_FORMAT, "stands at bytes 8..0"},
        {T("\"shape\":[2],\"dtype\":\"F64\",\"data_offsets\":[0,8]"), 8, OT_E_FORMAT, "has 8 bytes, its shape wants 16"},
        {T("\"shape\":[1],\"dtype\":\"I32\",\"data_offsets\":[2,6]"), 8, OT_E_FORMAT, "begins at byte 2, want a multiple of 4"},
        {T("\"shape\":[1],\"dtype\":\"F64\",\"data_offsets\":[0,8]"), 16, OT_E_FORMAT, "the tensors end at byte 8 of 16"},
        {T("\"shape\":[1],\"dtype\":\"F64\",\"data_offsets\":[8,16]"), 16, OT_E_FORMAT, "(a hole)"},
        {"{\"a\":{\"shape\":[8],\"dtype\":\"U8\",\"data_offsets\":[0,8]},\"b\":{\"shape\":[8],\"dtype\":\"U8\",\"data_offsets\":[4,12]}}", 12, OT_E_FORMAT, "they overlap"},
        {"{\"a\":{\"shape\":[],\"dtype\":\"U8\",\"data_offsets\":[0,1]},\"a\":{}}", 1, OT_E_FORMAT, "tensor 'a' stands twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, OT_E_FORMAT, "__metadata__ stands twice"},
        {"{\"__metadata__\":{\"a\":\"b\",\"a\":\"c\"}}", 0, OT_E_FORMAT, "text 'a' stands twice"},
        {"{\"__metadata__\":{\"a\":1}}", 0, OT_E_FORMAT, "'1', want '\"'"},
        {"{\"__metadata__\":{\"a\":{\"b\":\"c\"}}}", 0, OT_E_FORMAT, "'{', want '\"'"},
        {"{\"__metadata__\":{}} x", 0, OT_E_FORMAT, "'x' behind the closing '}'"},
        {"{\"__metadata__\":{}}", 0, OT_E_FORMAT, "format is '', want 'ohmtrim.recipe'"},
        {"{\"__metadata__\":{\"format\":\"pt\"}}", 0, OT_E_FORMAT, "format is 'pt'"},
        {"{\"__metadata__\":{\"format\":\"ohmtrim.recipe\"}}", 0, OT_E_FORMAT, "no text 'version'"},
        {"{\"__metadata__\":{\"format\":\"ohmtrim.recipe\",\"version\":\"2\"}}", 0, OT_E_VERSION, "a recipe of version '2', this reader knows 1"},
        {"{\"__metadata__\":{\"format\":\"ohmtrim.recipe\",\"version\":\"1\",\"signature\":\"full\",\"signature.images\":\"2x\"}}", 0, OT_E_FORMAT, "signature.images = '2x'"},
        {"{\"__metadata__\":{\"format\":\"ohmtrim.recipe\",\"version\":\"1\",\"signature\":\"full\",\"signature.images\":\"99999999999\"}}", 0, OT_E_FORMAT, "want a whole number"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) FAILS(rows[i].st, rows[i].words, read_header(rows[i].json, rows[i].n));
    ot_floor *f = NULL;
    FAILS(OT_E_FORMAT, "9 bytes, too short", ot_floor_read(&f, "123456789", 9, "t"));
    FAILS(OT_E_FORMAT, "0 bytes, too short", ot_floor_read(&f, NULL, 0, "t"));
    FAILS(OT_E_FORMAT, "a header of 5208208757389214273 bytes in a file of 10", ot_floor_read(&f, "ABCDEFGHIJ", 10, "t"));
    FAILS(OT_E_FORMAT, "want a multiple of 8", ot_floor_read(&f, "\2\0\0\0\0\0\0\0{}", 10, "t"));
    PASS();
}

TEST too_many_are_refused(void)
{
    char json[4000];
    int  n = snprintf(json, sizeof json, "{");
    for (int i = 0; i <= OT_RECIPE_TENSORS && n < 3900; i++)
        n += snprintf(json + n, sizeof json - (size_t)n, "%s\"%d\":{\"shape\":[0],\"dtype\":\"U8\",\"data_offsets\":[0,0]}", i ? "," : "", i);
    ASSERT_GT(n, 3000);                                    /* as many as fit: all are read, none has a place */
    json[n] = '}', json[n + 1] = 0;
    ASSERT_NEQ(OT_OK, read_header(json, 0));
    n = snprintf(json, sizeof json, "{\"__metadata__\":{");
    for (int i = 0; i <= OT_RECIPE_TEXTS; i++) n += snprintf(json + n, sizeof json - (size_t)n, "%s\"%d\":\"\"", i ? "," : "", i);
    snprintf(json + n, sizeof json - (size_t)n, "}}");
    FAILS(OT_E_FORMAT, "more than 256 texts", read_header(json, 0));
    PASS();
}

TEST a_stray_tensor_is_refused(void)
{
    pair        p;
    recipe_plan plan = plan_of(2);
    OK(pair_open(&p, &plan));                              /* knn: nothing of moments */
    char *at = memmem(p.bytes, p.n, "mender.k", 8);
    ASSERT(at);
    memcpy(at, "mender_k", 8);
    ot_floor *f = NULL;
    FAILS(OT_E_FORMAT, "no text 'mender.k'", ot_floor_read(&f, p.bytes, p.n, "t"));
    memcpy(at, "mender.k", 8);
    at = memmem(p.bytes, p.n, "\"mender\":\"knn\"", 14);
    ASSERT(at);
    memcpy(at, "\"stray.\":\"knn\"", 14);
    FAILS(OT_E_FORMAT, "no text 'mender'", ot_floor_read(&f, p.bytes, p.n, "t"));
    pair_close(&p);
    plan = plan_of(3);
    OK(pair_open(&p, &plan));                              /* ridge, with an after judge: without its text the tensors are strays */
    at = memmem(p.bytes, p.n, "after.predictor", 15);
    ASSERT(at);
    at[0] = 'A';
    FAILS(OT_E_FORMAT, "tensor 'after.mean' has no place", ot_floor_read(&f, p.bytes, p.n, "t"));
    pair_close(&p);
    PASS();
}

/* What opens must give finite numbers or a failure. */
static int sound(const void *bytes, size_t n, int *opened)
{
    ot_floor *f = NULL;
    float     signature[64], gain[64], offset[64];
    if (ot_floor_read(&f, bytes, n, "mutant") != OT_OK) return f == NULL && *ot_last_error();
    ++*opened;
    int good = 1, length = ot_floor_layout(f)->length, relus = ot_floor_layout(f)->relus;
    for (int i = 0; i < 64; i++) signature[i] = 0.1F * (float)(i % 17) - 0.4F;
    for (int when = 0; when < 2 && length <= 64 && relus <= 64; when++) {
        ot_floor_result r;
        if (ot_floor_screen(f, (ot_floor_when)when, signature, &r, gain, offset) != OT_OK) continue;
        good &= isfinite(r.predicted) && isfinite(r.low) && isfinite(r.high) && isfinite(r.distance) && (r.nearest < 0 || isfinite(r.nearest_distance));
        good &= r.verdict == OT_VERDICT_PASS || r.verdict == OT_VERDICT_TUNE || r.verdict == OT_VERDICT_FULL_TEST;
        for (int k = 0; k < relus && when == 0; k++) good &= isfinite(gain[k]) && gain[k] >= 0.015625F && isfinite(offset[k]);
    }
    ot_floor_free(f);
    return good;
}

TEST every_mutant_is_refused_or_sound(int i)
{
    pair        p;
    recipe_plan plan = plan_of(i);
    int         opened = 0;
    OK(pair_open(&p, &plan));
    uint8_t *b = p.bytes;
    for (size_t at = 0; at < p.n; at++)
        for (int flip = 0; flip < 4; flip++) {
            uint8_t mask = (const uint8_t[]){0xff, 0x01, 0x80, 0x10}[flip];
            b[at] ^= mask;
            if (!sound(b, p.n, &opened)) {
                printf("\nbyte %zu of %zu ^ %02x: %s\n", at, p.n, mask, ot_last_error());
                FAILm("a mutant gives wrong numbers");
            }
            b[at] ^= mask;
        }
    ASSERT_GT(opened, 100);                                /* many numbers may be others, and are then simply other numbers */
    opened = 0;
    for (size_t n = 0; n < p.n; n++) ASSERT(sound(b, n, &opened));
    ASSERT_EQ(0, opened);                                  /* no beginning of a recipe is one */
    pair_close(&p);
    PASS();
}

TEST recipe_allocation_failures(void)
{
    pair        p;
    recipe_plan plan = plan_of(4);
    ot_memory   before = ot_memory_now();
    void       *bytes = NULL;
    size_t      n;
    ot_floor   *f = NULL;
    OK(pair_open(&p, &plan));
    size_t live = ot_memory_now().live;
    for (size_t k = 1;; k++) {
        ot_memory_fail_at(k);
        ot_status st = ot_recipe_write(&bytes, &n, &p.made.r);
        ot_memory_fail_at(0);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT_EQ(live, ot_memory_now().live);
        ASSERT_LT(k, 100);
    }
    ot_free(bytes);
    for (size_t k = 1;; k++) {
        ot_memory_fail_at(k);
        ot_status st = ot_floor_read(&f, p.bytes, p.n, "t");
        ot_memory_fail_at(0);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT(!f);
        ASSERT_EQ(live, ot_memory_now().live);
        ASSERT_LT(k, 100);
    }
    ot_floor_free(f);
    pair_close(&p);
    ASSERT_EQ(before.live, ot_memory_now().live);
    PASS();
}

SUITE(test_recipe)
{
    char name[16];
    for (int i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "%d", i);
        greatest_set_test_suffix(name);
        RUN_TESTp(models_come_back_bit_for_bit, i);
    }
    RUN_TEST(equal_recipes_give_equal_bytes);
    RUN_TEST(texts_survive);
    RUN_TEST(wrong_models_are_not_written);
    RUN_TEST(thresholds_and_their_ladder);
    RUN_TEST(damaged_headers_are_refused);
    RUN_TEST(too_many_are_refused);
    RUN_TEST(a_stray_tensor_is_refused);
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%d", i);
        greatest_set_test_suffix(name);
        RUN_TESTp(every_mutant_is_refused_or_sound, i);
    }
    RUN_TEST(recipe_allocation_failures);
}
