/** What `import … from 'gatewright/testing'` gives: to run a configuration in a test of one's own, and to measure a limit. */
export { testGateway } from './test-gateway.ts';
export type { TestGateway, TestGatewayOptions, TestLogLine, TestRequestOptions, TestResponse } from './test-gateway.ts';
export type {
  FakeAnswer,
  FakeFailure,
  FakeHeaders,
  FakeResponse,
  ReceivedRequest,
  UpstreamHandler,
} from './fake-answer.ts';
export type { Duration, TestTime } from './test-clock.ts';
export { measureLimit } from './limits/measure-limit.ts';
export { LimitTestError, type LimitTestOptions } from './limits/limit-test-options.ts';
export type { LimitFinding, LimitMeasurement, SpanCount } from './limits/limit-measurement.ts';
export type { LimitAlgorithm, PromisedLimit } from './limits/promised-limit.ts';
export type { HeaderSummary } from './limits/told-limits.ts';
export type { WaitingResult } from './limits/waiting-client.ts';
export { ConfigError } from '../gateway/create-gateway.ts';
