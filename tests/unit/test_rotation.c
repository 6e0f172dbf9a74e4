/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/keys.h"
#include "lib/more_keys.h"
#include "lib/testlib.h"

#include "core/hash.h"
#include "trust/rotation.h"

#include <stdio.h>

#define NOW              (INT64_C(1700000000) * 1000000)
#define KEYS             5
#define OTHER            "local_sha256_00112233445566778899aabbccddeeff"
#define GOLDEN_BYTES_MAX 2048

struct fixture {
    struct test_env t;
    struct pl_identity *ids[KEYS];
    char name[PARLEY_BACKEND_ID_BYTES_MAX + 1];
};

static struct parley_span id_of(const struct fixture *f)
{
    return pl_span_text(f->name);
}

static const struct pl_pubkey *key_of(const struct fixture *f, int who)
{
    return pl_identity_pubkey(f->ids[who]);
}

static int set_up(void **state)
{
    static struct fixture f;
    static const char *const pems[KEYS] = { TEST_KEY_A_PKCS1, TEST_NEXT_KEY_1, TEST_NEXT_KEY_2,
                                            TEST_NEXT_KEY_3, TEST_KEY_3072_PKCS8 };
    test_env_init(&f.t);
    for (int i = 0; i < KEYS; i++)
        assert_ok(pl_identity_import(&f.t.env, pl_span_text(pems[i]), &f.ids[i], NULL));
    pl_backend_id_make(PL_BACKEND_LOCAL, key_of(&f, 0), f.name);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < KEYS; i++)
        pl_identity_destroy(f->ids[i]);
    assert_int_equal(0, f->t.allocs);
    return 0;
}

static size_t make(const struct fixture *f, int from, int to, uint32_t number,
                   uint8_t out[PL_ROTATION_BYTES_MAX])
{
    size_t len = 0;
    assert_ok(
        pl_rotation_make(f->ids[from], f->ids[to], id_of(f), NOW + number, number, out, &len));
    return len;
}

static void rotation_verifies_and_names_the_new_key(void **state)
{
    const struct fixture *f = *state;
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    struct pl_pubkey to;
    parley_wall at = 0;
    size_t len = make(f, 0, 1, 1, bytes);
    assert_ok(pl_rotation_check(pl_span_of(bytes, len), id_of(f), key_of(f, 0), 1, &to, &at));
    assert_int_equal(NOW + 1, at);
    assert_memory_equal(key_of(f, 1)->fingerprint, to.fingerprint, PL_FINGERPRINT_BYTES);
}

static void rotation_between_the_largest_keys_fits(void **state)
{
    const struct fixture *f = *state;
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    struct pl_pubkey to;
    parley_wall at = 0;
    size_t len = make(f, 4, 1, 1, bytes);
    assert_ok(pl_rotation_check(pl_span_of(bytes, len), id_of(f), key_of(f, 4), 1, &to, &at));
    len = make(f, 1, 4, 2, bytes);
    assert_ok(pl_rotation_check(pl_span_of(bytes, len), id_of(f), key_of(f, 1), 2, &to, &at));
    /* 3072 bits on both sides: 128 bytes of signature more. */
    assert_true(len + 128 <= PL_ROTATION_BYTES_MAX);
}

/* The statement is deterministic, so a golden file pins what is signed. */
static void rotation_matches_its_golden_bytes(void **state)
{
    const struct fixture *f = *state;
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    uint8_t golden[GOLDEN_BYTES_MAX];
    char line[512];
    char digits[2 * GOLDEN_BYTES_MAX];
    size_t count = 0;
    size_t len = make(f, 0, 1, 1, bytes);
    FILE *file = fopen(TEST_SOURCE_DIR "/golden/rotation.hex", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        for (const char *at = line; *at != '\0' && *at != '#'; at++)
            if (*at > ' ') {
                assert_in_range(count, 0, sizeof digits - 1);
                digits[count++] = *at;
            }
    assert_int_equal(0, fclose(file));
    assert_int_equal(2 * len, count);
    assert_ok(pl_hex_decode(pl_span_of(digits, count), golden, count / 2));
    assert_memory_equal(golden, bytes, len);
}

static void rotation_refuses_every_changed_bit(void **state)
{
    const struct fixture *f = *state;
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    struct pl_pubkey to;
    parley_wall at = 0;
    size_t len = make(f, 0, 1, 1, bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(PARLEY_OK, pl_rotation_check(pl_span_of(bytes, len), id_of(f),
                                                          key_of(f, 0), 1, &to, &at));
        bytes[i] ^= (uint8_t)(1u << i % 8);
    }
}

static void rotation_refuses_every_other_length(void **state)
{
    const struct fixture *f = *state;
    uint8_t bytes[PL_ROTATION_BYTES_MAX + 1] = { 0 };
    struct pl_pubkey to;
    parley_wall at = 0;
    size_t len = make(f, 0, 1, 1, bytes);
    for (size_t cut = 0; cut < len; cut++)
        assert_err(PARLEY_EMALFORMED,
                   pl_rotation_check(pl_span_of(bytes, cut), id_of(f), key_of(f, 0), 1, &to, &at));
    assert_err(PARLEY_EMALFORMED,
               pl_rotation_check(pl_span_of(bytes, len + 1), id_of(f), key_of(f, 0), 1, &to, &at));
    assert_err(PARLEY_ETOOBIG, pl_rotation_check(pl_span_of(bytes, sizeof bytes), id_of(f),
                                                 key_of(f, 0), 1, &to, &at));
}

static void rotation_refuses_every_lie(void **state)
{
    const struct fixture *f = *state;
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    struct pl_pubkey to;
    parley_wall at = 0;
    size_t len = make(f, 0, 1, 1, bytes);
    struct parley_span said = pl_span_of(bytes, len);
    /* About somebody else, from another key, out of order. */
    assert_err(PARLEY_EAUTH,
               pl_rotation_check(said, pl_span_text(OTHER), key_of(f, 0), 1, &to, &at));
    assert_err(PARLEY_EAUTH, pl_rotation_check(said, id_of(f), key_of(f, 2), 1, &to, &at));
    assert_err(PARLEY_EAUTH, pl_rotation_check(said, id_of(f), key_of(f, 1), 1, &to, &at));
    assert_err(PARLEY_EAUTH, pl_rotation_check(said, id_of(f), key_of(f, 0), 2, &to, &at));
    assert_err(PARLEY_EAUTH, pl_rotation_check(said, id_of(f), key_of(f, 0), 0, &to, &at));
    /* Signed by the old key alone, or by the new one alone: both signatures of one of them. */
    size_t signatures = len - 2 * 258;
    uint8_t half[PL_ROTATION_BYTES_MAX];
    memcpy(half, bytes, len);
    memcpy(half + signatures, bytes + signatures + 258, 258);
    assert_err(PARLEY_EAUTH,
               pl_rotation_check(pl_span_of(half, len), id_of(f), key_of(f, 0), 1, &to, &at));
    memcpy(half, bytes, len);
    memcpy(half + signatures + 258, bytes + signatures, 258);
    assert_err(PARLEY_EAUTH,
               pl_rotation_check(pl_span_of(half, len), id_of(f), key_of(f, 0), 1, &to, &at));
    /* By somebody who holds neither. */
    len = make(f, 2, 3, 1, bytes);
    assert_err(PARLEY_EAUTH,
               pl_rotation_check(pl_span_of(bytes, len), id_of(f), key_of(f, 0), 1, &to, &at));
}

static void rotation_is_not_made_of_nonsense(void **state)
{
    const struct fixture *f = *state;
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    size_t len = 0;
    const struct pl_identity *a = f->ids[0];
    const struct pl_identity *b = f->ids[1];
    assert_err(PARLEY_EINVAL, pl_rotation_make(a, a, id_of(f), NOW, 1, bytes, &len));
    assert_err(PARLEY_EINVAL, pl_rotation_make(a, b, id_of(f), NOW, 0, bytes, &len));
    assert_err(PARLEY_EINVAL, pl_rotation_make(a, b, id_of(f), 0, 1, bytes, &len));
    assert_err(PARLEY_EINVAL, pl_rotation_make(a, b, pl_span_text(""), NOW, 1, bytes, &len));
}

static void append(const struct fixture *f, struct pl_key_chain *chain, int from, int to)
{
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    size_t len = make(f, from, to, (uint32_t)chain->count + 1, bytes);
    assert_ok(pl_key_chain_append(chain, id_of(f), pl_span_of(bytes, len)));
}

static void chain_reads_back_and_knows_all_its_keys(void **state)
{
    const struct fixture *f = *state;
    static struct pl_key_chain chain, back;
    static uint8_t record[PL_CHAIN_RECORD_BYTES_MAX];
    struct pl_writer w = pl_writer_over(record, sizeof record);
    size_t index = 99;
    pl_key_chain_init(&chain, key_of(f, 0));
    for (int i = 0; i < 4; i++)
        append(f, &chain, i, i + 1);
    pl_key_chain_encode(&chain, &w);
    assert_ok(w.err);
    assert_ok(pl_key_chain_decode(pl_writer_span(&w), id_of(f), &back));
    assert_int_equal(4, back.count);
    struct pl_pubkey first;
    assert_ok(pl_key_chain_first(pl_writer_span(&w), &first));
    assert_memory_equal(&chain.first, &first, sizeof first);
    assert_err(PARLEY_ECORRUPT, pl_key_chain_first(pl_span_of(record, 40), &first));
    for (int i = 0; i < KEYS; i++) {
        assert_memory_equal(key_of(f, i)->fingerprint,
                            pl_key_chain_at(&back, (size_t)i)->fingerprint, PL_FINGERPRINT_BYTES);
        assert_true(pl_key_chain_find(&back, key_of(f, i)->fingerprint, &index));
        assert_int_equal(i, index);
    }
    assert_ptr_equal(pl_key_chain_at(&back, 4), pl_key_chain_current(&back));
    assert_int_equal(NOW + 3, back.links[2].at);
    for (size_t cut = 0; cut < w.len; cut += 7)
        assert_err(PARLEY_ECORRUPT, pl_key_chain_decode(pl_span_of(record, cut), id_of(f), &back));
    assert_err(PARLEY_ECORRUPT,
               pl_key_chain_decode(pl_writer_span(&w), pl_span_text(OTHER), &back));
}

static void chain_refuses_gaps_repeats_and_returns(void **state)
{
    const struct fixture *f = *state;
    static struct pl_key_chain chain;
    uint8_t bytes[PL_ROTATION_BYTES_MAX];
    pl_key_chain_init(&chain, key_of(f, 0));
    size_t len = make(f, 1, 2, 2, bytes);
    assert_err(PARLEY_EAUTH, pl_key_chain_append(&chain, id_of(f), pl_span_of(bytes, len)));
    append(f, &chain, 0, 1);
    len = make(f, 0, 1, 1, bytes);
    assert_err(PARLEY_EAUTH, pl_key_chain_append(&chain, id_of(f), pl_span_of(bytes, len)));
    len = make(f, 1, 0, 2, bytes);
    assert_err(PARLEY_EAUTH, pl_key_chain_append(&chain, id_of(f), pl_span_of(bytes, len)));
    len = make(f, 1, 2, 3, bytes);
    assert_err(PARLEY_EAUTH, pl_key_chain_append(&chain, id_of(f), pl_span_of(bytes, len)));
    assert_int_equal(1, chain.count);
    chain.count = PL_ROTATIONS_MAX;
    assert_err(PARLEY_EFULL, pl_key_chain_append(&chain, id_of(f), pl_span_of(bytes, len)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rotation_verifies_and_names_the_new_key),
        cmocka_unit_test(rotation_between_the_largest_keys_fits),
        cmocka_unit_test(rotation_matches_its_golden_bytes),
        cmocka_unit_test(rotation_refuses_every_changed_bit),
        cmocka_unit_test(rotation_refuses_every_other_length),
        cmocka_unit_test(rotation_refuses_every_lie),
        cmocka_unit_test(rotation_is_not_made_of_nonsense),
        cmocka_unit_test(chain_reads_back_and_knows_all_its_keys),
        cmocka_unit_test(chain_refuses_gaps_repeats_and_returns),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
