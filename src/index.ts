/** What `import … from 'gatewright'` gives: to write configurations and policies in TypeScript, and to embed a gateway. */
export { Refusal, defineBalancer, defineLimitKey, definePolicy } from './contract.ts';
export type {
  Authenticator,
  Balancer,
  BalancerDefinition,
  BalancerTarget,
  CallRequest,
  CallResponse,
  Capability,
  Claims,
  Consumer,
  Credential,
  Exchange,
  HeaderList,
  LimitKeyFunction,
  MaybePromise,
  Outcome,
  Peer,
  PeerCertificate,
  Policy,
  PolicyDefinition,
  PolicyEnv,
  RefusalKind,
  Reply,
  RequestView,
  RouteInfo,
  UpstreamRequest,
} from './contract.ts';
export { errors, type ErrorCode, type ErrorEntry, type ErrorSource } from './errors.ts';
export { authenticating, commonOptions as authenticationOptions } from './policies/authentication/authenticating.ts';
export { defineRule, type RuleDefinition } from './policies/define-rule.ts';
export { z } from './util/schema.ts';
export { defineGateway } from './config/define-gateway.ts';
export { ConfigError, createGateway, type EmbeddedGateway } from './gateway/create-gateway.ts';
export { ListenError, type GatewayStatus, type ListenerAddress } from './gateway/gateway.ts';
