/** `upstreams.X.auth`: what the gateway itself proves to an upstream. */
import { signatureAlgorithms } from '../../http/signature-algorithms.ts';
import { parseComponent } from '../../http/signature-base.ts';
import { isFieldValue } from '../../http/grammar.ts';
import { z } from '../../util/schema.ts';
import { duration } from '../../util/units.ts';
import { responseHeaderName } from './http-text.ts';
import { pem, secret } from './scalars.ts';

const visible = /^[\x21-\x7e]+$/;

/** A secret that is sent as it is. */
const secretValue = secret().refine((text) => isFieldValue(text) && text.trim() === text, {
  error: 'cannot be the value of a header: it has a line break, another control character or a blank at an end',
});

const bearer = secret().regex(/^[A-Za-z0-9._~+/-]+=*$/, {
  error: 'is not a bearer token: letters, digits and -._~+/ with = at the end',
});

const basic = z.strictObject({
  user: z
    .string()
    .regex(/^[^:\p{Cc}]*$/u, { error: 'a user name has no colon and no control character' })
    .describe('The user name.'),
  password: secret()
    .regex(/^\P{Cc}+$/u, { error: 'a password has no control character' })
    .describe('The password.'),
});

/** An absolute URL that a secret can be sent to. */
const endpoint = z.string().refine(
  (text) => {
    const url = URL.parse(text);
    return url !== null && /^https?:\/\//.test(text) && url.username === '' && url.password === '' && url.hash === '';
  },
  { error: 'write a URL such as https://login.example.com/token, without user, password and fragment' },
);

const clientCredentials = z
  .strictObject({
    tokenUrl: endpoint.optional().describe('Where tokens are given out.'),
    issuer: endpoint
      .optional()
      .describe('Instead of `tokenUrl`: the authorisation server, whose metadata says where (OIDC discovery).'),
    clientId: z.string().regex(visible, { error: 'is not printable ASCII' }).describe('Who the gateway is there.'),
    clientSecret: secret()
      .regex(/^\P{Cc}+$/u, { error: 'a secret has no control character' })
      .describe('Its secret.'),
    clientAuth: z
      .enum(['basic', 'post'])
      .default('basic')
      .describe('Whether they are sent as `Authorization: Basic`, or in the form.'),
    scope: z
      .union([z.string().transform((text) => [text]), z.array(z.string().regex(visible))])
      .default([])
      .describe('The scopes to ask for.'),
    audience: z.string().min(1).optional().describe('Whom the token is to be for, where the server asks for it.'),
    resource: z.string().min(1).optional().describe('The same, as RFC 8707 calls it.'),
    timeout: duration({ min: 1 }).prefault('5s').describe('How long an answer of the server may take.'),
    cooldown: duration({ min: 1 })
      .prefault('10s')
      .describe(
        'How often a token is asked for at most, whatever happens: an outage, or an upstream that answers 401.',
      ),
    tls: z
      .strictObject({
        ca: pem().optional().describe('The authorities, in PEM form, to trust instead of those of the system.'),
      })
      .prefault({})
      .describe('How the server is verified.'),
  })
  .refine(({ tokenUrl, issuer }) => (tokenUrl === undefined) !== (issuer === undefined), {
    error: 'give either tokenUrl or issuer',
  })
  .refine(({ tokenUrl, tls: { ca } }) => ca === undefined || tokenUrl === undefined || !tokenUrl.startsWith('http:'), {
    error: 'a http:// server is reached without TLS: write https://, or leave this out',
    path: ['tls', 'ca'],
  });

/** Fields that the gateway writes last of all, or that are not the same for the next hop. */
const unsignable =
  /^(?:content-length|transfer-encoding|connection|host|te|trailer|upgrade|keep-alive|signature(?:-input)?)$/;

const component = z
  .string()
  .refine((text) => parseComponent(text) !== null && !unsignable.test(text.toLowerCase().split(';')[0]), {
    error: 'write a derived component such as @method, or the name of a header that reaches the upstream as it is sent',
  });

const signature = z.strictObject({
  keyId: z
    .string()
    .regex(/^[\x20-\x7e]{1,256}$/, { error: 'is not printable ASCII' })
    .describe('What the upstream calls the key.'),
  algorithm: z.enum(signatureAlgorithms).describe('How it signs (RFC 9421, section 3.3).'),
  key: secret().describe('The secret of `hmac-sha256` (text, or `base64:…`), otherwise the private key in PEM form.'),
  components: z
    .array(component)
    .min(1, { error: 'the list is empty' })
    .default(['@method', '@authority', '@path', '@query', 'content-type', 'content-digest', 'x-consumer'])
    .describe(
      'What is signed of each request; headers only where it has them. `content-digest` is added where the whole body is ' +
        'known when the head is sent: to small ones, and to those that a policy keeps in memory.',
    ),
  label: z
    .string()
    .regex(/^[a-z*][a-z0-9_\-.*]{0,63}$/, { error: 'is not a label such as sig1' })
    .default('sig1')
    .describe('The label of the signature.'),
  tag: z
    .string()
    .regex(/^[\x20-\x7e]{1,128}$/, { error: 'is not printable ASCII of at most 128 characters' })
    .optional()
    .describe('What the signature is made for, for the upstream to look at.'),
  expires: duration({ min: 1000 }).optional().describe('How long it is good for. By default the upstream decides.'),
});

export const upstreamAuthSchema = z
  .strictObject({
    bearer: bearer.optional().describe('A token that is sent as `Authorization: Bearer`.'),
    basic: basic.optional().describe('A user name and password that are sent as `Authorization: Basic`.'),
    clientCredentials: clientCredentials
      .optional()
      .describe(
        "A token of the gateway's own, by the client credentials grant of OAuth 2.0; sent as `Authorization: Bearer`.",
      ),
    signature: signature.optional().describe('A signature of each request (RFC 9421).'),
    headers: z
      .record(responseHeaderName, secretValue)
      .default({})
      .describe('Headers with secrets, such as the key of an API.'),
  })
  .refine(
    ({ bearer: token, basic: password, clientCredentials: grant, signature: signed, headers }) => {
      const given = [token, password, grant, signed].filter((one) => one !== undefined).length;
      return given === 1 || (given === 0 && Object.keys(headers).length > 0);
    },
    { error: 'give one of bearer, basic, clientCredentials and signature, or only headers' },
  )
  .refine(
    ({ bearer: token, basic: password, clientCredentials: grant, signature: signed, headers }) => {
      const own = signed === undefined ? /^authorization$/i : /^signature(?:-input)?$/i;
      const isTaken = token !== undefined || password !== undefined || grant !== undefined || signed !== undefined;
      return !isTaken || !Object.keys(headers).some((name) => own.test(name));
    },
    { error: 'a header is given that the rest of auth sets itself' },
  );
