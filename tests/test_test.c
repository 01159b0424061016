/* test_test.c - stimulus, signature, clustering. */
#include "trelu.h"

enum { WARD_CUTS = 5 };
static const int cuts[WARD_CUTS] = {2, 3, 5, 10, 20};
static const char *const linkage_names[] = {[OT_WARD] = "ward", [OT_AVERAGE] = "average", [OT_COMPLETE] = "complete"};

static int load(ot_array *a, const char *folder, ot_linkage linkage, const char *what)
{
    char path[128];
    snprintf(path, sizeof path, "cluster/%s/%s_%s.npy", folder, linkage_names[linkage], what);
    return check_load(a, path);
}

/* scipy 1.10.1's trees, cuts and medoids of points without ties (the golden cases' manifests give the tolerances). */
TEST trees_cuts_and_medoids_are_scipys(const char *folder, ot_linkage linkage)
{
    ot_array x, height, merge, size, labels, medoids;
    char     path[128];
    snprintf(path, sizeof path, "cluster/%s/X.npy", folder);
    ASSERT(check_load(&x, path) && load(&height, folder, linkage, "height") && load(&merge, folder, linkage, "merge") &&
           load(&size, folder, linkage, "size") && load(&labels, folder, linkage, "labels") && load(&medoids, folder, linkage, "medoids"));
    int           n = (int)x.dims[0], p = (int)x.dims[1], label[300], medoid[20];
    const double *want = merge.data, *want_size = size.data, *want_label = labels.data, *want_medoid = medoids.data;
    ot_merge      got[299];
    double        heights[299];
    OK(ot_cluster_tree(got, x.data, n, p, linkage));
    for (int i = 0; i < n - 1; i++) {
        heights[i] = got[i].height;
        ASSERT_EQ((int)want[2 * i], got[i].a);
        ASSERT_EQ((int)want[2 * i + 1], got[i].b);
        ASSERT_EQ((int)want_size[i], got[i].size);
    }
    CHECK_CLOSE64((const double *)height.data, heights, (size_t)(n - 1), /* the manifest's */ 1e-9 * check_max_f64(height.data, (size_t)(n - 1)));
    for (int c = 0; c < WARD_CUTS; c++) {
        ot_cluster_cut(label, got, n, cuts[c]);
        for (int i = 0; i < n; i++) ASSERT_EQ((int)want_label[c * n + i], label[i]);
        OK(ot_cluster_medoids(medoid, x.data, n, p, label, cuts[c]));
        for (int k = 0; k < cuts[c]; k++) ASSERT_EQ((int)want_medoid[k], medoid[k]);
        want_medoid += cuts[c];
    }
    ot_array_free(&x), ot_array_free(&height), ot_array_free(&merge), ot_array_free(&size), ot_array_free(&labels), ot_array_free(&medoids);
    PASS();
}

/* The definition: merge the two nearest clusters, n - 1 times, distances computed from all pairs of members. */
static double between(const double *x, int p, const int *label, int n, int a, int b, ot_linkage linkage)
{
    double sum = 0, most = 0, ma[8] = {0}, mb[8] = {0};
    int    na = 0, nb = 0;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < p; k++) ma[k] += label[i] == a ? x[i * p + k] : 0, mb[k] += label[i] == b ? x[i * p + k] : 0;
        na += label[i] == a, nb += label[i] == b;
        for (int j = 0; j < n; j++) {
            if (label[i] != a || label[j] != b) continue;
            double s = 0;
            for (int k = 0; k < p; k++) s += (x[i * p + k] - x[j * p + k]) * (x[i * p + k] - x[j * p + k]);
            sum += sqrt(s);
            most = fmax(most, sqrt(s));
        }
    }
    if (linkage == OT_AVERAGE) return sum / (na * nb);
    if (linkage == OT_COMPLETE) return most;
    double s = 0;
    for (int k = 0; k < p; k++) s += (ma[k] / na - mb[k] / nb) * (ma[k] / na - mb[k] / nb);
    return sqrt(2.0 * na * nb / (na + nb) * s);                   /* Ward: growth of the within-cluster sum of squares, doubled */
}

TEST the_chain_finds_the_greedy_tree(ot_linkage linkage)
{
    enum { N = 24, P = 3 };
    check_rng r = {7 + (uint64_t)linkage};
    for (int turn = 0; turn < 3; turn++) {
        double   x[N * P];
        int      label[N], got_label[N];
        ot_merge got[N - 1];
        for (int i = 0; i < N * P; i++) x[i] = check_normal(&r);
        for (int i = 0; i < N; i++) label[i] = i;
        OK(ot_cluster_tree(got, x, N, P, linkage));
        for (int m = 0; m < N - 1; m++) {
            double least = INFINITY;
            int    a = -1, b = -1;
            for (int i = 0; i < N; i++)
                for (int j = i + 1; j < N; j++) {
                    if (label[i] != i || label[j] != j) continue;     /* a cluster is named by its lowest point */
                    double d = between(x, P, label, N, i, j, linkage);
                    if (d < least) least = d, a = i, b = j;
                }
            for (int i = 0; i < N; i++) label[i] = label[i] == b ? a : label[i];
            ASSERT_IN_RANGE(least, got[m].height, /* Lance-Williams: a few roundings a merge */ 1e-10 * least);
            ot_cluster_cut(got_label, got, N, N - 1 - m);
            int next = 0, number[N];
            for (int i = 0; i < N; i++) {
                if (label[i] == i) number[i] = next++;
                ASSERT_EQ(number[label[i]], got_label[i]);
            }
        }
    }
    PASS();
}

/* Packed correctness vectors tie massively: any Ward tree is right whose cut is as tight as scipy's over 200 orders (manifest). */
TEST tied_bits_are_clustered_as_tightly_as_scipy_does(void)
{
    enum { N = 400, P = 100, C = 10 };
    ot_array packed, labels, medoids;
    ASSERT(check_load(&packed, "cluster/bits/packed.npy") && check_load(&labels, "cluster/bits/labels.npy") &&
           check_load(&medoids, "cluster/bits/medoids.npy"));
    double *x = ot_alloc((size_t)N * P, sizeof *x), within = 0;
    ASSERT(x);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < P; c++) x[i * P + c] = (int)((const double *)packed.data)[i * 16 + c / 8] >> (c % 8) & 1;
    ot_merge tree[N - 1];
    int      label[N], medoid[C];
    OK(ot_cluster_tree(tree, x, N, P, OT_WARD));
    ot_cluster_cut(label, tree, N, C);
    for (int k = 0; k < C; k++)
        for (int c = 0; c < P; c++) {
            double size = 0, ones = 0;
            for (int i = 0; i < N; i++) size += label[i] == k, ones += label[i] == k ? x[i * P + c] : 0;
            within += ones - ones * ones / size;
        }
    ASSERT_GT(within, 5218.656 * 0.99);
    ASSERT_LT(within, 5276.114 * 1.01);
    for (int i = 0; i < N; i++) label[i] = (int)((const double *)labels.data)[i];
    OK(ot_cluster_medoids(medoid, x, N, P, label, C));
    for (int k = 0; k < C; k++) ASSERT_EQ((int)((const double *)medoids.data)[k], medoid[k]);
    ot_free(x), ot_array_free(&packed), ot_array_free(&labels), ot_array_free(&medoids);
    PASS();
}

TEST one_two_and_equal_points_have_trees(void)
{
    double   x[12] = {3, 4, 0, 0};
    int      label[6];
    ot_merge m[5];
    OK(ot_cluster_tree(m, x, 1, 2, OT_WARD));
    ot_cluster_cut(label, m, 1, 1);
    ASSERT_EQ(0, label[0]);
    OK(ot_cluster_tree(m, x, 2, 2, OT_WARD));
    ASSERT(m[0].a == 0 && m[0].b == 1 && m[0].size == 2 && m[0].height == 5);
    for (int linkage = OT_WARD; linkage <= OT_COMPLETE; linkage++) {
        memset(x, 0, sizeof x);
        OK(ot_cluster_tree(m, x, 6, 2, (ot_linkage)linkage));
        for (int i = 0; i < 5; i++) ASSERT_EQ(0, m[i].height);
        ASSERT_EQ(6, m[4].size);
        ot_cluster_cut(label, m, 6, 6);
        for (int i = 0; i < 6; i++) ASSERT_EQ(i, label[i]);
        ot_cluster_cut(label, m, 6, 1);
        for (int i = 0; i < 6; i++) ASSERT_EQ(0, label[i]);
    }
    PASS();
}

TEST silhouette_is_the_textbooks(void)
{
    const double x[] = {0, 1, 10, 11, 30};
    const int    two[] = {0, 0, 1, 1, 1}, three[] = {0, 0, 1, 1, 2};
    double       got = NAN, a, b;
    OK(ot_cluster_silhouette(&got, x, 4, 1, two, 2));
    ASSERT_IN_RANGE(((10.5 - 1) / 10.5 + (9.5 - 1) / 9.5) / 2, got, 1e-15);
    OK(ot_cluster_silhouette(&got, x, 5, 1, three, 3));                /* the lonely point counts 0 */
    a = (10.5 - 1) / 10.5 + (9.5 - 1) / 9.5, b = (9.5 - 1) / 9.5 + (10.5 - 1) / 10.5;
    ASSERT_IN_RANGE((a + b) / 5, got, 1e-15);
    PASS();
}

TEST clustering_refuses_what_it_cannot_do(void)
{
    double    x[4] = {0, 1, NAN, 3}, out;
    const int label[4] = {0, 1, 2, 0};
    int       medoid[4];
    ot_merge  m[3];
    FAILS(OT_E_DATA, "point 2", ot_cluster_tree(m, x, 4, 1, OT_WARD));
    x[2] = 1e150;
    FAILS(OT_E_DATA, "apart", ot_cluster_tree(m, x, 4, 1, OT_WARD));
    x[2] = 2;
    FAILS(OT_E_RANGE, "0 points", ot_cluster_tree(m, x, 0, 1, OT_WARD));
    FAILS(OT_E_RANGE, "linkage 9", ot_cluster_tree(m, x, 4, 1, (ot_linkage)9));
    FAILS(OT_E_RANGE, "label of point 2", ot_cluster_medoids(medoid, x, 4, 1, label, 2));
    FAILS(OT_E_RANGE, "clusters = 5", ot_cluster_medoids(medoid, x, 4, 1, label, 5));
    FAILS(OT_E_RANGE, "clusters = 1", ot_cluster_silhouette(&out, x, 4, 1, label, 1));
    PASS();
}

static ot_data labelled(int32_t *labels, int n, int classes)
{
    static char name[] = "made-up";
    return (ot_data){.name = name, .n = n, .c = 1, .h = 1, .w = 1, .classes = classes, .labels = labels};
}

TEST a_stimulus_is_balanced_and_has_no_image_twice(int k)
{
    int32_t  labels[200];
    uint32_t got[200];
    int      count[10] = {0}, seen[200] = {0}, least = 200, most = 0;
    for (int i = 0; i < 200; i++) labels[i] = i * 7 % 10;
    ot_data data = labelled(labels, 200, 10);
    OK(ot_stimulus_random(got, k, &data, 5));
    for (int i = 0; i < k; i++) {
        ASSERT_LT(got[i], 200u);
        ASSERT_EQ(0, seen[got[i]]++);
        count[labels[got[i]]]++;
    }
    for (int c = 0; c < 10; c++) least = count[c] < least ? count[c] : least, most = count[c] > most ? count[c] : most;
    ASSERT_LTE(most - least, 1);
    PASS();
}

TEST a_class_too_small_is_made_up_for_by_the_others(void)
{
    int32_t  labels[12] = {0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1};           /* and class 3 has none */
    uint32_t got[12];
    int      count[4] = {0};
    ot_data  data = labelled(labels, 12, 4);
    OK(ot_stimulus_random(got, 7, &data, 1));
    for (int i = 0; i < 7; i++) count[labels[got[i]]]++;
    ASSERT(count[0] == 1 && count[1] == 2 && count[2] == 4);
    OK(ot_stimulus_random(got, 12, &data, 1));
    FAILS(OT_E_RANGE, "13 images", ot_stimulus_random(got, 13, &data, 1));
    FAILS(OT_E_RANGE, "0 images", ot_stimulus_random(got, 0, &data, 1));
    PASS();
}

TEST the_seed_decides_the_stimulus(void)
{
    int32_t  labels[300];
    uint32_t a[10], b[10], c[10];
    for (int i = 0; i < 300; i++) labels[i] = i % 10;
    ot_data data = labelled(labels, 300, 10);
    OK(ot_stimulus_random(a, 10, &data, 1));
    OK(ot_stimulus_random(b, 10, &data, 1));
    OK(ot_stimulus_random(c, 10, &data, 2));
    ASSERT_EQ(0, memcmp(a, b, sizeof a));
    ASSERT(memcmp(a, c, sizeof a));
    PASS();
}

TEST a_signature_is_layer_means_then_class_outputs_of_each_image(void)
{
    ot_network     *net;
    ot_data         data;
    ot_backend     *be;
    ot_plan        *plan;
    ot_plan_options opt = OT_PLAN_OPTIONS_INIT;
    uint32_t        stimulus[3] = {30, 4, 17};
    const uint32_t  wild[1] = {32};
    float           got[48], layers[32 * 6], logits[32 * 10];
    ot_array        golden;
    opt.tile = 16;
    OK(trelu_open(&net, &data));
    OK(ot_backend_open(&be, "ref", NULL));
    OK(ot_plan_open(&plan, be, net, &opt));
    OK(ot_plan_load(plan, NULL));
    ASSERT(check_load(&golden, "trelu/logits.npy"));
    ASSERT_EQ(48, ot_signature_length(net, 3));
    check_poison(got, 48);
    check_poison(layers, 32 * 6);
    OK(ot_signature_measure(got, plan, &data, stimulus, 3));
    OK(ot_plan_forward(plan, &data, NULL, 32, logits, layers));
    for (int i = 0; i < 3; i++) {
        CHECK_CLOSE(layers + stimulus[i] * 6, got + i * 16, 6, 0);
        for (int c = 0; c < 10; c++)
            ASSERT_IN_RANGE(((const double *)golden.data)[stimulus[i] * 10 + (uint32_t)c], (double)got[i * 16 + 6 + c],
                            /* manifest: logits in float32 */ 4.7e-5);
    }
    FAILS(OT_E_RANGE, "number 32", ot_signature_measure(got, plan, &data, wild, 1));
    FAILS(OT_E_RANGE, "0 images", ot_signature_measure(got, plan, &data, stimulus, 0));
    ot_array_free(&golden);
    ot_plan_free(plan);
    ot_backend_close(be);
    trelu_close(net, &data);
    PASS();
}

TEST no_memory_is_said_and_nothing_leaks(void)
{
    double    x[20], s;
    int32_t   labels[10] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
    const int label[10] = {0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
    uint32_t  got[4];
    int       medoid[2], failed = 0;
    ot_merge  m[9];
    ot_data   data = labelled(labels, 10, 2);
    check_rng r = {3};
    size_t    live = ot_memory_now().live;
    for (int i = 0; i < 20; i++) x[i] = check_normal(&r);
    for (int call = 0; call < 4; call++)
        for (size_t n = 1;; n++) {
            ot_memory_fail_at(n);
            ot_status st = call == 0   ? ot_cluster_tree(m, x, 10, 2, OT_WARD)
                           : call == 1 ? ot_cluster_medoids(medoid, x, 10, 2, label, 2)
                           : call == 2 ? ot_cluster_silhouette(&s, x, 10, 2, label, 2)
                                       : ot_stimulus_random(got, 4, &data, 1);
            ot_memory_fail_at(0);
            ASSERT_EQ(live, ot_memory_now().live);
            if (st == OT_OK) break;
            ASSERT_EQ(OT_E_NOMEM, st);
            failed++;
        }
    ASSERT_GTE(failed, 10);
    PASS();
}

SUITE(test_test)
{
    static const int sizes[] = {1, 10, 37, 200};
    char             suffix[64];
    for (int l = OT_WARD; l <= OT_COMPLETE; l++) {
        greatest_set_test_suffix((snprintf(suffix, sizeof suffix, "points60_%s", linkage_names[l]), suffix));
        RUN_TESTp(trees_cuts_and_medoids_are_scipys, "points60", (ot_linkage)l);
        greatest_set_test_suffix((snprintf(suffix, sizeof suffix, "points300_%s", linkage_names[l]), suffix));
        RUN_TESTp(trees_cuts_and_medoids_are_scipys, "points300", (ot_linkage)l);
        greatest_set_test_suffix(linkage_names[l]);
        RUN_TESTp(the_chain_finds_the_greedy_tree, (ot_linkage)l);
    }
    RUN_TEST(tied_bits_are_clustered_as_tightly_as_scipy_does);
    RUN_TEST(one_two_and_equal_points_have_trees);
    RUN_TEST(silhouette_is_the_textbooks);
    RUN_TEST(clustering_refuses_what_it_cannot_do);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        greatest_set_test_suffix((snprintf(suffix, sizeof suffix, "%d", sizes[i]), suffix));
        RUN_TESTp(a_stimulus_is_balanced_and_has_no_image_twice, sizes[i]);
    }
    RUN_TEST(a_class_too_small_is_made_up_for_by_the_others);
    RUN_TEST(the_seed_decides_the_stimulus);
    RUN_TEST(a_signature_is_layer_means_then_class_outputs_of_each_image);
    RUN_TEST(no_memory_is_said_and_nothing_leaks);
}
