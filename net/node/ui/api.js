// SPDX-License-Identifier: Apache-2.0
// Requests to the node. The token is in this module's memory and, if that was asked for, in the
// storage of this tab; it travels in the Authorization header and nowhere else.

const KEY = 'parley-token';
const OPERATOR = /^[0-9a-f]{64}$/i;
let token = '';
let onRefused = () => {};

// `entered`: the token was good; when it is refused from then on, the session is over.
// `ended` is aborted at its end.
export const session = { entered: false, operator: false, write: true, space: 'main',
    ended: new AbortController() };

export function begin(text, keep) {
    token = text;
    session.operator = OPERATOR.test(text);
    session.entered = false;
    session.write = true;
    session.space = 'main';
    session.ended = new AbortController();
    if (keep) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
}

export function end() {
    token = '';
    session.entered = false;
    session.ended.abort();
    sessionStorage.removeItem(KEY);
}

export const kept = () => sessionStorage.getItem(KEY) || '';
export const isOpen = () => session.entered;
export const whenRefused = (run) => { onRefused = run; };

// An answer that is no success, or no answer: what happened and what to do about it.
export class Problem extends Error {
    constructor(status, body, title = status < 500 ? 'The node refused this' : 'The node cannot do this now') {
        super(body.detail || `the node answered ${status}`);
        Object.assign(this, { status, code: body.code, field: body.field, detail: this.message,
            title, advice: body.advice, body });
    }
}

const ADVICE = {
    'operator-only': 'Log in with the token in the data directory of the node (admin.token).',
    'not-granted': 'Your token does not have this right. The operator can give you another one.',
    'tls-required': 'Open this page with https:// or on the machine of the node.',
};

function unreachable() {
    return new Problem(0, { code: '',
        detail: 'There is no connection to it.',
        advice: 'See whether parleyd runs and this device can reach it; the page tries again.' }, 'The node does not answer');
}

async function send(path, options) {
    let answer;
    try {
        answer = await fetch(path, { cache: 'no-cache', credentials: 'omit', redirect: 'error',
            referrerPolicy: 'no-referrer', ...options,
            headers: { Authorization: `Bearer ${token}`, ...options.headers } });
    } catch (error) {
        throw error.name === 'AbortError' ? error : unreachable();
    }
    if (answer.ok) return answer;
    let body = {};
    try {
        body = await answer.json();
    } catch { /* not the node: a proxy perhaps; the status says enough */ }
    body.advice = ADVICE[body.code];
    const problem = new Problem(answer.status, body);
    problem.retry = Number(answer.headers.get('Retry-After')) || 0;
    if (answer.status === 401 && session.entered) {
        onRefused(problem);
        throw new DOMException('logged out', 'AbortError');
    }
    if (body.code === 'not-granted' && options.method !== 'GET') session.write = false;
    throw problem;
}

export function path(...segments) {
    return segments.map(encodeURIComponent).join('/');
}

export function query(base, values) {
    const list = Object.entries(values).filter(([, value]) =>
        value !== undefined && value !== null && value !== '');
    return list.length === 0 ? base : base + '?' +
        list.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
}

// A route of one conversation.
export const talk = (space, id, rest, values) => query(`conversations/${path(id)}${rest}`,
    { namespace: space, ...values });

export async function get(where, signal) {
    return (await send(where, { method: 'GET', signal })).json();
}

// With its entity tag, for a write that must not undo what others wrote meanwhile.
export async function getTagged(where) {
    const answer = await send(where, { method: 'GET' });
    return { value: await answer.json(), tag: answer.headers.get('ETag') };
}

export async function call(method, where, body, headers = {}) {
    const options = { method, headers };
    if (body !== undefined) {
        options.body = JSON.stringify(body);
        options.headers = { 'Content-Type': 'application/json', ...headers };
    }
    return (await send(where, options)).json();
}

// One part of a long answer, and where the next one begins.
export async function getPart(where, signal) {
    const answer = await send(where, { method: 'GET', signal });
    return { part: await answer.blob(), next: answer.headers.get('X-Parley-Next') };
}

// Bytes as they are.
export async function post(where, type, body, signal) {
    return (await send(where, { method: 'POST', headers: { 'Content-Type': type }, body, signal })).json();
}

// ---- Server-sent events. An EventSource can send no header, and a token has no place in a URL ----

const EVENT_CHARS_MAX = 32 << 20; // a change has at most 16 MiB of content

async function readEvents(answer, heard) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        text += value;
        if (text.length > EVENT_CHARS_MAX) throw unreachable();
        const events = text.split('\n\n');
        text = events.pop();
        for (const event of events) {
            const lines = event.split('\n').map((line) => /^(\w*): ?(.*)$/.exec(line)).filter(Boolean);
            const part = (name) => lines.filter((l) => l[1] === name).map((l) => l[2]).join('\n');
            heard(part('id'), part('event') === 'change' ? JSON.parse(part('data')) : null);
        }
    }
}

const pause = (ms, signal) => new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); });
});

// Tells of every change until the signal ends it, across restarts of the node.
// `state`: called with true while connected.
export async function follow(space, signal, change, state) {
    let last = '';
    let wait = 500;
    let again = false;
    while (!signal.aborted) {
        try {
            const answer = await send(query('changes', { namespace: space, since: 'now' }), {
                method: 'GET', signal, cache: 'no-store',
                headers: { Accept: 'text/event-stream', ...(last && { 'Last-Event-ID': last }) } });
            wait = 500;
            state(true);
            if (again) change(null); // it may have been away: look once
            await readEvents(answer, (id, item) => {
                last = id || last;
                if (item !== null) change(item);
            });
        } catch (error) {
            if (error.code === 'cursor-gone') last = '';
            if (error.status === 403) return;
        }
        if (signal.aborted) return;
        state(false);
        again = true;
        await pause(wait, signal);
        wait = Math.min(wait * 2, 10000);
    }
}
