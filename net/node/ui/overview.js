// SPDX-License-Identifier: Apache-2.0
// This node, its peers, and what goes between them.
import * as api from './api.js';
import { ago, badge, button, bytes, confirm, dialog, facts, fail, field, h, nodeName, number, plural,
    say, select, shortId, skew, span, table, theirs, when } from './dom.js';
import { Chart } from './chart.js';

const POLL_MS = 2000;
const KINDS = { 'in sync': 'good', 'catching up': 'info', pending: 'warn', offline: 'warn',
    refused: 'bad', revoked: 'off' };

// Rates survive a change of view, so that the chart does not begin anew each time.
const traffic = new Chart('Bytes between nodes', '/s', 300, [
    { name: 'in', class: 'a', of: (s) => s.in },
    { name: 'out', class: 'b', of: (s) => s.out }], bytes, 100);
const writes = new Chart('Changes stored', '/s', 300, [
    { name: 'changes', class: 'a', of: (s) => s.changes }],
(v) => (v > 0 && v < 10 ? v.toFixed(1) : number(Math.round(v))), 1);
let before = null;

function sample(status) {
    const sum = (name) => status.peers.reduce((total, peer) => total + (peer[name] || 0), 0);
    const now = { at: Date.now(), node: status.incarnation, in: sum('bytes_in'),
        out: sum('bytes_out'), head: status.head };
    const last = before;
    before = now;
    if (last === null || last.node !== now.node || now.at - last.at < 500) return;
    const rate = (name) => Math.max(0, (now[name] - last[name]) * 1000 / (now.at - last.at));
    traffic.add({ at: now.at, in: rate('in'), out: rate('out') });
    writes.add({ at: now.at, changes: rate('head') });
}

// ---- This node ----

function health(status, node) {
    if (!status.store.ok)
        return badge('bad', status.store.note || 'The store has trouble: run parley check');
    return node.status === 'ok' ? badge('good', 'Healthy') : badge('warn', 'Degraded');
}

function drawNode(status, node) {
    const s = status.store;
    const scrub = s.scrub;
    return h('section.card', { 'aria-labelledby': 'node-h' },
        h('div.row.between', h('h2', { id: 'node-h' }, 'This node'),
            health(status, node)),
        facts([
            ['Id', h('span.mono.wrap', status.backend_id)],
            ['Version', status.version],
            ['Up for', span(node.uptime_seconds)],
            ['Store', `${bytes(s.file_bytes)} of ${bytes(s.limit_bytes)}`],
            scrub && ['Verified rows', `${number(scrub.rows)}, ${plural(scrub.problems, 'problem')}`],
            status.held > 0 && ['Waiting for their time', plural(status.held, 'version')],
            status.trash > 0 && ['In the trash', h('a', { href: '#/trash' }, number(status.trash))],
            status.clock_ahead_us > 1e7 &&
                ['Clock', badge('warn', `stamps are ${span(status.clock_ahead_us / 1e6)} ahead`)],
        ]),
        status.namespaces.length === 0 ? h('p.dim', 'Nothing is stored yet.') : table('Namespaces', [
            ['Namespace', (n) => theirs(n.name)],
            ['Root', (n) => h('span.mono', { title: n.root }, n.root.slice(0, 16))],
            ['Versions', (n) => number(n.versions)],
            ['Conversations', (n) => number(n.conversations)],
            ['Messages', (n) => number(n.messages)],
            ['Deletions', (n) => number(n.deletions)],
        ], status.namespaces));
}

// ---- Peers ----

// What is known of a namespace that is shared, in words, and whether it is proved.
function proof(space, roots) {
    const root = (roots.get(space.name) || '').slice(0, 8);
    if (space.state === 'not shared') return [badge('off', 'not shared'), ' granted here, not there'];
    if (space.root_equal)
        return [badge('good', '= equal'), ` ${plural(space.versions, 'version')}`,
            space.prefix === undefined && root && [', root ', h('code', root)]];
    const there = space.versions_there;
    return [badge('warn', '≠ differs'), ` ${number(space.versions)} here, `,
        there === undefined ? 'there not known' : `${number(there)} there`];
}

function progress(name, p) {
    if (p === undefined || p.done >= p.of) return null;
    return h('label.progress', `${name} ${number(p.done)} of ${number(p.of)}`,
        h('progress', { value: p.done, max: p.of }));
}

function lag(peer) {
    if (peer.in_sync) return 'none';
    if (peer.behind > 0) return plural(peer.behind, 'change');
    return peer.last_sync_at ? `since ${ago(peer.last_sync_at)}` : 'not known yet';
}

function drawPeer(peer, more, roots) {
    const id = peer.backend_id;
    const waits = peer.state === 'pending';
    const gone = peer.state === 'revoked';
    const act = (text, run, props) => button(text, run, { 'aria-label': `${text}: ${shortId(id)}`,
        'data-act': `${text} ${id}`, ...props });
    return h('li.card.peer', { 'data-peer': id },
        h('div.row.between', h('h3', nodeName(id)),
            badge(KINDS[peer.state] || 'info', peer.state)),
        peer.note && h('p.note', { dir: 'auto' }, peer.note),
        !gone && [progress('sent', peer.sending), progress('received', peer.receiving)],
        facts([
            ['Address', h('span.mono.wrap', peer.address || 'it comes to us')],
            !gone && ['Lag', lag(peer)],
            peer.in_sync ? ['In sync since', when(peer.since)] : ['Last in sync', when(peer.last_sync_at)],
            !gone && ['Clock', skew(peer.skew_us)],
            ['In / out', `${bytes(peer.bytes_in)} / ${bytes(peer.bytes_out)}`],
            peer.next_dial_at && ['Next try', when(peer.next_dial_at)],
            more && more.check && ['Check digits', h('strong.mono', more.check)],
            peer.writes_refused > 0 && ['Writes refused', number(peer.writes_refused)],
        ]),
        !gone && peer.namespaces.length > 0 && h('ul.proofs', peer.namespaces.map((space) =>
            h('li', h('b', { dir: 'auto' }, space.name), ` (${space.right}) `,
                proof(space, roots)))),
        !gone && h('div.row',
            waits ? act('Approve', () => approve(id)) : act('Sync now', () => syncNow(id)),
            !waits && act('Compare', () => compare(id)),
            act(waits ? 'Refuse' : 'Revoke', () => revoke(id, waits), { class: 'danger' })));
}

async function syncNow(id) {
    const answer = await api.call('POST', `sync/${api.path(id)}`, {});
    say(`${shortId(id)}: ${answer.status}.`);
}

function revoke(id, waits) {
    confirm(waits ? 'Refuse this node?' : 'Revoke this peer?',
        waits ? `${id} asked to be let in. It may ask again.`
            : `${id} is shut out at once, here, and can no longer read or write. What it has ` +
              'already, it keeps. To let it in again it must be invited anew.',
        waits ? 'Refuse' : 'Revoke', async () => {
            const answer = await api.call('DELETE', `peers/${api.path(id)}`);
            say(`${shortId(id)}: ${answer.status}.`);
        });
}

function approve(id) {
    const right = select([['write', 'read and write'], ['read', 'read only']]);
    const space = h('input', { value: 'main', required: true, maxlength: 64 });
    const box = dialog('Let this node in', h('p.mono.wrap', id),
        field('Namespace', space), field('It may', right),
        h('div.row.end', button('Approve', async () => {
            await api.call('POST', `peers/${api.path(id)}/approve`,
                { namespace: space.value, right: right.value });
            say(`${shortId(id)} was let in.`);
            box.close();
        }, { class: 'main' })));
}

// ---- What a sync would move ----

const BASIS = {
    equal: 'Both have shown the same root: nothing would move. This is proved.',
    logs: 'By the change logs of both, at most:',
    compare: 'The logs are through, but the roots differ. Compare exactly to see what would move.',
    unknown: 'It has not been connected since this node started, so nothing is known.',
};

function drawDiff(d) {
    const way = (name, part) => part && [name, [plural(part.versions, 'version'),
        part.bytes !== undefined && `, ${bytes(part.bytes)}`]];
    const c = d.compared;
    return [h('p', BASIS[d.basis] || d.basis),
        d.basis === 'logs' && facts([way('Would go out', d.outgoing), way('Would come in', d.incoming)]),
        c && [h('h3', `Compared exactly ${ago(c.at)}`),
            facts([way('Would have gone out', c.outgoing), way('Would have come in', c.incoming),
                ['Conflicts', number(c.conflicts) + (c.conflicts_all ? '' : ' or more')]])],
        d.comparing && h('p', { role: 'status' }, 'Comparing…')];
}

async function compare(id) {
    const where = `peers/${api.path(id)}/diff`;
    const body = h('div', { 'aria-live': 'polite' });
    const look = async () => {
        const d = await api.get(where);
        body.replaceChildren(...drawDiff(d).flat().filter(Boolean));
        return d;
    };
    await look();
    const box = dialog(`Compare with ${shortId(id)}`, body, h('div.row.end',
        button('Compare exactly', async () => {
            await api.call('POST', where);
            for (let i = 0; i < 120 && box.isConnected; i++) {
                if (!(await look()).comparing) return;
                await new Promise((resolve) => { setTimeout(resolve, 500); });
            }
        })));
}

// ---- The view ----

// Draws anew without taking the focus from the button that has it.
function redraw(place, element) {
    const focused = document.activeElement;
    const act = focused && place.contains(focused) && focused.getAttribute('data-act');
    place.replaceChildren(element);
    if (!act) return;
    const again = [...place.querySelectorAll('[data-act]')].find((b) =>
        b.getAttribute('data-act') === act);
    if (again) again.focus();
}

export async function overview(body, _, signal) {
    const nodePlace = h('div');
    const peerPlace = h('div');
    const peerHead = h('h2', { id: 'peers-h' }, 'Peers');
    let more = new Map();
    let moreAt = 0;
    let drawn = '';
    let failed = false;
    body.append(h('h1', 'Overview'), nodePlace,
        h('section', { 'aria-labelledby': 'peers-h' }, h('div.row.between', peerHead,
            h('a.button', { href: '#/access' }, 'Invite or join')), peerPlace),
        h('section.card', { 'aria-labelledby': 'traffic-h' },
            h('h2', { id: 'traffic-h' }, 'Traffic'),
            h('p.hint', 'Measured while this page is open, the last five minutes.'),
            h('div.charts', traffic.element, writes.element)));

    async function look() {
        const [status, node] = await Promise.all([api.get('status', signal),
            api.get('health', signal)]);
        sample(status);
        const ids = status.peers.map((p) => p.backend_id + p.state).join();
        if (Date.now() - moreAt > 15000 || drawn !== ids) {
            more = new Map((await api.get('peers', signal)).peers.map((p) => [p.backend_id, p]));
            moreAt = Date.now();
            drawn = ids;
        }
        const roots = new Map(status.namespaces.map((n) => [n.name, n.root]));
        const active = status.peers.filter((p) => p.state !== 'revoked' && p.state !== 'pending');
        const synced = active.filter((p) => p.in_sync).length;
        nodePlace.replaceChildren(drawNode(status, node));
        peerHead.textContent = status.peers.length === 0 ? 'Peers'
            : `Peers: ${synced} of ${active.length} in sync`;
        redraw(peerPlace, status.peers.length === 0
            ? h('p.card.empty', 'No peers yet. Make an invite here and join with it on ' +
                'the other node, or paste an invite of the other node.')
            : h('ul.cards', status.peers.map((p) =>
                drawPeer(p, more.get(p.backend_id), roots))));
        failed = false;
    }

    async function poll() {
        if (document.hidden) return;
        try {
            await look();
        } catch (error) {
            if (!signal.aborted && !failed) fail(error, body);
            failed = true;
        }
    }
    await look();
    const timer = setInterval(poll, POLL_MS);
    signal.addEventListener('abort', () => clearInterval(timer));
    return poll;
}
