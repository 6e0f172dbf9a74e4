// SPDX-License-Identifier: Apache-2.0
// Login, the views and the way between them, and what is live.
import * as api from './api.js';
import { button, fail, field, form, h } from './dom.js';
import { overview } from './overview.js';
import { conversation, conversations } from './conversations.js';
import { conflicts } from './conflicts.js';
import { data } from './data.js';
import { access } from './access.js';
import { audit, trash } from './records.js';

// A view gets its element, what stands behind its name in the address, and a signal that ends it.
// It may return a function that is called when something changed.
const VIEWS = [
    { name: 'overview', title: 'Overview', operator: true, run: overview },
    { name: 'conversations', title: 'Conversations', run: conversations },
    { name: 'conversation', title: 'Conversation', hidden: true, run: conversation },
    { name: 'conflicts', title: 'Conflicts', run: conflicts },
    { name: 'data', title: 'Data', operator: true, run: data },
    { name: 'access', title: 'Access', operator: true, run: access },
    { name: 'audit', title: 'Audit log', operator: true, run: audit },
    { name: 'trash', title: 'Trash', operator: true, run: trash },
];
const main = document.getElementById('main');
const nav = document.getElementById('nav');
const live = document.getElementById('live');
const logout = document.getElementById('logout');
let current = null; // { stop, changed }
let following = null; // { space, stop }

// ---- Dark and light ----

const THEMES = ['auto', 'light', 'dark'];

function setTheme(name) {
    const theme = THEMES.includes(name) ? name : 'auto';
    document.documentElement.dataset.theme = theme;
    const control = document.getElementById('theme');
    control.replaceChildren('◐', h('span', theme));
    control.setAttribute('aria-label', `Theme: ${theme}`);
    try {
        localStorage.setItem('parley-theme', theme); // a colour, no secret
    } catch { /* not stored then */ }
}

function initTheme() {
    let theme = 'auto';
    try {
        theme = localStorage.getItem('parley-theme');
    } catch { /* there is no storage */ }
    setTheme(theme);
    document.getElementById('theme').addEventListener('click', () => {
        const next = THEMES.indexOf(document.documentElement.dataset.theme) + 1;
        setTheme(THEMES[next % THEMES.length]);
    });
}

// ---- Login ----

async function enter(token, keep) {
    api.begin(token, keep);
    try {
        if (api.session.operator) await api.get('status');
        else await api.get('conversations?limit=1');
    } catch (error) {
        api.end();
        throw error;
    }
    api.session.entered = true;
    logout.hidden = false;
    show(true);
}

function askToken(error) {
    const token = h('input', { type: 'password', autocomplete: 'off', spellcheck: 'false',
        required: true, maxlength: 4096, autocapitalize: 'off' });
    const keep = h('input', { type: 'checkbox', checked: true });
    const box = form([
        h('h1', 'Log in to this node'),
        field('Token', token, ['The operator’s is in the file ', h('code', 'admin.token'), ' of the data directory. ' +
            'A session token (', h('code', 'parley token create'), ') shows conversations and conflicts only.']),
        h('label.check', keep, 'Keep the token until this tab is closed'),
    ], 'Log in', () => enter(token.value.trim(), keep.checked), { class: 'card login' });
    document.title = 'Log in – parley';
    main.replaceChildren(box);
    if (error) fail(error, box);
    token.focus();
}

function leave(error) {
    api.end();
    stopView();
    stopFollowing();
    for (const open of document.querySelectorAll('dialog')) open.close();
    nav.hidden = logout.hidden = live.hidden = true;
    askToken(error);
}

// ---- Live ----

function stopFollowing() {
    if (following !== null) following.stop.abort();
    following = null;
}

function setLive(on) {
    live.hidden = false;
    live.className = on ? 'live on' : 'live';
    live.textContent = on ? 'Live' : 'Reconnecting…';
}

let heard = 0;
let timer = 0;

function hear(change) {
    if (change !== null) heard++;
    if (timer !== 0) return;
    timer = setTimeout(() => {
        timer = 0;
        if (current && current.changed) current.changed();
        if (heard > 0) live.title = `${heard} changes since this page was opened`;
    }, 250);
}

// The changes of the namespace that is looked at.
function follow() {
    const space = api.session.space;
    if (following !== null && following.space === space) return;
    stopFollowing();
    following = { space, stop: new AbortController() };
    api.follow(space, following.stop.signal, hear, setLive);
}

// ---- Views ----

function stopView() {
    if (current !== null) current.stop.abort();
    current = null;
}

function drawNav(name) {
    const shown = VIEWS.filter((v) => !v.hidden && (api.session.operator || !v.operator));
    const at = name === 'conversation' ? 'conversations' : name;
    nav.replaceChildren(h('ul', shown.map((v) => h('li', h('a', { href: `#/${v.name}`,
        'aria-current': v.name === at ? 'page' : null }, v.title)))));
    nav.hidden = false;
    const active = nav.querySelector('[aria-current]');
    if (active) active.scrollIntoView({ block: 'nearest', inline: 'center' });
}

function parts() {
    try {
        return location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
    } catch {
        return [];
    }
}

function show(focus) {
    if (!api.isOpen()) return;
    stopView();
    const [name, ...rest] = parts();
    const may = (v) => api.session.operator || !v.operator;
    const view = VIEWS.find((v) => v.name === name && may(v)) || VIEWS.find(may);
    const stop = new AbortController();
    const body = h('div.view');
    const mine = { stop, changed: null };
    current = mine;
    document.title = `${view.title} – parley`;
    drawNav(view.name);
    main.replaceChildren(body);
    if (focus) {
        main.focus();
        scrollTo(0, 0);
    }
    view.run(body, rest, stop.signal).then(
        (changed) => { mine.changed = changed; },
        (error) => {
            if (stop.signal.aborted) return;
            fail(error, body);
            mine.changed = error.status === 0 && (() => show()); // once it answers again
        });
    follow();
}

initTheme();
logout.addEventListener('click', () => leave(null));
api.whenRefused((error) => leave(error));
addEventListener('hashchange', () => show(true));
document.addEventListener('space', follow); // another namespace is looked at
const token = api.kept();
if (token === '') {
    askToken(null);
} else {
    enter(token, true).catch((error) => {
        if (error.status === 0) {
            main.replaceChildren(h('div.card', button('Try again',
                () => enter(token, true))));
            fail(error, main);
        } else {
            leave(error);
        }
    });
}
addEventListener('unhandledrejection', (event) => {
    fail(event.reason, main);
});
