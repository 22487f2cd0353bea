import {
  type Authenticator,
  type Consumer,
  type Credential,
  type PeerCertificate,
  Refusal,
  definePolicy,
} from '../contract.ts';
import { z } from '../util/schema.ts';
import { authenticating, commonOptions } from './authentication/authenticating.ts';

const options = z.strictObject({
  optional: commonOptions.optional,
  sans: z
    .array(
      z.string().regex(/^(?:DNS|URI|email|IP):./, {
        error: 'write a kind and a name: DNS:…, URI:…, email:… or IP:…',
      }),
    )
    .min(1)
    .optional()
    .describe(
      'Subject alternative names, one of which the certificate must have. By default any certificate will do that an authority of the listener has issued.',
    ),
});

const missing = new Refusal('missing', 'no client certificate');
const other = new Refusal('invalid', 'a client certificate with none of the names');

/** Says who calls by the certificate that the listener has verified when the connection was made (RFC 8446, section 4.4.2). */
export const mtls = definePolicy({
  name: 'mtls',
  summary: 'Lets requests pass whose connection has a client certificate that the listener has verified.',
  options,
  provides: ['consumer'],
  create({ optional, sans }, env) {
    const wanted = sans === undefined ? null : new Set(sans);
    const credentials = new CertificateCredentials();
    const authenticator: Authenticator = {
      challenge: 'ClientCertificate',
      authenticate({ peer: { certificate } }) {
        if (certificate === null) return missing;
        if (wanted !== null && !certificate.altNames.some((name) => wanted.has(name))) return other;
        return credentials.of(certificate, env.consumers.byCertificate(certificate) ?? null);
      },
      // It is the connection's, and the upstream has another one.
      conceal() {},
    };
    return authenticating(authenticator, { optional, forward: false }, env);
  },
});

/** One for all requests of a connection. */
class CertificateCredentials {
  private readonly made = new WeakMap<PeerCertificate, Credential>();

  of(certificate: PeerCertificate, consumer: Consumer | null): Credential {
    const made = this.made.get(certificate);
    if (made !== undefined && made.consumer === consumer) return made;
    const { subject } = certificate;
    const credential = Object.freeze({ method: 'mtls', subject, consumer, claims: noClaims, scopes: noScopes });
    this.made.set(certificate, credential);
    return credential;
  }
}

const noClaims = Object.freeze({});
const noScopes: readonly string[] = Object.freeze([]);
