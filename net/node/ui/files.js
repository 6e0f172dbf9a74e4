// SPDX-License-Identifier: Apache-2.0
// Files of the operator's device: work that takes a while, what is cut out of a file, and what is
// given to be saved.
import * as api from './api.js';
import { clock, h, say } from './dom.js';

// ---- Work that goes on while other views are looked at, until it is done or stopped ----

// `element` shows how far it is, then how it ended. A page that is closed meanwhile asks first.
export class Work {
    constructor() {
        this.place = h('div.view');
        this.end = h('div', { role: 'status', class: 'view' });
        this.element = h('div.work', this.place, this.end);
        this.stop = new AbortController();
    }

    // `run(work)` returns what to show at its end; `work.signal` ends it.
    async begin(name, run) {
        const ask = (event) => event.preventDefault();
        const stop = h('button', { type: 'button', on: { click: () => this.stop.abort() } }, 'Stop');
        this.stop = new AbortController();
        this.signal = AbortSignal.any([this.stop.signal, api.session.ended.signal]);
        this.bar = h('progress');
        this.words = h('span');
        this.place.replaceChildren(h('label.progress', h('span', name, ': ', this.words),
            this.bar), h('div.row', stop));
        this.show();
        addEventListener('beforeunload', ask);
        try {
            this.show(await run(this));
            if (!this.element.isConnected) say(`${name}: done.`);
        } catch (error) {
            if (error.name === 'AbortError') this.show(h('p', 'Stopped. What was taken before stays.'));
            throw error;
        } finally {
            removeEventListener('beforeunload', ask);
            if (document.activeElement === stop) this.element.parentNode.querySelector('.main').focus();
            this.place.replaceChildren();
        }
    }

    // `part` of one, where it is known.
    tell(words, part) {
        this.words.textContent = words;
        if (part !== undefined) this.bar.value = part;
    }

    show(...parts) {
        this.end.replaceChildren(...parts.flat(Infinity).filter(Boolean));
    }
}

export function trouble(title, detail, advice) {
    return Object.assign(new Error(detail), { title, advice });
}

// ---- Lines of a file ----

const PART_BYTES = 768 << 10; // as parley import sends them
const READ_BYTES = 64 << 10;
const LINE_BYTES_MAX = 63 << 20; // what the node takes is a little more
const NEWLINE = 10;

async function isPacked(file) {
    const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
    return start[0] === 0x1f && start[1] === 0x8b;
}

function countLines(bytes) {
    let count = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
    return count;
}

// Whole lines, about a part of a request at a time: { body, first, lines, done }. `first` is the
// number of the first of them, `done` how much of the file was read, of one. A line that is too
// long comes as { long: number }. The file may be packed with gzip.
export async function* cutLines(file, signal) {
    let read = 0;
    let stream = new ReadableStream({ async pull(to) {
        signal.throwIfAborted();
        const piece = await file.slice(read, read + READ_BYTES).arrayBuffer();
        read += piece.byteLength;
        if (piece.byteLength === 0) to.close();
        else to.enqueue(new Uint8Array(piece));
    } }, { highWaterMark: 0 }); // not ahead of the node: `done` is what it has
    if (await isPacked(file)) stream = stream.pipeThrough(new DecompressionStream('gzip'));
    const reader = stream.getReader();
    let whole = []; // lines
    let tail = []; // of a line whose end is not here yet
    let first = 1;
    let skipping = false; // the rest of a line that is too long
    const size = (pieces) => pieces.reduce((sum, piece) => sum + piece.length, 0);
    const give = () => {
        const lines = whole.reduce((sum, piece) => sum + countLines(piece), 0);
        const part = { body: new Blob(whole), first, lines, done: read / file.size };
        first += lines;
        whole = [];
        return part;
    };
    for (;;) {
        let { value, done } = await reader.read();
        if (done) break;
        if (skipping) {
            const end = value.indexOf(NEWLINE) + 1;
            value = value.subarray(end || value.length);
            if (end === 0) continue;
            first++;
            skipping = false;
        }
        const end = value.lastIndexOf(NEWLINE) + 1;
        if (end > 0) {
            whole.push(...tail, value.subarray(0, end));
            tail = [];
        }
        tail.push(value.subarray(end));
        const long = size(tail) > LINE_BYTES_MAX;
        if (size(whole) >= PART_BYTES || (long && whole.length > 0)) yield give();
        if (long) {
            yield { long: first };
            tail = [];
            skipping = true;
        }
    }
    whole.push(...tail);
    if (size(whole) > 0) yield give();
}

// ---- Blocks of a bundle: PROTOCOL, "Bundles" ----

export async function* cutBlocks(file) {
    const cut = trouble('This is no whole bundle', 'The file is no bundle, or its end is missing.',
        'Copy it again. What was taken of it may be taken again.');
    const view = async (at, length) => {
        if (at + length > file.size) throw cut;
        return new DataView(await file.slice(at, at + length).arrayBuffer());
    };
    for (let at = 0; at < file.size || at === 0;) {
        const signature = at + 4 + (await view(at, 4)).getUint32(0);
        const end = signature + 2 + (await view(signature, 2)).getUint16(0);
        if (end > file.size) throw cut;
        yield { block: file.slice(at, end), done: end / file.size };
        at = end;
    }
}

// ---- What is saved ----

export function save(parts, name) {
    const url = URL.createObjectURL(new Blob(parts));
    h('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000); // a slow disk still reads it
}

// "parley-main-2026-11-28.jsonl"
export const nameFile = (what, end) => `parley-${what}-${clock(new Date()).slice(0, 10)}.${end}`;

// As parley export writes it.
export function markdown(talk) {
    const line = (text) => text.replace(/[\r\n]/g, ' ');
    const time = (iso) => (iso || '').replace(/^(.{10})T(.{8}).*/, '$1 $2 UTC');
    return `# ${line(talk.title || talk.conversation_id)}\n\nConversation \`${line(talk.conversation_id)}\`, ` +
        `updated ${time(talk.updated_at)}\n\n` + talk.messages.map((m) =>
        `## ${line(m.role)}, ${time(m.timestamp)}\n\n${m.content}\n\n`).join('');
}
