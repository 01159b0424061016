/* test_array.c - .npy and .npz round trips, numpy's own files, damaged files; whole-file reads and writes; SHA-256. */
#include "base/file.h"
#include "base/sha256.h"
#include "check.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char path[512];
static const char *file(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", check_scratch(), name);
    return path;
}

TEST npy_round_trip_keeps_type_shape_and_bits(ot_type type, int n_dims)
{
    static const int64_t dims[] = {3, 1, 4, 2};
    size_t n = 1;
    for (int i = 0; i < n_dims; i++) n *= (size_t)dims[i];
    uint8_t data[24 * 8];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 37 + 1);
    OK(ot_npy_write(file("a.npy"), type, n_dims, dims, data));
    ot_array a;
    OK(ot_npy_read(&a, file("a.npy")));
    ASSERT_EQ(type, a.type);
    ASSERT_EQ(n_dims, a.n_dims);
    for (int i = 0; i < n_dims; i++) ASSERT_EQ(dims[i], a.dims[i]);
    ASSERT_EQ((int64_t)n, ot_array_count(&a));
    ASSERT_MEM_EQ(data, a.data, n * ot_type_bytes(type));
    ot_array_free(&a);
    PASS();
}

TEST fortran_order_is_turned_on_reading(void)
{
    char f[256], head[] = "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }\n";
    int32_t columns[] = {1, 4, 2, 5, 3, 6}, rows[] = {1, 2, 3, 4, 5, 6};
    memcpy(f, "\x93NUMPY\x01\x00", 8);
    f[8] = (char)strlen(head), f[9] = 0;
    memcpy(f + 10, head, strlen(head));
    memcpy(f + 10 + strlen(head), columns, sizeof columns);
    ot_array a;
    OK(ot_npy_parse(&a, f, 10 + strlen(head) + sizeof columns, "columns"));
    ASSERT_MEM_EQ(rows, a.data, sizeof rows);
    ot_array_free(&a);
    PASS();
}

TEST a_golden_npy_of_numpy_reads(void)
{
    ot_array a;
    OK(ot_npy_read(&a, check_golden("trelu/images.npy")));
    ASSERT_EQ(OT_U8, a.type);
    ASSERT(a.n_dims == 4 && a.dims[0] == 32 && a.dims[1] == 3 && a.dims[2] == 16 && a.dims[3] == 16);
    ot_array_free(&a);
    PASS();
}

TEST damaged_npy_says_what_is_wrong(void)
{
    ot_array a;
    const int64_t dims[] = {4};
    const float data[] = {1, 2, 3, 4};
    OK(ot_npy_write(file("d.npy"), OT_F32, 1, dims, data));
    void *bytes;
    size_t n;
    OK(ot__file_read(&bytes, &n, file("d.npy"), 1 << 20));
    char *b = bytes;
    FAILS(OT_E_FORMAT, "want 16", ot_npy_parse(&a, b, n - 1, "x.npy"));
    for (size_t cut = 0; cut < n; cut++) ASSERT_EQ(OT_E_FORMAT, ot_npy_parse(&a, b, cut, "x.npy"));
    char *p = strstr(b + 10, "<f4");
    p[1] = 'c';
    FAILS(OT_E_UNSUPPORTED, "<c4", ot_npy_parse(&a, b, n, "x.npy"));
    p[1] = 'f';
    p = strstr(b + 10, "(4, )");
    memcpy(p, "(-4,)", 5);
    FAILS(OT_E_FORMAT, "shape", ot_npy_parse(&a, b, n, "x.npy"));
    b[6] = 9;
    FAILS(OT_E_VERSION, "version 9", ot_npy_parse(&a, b, n, "x.npy"));
    ot_free(bytes);
    FAILS(OT_E_OPEN, "No such file", ot_npy_read(&a, file("none.npy")));
    PASS();
}

static int write_npz(const char *name)
{
    const int64_t d1[] = {5}, d2[] = {2, 2};
    const float x[] = {1, 2, 3, 4, 5};
    const int64_t y[] = {-1, 0, 1, INT64_MAX};
    ot_npz_writer *w;
    return ot_npz_create(&w, file(name)) == OT_OK && ot_npz_add(w, "x", OT_F32, 1, d1, x) == OT_OK &&
           ot_npz_add(w, "layer/y", OT_I64, 2, d2, y) == OT_OK && ot_npz_finish(w) == OT_OK;
}

TEST npz_round_trip_and_equal_bytes(void)
{
    ASSERT(write_npz("a.npz") && write_npz("b.npz"));
    ot_npz *z;
    OK(ot_npz_open(&z, file("a.npz")));
    ASSERT_EQ(2, ot_npz_count(z));
    ASSERT_STR_EQ("layer/y", ot_npz_name(z, 1));
    ASSERT(ot_npz_has(z, "x") && !ot_npz_has(z, "z"));
    ot_array a;
    OK(ot_npz_get(&a, z, "layer/y"));
    ASSERT_EQ(INT64_MAX, ((int64_t *)a.data)[3]);
    ot_array_free(&a);
    FAILS(OT_E_FORMAT, "no array 'z'", ot_npz_get(&a, z, "z"));
    ot_npz_close(z);
    void *p, *q;
    size_t n, m;
    OK(ot__file_read(&p, &n, file("a.npz"), 1 << 20));
    OK(ot__file_read(&q, &m, file("b.npz"), 1 << 20));
    ASSERT(n == m && !memcmp(p, q, n));
    ot_free(p);
    ot_free(q);
    PASS();
}

TEST every_damaged_byte_of_an_npz_is_survived(void)
{
    ASSERT(write_npz("c.npz"));
    void *p;
    size_t n;
    OK(ot__file_read(&p, &n, file("c.npz"), 1 << 20));
    int noticed = 0;
    for (size_t i = 0; i < n + n; i++) {
        uint8_t *b = p, old = b[i % n];
        size_t length = i < n ? n : i - n;                          /* flip a byte, then cut short */
        if (i < n) b[i] ^= 0x55;
        ot_npz *z;
        if (ot_npz_parse(&z, b, length, "c.npz") != OT_OK) noticed++;
        else {
            ot_array a;
            for (int k = 0; k < ot_npz_count(z); k++)
                if (ot_npz_get(&a, z, ot_npz_name(z, k)) == OT_OK) ot_array_free(&a);
                else noticed++;
            ot_npz_close(z);
        }
        b[i % n] = old;
    }
    ot_free(p);
    ASSERT_GT(noticed, (int)n);                                     /* every cut, and most flips */
    PASS();
}

TEST changed_data_of_an_npz_is_noticed(void)
{
    ASSERT(write_npz("c.npz"));
    void *p;
    size_t n, at = 0;
    OK(ot__file_read(&p, &n, file("c.npz"), 1 << 20));
    const float x[] = {1, 2, 3, 4, 5};
    while (at + sizeof x <= n && memcmp((char *)p + at, x, sizeof x)) at++;
    ASSERT(at + sizeof x <= n);
    ((uint8_t *)p)[at + 9] ^= 1;
    ot_npz *z;
    OK(ot_npz_parse(&z, p, n, "c.npz"));
    ot_array a;
    FAILS(OT_E_FORMAT, "checksum", ot_npz_get(&a, z, "x"));
    OK(ot_npz_get(&a, z, "layer/y"));                               /* the other one is whole */
    ot_array_free(&a);
    ot_npz_close(z);
    ot_free(p);
    PASS();
}

TEST npz_of_python_reads_if_python_is_there(void)
{
    char cmd[900];
    snprintf(cmd, sizeof cmd,
             "/usr/bin/python3 -c \"import numpy as n; n.savez_compressed('%s', x=n.arange(6,dtype='f8').reshape(2,3).T, y=n.zeros((0,3),'u1'))\" 2>/dev/null",
             file("py.npz"));
    if (system(cmd)) SKIPm("needs /usr/bin/python3 with numpy");
    ot_npz *z;
    OK(ot_npz_open(&z, file("py.npz")));
    ot_array a;
    OK(ot_npz_get(&a, z, "x"));
    const double want[] = {0, 3, 1, 4, 2, 5};
    CHECK_CLOSE64(want, (double *)a.data, 6, 0);
    ot_array_free(&a);
    OK(ot_npz_get(&a, z, "y"));
    ASSERT_EQ(0, ot_array_count(&a));
    ot_array_free(&a);
    ot_npz_close(z);
    PASS();
}

TEST conversion_refuses_what_does_not_fit(void)
{
    const int64_t dims[] = {2};
    double v[] = {1, 300};
    OK(ot_npy_write(file("v.npy"), OT_F64, 1, dims, v));
    ot_array a;
    OK(ot_npy_read(&a, file("v.npy")));
    FAILS(OT_E_RANGE, "300", ot_array_convert(&a, OT_U8));
    OK(ot_array_convert(&a, OT_I32));
    ASSERT_EQ(300, ((int32_t *)a.data)[1]);
    ot_array_free(&a);
    v[1] = NAN;
    OK(ot_npy_write(file("v.npy"), OT_F64, 1, dims, v));
    OK(ot_npy_read(&a, file("v.npy")));
    FAILS(OT_E_RANGE, "nan", ot_array_convert(&a, OT_I64));
    ot_array_free(&a);
    PASS();
}

TEST files_are_whole_or_not_at_all(void)
{
    OK(ot__file_write(file("f"), "hello", 5));
    void *p;
    size_t n;
    OK(ot__file_read(&p, &n, file("f"), 100));
    ASSERT(n == 5 && !memcmp(p, "hello", 6));
    ot_free(p);
    FAILS(OT_E_OPEN, "at most 3", ot__file_read(&p, &n, file("f"), 3));
    FAILS(OT_E_OPEN, "folder", ot__file_read(&p, &n, check_scratch(), 100));
    FAILS(OT_E_WRITE, "No such file", ot__file_write("/nonexistent/f", "x", 1));
    OK(ot__file_read(&p, &n, "/proc/self/stat", 1 << 20));          /* a file that says it has 0 bytes */
    ot_free(p);
    PASS();
}

TEST gz_unpacks_and_damage_is_named(void)
{
    gzFile g = gzopen(file("g.gz"), "wb");
    char block[1000];
    memset(block, 'z', sizeof block);
    for (int i = 0; i < 100; i++) ASSERT_EQ(1000, gzwrite(g, block, 1000));
    gzclose(g);
    void *p;
    size_t n;
    OK(ot__file_read_gz(&p, &n, file("g.gz"), 1 << 20));
    ASSERT(n == 100000 && ((char *)p)[99999] == 'z');
    ot_free(p);
    FAILS(OT_E_FORMAT, "more than 5000", ot__file_read_gz(&p, &n, file("g.gz"), 5000));
    struct stat s;
    ASSERT_EQ(0, stat(file("g.gz"), &s));
    ASSERT_EQ(0, truncate(file("g.gz"), s.st_size - 9));
    FAILS(OT_E_FORMAT, "truncated", ot__file_read_gz(&p, &n, file("g.gz"), 1 << 20));
    PASS();
}

TEST sha256_gives_the_standards_answers(void)
{
    /* FIPS 180-4 examples, as published by NIST */
    static const char *const rows[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    char hex[65];
    for (size_t i = 0; i < 3; i++) {
        ot__sha256_hex(rows[i][0], strlen(rows[i][0]), hex);
        ASSERT_STR_EQ(rows[i][1], hex);
    }
    ot_sha256 s;
    ot__sha256_start(&s);
    for (int i = 0; i < 1000000; i++) ot__sha256_add(&s, "a", 1);
    ot__sha256_end(&s, hex);
    ASSERT_STR_EQ("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", hex);
    PASS();
}

TEST every_failed_allocation_is_reported_and_nothing_leaks(void)
{
    ASSERT(write_npz("o.npz"));
    size_t live = ot_memory_now().live;
    for (int n = 1;; n++) {
        ot_memory_fail_at((size_t)n);
        ot_npz *z = NULL;
        ot_array a = {0};
        ot_status st = ot_npz_open(&z, file("o.npz"));
        if (st == OT_OK) st = ot_npz_get(&a, z, "x");
        ot_memory_fail_at(0);
        ot_array_free(&a);
        ot_npz_close(z);
        ASSERT_EQ(live, ot_memory_now().live);
        if (st == OT_OK) break;
        ASSERT_EQ(OT_E_NOMEM, st);
        ASSERT(n < 100);
    }
    PASS();
}

SUITE(test_array)
{
    for (int t = OT_F32; t <= OT_BOOL; t++)
        for (int d = 0; d <= 4; d++) {
            char suffix[16];
            snprintf(suffix, sizeof suffix, "type%d_%dd", t, d);
            greatest_set_test_suffix(suffix);
            RUN_TESTp(npy_round_trip_keeps_type_shape_and_bits, (ot_type)t, d);
        }
    RUN_TEST(fortran_order_is_turned_on_reading);
    RUN_TEST(a_golden_npy_of_numpy_reads);
    RUN_TEST(damaged_npy_says_what_is_wrong);
    RUN_TEST(npz_round_trip_and_equal_bytes);
    RUN_TEST(every_damaged_byte_of_an_npz_is_survived);
    RUN_TEST(changed_data_of_an_npz_is_noticed);
    RUN_TEST(npz_of_python_reads_if_python_is_there);
    RUN_TEST(conversion_refuses_what_does_not_fit);
    RUN_TEST(files_are_whole_or_not_at_all);
    RUN_TEST(gz_unpacks_and_damage_is_named);
    RUN_TEST(sha256_gives_the_standards_answers);
    RUN_TEST(every_failed_allocation_is_reported_and_nothing_leaks);
}
