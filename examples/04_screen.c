/* 04_screen.c - judge chips on the test floor and get their knobs; needs no simulator, only the floor library:
 *
 *     cc 04_screen.c -lohmtrim-floor -lm        # in a build tree: -Iinclude examples/04_screen.c $(make -s where)/libohmtrim-floor.a -lm
 *     ./a.out examples/small.recipe
 *
 * small.recipe is made by hand: 2 images, 2 layers, 3 classes. */
#include <ohmtrim/floor.h>
#include <stdio.h>

/* What the tester measured: for each image the layers' means, then the class outputs. */
static const float signatures[][10] = {
    {1.01F, 1.01F, 0.495F, 0.495F, 0.495F, 1.009F, 1.009F, 0.496F, 0.496F, 0.496F},      /* a good chip */
    {0.88F, 0.876F, 0.56F, 0.56F, 0.56F, 0.892F, 0.892F, 0.548F, 0.548F, 0.548F},        /* a weak one */
    {1.02F, 1.27F, 0.49F, 0.49F, 0.49F, 1.018F, 1.018F, 0.492F, 0.492F, 0.492F},         /* layers that do not fit each other */
};

int main(int argc, char **argv)
{
    ot_floor       *floor;
    ot_floor_result r;
    float           gain[2], offset[2];
    int             clamped = 0;
    ot_status       st = ot_floor_open(&floor, argc > 1 ? argv[1] : "examples/small.recipe");
    if (st == OT_OK && (ot_floor_layout(floor)->length != 10 || ot_floor_layout(floor)->relus != 2)) {
        fprintf(stderr, "04_screen: want signatures of 10 numbers and 2 layers\n");
        return 3;
    }
    for (int i = 0; st == OT_OK && i < 3; i++) {
        st = ot_floor_screen(floor, OT_FLOOR_BEFORE, signatures[i], &r, gain, offset);
        if (st != OT_OK) break;
        printf("chip %d: accuracy %.3f (%.3f..%.3f), %s%s\n", i, r.predicted, r.low, r.high, ot_verdict_name(r.verdict), r.outlier ? ", outlier" : "");
        if (r.verdict != OT_VERDICT_TUNE) continue;
        printf("        as chip %d of the casebook (distance %.2f):", r.nearest, r.nearest_distance);
        for (int l = 0; l < 2; l++)
            printf(" gain %.3f = 0x%04x, offset %.3f = 0x%04x%s", gain[l], ot_knob_code(OT_KNOB_GAIN, gain[l], &clamped), offset[l],
                   ot_knob_code(OT_KNOB_OFFSET, offset[l], &clamped), l ? "\n" : ";");
    }
    if (st != OT_OK) {
        fprintf(stderr, "04_screen: %s\n", ot_last_error());
        return ot_status_exit(st);
    }
    ot_floor_free(floor);
    return clamped ? 1 : 0;
}
