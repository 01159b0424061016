/* schema.c - the tables and views of a campaign (docs/campaign.md explains them with queries).
 *
 * A change here is a new OT_STORE_VERSION; ot__store_additions makes version 1's tables those of version 2.  Knobs are named by the tuner that set them, or 'untuned'.  Blobs are little endian float32,
 * or packed bits: bit i % 8 of byte i / 8 is test image i. */
#include "campaign/store.h"

const char ot__store_schema[] =
    "CREATE TABLE run_info (id INTEGER PRIMARY KEY, started TEXT NOT NULL, ended TEXT, outcome TEXT, host TEXT, pid INTEGER,"
    " threads INTEGER, memory INTEGER, version TEXT NOT NULL, build TEXT NOT NULL, compiler TEXT NOT NULL, backend TEXT NOT NULL,"
    " libraries TEXT NOT NULL, draw_version INTEGER NOT NULL);"
    "CREATE TABLE spec (key TEXT PRIMARY KEY, value TEXT NOT NULL, role TEXT NOT NULL);"
    "CREATE TABLE ideal (id INTEGER PRIMARY KEY CHECK (id = 0), images INTEGER NOT NULL, correct INTEGER NOT NULL, bits BLOB NOT NULL);"
    "CREATE TABLE stimulus (id INTEGER NOT NULL, position INTEGER NOT NULL, image INTEGER NOT NULL, PRIMARY KEY (id, position));"
    "CREATE TABLE chip (number INTEGER PRIMARY KEY, role TEXT NOT NULL, delta_sys REAL NOT NULL, hash INTEGER NOT NULL, failure TEXT,"
    " run INTEGER NOT NULL REFERENCES run_info);"
    "CREATE TABLE signature (chip INTEGER NOT NULL REFERENCES chip, stimulus INTEGER NOT NULL, knobs TEXT NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (chip, stimulus, knobs));"
    "CREATE TABLE measurement (chip INTEGER NOT NULL REFERENCES chip, knobs TEXT NOT NULL, images INTEGER NOT NULL,"
    " correct INTEGER NOT NULL, bits BLOB NOT NULL, PRIMARY KEY (chip, knobs));"
    "CREATE TABLE tuning (chip INTEGER NOT NULL REFERENCES chip, tuner TEXT NOT NULL, gain BLOB NOT NULL, offset BLOB NOT NULL,"
    " nearest INTEGER, images_forward INTEGER NOT NULL, images_backward INTEGER NOT NULL, steps INTEGER NOT NULL,"
    " projected INTEGER NOT NULL, nan_restores INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (chip, tuner));"
    "CREATE TABLE casebook (chip INTEGER PRIMARY KEY REFERENCES chip, tuner TEXT NOT NULL);"
    "CREATE VIEW chip_accuracy AS SELECT c.number AS chip, c.role, c.delta_sys, m.knobs, m.correct, m.images,"
    " CAST(m.correct AS REAL) / m.images AS accuracy FROM chip c JOIN measurement m ON m.chip = c.number;"
    "CREATE VIEW tuned_accuracy AS SELECT c.number AS chip, c.role, c.delta_sys, t.tuner, CAST(u.correct AS REAL) / u.images AS untuned,"
    " CAST(m.correct AS REAL) / m.images AS tuned, t.steps, t.images_forward AS images, t.seconds FROM chip c"
    " JOIN measurement u ON u.chip = c.number AND u.knobs = 'untuned' JOIN tuning t ON t.chip = c.number"
    " JOIN measurement m ON m.chip = c.number AND m.knobs = t.tuner;"
    "CREATE VIEW tuner_cost AS SELECT t.tuner, c.role, count(*) AS chips, avg(t.seconds) AS seconds, avg(t.images_forward) AS images,"
    " avg(t.images_backward) AS images_backward FROM tuning t JOIN chip c ON c.number = t.chip GROUP BY t.tuner, c.role;"
    "CREATE VIEW progress AS SELECT role, count(*) AS done, count(failure) AS failed FROM chip GROUP BY role;"
    "PRAGMA application_id = 1332243789;";          /* "OhmM" */

/* Version 2: stimuli beside the random one (0), of which those that are not plain test images have pixels (C, H, W); what each chip
 * answers to each with each set of knobs: its signature, and the moments (2 L): mean of each T-ReLU's input, then its spread.  Knobs
 * 'matching': each T-ReLU's knobs are set by its moments before the next layer runs (the tuner `moments`).  The ideal network's answers. */
const char ot__store_additions[] =
    "CREATE TABLE stimulus_set (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, source TEXT NOT NULL);"
    "INSERT INTO stimulus_set VALUES (0, 'random', 'test images balanced over the classes, drawn from the seed');"
    "CREATE TABLE stimulus_image (id INTEGER NOT NULL, position INTEGER NOT NULL, pixels BLOB NOT NULL, what TEXT NOT NULL,"
    " PRIMARY KEY (id, position));"
    "CREATE TABLE moments (chip INTEGER NOT NULL REFERENCES chip, stimulus INTEGER NOT NULL, knobs TEXT NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (chip, stimulus, knobs));"
    "CREATE TABLE ideal_response (stimulus INTEGER PRIMARY KEY, signature BLOB NOT NULL, moments BLOB NOT NULL);"
    "PRAGMA user_version = 2;";
