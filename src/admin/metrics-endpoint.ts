/** What a scraper asks for. */
import { metricsText } from '../gateway/metrics-text.ts';
import { chooseFormat } from '../telemetry/metrics/choose-format.ts';
import { metricsMediaTypes } from '../telemetry/metrics/exposition.ts';
import { adaptiveLimitsOf } from './adaptive-limits.ts';
import { controlEndpoint } from './endpoint.ts';

export const metricsEndpoint = controlEndpoint({
  method: 'GET',
  path: '/metrics',
  operationId: 'getMetrics',
  summary: 'What was counted and how it is, in the text format of Prometheus, or in that of OpenMetrics.',
  headers: { Accept: '`application/openmetrics-text; version=1.0.0` for OpenMetrics.' },
  answer: { type: 'text/plain', schema: null, others: ['application/openmetrics-text'] },
  async handle({ headers }, control) {
    const { version, isReady, revision, reloads } = control;
    const status = await control.status();
    const facts = { version, isReady, revision, reloads, adaptiveLimits: adaptiveLimitsOf(control) };
    const reading = { status, counts: control.counted(), control: facts };
    const format = chooseFormat(headers.accept ?? '');
    return {
      status: 200,
      text: metricsText(reading, format),
      type: metricsMediaTypes[format],
      headers: { vary: 'accept' },
    };
  },
});
