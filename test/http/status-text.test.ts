import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { test } from 'node:test';
import { statusText } from '../../src/http/status-text.ts';

test('every status has the text that Node has for it, and any other has none', () => {
  for (let status = 100; status < 1000; status++) {
    assert.equal(statusText(status), STATUS_CODES[status] ?? '', `${status}`);
  }
});
