/* test_report.c - what a report writes from a campaign's rows: tables, pictures, the page; see campaign_test.sh for gnuplot missing. */
#include "base/file.h"
#include "campaign/store.h"
#include "check.h"
#include "ohmtrim/report.h"

#include <stdlib.h>
#include <unistd.h>

/* Two evaluation chips, one tuner, 100 test images of which the ideal gets 90 right. */
static const char rows[] =
    "INSERT INTO spec VALUES ('casebook_chips','0','fixed'),('chips','2','grows'),('tuners','closed-form','grows'),"
    "('network','a<b>&c.onnx','place'),('data','mnist','place');"
    "INSERT INTO run_info VALUES (1,'t','t','ok','h',1,1,0,'v','b','c','ref','l',1);"
    "INSERT INTO ideal VALUES (0,100,90,x'00');"
    "INSERT INTO chip VALUES (0,'evaluate',0.5,1,NULL,1),(1,'evaluate',-0.5,2,NULL,1);"
    "INSERT INTO measurement VALUES (0,'untuned',100,70,x'00'),(1,'untuned',100,89,x'00'),(0,'closed-form',100,88,x'00'),"
    "(1,'closed-form',100,86,x'00');"
    "INSERT INTO tuning SELECT chip, knobs, x'', x'', NULL, 100, 0, 0, 0, 0, 0.5 FROM measurement WHERE knobs <> 'untuned';";

static char db[512], dir[512];
static int make(void)
{
    ot_store *s;
    int is_new;
    snprintf(db, sizeof db, "%s/report.db", check_scratch());
    snprintf(dir, sizeof dir, "%s/report", check_scratch());
    unlink(db);
    if (ot__store_open_write(&s, db, 0, &is_new, NULL) != OT_OK) return 0;
    int ok = sqlite3_exec(ot__store_db(s), rows, NULL, NULL, NULL) == SQLITE_OK;
    ot__store_close(s);
    return ok;
}

static char *text_of(const char *name)
{
    char path[1100];
    void *bytes;
    size_t n;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return ot__file_read(&bytes, &n, path, 1 << 24) == OT_OK ? bytes : NULL;
}

TEST its_tables_hold_the_curves(void)
{
    ASSERT(make());
    ot_status st = ot_report_write(db, dir);
    if (st == OT_E_TOOL) SKIPm("no gnuplot");
    OK(st);
    char *yield = text_of("yield.csv"), *accuracy = text_of("accuracy.csv"), *chips = text_of("chips.csv"), *sorted = text_of("sorted.csv");
    ASSERT(yield && accuracy && chips && sorted);
    ASSERT(strstr(yield, "drop_points,flagged,untuned,untuned low,untuned high,closed-form,closed-form low,closed-form high\n0,2,0,0,"));
    ASSERT(strstr(yield, "\n2,1,50,"));                        /* want 88: chip 0 is tuned and reaches it, chip 1 is left */
    ASSERT(strstr(accuracy, "\n0,2,79.5,87\n"));
    ASSERT(strstr(accuracy, "\n2,1,79.5,88.5\n"));
    ASSERT_STR_EQ("chip,delta_sys,untuned,closed-form\n0,0.5,70,88\n1,-0.5,89,86\n", chips);
    ASSERT_STR_EQ("chips_percent,untuned,closed-form\n25,89,88\n75,70,86\n", sorted);
    ot_free(sorted);
    ot_free(chips);
    ot_free(accuracy);
    ot_free(yield);
    PASS();
}

TEST the_page_is_whole_and_escaped(void)
{
    char digest[65];
    ASSERT(make());
    ot_status st = ot_report_write(db, dir);
    if (st == OT_E_TOOL) SKIPm("no gnuplot");
    OK(st);
    OK(ot_campaign_digest(db, digest));
    char *points = text_of("chips.svg");
    ASSERT(points && strstr(points, "systematic variation of gamma, %") && strstr(points, "closed-form"));
    ot_free(points);
    char *page = text_of("index.html"), *svg = text_of("yield.svg");
    ASSERT(page && svg);
    ASSERT(strstr(page, "a&lt;b&gt;&amp;c.onnx") && !strstr(page, "a<b>"));
    ASSERT(strstr(page, digest) && strstr(page, "</html>"));
    ASSERT(strstr(page, "data:image/svg+xml;base64,PD94bWwg"));        /* "<?xml " */
    ASSERT(strstr(svg, "closed-form") && strstr(svg, "accuracy a chip may lose, points below the ideal 90.0 %") && strstr(svg, "</svg>"));
    ot_free(svg);
    ot_free(page);
    PASS();
}

TEST a_missing_database_is_said(void)
{
    FAILS(OT_E_OPEN, "nosuch.db", ot_report_write("nosuch.db", dir));
    PASS();
}

SUITE(test_report)
{
    RUN_TEST(its_tables_hold_the_curves);
    RUN_TEST(the_page_is_whole_and_escaped);
    RUN_TEST(a_missing_database_is_said);
}
