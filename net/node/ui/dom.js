// SPDX-License-Identifier: Apache-2.0
// Small tools of the views. All text goes in as text: nothing here, or in any view, parses HTML.

function set(element, props) {
    for (const [name, value] of Object.entries(props)) {
        if (value === undefined || value === null || value === false) continue;
        if (name === 'on') {
            for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
        } else if (name === 'value' || name === 'checked' || name === 'hidden') {
            element[name] = value;
        } else {
            element.setAttribute(name, value === true ? '' : String(value));
        }
    }
}

function make(space, tag, kids) {
    const [name, ...classes] = tag.split('.');
    const element = document.createElementNS(space, name);
    const first = kids[0];
    if (classes.length > 0) element.setAttribute('class', classes.join(' '));
    if (first && Object.getPrototypeOf(first) === Object.prototype) set(element, kids.shift());
    for (const kid of kids.flat(Infinity)) {
        if (kid !== undefined && kid !== null && kid !== false) element.append(kid);
    }
    return element;
}

// h('p.note', { title: 'what it has' }, 'text', element, [more]); what it has may be left out
export const h = (tag, ...kids) => make('http://www.w3.org/1999/xhtml', tag, kids);
export const svg = (tag, ...kids) => make('http://www.w3.org/2000/svg', tag, kids);

// ---- Words ----

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function bytes(count) {
    let unit = 0;
    let value = count || 0;
    for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1000;
    return (unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)) + ' ' + UNITS[unit];
}

export const number = (value) => Number(value || 0).toLocaleString('en');
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? '' : 's'}`;

export function span(seconds) {
    const s = Math.abs(seconds);
    if (s < 60) return `${Math.round(s)} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min`;
    if (s < 2 * 86400) return `${Math.floor(s / 3600)} h`;
    return `${Math.floor(s / 86400)} days`;
}

function pad(value) {
    return String(value).padStart(2, '0');
}

export function clock(iso) {
    const d = new Date(iso);
    if (Number.isNaN(d.getTime())) return String(iso);
    return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ` +
        `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
}

export function ago(iso) {
    const seconds = (Date.now() - new Date(iso).getTime()) / 1000;
    if (Math.abs(seconds) < 2) return 'now';
    if (Math.abs(seconds) > 30 * 86400) return clock(iso).slice(0, 10);
    return seconds >= 0 ? `${span(seconds)} ago` : `in ${span(seconds)}`;
}

// A time, told as distance; the time itself is its title.
export function when(iso) {
    if (!iso) return h('span.dim', '–');
    return h('time', { datetime: iso, title: clock(iso) }, ago(iso));
}

// "hosted_sha256_130506f5…" is enough to tell nodes apart; the whole id is the title.
export function shortId(id) {
    const match = /^([a-z]+)_sha256_([0-9a-f]{8})[0-9a-f]+$/.exec(id || '');
    return match ? `${match[1]} ${match[2]}` : String(id || '');
}

export function nodeName(id) {
    return h('span.mono', { title: id, dir: 'auto' }, shortId(id));
}

export function skew(us) {
    if (us === undefined || us === null) return 'not known yet';
    const a = Math.abs(us);
    const sign = us < 0 ? '−' : '+';
    if (a < 1000) return `${sign}${a} µs`;
    return a < 1e6 ? `${sign}${(a / 1000).toFixed(1)} ms` : `${sign}${(a / 1e6).toFixed(1)} s`;
}

// ---- Parts ----

// What somebody else wrote, in whichever direction its script runs.
export const theirs = (text) => h('span', { dir: 'auto' }, text);

export function badge(kind, text) {
    return h('span', { class: `badge ${kind}` }, text);
}

export function facts(list) {
    return h('dl.facts', list.filter(Boolean).map(([name, ...value]) =>
        h('div', h('dt', name), h('dd', value))));
}

// A button that cannot be pressed twice while it works; what fails is shown by `fail`.
export function button(text, run, props = {}) {
    const element = h('button', { type: 'button', ...props }, text);
    element.addEventListener('click', () => busy(element, run));
    return element;
}

export async function busy(element, run) {
    if (element.getAttribute('aria-disabled') === 'true') return;
    element.setAttribute('aria-disabled', 'true');
    try {
        await run();
    } catch (error) {
        fail(error, element);
    } finally {
        element.removeAttribute('aria-disabled');
    }
}

let lastId = 0;

// A label, its control, and a hint below.
export function field(label, control, hint) {
    const id = `f${++lastId}`;
    control.id = id;
    if (hint) control.setAttribute('aria-describedby', `${id}h`);
    return h('div.field', h('label', { for: id }, label), control,
        hint && h('p.hint', { id: `${id}h` }, hint));
}

export function select(options, value) {
    const element = h('select', options.map((o) => {
        const [key, text] = Array.isArray(o) ? o : [o, o];
        return h('option', { value: key }, text);
    }));
    if (value !== undefined) element.value = value;
    return element;
}

// A form whose button works like `button`.
export function form(kids, submit, run, props = {}) {
    const send = h('button.main', { type: 'submit' }, submit);
    const element = h('form', props, kids, h('div.row', send));
    element.addEventListener('submit', (event) => {
        event.preventDefault();
        busy(send, run);
    });
    return element;
}

// Columns are [head, cell of a row]. On a phone the rows become cards, so roles are said here.
export function table(caption, columns, rows) {
    return h('table', { role: 'table' }, h('caption.sr', caption),
        h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' },
            columns.map(([head]) => h('th', { role: 'columnheader', scope: 'col' }, head)))),
        h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row' },
            columns.map(([head, cell]) =>
                h('td', { role: 'cell', 'data-head': head }, cell(row)))))));
}

export function copyable(text, label) {
    const area = h('textarea', { readonly: true, rows: 3, class: 'mono', spellcheck: 'false',
        'aria-label': label, value: text, on: { focus: () => area.select() } });
    const copy = button('Copy', async () => {
        try {
            await navigator.clipboard.writeText(text);
            say('Copied.');
        } catch {
            area.select(); // without a secure context there is no clipboard: the keys still work
            say('Selected: copy it with Ctrl+C.');
        }
    });
    return h('div.copyable', area, copy);
}

// ---- What happened ----

let timer = 0;

export function say(text) {
    const element = document.getElementById('said');
    element.textContent = text;
    element.classList.add('shown');
    clearTimeout(timer);
    timer = setTimeout(() => element.classList.remove('shown'), 5000);
}

function problem(error) {
    const box = h('div.problem', { role: 'alert' },
        h('strong', error.title || 'Something went wrong'),
        h('p', error.detail || error.message || String(error)),
        error.advice && h('p', error.advice),
        error.code && h('p.dim', `${error.status ? error.status + ' ' : ''}${error.code}`));
    box.append(h('button', { type: 'button', class: 'quiet close', 'aria-label': 'Close this error',
        on: { click: () => box.remove() } }, '×'));
    return box;
}

// Shows an error next to what caused it: in its dialog or form, else on top of the view.
export function fail(error, near) {
    if (error.name === 'AbortError') return;
    const home = (near && near.isConnected && near.closest('dialog, form')) ||
        document.getElementById('main');
    for (const old of home.querySelectorAll(':scope > .problem')) old.remove();
    const box = problem(error);
    home.prepend(box);
    box.scrollIntoView({ block: 'nearest' });
}

// ---- Dialogs: Escape closes them, the browser keeps the focus inside and gives it back ----

export function dialog(title, ...kids) {
    const id = `d${++lastId}`;
    const element = h('dialog', { 'aria-labelledby': id },
        h('div.row.between', h('h2', { id }, title),
            h('button', { type: 'button', class: 'quiet', 'aria-label': 'Close',
                on: { click: () => element.close() } }, '×')), kids);
    element.addEventListener('close', () => element.remove());
    document.body.append(element);
    element.showModal();
    return element;
}

export function confirm(title, text, action, run) {
    const go = button(action, async () => {
        await run();
        box.close();
    }, { class: 'danger' });
    const keep = h('button', { type: 'button', on: { click: () => box.close() } }, 'Cancel');
    const box = dialog(title, h('p', text), h('div.row.end', keep, go));
    keep.focus();
    return box;
}
