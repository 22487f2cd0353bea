/** What `import … from 'gatewright/testing'` gives: to run a configuration in a test of one's own. */
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
export { ConfigError } from '../gateway/create-gateway.ts';
