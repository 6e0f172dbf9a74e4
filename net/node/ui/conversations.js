// SPDX-License-Identifier: Apache-2.0
// The list of conversations, and one with its messages.
import * as api from './api.js';
import { busy, button, clock, confirm, dialog, fail, field, form, h, nodeName, number, plural, say, select,
    when } from './dom.js';
import { promote, showHistory, text } from './versions.js';

const PAGE = 50;
const PAGES_EMPTY_MAX = 20; // a search looks at that many pages before it asks whether to go on
const MESSAGES = 100;
const SHOWN_MAX = 1000;
const MESSAGES_MAX = 5000;
const LONG_CHARS = 20000;

export const link = (space, id) => `#/conversation/${api.path(space, id)}`;

// Chooses the namespace that list, conflicts and live changes are of.
export async function spacePicker(signal, changed) {
    const at = api.session.space;
    let control;
    if (api.session.operator) {
        const names = (await api.get('status', signal)).namespaces.map((n) => n.name);
        control = select([...new Set([at, ...names])], at);
    } else {
        control = h('input', { value: at, maxlength: 64 });
    }
    control.addEventListener('change', () => {
        api.session.space = control.value || 'main';
        document.dispatchEvent(new Event('space'));
        busy(control, changed);
    });
    return field('Namespace', control);
}

// ---- The list ----

function drawItem(space, item) {
    const title = item.title || '';
    return h('li', h('a', { href: link(space, item.conversation_id) },
        h('span', { class: title ? 'title' : 'title gone', dir: 'auto' }, title || 'no title'),
        h('span.sub.side', when(item.updated_at)),
        h('span.sub', { dir: 'auto' }, item.conversation_id),
        h('span.sub.side', plural(item.messages, 'message'))));
}

function askNew(space) {
    const title = h('input', { maxlength: 1000, dir: 'auto' });
    const first = h('textarea', { dir: 'auto' });
    const box = dialog('New conversation', form([field('Title', title), field('First message', first)],
        'Create', async () => {
            const made = await api.call('POST', api.query('conversations', { namespace: space }), {
                title: title.value || undefined,
                messages: first.value === '' ? undefined : [{ role: 'user', content: first.value }] });
            box.close();
            location.hash = link(space, made.conversation_id);
        }));
}

export async function conversations(body, _, signal) {
    const title = h('input', { type: 'search', maxlength: 200, dir: 'auto' });
    const prefix = h('input', { type: 'search', maxlength: 200, spellcheck: 'false', dir: 'auto' });
    const list = h('ul.list', { hidden: true });
    const count = h('p.dim', { role: 'status' });
    const more = button('Show more', () => grow());
    const space = () => api.session.space;
    let next;
    let run = 0;
    let timer = 0;
    const search = () => {
        clearTimeout(timer);
        timer = setTimeout(() => look().catch((error) => fail(error, body)), 250);
    };
    title.addEventListener('input', search);
    prefix.addEventListener('input', search);
    body.append(h('div.row.between', h('h1', 'Conversations'),
        api.session.write && button('New conversation', () => askNew(space()))),
    h('div.card.fields', { role: 'search' },
        field('Title contains', title), field('Id begins with', prefix),
        await spacePicker(signal, () => look())), count, list, more);

    async function fetchPages(wanted, after) {
        let items = [];
        let cursor = after;
        for (let i = 0; i < PAGES_EMPTY_MAX && items.length < wanted; i++) {
            const answer = await api.get(api.query('conversations', { namespace: space(),
                title: title.value, prefix: prefix.value, after: cursor,
                limit: Math.min(wanted - items.length, SHOWN_MAX) }), signal);
            items = items.concat(answer.conversations);
            cursor = answer.next;
            if (cursor === undefined) break;
        }
        return { items, cursor };
    }

    function tell() {
        const shown = list.children.length;
        list.hidden = shown === 0;
        more.hidden = next === undefined;
        more.textContent = shown === 0 ? 'Look further' : 'Show more';
        const searched = title.value !== '' || prefix.value !== '';
        count.textContent = next !== undefined ? `${number(shown)} shown, the newest first; there may be more.`
            : shown === 0 ? (searched ? 'Nothing was found.' : 'There are no conversations yet.')
                : plural(shown, 'conversation');
    }

    async function look() {
        const mine = ++run;
        const { items, cursor } = await fetchPages(Math.max(PAGE, list.children.length));
        if (mine !== run) return; // a later search was faster
        const at = list.contains(document.activeElement) && document.activeElement.getAttribute('href');
        list.replaceChildren(...items.map((item) => drawItem(space(), item)));
        const again = at && [...list.querySelectorAll('a')].find((a) => a.getAttribute('href') === at);
        if (again) again.focus({ preventScroll: true });
        next = cursor;
        tell();
    }

    async function grow() {
        const { items, cursor } = await fetchPages(PAGE, next);
        list.append(...items.map((item) => drawItem(space(), item)));
        next = cursor;
        tell();
    }
    await look();
    return () => look().catch(() => {});
}

// ---- One conversation ----

function editor(value, submit, run, cancel) {
    const area = h('textarea', { rows: 5, dir: 'auto', value, 'aria-label': 'Content' });
    const box = form([area], submit, () => run(area.value));
    box.querySelector('.row').append(h('button', { type: 'button', on: { click: cancel } }, 'Cancel'));
    box.addEventListener('keydown', (event) => {
        if (event.key === 'Escape') cancel();
    });
    setTimeout(() => area.focus());
    return box;
}

class Thread {
    constructor(body, space, id, signal) {
        Object.assign(this, { body, space, id, signal, count: MESSAGES });
        this.head = h('div.view');
        this.undone = h('p', { role: 'status' });
        this.list = h('ul.messages', { 'aria-label': 'Messages' });
        this.more = button('Show later messages', () => {
            this.count += MESSAGES;
            return this.look();
        }, { hidden: true });
        this.shown = new Map(); // id -> { sign, element }
    }

    url(...rest) {
        return api.talk(this.space, this.id, rest.map((part) => '/' + part).join(''));
    }

    // The whole message when it has to be changed: one that others changed meanwhile stays.
    async edit(id, element) {
        if (element.editing) return;
        const where = this.url('messages', api.path(id));
        const { value, tag } = await api.getTagged(where);
        const place = element.querySelector('.body');
        const back = (focus) => {
            element.editing = false;
            this.shown.delete(id);
            return this.look().then(() => focus && this.focus(id, 'Edit'));
        };
        element.editing = true;
        place.replaceChildren(editor(value.content, 'Save', async (content) => {
            try {
                await api.call('PATCH', where, { content }, { 'If-Match': tag });
            } catch (error) {
                if (error.status === 412) {
                    error.advice = 'Copy your text, cancel, and edit what is there now.';
                    error.title = 'Somebody changed it meanwhile';
                }
                throw error;
            }
            say('Saved.');
            await back(true);
        }, () => back(true)));
    }

    focus(id, name) {
        const entry = this.shown.get(id);
        const target = entry && entry.element.querySelector(`[data-act="${name}"]`);
        if (target) target.focus();
    }

    drawMessage(m) {
        const act = (name, run, props) => button(name, run, { class: 'small', 'data-act': name,
            'aria-label': `${name}: message of ${m.role}, ${clock(m.timestamp)}`, ...props });
        const kind = m.role === 'user' || m.role === 'assistant' ? m.role : '';
        const long = m.content.length > LONG_CHARS;
        const content = text(long ? m.content.slice(0, LONG_CHARS) : m.content,
            { class: long ? 'text cut' : 'text' });
        const whole = long && button(`Show all ${number(m.content.length)} characters`, () => {
            content.replaceWith(text(m.content));
            whole.remove();
        }, { class: 'small' });
        const element = h('li', { class: `card message ${kind}`, 'data-message': m.message_id },
            h('header', h('b', { dir: 'auto' }, m.role), h('span', clock(m.created_at || m.timestamp)),
                m.created_at && m.created_at !== m.timestamp &&
                    h('span', 'edited ', when(m.timestamp)),
                h('span', 'by ', nodeName(m.source_backend)), h('span.acts',
                api.session.write && act('Edit', () => this.edit(m.message_id, element)),
                act('History', () => showHistory(this.space, this.id, { message_id: m.message_id },
                    'History of the message', () => this.look())),
                api.session.write && act('Delete', () => confirm('Delete this message?',
                    'It goes on every node. Its history stays, and until it is purged it can be taken back.',
                    'Delete', () => this.removeMessage(m.message_id)), { class: 'small danger' }))),
            h('div.body', content, whole));
        return element;
    }

    async removeMessage(id) {
        await api.call('DELETE', this.url('messages', api.path(id)));
        const undo = button('Undo', async () => {
            const past = await api.get(api.talk(this.space, this.id, '/history', { message: id }));
            const last = past.versions.find((v) => !v.deleted && !v.purged);
            if (last) await promote(this.space, this.id, { message_id: id }, last.version);
            this.undone.replaceChildren();
            await this.look();
        });
        this.undone.replaceChildren('The message was deleted. ', undo);
        await this.look();
        setTimeout(() => undo.focus()); // behind the end of the dialog
    }

    // What did not change keeps its element, and what is being edited its text.
    drawMessages(messages) {
        const elements = messages.map((m) => {
            const sign = JSON.stringify(m);
            const old = this.shown.get(m.message_id);
            if (old && (old.sign === sign || old.element.editing)) return old.element;
            const element = this.drawMessage(m);
            this.shown.set(m.message_id, { sign, element });
            return element;
        });
        const wanted = new Set(elements);
        for (const child of [...this.list.children]) if (!wanted.has(child)) child.remove();
        elements.forEach((element, i) => {
            if (this.list.children[i] !== element) this.list.insertBefore(element, this.list.children[i] || null);
        });
        const ids = new Set(messages.map((m) => m.message_id));
        for (const id of this.shown.keys()) if (!ids.has(id)) this.shown.delete(id);
    }

    rename(title) {
        const input = h('input', { value: title, maxlength: 1000, dir: 'auto' });
        const box = dialog('Change the title', form([field('Title', input)], 'Save', async () => {
            await api.call('PATCH', this.url(), { title: input.value });
            box.close();
            await this.look();
        }));
    }

    remove() {
        confirm('Delete this conversation?', 'It goes on every node. What it was stays in the ' +
            'history until it is purged.', 'Delete', async () => {
            await api.call('DELETE', this.url());
            say('Deleted.');
            location.hash = '#/conversations';
        });
    }

    drawHead(item, lost) {
        const title = item.title || '';
        const sign = JSON.stringify([title, item.messages, lost, api.session.write]);
        if (this.sign === sign) return;
        this.sign = sign;
        document.title = `${title.slice(0, 60) || this.id} – parley`;
        this.head.replaceChildren(
            h('p', h('a', { href: '#/conversations' }, '← Conversations')),
            h('h1', { dir: 'auto', class: title ? 'wrap' : 'wrap gone' }, title || 'no title'),
            h('p.dim.wrap', h('code', { dir: 'auto' }, this.id), ' in ',
                h('b', { dir: 'auto' }, this.space),
                item.messages !== undefined && `, ${plural(item.messages, 'message')}`),
            h('div.row',
                lost > 0 && h('a.button.warn', { href: `#/conflicts/${api.path(this.id)}` },
                    `See ${plural(lost, 'conflict')}`),
                api.session.write && button('Change the title', () => this.rename(title)),
                button('Fields and their history', () => showHistory(this.space, this.id, null,
                    'Fields and their history', () => this.look())),
                api.session.write && button('Delete', () => this.remove(), { class: 'danger' })));
    }

    // A page ends early when it has become long in bytes.
    async fetchMessages() {
        const wanted = Math.min(this.count, MESSAGES_MAX);
        let messages = [];
        let next;
        do {
            const page = await api.get(api.talk(this.space, this.id, '/messages', {
                limit: Math.min(wanted - messages.length, SHOWN_MAX),
                after: next }), this.signal);
            messages = messages.concat(page.messages);
            next = page.next;
        } while (next !== undefined && messages.length < wanted);
        return { messages, next };
    }

    // The list knows the title; the conversation itself might be long. A token for some
    // conversations only may not ask for lists: then there is no title to show.
    async look() {
        const mine = this.run = (this.run || 0) + 1;
        const space = this.space;
        const perhaps = (promise, other) => promise.catch((error) => {
            if (error.status === 403) return other;
            throw error;
        });
        const [page, listed, lost] = await Promise.all([
            this.fetchMessages(),
            perhaps(api.get(api.query('conversations', { namespace: space, order: 'id', limit: 1,
                prefix: this.id }), this.signal), { conversations: [] }),
            perhaps(api.get(api.query('conflicts', { namespace: space, conversation: this.id }),
                this.signal), { conflicts: [] })]);
        if (mine !== this.run) return;
        const item = listed.conversations.find((c) => c.conversation_id === this.id) || {};
        this.drawHead(item, lost.conflicts.length);
        this.drawMessages(page.messages);
        this.more.hidden = page.next === undefined;
        if (this.count >= MESSAGES_MAX) this.more.textContent = 'More are not shown here';
    }

    composer() {
        const role = select(['user', 'assistant', 'system', 'tool']);
        const area = h('textarea', { rows: 3, required: true, dir: 'auto' });
        return form([h('h2', 'Add a message'), field('Role', role), field('Content', area)], 'Add', async () => {
            await api.call('POST', this.url('messages'), { role: role.value, content: area.value });
            area.value = '';
            await this.look();
            say('Added.');
        }, { class: 'card' });
    }
}

export async function conversation(body, [space, id], signal) {
    if (api.session.space !== space) {
        api.session.space = space;
        document.dispatchEvent(new Event('space'));
    }
    const thread = new Thread(body, space, id, signal);
    body.append(thread.head, thread.undone, thread.list, thread.more);
    try {
        await thread.look();
    } catch (error) {
        body.prepend(h('p', h('a', { href: '#/conversations' }, '← Conversations')));
        throw error;
    }
    if (api.session.write) body.append(thread.composer());
    return () => thread.look().catch((error) => {
        if (error.status === 404) location.hash = '#/conversations';
    });
}
