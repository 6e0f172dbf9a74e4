// SPDX-License-Identifier: Apache-2.0
// A chart of rates over the last minutes: lines in one SVG, axes with labels, and the same in words.
import { h, svg } from './dom.js';

const HEIGHT = 190;
const LEFT = 68;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 38;

// 1, 2 or 5 times a power of ten, not below the value.
function roundUp(value) {
    const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
    return [1, 2, 5, 10].map((m) => m * power).find((v) => v >= value);
}

// `lines`: [{ name, class, of: (sample) => number }]; `format` makes the labels of the rate, and
// `least` is the end of its axis while there is less.
export class Chart {
    constructor(title, unit, seconds, lines, format, least) {
        Object.assign(this, { title, unit, seconds, lines, format, least, samples: [] });
        this.words = h('p.hint', 'Measuring…');
        this.place = h('div.chart');
        this.element = h('figure', h('figcaption', h('h3', title),
            h('ul.legend', lines.map((line) =>
                h('li', h('span', { class: `key ${line.class}`, 'aria-hidden': 'true' }),
                    line.name)))), this.place, this.words);
    }

    // `sample` has `at` in milliseconds.
    add(sample) {
        this.samples.push(sample);
        const oldest = sample.at - this.seconds * 1000;
        while (this.samples.length > 2 && this.samples[1].at < oldest) this.samples.shift();
        this.draw();
    }

    draw() {
        const width = Math.max(this.place.clientWidth, 260);
        const now = this.samples[this.samples.length - 1].at;
        const peak = Math.max(0, ...this.samples.flatMap((s) => this.lines.map((l) => l.of(s))));
        const top = roundUp(Math.max(peak, this.least));
        const x = (at) => LEFT + (width - LEFT - RIGHT) * (1 - (now - at) / (this.seconds * 1000));
        const y = (v) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - v / top);
        const said = this.lines.map((line) => {
            const last = line.of(this.samples[this.samples.length - 1]);
            return `${line.name} ${this.format(last)}${this.unit}`;
        }).join(', ');
        const text = `Now: ${said}. Highest shown: ${this.format(peak)}${this.unit}.`;
        this.words.textContent = text;
        this.place.replaceChildren(svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, width,
            height: HEIGHT, role: 'img', 'aria-label': `${this.title}. ${text}` },
        this.rateAxis(width, top, y), this.timeAxis(x),
        this.lines.map((line) => svg('path', { class: `line ${line.class}`,
            d: this.samples.filter((s) => x(s.at) >= LEFT - 1).map((s, i) =>
                `${i === 0 ? 'M' : 'L'}${x(s.at).toFixed(1)} ${y(line.of(s)).toFixed(1)}`)
                .join('') + 'h.1' }))));
    }

    rateAxis(width, top, y) {
        return [0, 0.5, 1].map((part) => svg('g',
            svg('line.grid', { x1: LEFT, x2: width - RIGHT, y1: y(top * part),
                y2: y(top * part) }),
            svg('text', { x: LEFT - 8, y: y(top * part) + 4, 'text-anchor': 'end' },
                this.format(top * part)))).concat(
            svg('text', { x: 12, y: (HEIGHT - BOTTOM) / 2 + 6, 'text-anchor': 'middle',
                class: 'axis', transform: `rotate(-90 12 ${(HEIGHT - BOTTOM) / 2 + 6})` },
            'per second'));
    }

    timeAxis(x) {
        const now = this.samples[this.samples.length - 1].at;
        const steps = this.seconds / 60;
        return Array.from({ length: steps + 1 }, (_, i) =>
            svg('text', { x: x(now - 60000 * (steps - i)), y: HEIGHT - BOTTOM + 17,
                'text-anchor': i === steps ? 'end' : 'middle' }, i === steps ? 'now' : steps - i))
            .concat(svg('text', { x: (x(now) + LEFT) / 2, y: HEIGHT - 4, 'text-anchor': 'middle',
                class: 'axis' }, 'minutes before now'));
    }
}
