// SPDX-License-Identifier: Apache-2.0
// The audit log, which this page can prove by itself, and the trash.
import * as api from './api.js';
import { badge, button, clock, confirm, h, nodeName, number, plural, say, table,
    theirs } from './dom.js';
import { spacePicker } from './conversations.js';
import { said } from './versions.js';

const PAGE = 50;
const VERIFY_PAGE = 1000;

// ---- The chain: each record has the hash of the one before it ----

const HASH_AT = 11; // behind the number of the record, and two bytes that say "32 bytes"
const HASH_BYTES = 32;

const hex = (list) => [...list].map((b) => b.toString(16).padStart(2, '0')).join('');

function decode(text) {
    const raw = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
    return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

export async function verifyChain(records, before) {
    let last = before;
    for (const record of records) {
        const text = decode(record.record);
        const hash = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', text)));
        const link = hex(text.subarray(HASH_AT + 2, HASH_AT + 2 + HASH_BYTES));
        if (hash !== record.hash) return { bad: record.sequence, why: 'its bytes do not have its hash' };
        if (last !== null && link !== last.hash)
            return { bad: record.sequence, why: 'it does not continue the record before it' };
        if (last !== null && record.sequence !== last.sequence + 1)
            return { bad: record.sequence, why: 'records before it are missing' };
        last = record;
    }
    return { last };
}

async function verify(signal, tell) {
    if (!globalThis.crypto || !crypto.subtle) { // plain HTTP from another machine
        tell(badge('info', 'checking'), ' the node walks its store…');
        const check = await api.get('check', signal);
        tell(check.ok ? badge('good', 'holds') : badge('bad', 'broken'), ` The node says: ${number(check.audit)} ` +
            'records hold. Open this page over https to verify them here.');
        return;
    }
    let last = null;
    let count = 0;
    for (;;) {
        const page = await api.get(api.query('audit', { after: last === null ? undefined : last.sequence,
            limit: VERIFY_PAGE }), signal);
        if (page.records.length === 0) {
            const good = last === null || page.head.sequence !== last.sequence || page.head.hash === last.hash;
            tell(good ? badge('good', 'holds') : badge('bad', 'broken'),
                good ? ` ${plural(count, 'record')} verified by this page. Head: ` : ' The head is another one: ',
                h('code.wrap', page.head.hash));
            return;
        }
        const result = await verifyChain(page.records, last);
        if (result.bad !== undefined) {
            tell(badge('bad', 'broken'), ` Record ${result.bad}: ${result.why}.`);
            return;
        }
        last = result.last;
        count += page.records.length;
        tell(badge('info', 'checking'), ` ${plural(count, 'record')}…`);
    }
}

export async function audit(body, _, signal) {
    const list = h('div.card');
    const result = h('p', { role: 'status', class: 'wrap' });
    const older = button('Older', () => look(Math.max(0, first - 1 - PAGE)), { hidden: true });
    const newest = button('Newest', () => look(), { hidden: true });
    let first = 0;
    let atEnd = true;
    const tell = (...parts) => result.replaceChildren(...parts);
    body.append(h('div.row.between', h('h1', 'Audit log'),
        button('Verify the chain', () => verify(signal, tell))), result, list,
    h('div.row', newest, older));

    async function look(after) {
        const head = (await api.get('audit?limit=1', signal)).head;
        const from = after === undefined ? Math.max(0, head.sequence - PAGE) : after;
        const page = await api.get(api.query('audit', { after: from || undefined, limit: PAGE }), signal);
        const records = page.records.reverse();
        first = records.length === 0 ? 0 : records[records.length - 1].sequence;
        atEnd = after === undefined;
        older.hidden = first <= 1;
        newest.hidden = atEnd;
        list.replaceChildren(table('Audit log, the newest first', [
            ['No.', (r) => number(r.sequence)],
            ['Time', (r) => clock(r.time)],
            ['Event', (r) => h('b', r.event.replace(/_/g, ' '))],
            ['By', (r) => r.actor ? nodeName(r.actor) : '–'],
            ['About', (r) => r.subject ? nodeName(r.subject) : '–'],
            ['Detail', (r) => [theirs(r.detail || '–'), r.count > 1 && ` (${number(r.count)} times)`]],
        ], records));
    }
    await look();
    const timer = setInterval(() => atEnd && !document.hidden && look().catch(() => {}), 5000);
    signal.addEventListener('abort', () => clearInterval(timer));
}

// ---- The trash ----

export async function trash(body, _, signal) {
    const list = h('div.card');
    const count = h('p.dim', { role: 'status' });
    const more = button('Show more', () => page(next));
    const space = () => ({ namespace: api.session.space });
    let items = [];
    let next;

    // Restoring and dropping do a bounded part at a time.
    async function all(method, where, name) {
        let done = 0;
        let after;
        do {
            const answer = method === 'DELETE' ? await api.call(method, api.query(where, { ...space(), after }))
                : await api.call(method, api.query(where, space()), { after });
            done += answer[name];
            after = answer.next;
        } while (after !== undefined && !signal.aborted);
        say(`${plural(done, 'version')} ${name}.`);
        await page();
    }
    const restore = button('Restore all', () => all('POST', 'trash/restore', 'restored'));
    const drop = button('Drop all', () => confirm('Drop all for good?', 'What is in the trash of this ' +
        'namespace is lost then, here.', 'Drop', () => all('DELETE', 'trash', 'dropped')), { class: 'danger' });
    body.append(h('h1', 'Trash'), h('p.dim', 'What this node took out because it had been away for ' +
        'too long, while others had forgotten deletions. Restored versions win everywhere.'),
    h('div.card.fields', await spacePicker(signal, () => page())),
    count, list, h('div.row', more, restore, drop));

    async function page(after) {
        const answer = await api.get(api.query('trash', { ...space(), after, limit: 100 }), signal);
        items = after === undefined ? answer.trash : items.concat(answer.trash);
        next = answer.next;
        more.hidden = next === undefined;
        list.hidden = restore.hidden = drop.hidden = items.length === 0;
        count.textContent = answer.count === 0 ? 'The trash is empty.'
            : `${plural(answer.count, 'version')} in all namespaces, ${number(items.length)} shown here.`;
        list.replaceChildren(table('Trash', [
            ['Conversation', (t) => theirs(t.conversation_id)],
            ['Message or field', (t) => theirs(t.message_id !== undefined ? t.message_id : t.field)],
            ['Time', (t) => clock(t.timestamp)],
            ['By', (t) => nodeName(t.source_backend)],
            ['What it said', (t) => said(t)],
        ], items));
    }
    await page();
    return () => page().catch(() => {});
}
