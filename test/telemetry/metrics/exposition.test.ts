import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { chooseFormat } from '../../../src/telemetry/metrics/choose-format.ts';
import { type ExposedFamily, writeMetrics } from '../../../src/telemetry/metrics/exposition.ts';
import { parseMetrics } from '../../support/metrics-parser.ts';

const counter: ExposedFamily = {
  name: 'cats_total',
  type: 'counter',
  help: 'Cats "so far",\nwith a \\.',
  labels: ['name', 'colour'],
  samples: [
    { labels: ['Tom', 'a "b" \\ \n c'], value: 3 },
    { labels: ['', '\ud800'], value: 1e21 },
  ],
};
const histogram: ExposedFamily = {
  name: 'nap_seconds',
  type: 'histogram',
  help: 'Naps.',
  labels: ['cat'],
  bounds: [0.5, 1, 60],
  samples: [{ labels: ['Tom'], value: 62.25, buckets: [1, 0, 2, 3] }],
};
const info: ExposedFamily = {
  name: 'house_info',
  type: 'info',
  help: 'The house.',
  labels: ['number'],
  samples: [{ labels: ['7'], value: 1 }],
};
const gauge: ExposedFamily = {
  name: 'mood',
  type: 'gauge',
  help: 'Moods.',
  labels: [],
  samples: [{ labels: [], value: -Infinity }],
};
const all = [counter, histogram, info, gauge];

describe('the text of metrics', () => {
  it('is the Prometheus text format 0.0.4', () => {
    assert.equal(
      writeMetrics(all, 'prometheus'),
      `# HELP cats_total Cats "so far",\\nwith a \\\\.
# TYPE cats_total counter
cats_total{name="Tom",colour="a \\"b\\" \\\\ \\n c"} 3
cats_total{name="",colour="\ufffd"} 1e+21
# HELP nap_seconds Naps.
# TYPE nap_seconds histogram
nap_seconds_bucket{cat="Tom",le="0.5"} 1
nap_seconds_bucket{cat="Tom",le="1.0"} 1
nap_seconds_bucket{cat="Tom",le="60.0"} 3
nap_seconds_bucket{cat="Tom",le="+Inf"} 6
nap_seconds_sum{cat="Tom"} 62.25
nap_seconds_count{cat="Tom"} 6
# HELP house_info The house.
# TYPE house_info gauge
house_info{number="7"} 1
# HELP mood Moods.
# TYPE mood gauge
mood -Inf
`,
    );
  });

  it('is OpenMetrics 1.0: families without the suffix of their samples, units, an end', () => {
    const text = writeMetrics(all, 'openmetrics');
    assert.ok(text.startsWith('# HELP cats Cats \\"so far\\",\\nwith a \\\\.\n# TYPE cats counter\ncats_total{'));
    assert.ok(text.includes('# TYPE nap_seconds histogram\n# UNIT nap_seconds seconds\nnap_seconds_bucket{'));
    assert.ok(text.includes('# TYPE house info\nhouse_info{'));
    assert.ok(text.endsWith('mood -Inf\n# EOF\n'));
    const samples = (lines: string): string[] => lines.split('\n').filter((line) => !line.startsWith('#'));
    assert.deepEqual(samples(text), samples(writeMetrics(all, 'prometheus')));
  });

  it('can be read again, whatever labels and help have in them', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(
        text,
        fc.uniqueArray(fc.tuple(text, text), {
          selector: (pair) => JSON.stringify(pair.map((one) => one.toWellFormed())),
        }),
        fc.constantFrom('prometheus' as const, 'openmetrics' as const),
        (help, labels, format) => {
          const samples = labels.map((pair, index) => ({ labels: pair, value: index }));
          const [family] = parseMetrics(writeMetrics([{ ...counter, help, samples }], format), format).values();
          assert.equal(family.help, help.toWellFormed());
          assert.deepEqual(
            [...family.samples.values()],
            labels.map((_, index) => index),
          );
        },
      ),
    );
  });
});

describe('the parser of the tests', () => {
  const good = writeMetrics(all, 'openmetrics');

  it('reads what is right', () => {
    assert.deepEqual([...parseMetrics(good, 'openmetrics').keys()], ['cats', 'nap_seconds', 'house', 'mood']);
  });

  for (const [what, from, to] of [
    ['no end', '# EOF\n', ''],
    ['something behind the end', '# EOF\n', '# EOF\nmood 1\n'],
    ['a total without its suffix', 'cats_total{name="Tom"', 'cats{name="Tom"'],
    ['a series that comes twice', 'mood -Inf\n', 'mood -Inf\nmood 2\n'],
    ['a family that comes twice', '# HELP mood', '# HELP cats'],
    ['no type', '# TYPE mood gauge\n', ''],
    ['a type behind the samples', '# TYPE mood gauge\nmood -Inf\n', 'mood -Inf\n# TYPE mood gauge\n'],
    ['an empty line', 'mood -Inf\n', '\nmood -Inf\n'],
    ['a label that is not quoted', 'cat="Tom",le="0.5"', 'cat=Tom,le="0.5"'],
    ['a quote that is not escaped', 'a \\"b', 'a "b'],
    ['an escape that is none', 'a \\"b', 'a \\x'],
    ['a comma too much', 'number="7"', 'number="7",'],
    ['no number', 'mood -Inf', 'mood -Infinity'],
    ['a unit that is not the end of the name', '# UNIT nap_seconds seconds', '# UNIT nap_seconds bytes'],
    ['a bucket too few', 'nap_seconds_bucket{cat="Tom",le="+Inf"} 6\n', ''],
    ['buckets that descend', 'le="1.0"} 1', 'le="1.0"} 0'],
    ['bounds out of order', 'le="60.0"', 'le="0.75"'],
    ['a count that is not the sum of the buckets', 'count{cat="Tom"} 6', 'count{cat="Tom"} 5'],
    ['info that is not 1', 'house_info{number="7"} 1', 'house_info{number="7"} 2'],
    ['a counter below 0', 'c"} 3', 'c"} -3'],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.ok(good.includes(from));
      assert.throws(() => parseMetrics(good.replace(from, to), 'openmetrics'));
    });
  }
});

describe('which format a scraper gets', () => {
  const prometheus3 =
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,' +
    'application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,' +
    'text/plain;version=0.0.4;q=0.3,*/*;q=0.2';
  for (const [accept, format] of [
    ['', 'prometheus'],
    ['*/*', 'prometheus'],
    ['text/html, */*;q=0.1', 'prometheus'],
    ['text/plain;version=0.0.4', 'prometheus'],
    ['application/openmetrics-text', 'openmetrics'],
    ['Application/OpenMetrics-Text; Version="1.0.0"', 'openmetrics'],
    [prometheus3, 'openmetrics'],
    ['application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5', 'prometheus'],
    ['application/openmetrics-text;q=0', 'prometheus'],
    ['application/openmetrics-text;q=nonsense', 'prometheus'],
    ['application/openmetrics-text;q=0.3,text/plain;q=0.5', 'prometheus'],
    ['application/openmetrics-text;q=0.5,text/plain;q=0.5', 'openmetrics'],
    ['application/openmetrics-text;version=2.0.0', 'prometheus'],
    ['application/json', 'prometheus'],
    [`${'a/b,'.repeat(1000)}application/openmetrics-text`, 'prometheus'],
  ]) {
    it(`is ${format} for ${JSON.stringify(accept.slice(0, 60))}`, () => assert.equal(chooseFormat(accept), format));
  }
});
