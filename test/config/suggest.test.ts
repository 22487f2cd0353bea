import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { suggest } from '../../src/config/suggest.ts';

suite('suggestions', () => {
  const words = ['listeners', 'upstreams', 'routes', 'timeouts', 'url'];

  test('find what was meant', () => {
    assert.equal(suggest('listener', words), 'listeners');
    assert.equal(suggest('upsteams', words), 'upstreams');
    assert.equal(suggest('ulr', words), 'url');
    assert.equal(suggest('Routes', words), 'routes');
    assert.equal(suggest('timeuots', words), 'timeouts');
  });

  test('say nothing rather than something far-fetched', () => {
    assert.equal(suggest('consumers', words), undefined);
    assert.equal(suggest('x', words), undefined);
    assert.equal(suggest('', words), undefined);
    assert.equal(suggest('routes'.repeat(1000), words), undefined);
  });

  test('prefer the nearest of several', () => {
    assert.equal(suggest('catalg', ['catalogs', 'catalog', 'catalogue']), 'catalog');
  });
});
