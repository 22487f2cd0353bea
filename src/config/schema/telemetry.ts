/** `telemetry`: what the gateway tells about its traffic. */
import { z } from '../../util/schema.ts';
import { duration, percentage } from '../../util/units.ts';
import { headerName } from './http-text.ts';
import { integer, notAvailable, secret } from './scalars.ts';

const accessLog = z.strictObject({
  file: z.string().min(1).default('stdout').describe('`stdout`, `stderr`, or a file that lines are added to.'),
  format: z
    .enum(['json', 'text'])
    .default('json')
    .describe(
      '`json`: one object a line. `text`: the combined format of Apache and nginx, and behind it route, target, ' +
        'milliseconds, code, reason, request id and thread.',
    ),
  sample: percentage().prefault('100%').describe('The share of requests that are logged. Failures always are.'),
  redact: z
    .array(z.string().min(1))
    .default(['authorization', 'cookie', '?token'])
    .describe('Headers, and query parameters with a `?` before their name, whose values never appear.'),
  headers: z
    .array(headerName)
    .default([])
    .describe('Request headers that are logged in addition, as the upstream gets them.'),
});

const tracing = z.strictObject({
  otlp: z.string().min(1).describe('Where spans are sent: the URL of an OTLP/HTTP receiver.'),
  sample: percentage().prefault('5%').describe('The share of requests that are traced.'),
  serviceName: z.string().min(1).default('gatewright').describe('The name that the spans carry.'),
});

const debug = z.strictObject({
  secret: secret(32).describe(
    'What requests to be explained are signed with: at least 32 characters, best random ones.',
  ),
  maxAge: duration({ min: 1000, max: 3_600_000 })
    .prefault('5m')
    .describe('How far the time of a signature may be from the clock of the gateway.'),
});

export const telemetrySchema = z.strictObject({
  accessLog: z
    .union([z.literal(false).transform(() => null), accessLog], {
      error: 'write false or {file, format, sample, redact, headers}',
    })
    .prefault({})
    .describe('A line for every request; `false` for none.'),
  metrics: z
    .strictObject({
      maxSeries: integer(1, 10_000)
        .default(2000)
        .describe(
          'How many series of requests, upstreams and policies are told apart; what is beyond goes to `other`. A histogram counts once.',
        ),
    })
    .prefault({})
    .describe('Counters and histograms on the admin port.'),
  debug: debug
    .optional()
    .describe('Explains live requests that are signed, in the header `gatewright-debug` of their responses.'),
  tracing: notAvailable(tracing).optional().describe('OpenTelemetry traces.'),
});
