// SPDX-License-Identifier: Apache-2.0
// Conversations in files: import, export, and bundles, which are a sync by file.
import * as api from './api.js';
import { badge, bytes, facts, field, form, h, number, plural, select, shortId, table,
    theirs } from './dom.js';
import { spacePicker } from './conversations.js';
import { cutBlocks, cutLines, markdown, nameFile, save, trouble, Work } from './files.js';

const ERRORS_SHOWN = 20;
const EXPORT_PART_BYTES = 2 << 20;

const command = (text) => h('code', `parley --data DIR ${text}`);

const fileInput = () => h('input', { type: 'file', required: true });

// What came of it is shown below its button.
function workForm(kids, submit, run, props) {
    const work = new Work();
    const element = form(kids, submit, () => run(work), props);
    element.append(work.element);
    return element;
}

// ---- Import ----

const LONG = 'the line is longer than 63 MiB, the limit of a conversation';

// What no line of it can be taken of is said before a thousand lines are refused.
async function expectLines(body) {
    const start = await body.slice(0, 64).text();
    const advice = 'On the machine of this node, parley --data DIR import FILE reads exports of ChatGPT and ' +
        'Claude, their archives, and lists of messages.';
    if (start.startsWith('PK')) throw trouble('This is an archive', 'The page takes JSON lines.', advice);
    if (/^\s*\[/.test(start)) throw trouble('This is one JSON list', 'The page takes JSON lines.', advice);
    if (start.includes('parley-bundle'))
        throw trouble('This is a bundle', 'It holds no lines.', 'Apply it, below.');
}

function drawImport(name, t, ended) {
    const bad = t.errors.length + t.omitted;
    return [h('p', badge(ended && bad === 0 ? 'good' : 'warn', ended ? 'imported' : 'ended early'), ' ',
        h('span', { dir: 'auto', class: 'wrap' }, name)),
    facts([['Taken', number(t.created + t.updated)], ['Of these new', number(t.created)],
        ['Unchanged', number(t.skipped - bad)], ['Skipped', number(bad)], ['New versions', number(t.versions_new)]]),
    bad > 0 && bad === t.received && h('p', 'Not one line was a conversation of parley. What other ' +
        'programs wrote is read by ', command('import FILE'), '.'),
    bad > 0 && table('Lines that were skipped', [
        ['Line', (e) => number(e.line)],
        ['Why', (e) => [theirs(e.detail), e.conversation_id !== undefined &&
            [' in ', h('code', { dir: 'auto' }, e.conversation_id)]]],
    ], t.errors),
    t.omitted > 0 && h('p.hint', `And ${plural(t.omitted, 'more bad line')}.`)];
}

function addAnswer(t, answer, first) {
    for (const key of ['received', 'created', 'updated', 'skipped', 'versions_new']) t[key] += answer[key];
    for (const e of answer.errors || []) {
        if (t.errors.length < ERRORS_SHOWN) t.errors.push({ ...e, line: first + e.line - 1 });
        else t.omitted++;
    }
    t.omitted += answer.errors_omitted || 0;
}

async function importFile(work, file, space) {
    const t = { received: 0, created: 0, updated: 0, skipped: 0, versions_new: 0, errors: [], omitted: 0 };
    const where = api.query('import', { namespace: space });
    let line = 0;
    try {
        for await (const part of cutLines(file, work.signal)) {
            if (part.long) {
                addAnswer(t, { received: 1, created: 0, updated: 0, skipped: 1, versions_new: 0,
                    errors: [{ line: 1, detail: LONG }] }, part.long);
                continue;
            }
            if (line === 0) await expectLines(part.body);
            addAnswer(t, await api.post(where, 'application/x-ndjson', part.body, work.signal), part.first);
            line = part.first + part.lines - 1;
            work.tell(`${number(t.received)} conversations`, part.done);
        }
    } catch (error) {
        if (line > 0) work.show(drawImport(file.name, t, false));
        if (error.name === 'AbortError') throw error;
        if (!error.title) error.title = 'The file cannot be read';
        error.advice = [error.advice, line > 0 && `Lines up to ${number(line)} were taken and may be imported again.`]
            .filter(Boolean).join(' ');
        throw error;
    }
    return drawImport(file.name, t, true);
}

function importForm() {
    const file = fileInput();
    return workForm([h('h2', 'Import'),
        field('File', file, ['Conversations of parley, one JSON object a line, also packed with gzip: what ',
            h('i', 'Export'), ' writes. Exports of ChatGPT and Claude, their archives, and lists of messages ' +
            'are read by the command line, on the machine of this node: ', command('import FILE')])],
    'Import', (work) => work.begin(file.files[0].name, () =>
        importFile(work, file.files[0], api.session.space)), { class: 'card' });
}

// ---- Export ----

async function exportAll(work, space, kind) {
    const parts = [];
    let size = 0;
    let count = 0;
    let place = '';
    do {
        const { part, next } = await api.getPart(api.query('export', { namespace: space,
            limit_bytes: EXPORT_PART_BYTES }) + (place && `&after=${place}`), work.signal);
        const lines = (await part.text()).split('\n').filter(Boolean);
        parts.push(kind === 'md' ? lines.map((line) => markdown(JSON.parse(line))).join('') : part);
        size += part.size;
        count += lines.length;
        place = next; // the node has encoded it
        work.tell(`${plural(count, 'conversation')}, ${bytes(size)}`);
    } while (place);
    const name = nameFile(space, kind);
    save(parts, name);
    return h('p', badge('good', 'exported'), ` ${plural(count, 'conversation')} as `,
        h('span', { dir: 'auto', class: 'wrap' }, name));
}

function exportForm() {
    const kind = select([['jsonl', 'JSON lines: everything, for import'], ['md', 'Markdown: to read']]);
    return workForm([h('h2', 'Export'), field('As', kind, ['All conversations of the namespace. The browser ' +
        'holds the file until it is whole; a very large one is better written by ', command('export FILE')])],
    'Export', (work) => work.begin('Export', () =>
        exportAll(work, api.session.space, kind.value)), { class: 'card' });
}

// ---- Bundles ----

async function createBundle(work, space, from) {
    const status = await api.get('status', work.signal);
    const parts = [];
    let size = 0;
    let query = from;
    while (query) {
        const { part, next } = await api.getPart(api.query('bundle', { namespace: space, ...query }), work.signal);
        parts.push(part);
        size += part.size;
        query = next && { since: next };
        work.tell(bytes(size));
    }
    save(parts, nameFile(space, 'bundle'));
    return { size, upto: `${status.incarnation.slice(0, 8)}:${status.head}` };
}

function createForm(from) {
    const place = h('input', { maxlength: 64, spellcheck: 'false', placeholder: '1a2b3c4d:4711' });
    const placeField = field('The place', place, 'What the last bundle said.');
    const look = () => { placeField.hidden = from.value !== 'place'; };
    const choose = () => (from.value === 'all' ? {} : from.value === 'place' ? { since: place.value.trim() }
        : { peer: from.value });
    from.addEventListener('change', look);
    look();
    return workForm([h('h3', 'Make one'), field('Of this namespace', from), placeField],
        'Make a bundle', (work) => work.begin('Bundle', async () => {
            const made = await createBundle(work, api.session.space, choose());
            place.value = made.upto;
            return [h('p', badge('good', 'made'), ` ${bytes(made.size)}, up to the place `,
                h('code', made.upto)), h('p.hint', 'It is signed, not encrypted. When it was ' +
                'applied there, the next one may begin after that place.')];
        }));
}

const COUNTS = [['versions_new', 'New'], ['known', 'There already'], ['lost', 'Older, now in the history'],
    ['held', 'From the future, held until then'], ['refused', 'Refused: the peer may not write them'],
    ['passed_over', 'Passed over: perhaps deleted by now']];

async function applyBundle(work, file) {
    const sums = {};
    let last;
    for await (const { block, done } of cutBlocks(file)) {
        last = await api.post('bundle', 'application/octet-stream', block, work.signal);
        for (const [key] of COUNTS) sums[key] = (sums[key] || 0) + last[key];
        work.tell(plural(sums.versions_new, 'new version'), done);
    }
    const drawn = [h('p', badge('good', 'applied'), ` by ${shortId(last.maker)}, namespace `,
        h('b', { dir: 'auto' }, last.namespace), ', up to ', h('code', last.upto)),
    facts(COUNTS.filter(([key], i) => i === 0 || sums[key] > 0).map(([key, name]) => [name, number(sums[key])]))];
    if (last.upto !== last.head) {
        work.show(drawn);
        throw trouble('The end is missing', 'The file was cut between two blocks.', 'Copy it again, and apply it again.');
    }
    return drawn;
}

function applyForm() {
    const file = fileInput();
    return workForm([h('h3', 'Apply one'), field('Bundle of another node', file, 'Twice, late or in another order ' +
        'does no harm.')], 'Apply', (work) => work.begin(file.files[0].name, () =>
        applyBundle(work, file.files[0])));
}

// ---- The view ----

let kept = { session: null }; // what is under way goes on behind other views

function makeForms() {
    const from = select([]);
    return { session: api.session.ended, from, forms: [
        h('div.two', importForm(), exportForm()),
        h('section.card', { 'aria-labelledby': 'bundles-h' }, h('h2', { id: 'bundles-h' }, 'Bundles'),
            h('p.dim', 'A sync by file, for two nodes that have met once (Access) and that no ' +
                'network joins.'), h('div.two', createForm(from), applyForm()))] };
}

function fillPeers(from, peers) {
    const chosen = from.value;
    const known = peers.filter((p) => p.kind !== 'http-legacy' && p.state !== 'revoked' && p.state !== 'pending');
    from.replaceChildren(...select([['all', 'everything'], ...known.map((p) => [p.backend_id,
        `what ${shortId(p.backend_id)} has not acknowledged`]), ['place', 'what came after a place']]).children);
    from.value = chosen || 'all';
    if (from.value === '') from.value = 'all'; // that peer is gone
    from.dispatchEvent(new Event('change'));
}

export async function data(body, _, signal) {
    const picker = await spacePicker(signal, () => {});
    const { peers } = await api.get('status', signal);
    if (kept.session !== api.session.ended) kept = makeForms();
    fillPeers(kept.from, peers);
    body.append(h('h1', 'Data'), h('div.card.fields', picker), ...kept.forms);
}
