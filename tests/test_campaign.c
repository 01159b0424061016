/* test_campaign.c - specs, the database, its lock, the digest, yields and their statistics.  Runs are tested by campaign_test.sh. */
#include "base/file.h"
#include "base/sha256.h"
#include "campaign/lock.h"
#include "campaign/spec.h"
#include "campaign/statistics.h"
#include "campaign/store.h"
#include "check.h"
#include "ohmtrim/campaign.h"

#include <math.h>
#include <unistd.h>

static char path[512];
static const char *file(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    return path;
}
static const char *write_file(const char *name, const char *text)
{
    return ot__file_write(file(name), text, strlen(text)) == OT_OK ? path : NULL;
}

/* -- spec -- */

TEST a_spec_is_read_over_the_defaults(void)
{
    ot_campaign_spec s;
    OK(ot_campaign_spec_read(&s, write_file("s.yaml", "network: a.onnx\ndata: mnist\nsigma: 0.035\nseed: 18446744073709551615\n"
                                                      "tuners: [learned, subset]\ntune:\n  steps: 50\n  lr: 0.5\n")));
    ASSERT_STR_EQ("a.onnx", s.network);
    ASSERT_STR_EQ("r1", s.device_model);
    ASSERT_IN_RANGE(0.035, s.variation.sigma, 0);
    ASSERT(s.variation.seed == UINT64_MAX && s.tune.seed == UINT64_MAX);
    ASSERT_EQ(2, s.n_tuners);
    ASSERT(s.tuners[0] == OT_TUNER_LEARNED && s.tuners[1] == OT_TUNER_SUBSET);
    ASSERT(s.tune.steps == 50 && s.tune.minibatch == ot_tune_defaults().minibatch && s.casebook_chips == 100);
    OK(ot_campaign_spec_check(&s));
    PASS();
}

TEST its_text_reads_back_to_the_same(void)
{
    ot_campaign_spec s, t;
    char *text;
    ot_campaign_spec_defaults(&s);
    OK(ot_campaign_spec_set(&s, "network", "my net/a: b#c\\x 'it''s' \"q\" %.onnx"));
    OK(ot_campaign_spec_set(&s, "data", "npz:x.npz"));
    OK(ot_campaign_spec_set(&s, "sigma", "0.012345678901234567"));
    OK(ot_campaign_spec_set(&s, "tune.lr", "1e-3"));
    OK(ot_campaign_spec_set(&s, "tune.policy", "FIX(k0=0.1)@50%, NSTEP(k0=0.1 gamma=0.1 l=[5, 3ep])"));
    OK(ot_campaign_spec_set(&s, "tune.optimizer", "momentum"));
    ASSERT_IN_RANGE(0.9, s.tune.momentum, 0);
    OK(ot_campaign_spec_set(&s, "tune.momentum", "0.5"));
    OK(ot_campaign_spec_set(&s, "tuners", "subset, closed-form"));
    OK(ot_campaign_spec_text(&text, &s));
    OK(ot_campaign_spec_read(&t, write_file("t.yaml", text)));
    char a[SPEC_VALUE], b[SPEC_VALUE];
    for (int i = 0; i < ot__spec_keys(); i++) {
        ot__spec_value(a, &s, ot__spec_key(i));
        ot__spec_value(b, &t, ot__spec_key(i));
        ASSERT_STR_EQ(a, b);
    }
    ASSERT(s.variation.sigma == t.variation.sigma);
    ASSERT_EQ(2, t.tune.policy.n);
    ASSERT(t.tune.optimizer == OT_OPTIMIZER_SGD && t.tune.momentum == 0.5);
    ot_free(text);
    PASS();
}

TEST a_bad_value_is_one_sentence(const char *key, const char *value, const char *words)
{
    ot_campaign_spec s;
    ot_campaign_spec_defaults(&s);
    FAILS(OT_E_RANGE, words, ot_campaign_spec_set(&s, key, value));
    PASS();
}

TEST a_bad_file_names_file_and_key(const char *text, const char *words)
{
    ot_campaign_spec s = {.chips = 77};
    FAILS(OT_E_FORMAT, words, ot_campaign_spec_read(&s, write_file("bad.yaml", text)));
    ASSERT(strstr(ot_last_error(), "bad.yaml"));
    ASSERT_FALSE(strchr(ot_last_error(), '\n'));
    ASSERT_EQ(77, s.chips);                                    /* untouched */
    PASS();
}

/* -- store -- */

static ot_store *fresh(const char *name)
{
    ot_store *s;
    int is_new = 0;
    unlink(file(name));
    return ot__store_open_write(&s, path, 0, &is_new, NULL) == OT_OK && is_new ? s : NULL;
}

TEST a_new_database_is_wal_with_our_version(void)
{
    ot_store *s = fresh("new.db");
    int64_t v, wal, sync;
    ASSERT(s);
    OK(ot__store_int(&v, s, -1, "PRAGMA user_version", ""));
    OK(ot__store_int(&wal, s, -1, "SELECT journal_mode = 'wal' FROM pragma_journal_mode", ""));
    OK(ot__store_int(&sync, s, -1, "PRAGMA synchronous", ""));
    ASSERT_EQ(OT_STORE_VERSION, v);
    ASSERT_EQ(1, wal);
    ASSERT_EQ(1, sync);                                        /* NORMAL */
    ot__store_close(s);
    int is_new = 1;
    OK(ot__store_open_write(&s, file("new.db"), 1, &is_new, NULL));
    OK(ot__store_int(&sync, s, -1, "PRAGMA synchronous", ""));
    ASSERT_EQ(0, is_new);
    ASSERT_EQ(2, sync);                                        /* FULL */
    ot__store_close(s);
    PASS();
}

TEST two_writers_in_one_process_are_refused_too(void)
{
    ot_store *s = fresh("two.db"), *t;
    int is_new;
    char words[64];
    ASSERT(s);
    snprintf(words, sizeof words, "process %ld on host", (long)getpid());
    FAILS(OT_E_LOCKED, words, ot__store_open_write(&t, file("two.db"), 0, &is_new, NULL));
    OK(ot__store_open(&t, file("two.db")));                    /* reading is free */
    ot__store_close(t);
    ot__store_close(s);
    OK(ot__store_open_write(&t, file("two.db"), 0, &is_new, NULL));
    ot__store_close(t);
    ASSERT_FALSE(ot__file_exists(file("two.db.lock")));
    PASS();
}

TEST a_lock_left_by_a_kill_is_taken_over(void)
{
    ot_lock l;
    write_file("old.db.lock", "process 1 on host gone since 2020\n");
    OK(ot__lock_take(&l, file("old.db")));
    ot__lock_drop(&l);
    ot__lock_drop(&l);                                         /* twice is fine */
    PASS();
}

TEST a_failed_transaction_leaves_nothing(void)
{
    ot_store *s = fresh("roll.db");
    int64_t n;
    ASSERT(s);
    OK(ot__store_begin(s));
    OK(ot__store_do(s, "INSERT INTO ideal VALUES (0, 1, 1, x'01')", ""));
    ot_status st = ot__store_do(s, "INSERT INTO ideal VALUES (0, 1, 1, x'01')", "");
    ASSERT_EQ(OT_E_LIBRARY, st);
    ASSERT_EQ(OT_E_LIBRARY, ot__store_end(s, st));
    OK(ot__store_int(&n, s, -1, "SELECT count(*) FROM ideal", ""));
    ASSERT_EQ(0, n);
    ot__store_close(s);
    PASS();
}

/* Rows by hand: 4 evaluation chips, tuners subset and closed-form, 100 test images of which the ideal gets 90 right. */
static const char rows[] =
    "INSERT INTO spec VALUES ('casebook_chips','1','fixed'),('chips','5','grows'),('tuners','subset, closed-form','grows'),('network','n.onnx','place'),"
    "('data','mnist','place');"
    "INSERT INTO run_info VALUES (1,'t','t','ok','h',1,1,0,'v','b','c','ref','l',1);"
    "INSERT INTO ideal VALUES (0,100,90,x'0102');"
    "INSERT INTO stimulus VALUES (0,0,7),(0,1,3);"
    "INSERT INTO chip VALUES (0,'casebook',0.01,1,NULL,1),(1,'evaluate',0.5,-9,NULL,1),(2,'evaluate',-0.5,2,NULL,1),(3,'evaluate',0,3,NULL,1),"
    "(4,'evaluate',0.25,4,NULL,1),(5,'evaluate',1,5,NULL,1);"
    "INSERT INTO signature VALUES (1,0,'untuned',x'0000803f');"
    "INSERT INTO measurement VALUES (0,'untuned',100,80,x'00'),(1,'untuned',100,89,x'00'),(2,'untuned',100,60,x'00'),(3,'untuned',100,88,x'00'),"
    "(4,'untuned',100,50,x'00'),(5,'untuned',100,50,x'00'),(1,'subset',100,87,x'00'),(2,'subset',100,88,x'00'),(3,'subset',100,90,x'00'),"
    "(4,'subset',100,70,x'00'),(1,'closed-form',100,90,x'00'),(2,'closed-form',100,85,x'00'),(3,'closed-form',100,89,x'00'),"
    "(4,'closed-form',100,89,x'00'),(5,'subset',100,90,x'00');"
    "INSERT INTO tuning SELECT chip, knobs, x'0000803f', x'00000000', NULL, 100 * chip, 10 * chip, 5, 0, 0, 0.5 * chip FROM measurement"
    " WHERE knobs <> 'untuned';"
    "INSERT INTO casebook VALUES (0,'exhaustive');";

static const char *by_hand(void)
{
    ot_store *s = fresh("hand.db");
    if (!s || sqlite3_exec(ot__store_db(s), rows, NULL, NULL, NULL) != SQLITE_OK) return NULL;
    ot__store_close(s);
    return file("hand.db");
}

TEST the_digest_is_stable(void)
{
    char a[65], b[65];
    const char *db = by_hand();
    ASSERT(db);
    OK(ot_campaign_digest(db, a));
    OK(ot_campaign_digest(db, b));
    ASSERT_STR_EQ(a, b);
    /* by the definition of docs/campaign.md, computed with Python's hashlib and struct over the same rows */
    ASSERT_STR_EQ("1e6700d1f321748f25d3467c84d0a1e9d1bd0fb00bc1737c6f272502da82204a", a);
    PASS();
}

TEST the_digest_sees(const char *change, int sees)
{
    char a[65], b[65];
    const char *db = by_hand();
    ot_store *s;
    int is_new;
    OK(ot_campaign_digest(db, a));
    OK(ot__store_open_write(&s, db, 0, &is_new, NULL));
    OK(ot__store_do(s, change, ""));
    ASSERT_EQ(1, sqlite3_changes(ot__store_db(s)));
    ot__store_close(s);
    OK(ot_campaign_digest(file("hand.db"), b));
    ASSERT_EQ(sees, strcmp(a, b) != 0);
    PASS();
}

/* -- yields -- */

TEST yields_follow_the_oracle_rule(void)
{
    ot_campaign_results *r;
    ot_yield y;
    OK(ot_campaign_results_read(&r, by_hand()));
    ASSERT(r->chips == 6 && r->done == 5 && r->casebook_done == 1 && r->evaluate_done == 4 && r->failed == 0);
    ASSERT(r->n == 4 && r->n_tuners == 2 && r->ideal == 90 && r->images == 100);      /* chip 5 lacks a tuner */
    ot_campaign_yield(&y, r, 0.02);                            /* want 88: chips 1 and 3 pass, 2 and 4 are flagged */
    ASSERT_EQ(2, y.flagged);
    ASSERT_IN_RANGE(0.88, y.threshold, 1e-15);
    ASSERT_IN_RANGE(0.50, y.yield[0].value, 0);
    ASSERT_IN_RANGE(0.75, y.yield[1].value, 0);                /* 2 becomes 88, exactly enough; 1 stays 89 though subset makes it worse */
    ASSERT_IN_RANGE(0.75, y.yield[2].value, 0);
    ASSERT_IN_RANGE((89 + 60 + 88 + 50) / 400.0, y.accuracy[0], 1e-15);
    ASSERT_IN_RANGE((89 + 88 + 88 + 70) / 400.0, y.accuracy[1], 1e-15);
    ASSERT_IN_RANGE(300, y.images[1], 0);                      /* chips 2 and 4: (200 + 400) / 2 */
    ASSERT_IN_RANGE(1.5, y.seconds[2], 1e-15);
    ot_campaign_yield(&y, r, 0.5);                             /* nothing flagged */
    ASSERT(y.flagged == 0 && y.yield[0].value == 1 && isnan(y.images[1]) && isnan(y.seconds[1]));
    ot_campaign_yield(&y, r, -2);                              /* every chip tuned */
    ASSERT_EQ(4, y.flagged);
    ASSERT_IN_RANGE((87 + 88 + 90 + 70) / 400.0, y.accuracy[1], 1e-15);
    ot_campaign_results_free(r);
    PASS();
}

TEST comparisons_are_paired(void)
{
    ot_campaign_results *r;
    ot_paired q;
    OK(ot_campaign_results_read(&r, by_hand()));
    OK(ot_campaign_compare(&q, r, 1, 2, 0.02));                /* flagged: 2: 88 against 85, 4: 70 against 89 */
    ASSERT(q.only_a == 1 && q.only_b == 1);
    ASSERT_IN_RANGE(1, q.p, 1e-12);
    ASSERT_IN_RANGE((3 - 19) / 400.0, q.difference.value, 1e-15);
    ASSERT(q.difference.low >= -0.19 && q.difference.low < q.difference.value && q.difference.high <= 0.03 && q.difference.high > q.difference.value);
    FAILS(OT_E_RANGE, "0..2", ot_campaign_compare(&q, r, 0, 3, 0.02));
    ot_campaign_results_free(r);
    PASS();
}

TEST a_failed_chip_counts_as_bad(void)
{
    ot_store *s;
    int is_new;
    ot_campaign_results *r;
    ot_yield y;
    OK(ot__store_open_write(&s, by_hand(), 0, &is_new, NULL));
    OK(ot__store_do(s, "DELETE FROM measurement WHERE chip = 5", ""));
    OK(ot__store_do(s, "DELETE FROM tuning WHERE chip = 5", ""));
    OK(ot__store_do(s, "UPDATE chip SET failure = 'signature: number 0 is nan' WHERE number = 5", ""));
    ot__store_close(s);
    OK(ot_campaign_results_read(&r, file("hand.db")));
    ASSERT(r->n == 5 && r->failed == 1 && r->done == 6);
    ot_campaign_yield(&y, r, 0.89);                            /* one right answer is enough: all but the failed one */
    ASSERT_IN_RANGE(0.8, y.yield[0].value, 0);
    ASSERT_IN_RANGE(0.8, y.yield[1].value, 0);
    ot_campaign_results_free(r);
    PASS();
}

/* statsmodels' proportion_confint(method="wilson"), to its digits; also Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20. */
TEST wilson_is_as_published(int64_t good, int64_t n, double low, double high)
{
    ot_rate r = ot_wilson(good, n);
    ASSERT_IN_RANGE((double)good / (double)n, r.value, 1e-15);
    ASSERT_IN_RANGE(low, r.low, 5e-5);
    ASSERT_IN_RANGE(high, r.high, 5e-5);
    PASS();
}

TEST wilson_of_nothing_is_everything(void)
{
    ot_rate r = ot_wilson(0, 0);
    ASSERT(isnan(r.value) && r.low == 0 && r.high == 1);
    PASS();
}

/* Binomial sums by hand: 2 sum_{k <= min} C(n, k) / 2^n, at most 1. */
TEST mcnemar_is_the_exact_binomial(int64_t b, int64_t c, double p)
{
    ASSERT_IN_RANGE(p, ot_mcnemar(b, c), 1e-12);
    ASSERT_IN_RANGE(p, ot_mcnemar(c, b), 1e-12);
    PASS();
}

TEST the_bootstrap_has_the_normal_width(void)
{
    double x[400], sum = 0, square = 0;
    check_rng rng = {1};
    ot_rate r;
    for (int i = 0; i < 400; i++) {
        x[i] = 3 + check_normal(&rng);
        sum += x[i], square += x[i] * x[i];
    }
    double mean = sum / 400, half = 1.96 * sqrt((square / 400 - mean * mean) / 400);
    OK(ot__bootstrap(&r, x, 400));
    ASSERT_IN_RANGE(mean, r.value, 1e-12);
    ASSERT_IN_RANGE(mean - half, r.low, 0.15 * half);          /* 2,000 draws: a percentile wobbles by 5 % or so of the half width */
    ASSERT_IN_RANGE(mean + half, r.high, 0.15 * half);
    OK(ot__bootstrap(&r, x, 0));
    ASSERT(isnan(r.value));
    PASS();
}

TEST reading_without_memory_is_an_error_each_time(void)
{
    const char *db = by_hand();
    ot_campaign_results *r;
    ot_memory before = ot_memory_now();
    int n = 0;
    for (ot_status st = OT_E_NOMEM; st == OT_E_NOMEM; n++) {
        ot_memory_fail_at((size_t)n + 1);
        st = ot_campaign_results_read(&r, db);
        ot_memory_fail_at(0);
        ASSERT(st == OT_OK || st == OT_E_NOMEM);
        if (st == OT_OK) ot_campaign_results_free(r);
        ASSERT_EQ(before.live, ot_memory_now().live);
    }
    ASSERT(n > 8);
    PASS();
}

SUITE(test_campaign)
{
    RUN_TEST(a_spec_is_read_over_the_defaults);
    RUN_TEST(its_text_reads_back_to_the_same);
    static const char *const values[][3] = {
        {"sigma", "0.081", "0..0.08"}, {"sigma", "nan", "sigma = 'nan'"}, {"sigma", "", "sigma"}, {"bits", "1", "2..16"}, {"bits", "17", "2..16"},
        {"chips", "3.5", "whole number"}, {"chips", "12x", "whole number"}, {"seed", "-1", "whole number"}, {"tuners", "adam", "adam"},
        {"tuners", "subset,subset", "twice"}, {"tuners", "subset,,learned", "tuners"}, {"tuners", "", "one at least"}, {"sigmma", "1", "'sigmma' is not known"},
        {"network", "", "text of"}, {"data", "a\nb", "text of"}, {"tile", "0", "1..4096"}, {"tune.minibatch", "4097", "1..4096"},
        {"stimulus_images", "0", "1.."},
        {"tune.policy", "COSS k1=1 l=3", "tune.policy: 'COSS' is not a policy, want COS"}, {"tune.policy", "FIX k0=-1", "tune.policy: FIX: k0 = -1"},
        {"tune.optimizer", "lbfgs", "tune.optimizer: optimizer = 'lbfgs', want adam"}, {"tune.momentum", "1", "tune.momentum = '1', want a number 0..0.9999"},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        greatest_set_test_suffix(values[i][0]);
        RUN_TESTp(a_bad_value_is_one_sentence, values[i][0], values[i][1], values[i][2]);
    }
    static const char *const files[][3] = {
        {"unknown", "network: a\nsigmma: 0.1\n", "line 2"}, {"unknown_below_tune", "network: a\ntune:\n  stepps: 3\n", "stepps"},
        {"range", "sigma: 0.3\n", "sigma = '0.3', want a number 0..0.08"}, {"tuner", "tuners: [subset, magic]\n", "magic"},
        {"no_tuners", "tuners: []\n", "line 1"}, {"tuners_no_list", "tuners: subset\n", "line 1"}, {"empty", "", "empty"}, {"value_is_a_list", "chips: [1, 2]\n", "line 1"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        greatest_set_test_suffix(files[i][0]);
        RUN_TESTp(a_bad_file_names_file_and_key, files[i][1], files[i][2]);
    }
    RUN_TEST(a_new_database_is_wal_with_our_version);
    RUN_TEST(two_writers_in_one_process_are_refused_too);
    RUN_TEST(a_lock_left_by_a_kill_is_taken_over);
    RUN_TEST(a_failed_transaction_leaves_nothing);
    RUN_TEST(the_digest_is_stable);
    static const struct { const char *what, *sql; int sees; } changes[] = {
        {"a_bit_of_the_right_answers", "UPDATE measurement SET bits = x'01' WHERE chip = 2 AND knobs = 'subset'", 1},
        {"a_count", "UPDATE measurement SET correct = 86 WHERE chip = 2 AND knobs = 'closed-form'", 1},
        {"the_last_bit_of_a_double", "UPDATE chip SET delta_sys = 0.50000000000000011 WHERE number = 1", 1},
        {"a_hash", "UPDATE chip SET hash = -8 WHERE number = 1", 1},
        {"a_role", "UPDATE chip SET role = 'casebook' WHERE number = 1", 1},
        {"a_failure", "UPDATE chip SET failure = 'x' WHERE number = 1", 1},
        {"a_signature", "UPDATE signature SET value = x'0100803f'", 1},
        {"a_gain", "UPDATE tuning SET gain = x'0100803f' WHERE chip = 1 AND tuner = 'subset'", 1},
        {"a_sign_of_zero", "UPDATE tuning SET offset = x'00000080' WHERE chip = 1 AND tuner = 'subset'", 1},
        {"the_nearest", "UPDATE tuning SET nearest = 0 WHERE chip = 1 AND tuner = 'subset'", 1},
        {"the_images", "UPDATE tuning SET images_forward = 1 WHERE chip = 1 AND tuner = 'subset'", 1},
        {"the_steps", "UPDATE tuning SET steps = 6 WHERE chip = 1 AND tuner = 'subset'", 1},
        {"the_projected", "UPDATE tuning SET projected = 1 WHERE chip = 1 AND tuner = 'subset'", 1},
        {"the_restores", "UPDATE tuning SET nan_restores = 1 WHERE chip = 1 AND tuner = 'subset'", 1},
        {"the_ideal", "UPDATE ideal SET correct = 91", 1},
        {"a_stimulus", "UPDATE stimulus SET image = 8 WHERE position = 0", 1},
        {"the_casebook", "DELETE FROM casebook", 1},
        {"a_missing_row", "DELETE FROM signature", 1},
        {"not_the_seconds", "UPDATE tuning SET seconds = 9 WHERE chip = 1 AND tuner = 'subset'", 0},
        {"not_the_run", "UPDATE run_info SET host = 'other', threads = 9, started = 'x', memory = 5", 0},
        {"not_a_path", "UPDATE spec SET value = '/elsewhere/n.onnx' WHERE key = 'network'", 0},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        greatest_set_test_suffix(changes[i].what);
        RUN_TESTp(the_digest_sees, changes[i].sql, changes[i].sees);
    }
    RUN_TEST(yields_follow_the_oracle_rule);
    RUN_TEST(comparisons_are_paired);
    RUN_TEST(a_failed_chip_counts_as_bad);
    RUN_TESTp(wilson_is_as_published, 81, 263, 0.2553, 0.3662);
    RUN_TESTp(wilson_is_as_published, 15, 148, 0.0624, 0.1605);
    RUN_TESTp(wilson_is_as_published, 0, 20, 0.0, 0.1611);
    RUN_TESTp(wilson_is_as_published, 1, 29, 0.0061, 0.1718);
    RUN_TESTp(wilson_is_as_published, 20, 20, 0.8389, 1.0);
    RUN_TEST(wilson_of_nothing_is_everything);
    RUN_TESTp(mcnemar_is_the_exact_binomial, 0, 0, 1.0);
    RUN_TESTp(mcnemar_is_the_exact_binomial, 1, 1, 1.0);
    RUN_TESTp(mcnemar_is_the_exact_binomial, 0, 5, 0.0625);
    RUN_TESTp(mcnemar_is_the_exact_binomial, 1, 9, 22.0 / 1024);
    RUN_TESTp(mcnemar_is_the_exact_binomial, 2, 8, 112.0 / 1024);
    RUN_TEST(the_bootstrap_has_the_normal_width);
    RUN_TEST(reading_without_memory_is_an_error_each_time);
}
