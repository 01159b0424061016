/* open.c - a device by the name a user gives: a preset, or a file of either format, told apart by its first character. */
#include "base/fail.h"
#include "base/file.h"
#include "device/format.h"
#include "device/preset.h"

#include <ctype.h>
#include <string.h>

enum { MOST_BYTES = 1 << 20 };

ot_status ot_device_parse(ot_device *out, const char *text, size_t n_bytes, const char *name)
{
    size_t i = 0;
    while (i < n_bytes && isspace((unsigned char)text[i])) i++;
    if (i == n_bytes) OT_FAIL(OT_E_FORMAT, "%s: the file is empty, want a device as JSON or a table state,mean,sigma", name);
    return text[i] == '{' ? ot__device_from_json(out, text, n_bytes, name) : ot__device_from_table(out, text, n_bytes, name);
}

ot_status ot_device_open(ot_device *out, const char *preset_or_path)
{
    const ot_device *preset = ot__device_preset_find(preset_or_path);
    if (preset) {
        *out = *preset;
        return OT_OK;
    }
    void *text = NULL;
    size_t n_bytes;
    ot_status st = ot__file_read(&text, &n_bytes, preset_or_path, MOST_BYTES);
    if (st == OT_E_OPEN && !strpbrk(preset_or_path, "./"))
        return ot__fail_prefix(st, "device '%s' is no preset (r1, r2, r3) and no file that can be read: ", preset_or_path);
    OT_TRY(st);
    st = ot_device_parse(out, text, n_bytes, preset_or_path);
    ot_free(text);
    return st;
}

ot_status ot_device_save(const ot_device *dev, const char *path)
{
    OT_TRY(ot_device_check(dev));
    cJSON *object = ot__device_to_json(dev);
    char *text = object ? cJSON_Print(object) : NULL;
    cJSON_Delete(object);
    if (!text) OT_FAIL(OT_E_NOMEM, "%s: no memory for the text of a device", path);
    size_t n = strlen(text);
    text[n] = '\n'; /* in place of the end mark; the length goes along */
    ot_status st = ot__file_write(path, text, n + 1);
    cJSON_free(text);
    return st;
}
