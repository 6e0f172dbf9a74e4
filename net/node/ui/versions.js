// SPDX-License-Identifier: Apache-2.0
// Versions of a message or field: how one looks, the history of one thing, and taking one back.
import * as api from './api.js';
import { badge, button, clock, dialog, h, nodeName, say } from './dom.js';

export function text(value, props = {}) {
    const shown = typeof value === 'string' ? value : JSON.stringify(value);
    return h('div.text', { dir: 'auto', ...props }, shown === '' ? h('span',
        { class: 'gone' }, 'empty') : shown);
}

export function said(version) {
    if (version.purged) return h('p.gone', `erased for good: ${version.reason || ''}`);
    if (version.deleted) return h('p.gone', 'deleted');
    const value = version.content !== undefined ? version.content : version.value;
    if (value === undefined) return h('p.gone', 'too long to show here');
    return [text(value, { tabindex: 0, role: 'group', 'aria-label': 'What it said' }),
        version.cut && h('p.hint', 'The beginning of it.')];
}

export function versionCard(version, label, ...actions) {
    return h('div.version',
        h('div.row.between',
            h('span', label, ' ', version.role && h('b', { dir: 'auto' }, version.role)),
            h('code', { title: 'The name of this version, the same on every node' }, version.version)),
        said(version),
        h('p.hint', clock(version.timestamp), ' · by ', nodeName(version.source_backend)),
        actions.some(Boolean) && h('div.row', actions));
}

// What stands behind "message_id" or "field" in answers, for the request that takes it back.
export function nameOf(item) {
    return item.message_id !== undefined ? { message_id: item.message_id } : { field: item.field };
}

export async function promote(space, id, name, version) {
    await api.call('POST', api.talk(space, id, '/promote'),
        { ...name, version });
    say('It is the current version now, and will be on every node.');
}

// The history of a message, or of a whole conversation's fields when `name` is null.
export async function showHistory(space, id, name, title, done) {
    const all = await api.get(api.talk(space, id, '/history', { message: name && name.message_id }));
    const versions = name && name.message_id ? all.versions
        : all.versions.filter((v) => v.field !== undefined || v.purged);
    const box = dialog(title, versions.length === 0 ? h('p', 'There is no history.')
        : h('div.versions', versions.map((v) => versionCard(v,
            [v.current ? badge('good', 'current') : badge('off', 'overwritten'),
                v.field !== undefined && ' ' + v.field],
            !v.current && !v.purged && !v.deleted && api.session.write &&
                button('Make it current', async () => {
                    await promote(space, id, nameOf(v), v.version);
                    box.close();
                    await done();
                }, { class: 'small' })))));
}
