// SPDX-License-Identifier: Apache-2.0
// QR codes (ISO/IEC 18004) of text: byte mode, level M, versions 1 to 20, 666 bytes at most.

// By version from 1: check bytes of a block, and how many blocks.
const CHECK = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];

// ---- The field of 256 elements, x^8 + x^4 + x^3 + x^2 + 1 ----

const EXP = new Uint8Array(512);
const LOG = new Uint8Array(256);
for (let i = 0, x = 1; i < 255; i++) {
    EXP[i] = EXP[i + 255] = x;
    LOG[x] = i;
    x = (x << 1) ^ (x & 0x80 ? 0x11d : 0);
}
const times = (a, b) => (a === 0 || b === 0 ? 0 : EXP[LOG[a] + LOG[b]]);

function checkBytes(data, count) {
    let generator = [1];
    for (let i = 0; i < count; i++) {
        const next = [...generator, 0];
        generator.forEach((g, k) => { next[k + 1] ^= times(g, EXP[i]); });
        generator = next;
    }
    const rest = new Uint8Array(data.length + count);
    rest.set(data);
    for (let i = 0; i < data.length; i++) {
        const factor = rest[i];
        generator.forEach((g, k) => { rest[i + k] ^= times(g, factor); });
    }
    return rest.slice(data.length);
}

// ---- Sizes ----

const sizeOf = (version) => 17 + 4 * version;

function alignments(version) {
    if (version === 1) return [];
    const count = Math.floor(version / 7) + 2;
    const last = sizeOf(version) - 7;
    const step = 2 * Math.ceil((last - 6) / (count - 1) / 2);
    const list = [6];
    for (let i = count - 2; i >= 0; i--) list.push(last - i * step);
    return list;
}

// All bytes that fit, data and check.
function room(version) {
    const size = sizeOf(version);
    const lines = alignments(version).length;
    let bits = size * size - 3 * 64 - 31 - 2 * (size - 16);
    if (lines > 0) bits -= 25 * (lines * lines - 3) - 10 * (lines - 2);
    if (version >= 7) bits -= 36;
    return bits >> 3;
}

const dataRoom = (version) => room(version) - CHECK[version - 1] * BLOCKS[version - 1];

// ---- The bytes ----

function encode(data, version) {
    const out = new Uint8Array(dataRoom(version));
    let at = 0;
    const put = (value, bits) => {
        for (let i = bits - 1; i >= 0; i--, at++) out[at >> 3] |= ((value >> i) & 1) << (7 - (at & 7));
    };
    put(4, 4);
    put(data.length, version < 10 ? 8 : 16);
    for (const byte of data) put(byte, 8);
    at = (Math.min(at + 4, out.length * 8) + 7) & ~7;
    for (let pad = 0xec; at < out.length * 8; pad ^= 0xec ^ 0x11) put(pad, 8);
    return out;
}

function interleave(data, version) {
    const count = BLOCKS[version - 1];
    const short = Math.floor(data.length / count);
    const blocks = [];
    for (let i = 0, from = 0; i < count; i++) {
        const len = short + (i >= count - data.length % count ? 1 : 0);
        const part = data.subarray(from, from + len);
        blocks.push({ part, check: checkBytes(part, CHECK[version - 1]) });
        from += len;
    }
    const out = [];
    for (let i = 0; i <= short; i++)
        for (const { part } of blocks) if (i < part.length) out.push(part[i]);
    for (let i = 0; i < CHECK[version - 1]; i++) for (const { check } of blocks) out.push(check[i]);
    return out;
}

// ---- The picture ----

function remainder(value, bits, polynomial, degree) {
    let rest = value << degree;
    for (let i = bits - 1; i >= 0; i--) if ((rest >> (i + degree)) & 1) rest ^= polynomial << i;
    return (value << degree) | rest;
}

function drawFixed(grid, fixed, version) {
    const size = grid.length;
    const set = (x, y, dark) => { grid[y][x] = dark; fixed[y][x] = true; };
    for (let i = 0; i < size; i++) {
        set(6, i, i % 2 === 0);
        set(i, 6, i % 2 === 0);
    }
    for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
        for (let dy = -4; dy <= 4; dy++) {
            for (let dx = -4; dx <= 4; dx++) {
                const far = Math.max(Math.abs(dx), Math.abs(dy));
                const [x, y] = [cx + dx, cy + dy];
                if (x >= 0 && y >= 0 && x < size && y < size) set(x, y, far !== 2 && far !== 4);
            }
        }
    }
    const lines = alignments(version);
    const end = lines.length - 1;
    lines.forEach((cy, i) => lines.forEach((cx, k) => {
        if ((i === 0 && k === 0) || (i === 0 && k === end) || (i === end && k === 0)) return;
        for (let dy = -2; dy <= 2; dy++)
            for (let dx = -2; dx <= 2; dx++)
                set(cx + dx, cy + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
    }));
    if (version < 7) return;
    const bits = remainder(version, 6, 0x1f25, 12);
    for (let i = 0; i < 18; i++) {
        const [a, b] = [size - 11 + i % 3, Math.floor(i / 3)];
        set(a, b, ((bits >> i) & 1) === 1);
        set(b, a, ((bits >> i) & 1) === 1);
    }
}

// Level M is 00, so the five bits are those of the mask.
function drawFormat(grid, fixed, mask) {
    const size = grid.length;
    const bits = remainder(mask, 5, 0x537, 10) ^ 0x5412;
    const set = (x, y, i) => { grid[y][x] = ((bits >> i) & 1) === 1; fixed[y][x] = true; };
    for (let i = 0; i < 15; i++) {
        if (i < 6) set(8, i, i);
        else if (i < 8) set(8, i + 1, i);
        else if (i === 8) set(7, 8, i);
        else set(14 - i, 8, i);
        if (i < 8) set(size - 1 - i, 8, i);
        else set(8, size - 15 + i, i);
    }
    grid[size - 8][8] = fixed[size - 8][8] = true;
}

function drawData(grid, fixed, bytes) {
    const size = grid.length;
    let at = 0;
    for (let right = size - 1; right >= 1; right -= 2) {
        if (right === 6) right = 5;
        for (let step = 0; step < size; step++) {
            const up = ((right + 1) & 2) === 0;
            const y = up ? size - 1 - step : step;
            for (const x of [right, right - 1]) {
                if (fixed[y][x]) continue;
                grid[y][x] = at < bytes.length * 8 && ((bytes[at >> 3] >> (7 - (at & 7))) & 1) === 1;
                at++;
            }
        }
    }
}

const MASKS = [
    (x, y) => (x + y) % 2, (x, y) => y % 2, (x) => x % 3, (x, y) => (x + y) % 3,
    (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2, (x, y) => (x * y) % 2 + (x * y) % 3,
    (x, y) => ((x * y) % 2 + (x * y) % 3) % 2, (x, y) => ((x + y) % 2 + (x * y) % 3) % 2,
];

function linePenalty(line) {
    let sum = 0;
    let run = 0;
    for (let i = 0; i < line.length; i++) {
        run = i > 0 && line[i] === line[i - 1] ? run + 1 : 1;
        if (run === 5) sum += 3;
        else if (run > 5) sum++;
    }
    const text = line.map((dark) => (dark ? 1 : 0)).join('');
    for (const pattern of ['10111010000', '00001011101'])
        for (let i = text.indexOf(pattern); i >= 0; i = text.indexOf(pattern, i + 1)) sum += 40;
    return sum;
}

function penalty(grid) {
    const size = grid.length;
    let sum = 0;
    let dark = 0;
    for (let i = 0; i < size; i++) {
        sum += linePenalty(grid[i]) + linePenalty(grid.map((row) => row[i]));
        dark += grid[i].filter(Boolean).length;
    }
    for (let y = 1; y < size; y++) {
        for (let x = 1; x < size; x++) {
            const one = grid[y][x];
            if (one === grid[y][x - 1] && one === grid[y - 1][x] && one === grid[y - 1][x - 1]) sum += 3;
        }
    }
    return sum + 10 * Math.floor(Math.abs(dark * 20 - size * size * 10) / (size * size));
}

// The rows of the code, true for dark, without the quiet zone; null when the text is too long.
export function qr(text) {
    const data = new TextEncoder().encode(text);
    let version = 1;
    const fits = () => data.length + (version < 10 ? 2 : 3) <= dataRoom(version);
    while (version <= CHECK.length && !fits()) version++;
    if (version > CHECK.length) return null;
    const size = sizeOf(version);
    const rows = (value) => Array.from({ length: size }, () => new Array(size).fill(value));
    const grid = rows(false);
    const fixed = rows(false);
    drawFixed(grid, fixed, version);
    drawFormat(grid, fixed, 0);
    drawData(grid, fixed, interleave(encode(data, version), version));
    let best = null;
    MASKS.forEach((mask, number) => {
        const masked = grid.map((row, y) => row.map((dark, x) =>
            (!fixed[y][x] && mask(x, y) === 0 ? !dark : dark)));
        drawFormat(masked, fixed, number);
        const cost = penalty(masked);
        if (best === null || cost < best.cost) best = { cost, masked };
    });
    return best.masked;
}
