// SPDX-License-Identifier: Apache-2.0
// Who may come in: invites and joins for nodes, tokens for people.
import * as api from './api.js';
import { badge, button, clock, confirm, copyable, dialog, facts, field, form, h, nodeName, say, select,
    svg, table, theirs, when } from './dom.js';
import { qr } from './qr.js';

const QUIET = 4;
const KINDS = { active: 'good', expired: 'off', revoked: 'bad' };

// One path of all dark modules, run by run.
export function drawCode(text) {
    const rows = qr(text);
    if (rows === null) return h('p.hint', 'It is too long for a QR code.');
    const size = rows.length + 2 * QUIET;
    let d = '';
    rows.forEach((row, y) => {
        for (let x = 0; x < row.length; x++) {
            if (!row[x]) continue;
            let end = x;
            while (row[end]) end++;
            d += `M${x + QUIET} ${y + QUIET}h${end - x}v1h${x - end}z`;
            x = end;
        }
    });
    return svg('svg', { viewBox: `0 0 ${size} ${size}`, class: 'qr', role: 'img',
        'shape-rendering': 'crispEdges', 'aria-label': 'The same as a QR code' }, svg('path', { d }));
}

// ---- Invites ----

function showInvite(invite) {
    const box = dialog('An invite', h('p', 'On the other node: ', h('code', 'parley join'),
        ' with this line, or paste or scan it at its page. Whoever has it may join, once.'),
    /^parley:\/\/(127\.|localhost|\[::1)/.test(invite.url) && h('p.note', badge('warn', 'this machine only'),
        ' It names a loopback address: start parleyd with ', h('code', '--listen'), ' or ', h('code', '--advertise'),
        ' for nodes elsewhere.'),
    copyable(invite.url, 'The invite'), drawCode(invite.url),
    h('p.hint', `Good until ${clock(invite.expires_at)}. When it was used, both nodes show ` +
        'the same six check digits.'));
    box.dataset.secret = '';
}

function drawInvites(invites, done) {
    return table('Invites', [
        ['State', (i) => badge(i.state === 'open' ? 'info' : 'good', i.state)],
        ['Namespace', (i) => theirs(i.namespace)],
        ['It may', (i) => i.right === 'write' ? 'read and write' : 'read only'],
        ['Only', (i) => i.prefix === undefined ? '–' : theirs(`${i.prefix}…`)],
        ['Made', (i) => when(i.created_at)],
        ['Good until', (i) => when(i.expires_at)],
        ['Used by', (i) => i.used_by === undefined ? '–' : nodeName(i.used_by)],
        ['Action', (i) => i.state !== 'open' ? '–' : button('Withdraw', () =>
            confirm('Withdraw this invite?', 'Nobody can join by it from now on.', 'Withdraw', async () => {
                await api.call('DELETE', `invites/${api.path(i.id)}`);
                say('Withdrawn.');
                await done();
            }), { class: 'small danger', 'aria-label': `Withdraw the invite ${i.id}` })],
    ], invites);
}

function inviteForm(done) {
    const right = select([['write', 'read and write'], ['read', 'read only']]);
    const space = h('input', { value: 'main', required: true, maxlength: 64, spellcheck: 'false' });
    const ttl = select([['600', '10 minutes'], ['3600', '1 hour'], ['86400', '1 day']]);
    const prefix = h('input', { maxlength: 255, spellcheck: 'false', dir: 'auto' });
    return form([h('h2', 'Invite a node'), h('div.fields', field('Namespace', space),
        field('It may', right), field('Good for', ttl)),
    field('Only conversations whose id begins with', prefix, 'Empty: all of the namespace.')],
    'Make an invite', async () => {
        showInvite(await api.call('POST', 'invites', { namespace: space.value, right: right.value,
            ttl_seconds: Number(ttl.value), prefix: prefix.value || undefined }));
        await done();
    }, { class: 'card' });
}

// ---- Joining ----

const PHASES = { dialing: 'Calling the other node…', storing: 'Storing what was agreed…',
    done: 'Joined.', none: 'Nothing is under way.' };

function drawJoin(state, error) {
    return [h('p', error ? badge('bad', 'failed') : badge(state.phase === 'done' ? 'good' : 'info', state.phase),
        ' ', error || PHASES[state.phase] || ''),
    state.backend_id && !error && facts([['Node', h('span.mono.wrap', state.backend_id)]]),
    state.check && !error && [h('p', 'Check digits. The other node must show the same:'),
        h('p.digits.mono', state.check)]];
}

function joinForm(signal) {
    const url = h('textarea', { required: true, rows: 3, class: 'mono', spellcheck: 'false',
        autocapitalize: 'off', maxlength: 1000 });
    const state = h('div', { role: 'status', class: 'view' });
    const show = (...parts) => state.replaceChildren(...parts.flat(Infinity).filter(Boolean));
    return form([h('h2', 'Join a node'), field('Its invite', url, 'It begins with parley://'), state],
        'Join', async () => {
            show();
            await api.call('POST', 'joins', { url: url.value.trim() });
            for (let i = 0; i < 240 && !signal.aborted; i++) {
                const join = await api.get('joins', signal);
                show(drawJoin(join, join.phase === 'failed' && (join.error || 'no reason was given')));
                if (join.phase === 'failed') return;
                if (join.phase === 'done') {
                    url.value = '';
                    return;
                }
                await new Promise((resolve) => { setTimeout(resolve, 250); });
            }
        }, { class: 'card' });
}

// ---- Tokens ----

function showToken(made) {
    const box = dialog('A token', h('p', `For ${made.user_id}. It is shown this once; give it over a ` +
        'channel that you trust.'), copyable(made.token, 'The token'),
    h('p.hint', `Good until ${clock(made.expires_at)}.`));
    box.dataset.secret = '';
}

function tokenForm(done) {
    const user = h('input', { required: true, maxlength: 255, autocomplete: 'off' });
    const ttl = select([['3600', '1 hour'], ['28800', '8 hours'], ['86400', '1 day'],
        ['2592000', '30 days']], '28800');
    return form([h('h2', 'Give a person a token'), h('p.hint', 'It reads and writes ' +
        'conversations in the namespace main, and nothing else.'), h('div.fields',
        field('User', user), field('Good for', ttl))], 'Make a token', async () => {
        showToken(await api.call('POST', 'tokens', { user_id: user.value, ttl_seconds: Number(ttl.value) }));
        user.value = '';
        await done();
    }, { class: 'card' });
}

function drawTokens(tokens, done) {
    return table('Tokens', [
        ['User', (t) => theirs(t.user_id || '–')],
        ['State', (t) => badge(KINDS[t.state] || 'info', t.state)],
        ['Made', (t) => when(t.created_at)],
        ['Good until', (t) => when(t.expires_at)],
        ['Issuer', (t) => nodeName(t.issuer)],
        ['Id', (t) => h('span.mono', { title: t.sbt_id, dir: 'auto' }, t.sbt_id.slice(0, 12))],
        ['Action', (t) => t.state !== 'active' ? '–' : button('Revoke', () =>
            confirm('Revoke this token?', `The token of ${t.user_id} is refused from now on.`, 'Revoke', async () => {
                await api.call('DELETE', api.query(`tokens/${api.path(t.sbt_id)}`, { issuer: t.issuer }));
                say('Revoked.');
                await done();
            }), { class: 'small danger', 'aria-label': `Revoke the token of ${t.user_id}` })],
    ], tokens);
}

export async function access(body, _, signal) {
    const list = h('div');
    const invites = h('section.card', { 'aria-labelledby': 'invites-h', hidden: true });
    async function drawAllInvites() {
        const all = (await api.get('invites', signal)).invites;
        invites.hidden = all.length === 0;
        invites.replaceChildren(h('h2', { id: 'invites-h' }, 'Invites'), drawInvites(all, drawAllInvites));
    }
    let tokens = [];
    let next;
    const more = button('Show more', () => page(next));
    async function page(after) {
        const answer = await api.get(api.query('tokens', { after, limit: 100 }), signal);
        tokens = after === undefined ? answer.tokens : tokens.concat(answer.tokens);
        next = answer.next;
        more.hidden = next === undefined;
        list.replaceChildren(tokens.length === 0 ? h('p.dim', 'No tokens are known.')
            : drawTokens(tokens, () => page()));
    }
    body.append(h('h1', 'Access'),
        h('div.two', inviteForm(drawAllInvites), joinForm(signal)), invites,
        tokenForm(() => page()), h('section.card', { 'aria-labelledby': 'tokens-h' },
            h('h2', { id: 'tokens-h' }, 'Tokens'), list, more));
    // Secrets do not stay on the screen when the view is left.
    signal.addEventListener('abort', () => {
        for (const box of document.querySelectorAll('dialog[data-secret]')) box.close();
    });
    await Promise.all([page(), drawAllInvites()]);
}
