/** What `import … from 'gatewright'` gives: to write configurations and policies in TypeScript, and to embed a gateway. */
export { defineBalancer, definePolicy } from './contract.ts';
export type {
  Balancer,
  BalancerDefinition,
  BalancerTarget,
  CallRequest,
  CallResponse,
  Capability,
  Consumer,
  Exchange,
  HeaderList,
  MaybePromise,
  Outcome,
  Peer,
  PeerCertificate,
  Policy,
  PolicyDefinition,
  PolicyEnv,
  Reply,
  RouteInfo,
  UpstreamRequest,
} from './contract.ts';
export { errors, type ErrorCode, type ErrorEntry, type ErrorSource } from './errors.ts';
export { z } from './util/schema.ts';
export { defineGateway } from './config/define-gateway.ts';
export { ConfigError, createGateway, type EmbeddedGateway } from './gateway/create-gateway.ts';
export { ListenError, type GatewayStatus, type ListenerAddress } from './gateway/gateway.ts';
