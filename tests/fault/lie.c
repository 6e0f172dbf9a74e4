/* SPDX-License-Identifier: Apache-2.0
 *
 * Lies of a store, each in one operation. The others are in script.c and observe.c, where what they
 * falsify is.
 */
#include "fault/script.h"

#include "base/writer.h"

/* The commit that is left out or refused: of a step in the middle. */
#define EARLY_COMMIT 9

/* Operations know their store and their transaction, not the script; a run has one of each. */
static struct script *liar;

static parley_err early_commit(struct pl_txn *txn)
{
    if (++liar->lying.commits != EARLY_COMMIT)
        return liar->lying.honest->commit(txn);
    liar->lying.honest->abort(txn);
    return PARLEY_OK;
}

static parley_err swallowing_commit(struct pl_txn *txn)
{
    pl_ignore(liar->lying.honest->commit(txn), "this is the lie");
    return PARLEY_OK;
}

static parley_err moody_commit(struct pl_txn *txn)
{
    if (++liar->lying.commits != EARLY_COMMIT)
        return liar->lying.honest->commit(txn);
    liar->lying.honest->abort(txn);
    return PARLEY_ENOSPC;
}

static parley_err undone_commit(struct pl_txn *txn)
{
    PL_TRY(liar->lying.honest->commit(txn));
    return liar->fault->injected != 0 && liar->lying.commits++ == 0 ? PARLEY_ENOSPC : PARLEY_OK;
}

static parley_err half_put(struct pl_txn *txn, enum pl_table t, struct parley_span key,
                           struct parley_span value)
{
    enum pl_table victim = liar->lie == SCRIPT_LIE_HALF ? PL_TABLE_REGISTER : PL_TABLE_SUM;
    if (t == victim && liar->fault->injected != 0 && !liar->lying.left_out) {
        liar->lying.left_out = true;
        return PARLEY_OK;
    }
    return liar->lying.honest->put(txn, t, key, value);
}

static parley_err stuck_reopen(struct parley_store *s)
{
    (void)s;
    return PARLEY_OK;
}

static parley_err wrong_witness(struct parley_store *s, const uint8_t bytes[PL_STORE_WITNESS_BYTES])
{
    uint8_t other[PL_STORE_WITNESS_BYTES];
    memcpy(other, bytes, sizeof other);
    other[0] ^= 1;
    struct pl_writer w = pl_writer_over(other + 24, 8);
    pl_write_u64(&w, pl_xxh3_of(pl_span_of(other, 24)));
    return liar->lying.honest->witness_write(s, other);
}

void script_plant(struct script *s, struct parley_store *store)
{
    liar = s;
    s->lying.honest = store->ops;
    s->lying.ops = *store->ops;
    if (s->lie == SCRIPT_LIE_EARLY)
        s->lying.ops.commit = early_commit;
    if (s->lie == SCRIPT_LIE_SWALLOW)
        s->lying.ops.commit = swallowing_commit;
    if (s->lie == SCRIPT_LIE_MOODY)
        s->lying.ops.commit = moody_commit;
    if (s->lie == SCRIPT_LIE_UNDONE)
        s->lying.ops.commit = undone_commit;
    if (s->lie == SCRIPT_LIE_HALF || s->lie == SCRIPT_LIE_INDEX)
        s->lying.ops.put = half_put;
    if (s->lie == SCRIPT_LIE_STUCK)
        s->lying.ops.reopen = stuck_reopen;
    if (s->lie == SCRIPT_LIE_RENEW)
        s->lying.ops.witness_write = wrong_witness;
    store->ops = &s->lying.ops;
}
