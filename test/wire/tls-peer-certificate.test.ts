import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { describeCertificate, parseAltNames } from '../../src/wire/tls/peer-certificate.ts';
import { makeCertificate } from '../support/certificates.ts';

const describePem = (pem: string): ReturnType<typeof describeCertificate> =>
  describeCertificate(new X509Certificate(pem));

describe('describeCertificate', () => {
  it('gives the name as one line, most specific part first', () => {
    const { cert } = makeCertificate({ organization: 'Example, Inc. + friends', commonName: 'mobile\nCN=admin' });
    const { subject } = describePem(cert);
    assert.equal(subject.split('\n').length, 1);
    assert.match(subject, /^CN=mobile.*,O=Example\\, Inc\. \\\+ friends$/);
    assert.ok(!subject.startsWith('CN=admin'));
  });

  it('has no alternative names where there are none', () => {
    assert.deepEqual(describePem(makeCertificate().cert).altNames, []);
    assert.deepEqual(parseAltNames(''), []);
  });

  it('never takes one alternative name for two, whatever is in it: CVE-2021-44532', () => {
    const part = fc.constantFrom(
      ', ',
      'DNS:admin.example',
      '"',
      '\\',
      '\0',
      '\n',
      '\r',
      ':',
      'é',
      '\x7f',
      '\\u0022',
      'x',
    );
    const hostile = fc.oneof(
      fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
      fc.string({ maxLength: 30 }),
    );
    fc.assert(
      fc.property(fc.constantFrom('DNS', 'URI'), hostile, (kind, name) => {
        const latin1 = Buffer.from(name, 'latin1').toString('latin1');
        const { altNames } = describePem(makeCertificate({ altNames: [`${kind}:${latin1}`, 'DNS:end.example'] }).cert);
        assert.equal(altNames.length, 2, JSON.stringify(altNames));
        assert.ok(altNames[0].startsWith(`${kind}:`));
        assert.equal(altNames[1], 'DNS:end.example');
        if (/^[\x21-\x7e]*$/.test(latin1)) assert.equal(altNames[0], `${kind}:${latin1}`);
      }),
      { numRuns: 300 },
    );
  });
});
