import { definePolicy } from '../contract.ts';
import { z } from '../util/schema.ts';
import { duration } from '../util/units.ts';
import { headerValue } from './header-options.ts';

const TEN_YEARS_MS = 3653 * 86_400_000;

const off = z.literal(false);

const hsts = z
  .strictObject({
    maxAge: duration({ max: TEN_YEARS_MS })
      .prefault('365d')
      .describe('For how long browsers use nothing but https for this host.'),
    includeSubDomains: z
      .boolean()
      .default(false)
      .describe('Also for all hosts below this one. Off by default: the gateway may not be in front of all of them.'),
    preload: z.boolean().default(false).describe('Consent to the lists of https-only hosts that browsers ship.'),
  })
  .refine(({ includeSubDomains, preload }) => includeSubDomains || !preload, {
    message: 'the lists of browsers take a host only with all its subdomains: set "includeSubDomains" as well',
    path: ['preload'],
  });

const options = z.strictObject({
  hsts: z
    .union([off, hsts], { error: 'write false, or maxAge, includeSubDomains and preload' })
    .prefault({})
    .describe('`Strict-Transport-Security` (RFC 6797), sent over https only; `false` for none.'),
  contentTypeOptions: z
    .boolean()
    .default(true)
    .describe('`X-Content-Type-Options: nosniff`: browsers do not guess another content type.'),
  framing: z
    .literal([false, 'none', 'self'])
    .default('none')
    .describe(
      'Which pages may show the response in a frame: no page, or pages of the same origin; `false` to say nothing. ' +
        'Sets `X-Frame-Options` and, without a policy of your own, `Content-Security-Policy: frame-ancestors`.',
    ),
  contentSecurityPolicy: headerValue
    .min(1)
    .optional()
    .describe('`Content-Security-Policy`, instead of the one that only says who may frame.'),
  referrerPolicy: z
    .literal([
      false,
      'no-referrer',
      'no-referrer-when-downgrade',
      'origin',
      'origin-when-cross-origin',
      'same-origin',
      'strict-origin',
      'strict-origin-when-cross-origin',
      'unsafe-url',
    ])
    .default('strict-origin-when-cross-origin')
    .describe(
      '`Referrer-Policy`: how much of its own address a page tells the pages that it links to; `false` for none.',
    ),
  permissionsPolicy: z
    .union([off, headerValue.min(1)], { error: 'write the value of the header, or false' })
    .default('camera=(), geolocation=(), microphone=()')
    .describe('`Permissions-Policy`: which features of the browser pages may use; `false` for none.'),
  crossOriginOpenerPolicy: z
    .literal([false, 'same-origin', 'same-origin-allow-popups', 'noopener-allow-popups', 'unsafe-none'])
    .default('same-origin')
    .describe('`Cross-Origin-Opener-Policy`: which windows share a browsing context with the page; `false` for none.'),
  crossOriginResourcePolicy: z
    .literal([false, 'same-origin', 'same-site', 'cross-origin'])
    .default(false)
    .describe('`Cross-Origin-Resource-Policy`: whose pages may embed the response without CORS; `false` for none.'),
  override: z
    .boolean()
    .default(false)
    .describe('Replace what the upstream says. By default a header that the response has already is left alone.'),
});

type SecurityOptions = z.output<typeof options>;
type Field = readonly [name: string, value: string];

/** Adds the headers that switch on the defences of browsers. */
export const securityHeaders = definePolicy({
  name: 'securityHeaders',
  summary: 'Adds the response headers that switch on the defences of browsers.',
  options,
  create(securityOptions) {
    const plain = fieldsOf(securityOptions);
    const secure = [...plain, ...hstsOf(securityOptions)];
    const { override } = securityOptions;
    return {
      onResponse({ scheme, responseHeaders }) {
        // RFC 6797, section 7.2: a server must not send Strict-Transport-Security over an insecure transport.
        const fields = scheme === 'https' ? secure : plain;
        for (let i = 0; i < fields.length; i++) {
          const [name, value] = fields[i];
          if (override) responseHeaders.set(name, value);
          else if (!responseHeaders.has(name)) responseHeaders.add(name, value);
        }
      },
    };
  },
});

function fieldsOf(from: SecurityOptions): Field[] {
  const candidates: (readonly [name: string, value: string | false])[] = [
    ['x-content-type-options', from.contentTypeOptions && 'nosniff'],
    ['x-frame-options', from.framing && (from.framing === 'none' ? 'DENY' : 'SAMEORIGIN')],
    ['content-security-policy', from.contentSecurityPolicy ?? (from.framing && `frame-ancestors '${from.framing}'`)],
    ['referrer-policy', from.referrerPolicy],
    ['permissions-policy', from.permissionsPolicy],
    ['cross-origin-opener-policy', from.crossOriginOpenerPolicy],
    ['cross-origin-resource-policy', from.crossOriginResourcePolicy],
  ];
  return candidates.filter((field): field is Field => field[1] !== false);
}

function hstsOf({ hsts: strict }: SecurityOptions): Field[] {
  if (strict === false) return [];
  const maxAge = `max-age=${Math.floor(strict.maxAge / 1000)}`;
  const value = `${maxAge}${strict.includeSubDomains ? '; includeSubDomains' : ''}${strict.preload ? '; preload' : ''}`;
  return [['strict-transport-security', value]];
}
