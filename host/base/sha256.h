/* sha256.h - SHA-256 (FIPS 180-4), for digests and identities. */
#ifndef OT_BASE_SHA256_H
#define OT_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct ot_sha256 { uint32_t h[8]; uint64_t n_bytes; uint8_t block[64]; } ot_sha256;

void ot__sha256_start(ot_sha256 *s);
void ot__sha256_add(ot_sha256 *s, const void *bytes, size_t n_bytes);
void ot__sha256_end(ot_sha256 *s, char hex[65]);
/* One call for one block of bytes. */
void ot__sha256_hex(const void *bytes, size_t n_bytes, char hex[65]);

#endif
