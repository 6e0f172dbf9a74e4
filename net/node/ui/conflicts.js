// SPDX-License-Identifier: Apache-2.0
// What was overwritten by somebody who may not have seen it, and how to get it back.
import * as api from './api.js';
import { badge, button, h, plural } from './dom.js';
import { nameOf, promote, versionCard } from './versions.js';
import { link, spacePicker } from './conversations.js';

const PAGE = 50;

function drawLoser(space, conflict, loser, done) {
    return versionCard(loser, badge(loser.conflict === false ? 'off' : 'warn',
        loser.conflict === false ? 'replaced' : 'overwritten'),
    !loser.deleted && api.session.write && button('Make it current', async () => {
        await promote(space, conflict.conversation_id, nameOf(conflict), loser.version);
        await done();
    }, { class: 'small' }));
}

function drawConflict(space, conflict, done) {
    const what = conflict.message_id !== undefined ? 'Message' : 'Field';
    return h('li.card',
        h('h2', h('a', { href: link(space, conflict.conversation_id), dir: 'auto', class: 'wrap' },
            conflict.conversation_id)),
        h('p.dim.wrap', `${what} `, h('code', { dir: 'auto' },
            conflict.message_id !== undefined ? conflict.message_id : conflict.field)),
        h('div.two',
            conflict.winner === null ? h('p.gone', 'The conversation was deleted.')
                : versionCard(conflict.winner, badge('good', 'current')),
            h('div.versions', conflict.losers.map((loser) =>
                drawLoser(space, conflict, loser, done)))));
}

export async function conflicts(body, [conversation], signal) {
    const space = () => api.session.space;
    const all = h('input', { type: 'checkbox', on: { change: () => look() } });
    const list = h('ul.view');
    const count = h('p.dim', { role: 'status' });
    const more = button('Show more', async () => {
        list.append(...await page());
        tell();
    });
    let next;
    body.append(h('h1', 'Conflicts'),
        h('p.dim', 'Versions that lost to one of another node. Nothing is gone: make one ' +
            'current and it wins everywhere.'),
        h('div.card.fields', await spacePicker(signal, () => look()),
            h('label.check', all, 'Also what was merely replaced')),
        count, list, more);

    async function page() {
        const answer = await api.get(api.query('conflicts', { namespace: space(), limit: PAGE,
            conversation, after: next, all: all.checked ? 1 : undefined }), signal);
        next = answer.next;
        return answer.conflicts.map((c) => drawConflict(space(), c, look));
    }

    function tell() {
        const shown = list.children.length;
        more.hidden = next === undefined;
        count.textContent = shown === 0 ? 'There are no conflicts.'
            : `${plural(shown, 'conflict')}${next === undefined ? '' : ' or more'}, the newest first.`;
    }

    async function look() {
        next = undefined;
        list.replaceChildren(...await page());
        tell();
    }
    await look();
    return () => {
        if (!list.contains(document.activeElement)) look().catch(() => {});
    };
}
