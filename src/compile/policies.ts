/** Makes the policies of a configuration: each use once, those that combine others after these. */
import { resolve as resolvePath } from 'node:path';
import type {
  Authenticator,
  Counter,
  DocumentSource,
  GatewayIdentity,
  InnerPolicy,
  LimitKeyFunction,
  LimiterSource,
  MaybePromise,
  Policy,
  PolicyCounterLabels,
  PolicyCounterName,
  PolicyDefinition,
  PolicyEnv,
  RemoteDocument,
  StoreUse,
  ValueStore,
} from '../contract.ts';
import { innerUses } from '../config/inner-uses.ts';
import type { Path } from '../config/problem.ts';
import type { GatewayConfig, Importance, PolicyUse } from '../config/schema.ts';
import { compileChain, type NamedPolicy, type PolicyChain } from '../proxy/route.ts';
import type { ImportanceClass, Shedding } from '../proxy/shedding.ts';
import type { Clock } from '../util/clock.ts';
import { IpSet } from '../util/ip-set.ts';
import type { Lease } from '../util/keep.ts';
import { Timer, type TimerWheel } from '../wire/timer-wheel.ts';
import { CompileError } from './compile-error.ts';
import { CallerImportance, classOf } from './shedding.ts';
import { createIdentity } from './identity.ts';

/** What a thread gives to its policies, whichever configuration they are part of. */
export interface PolicyServices extends Pick<
  PolicyEnv,
  'consumers' | 'damping' | 'sharedMemory' | 'call' | 'limits' | 'bans'
> {
  /** A share in a document: the last who lets go of it ends its being fetched. */
  document(source: DocumentSource): Lease<RemoteDocument>;
  /**
   * A share in a store: the last who lets go of it ends the connection. `ready` rejects when it can never be used.
   * @param onProblem told, for the log, when an outage begins and when it is over.
   * @throws when the configuration has no such store.
   */
  store(name: string, config: GatewayConfig, onProblem: (message: string) => void): Lease<StoreShare>;
  /** See `PolicyEnv.counter`. */
  counter<Name extends PolicyCounterName>(route: string, name: Name, labels: PolicyCounterLabels<Name>): Counter;
}

export interface StoreShare {
  readonly values: ValueStore;
  /** What limits are counted in there. Rejects as `ready` does. */
  limits(use: StoreUse): Promise<LimiterSource>;
  readonly ready: Promise<void>;
}

export interface PolicyMakerEnv {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly services: PolicyServices;
  readonly shedding: Shedding;
  /** The definition of a policy use: from the registry, or from the module that it names. */
  definitionOf(use: PolicyUse): PolicyDefinition;
  /** The function that a file exports, by absolute path. @throws when there is none. */
  functionIn(path: string): LimitKeyFunction;
  /** A line in the application log. */
  warn(message: string, about: Readonly<Record<string, string>>): void;
}

/** Where a policy runs. */
interface Place {
  readonly route: string;
  /** Where it is written. */
  readonly path: Path;
  /** One object for the policies of the route. */
  /** What those before it authenticate with; those that combine others count as one. */
  readonly earlier: () => readonly Authenticator[];
}

const noPolicies = compileChain([]);

export class PolicyMaker {
  private readonly config: GatewayConfig;
  private readonly env: PolicyMakerEnv;
  /** What policies have asked for that has to be let go with the configuration. */
  private readonly leases: Lease<unknown>[];
  private readonly importance: CallerImportance;
  private identity: GatewayIdentity | null = null;
  private trusted: IpSet | null = null;
  /** What the policies have called secret of a request: see `Policy.secretFields`. */
  readonly secretFields = new Set<string>();

  constructor(config: GatewayConfig, env: PolicyMakerEnv, leases: Lease<unknown>[]) {
    this.config = config;
    this.env = env;
    this.leases = leases;
    this.importance = new CallerImportance(config, env.shedding, (use) => env.definitionOf(use));
  }

  /** See `RouteHandling`. */
  importanceOf(
    route: Importance,
    uses: readonly PolicyUse[],
  ): { readonly importance: ImportanceClass; readonly callerMayHave: ImportanceClass | null } {
    const importance = classOf(route);
    return { importance, callerMayHave: this.importance.mostFor(importance, uses) };
  }

  /**
   * The policies of a route. A promise only where one of them is made asynchronously.
   * @throws {CompileError} when one of them cannot be made.
   */
  chain(route: string, uses: readonly PolicyUse[], importance: Importance): MaybePromise<PolicyChain> {
    if (uses.length === 0) return noPolicies;
    const chain: NamedPolicy[] = [];
    const pending: Promise<void>[] = [];
    for (const [index, use] of uses.entries()) {
      const earlier = (): readonly Authenticator[] =>
        chain.slice(0, index).flatMap(({ policy }) => policy.authenticator ?? []);
      const made = this.make({ route, path: this.pathOf(route, index), earlier }, use);
      if (!(made instanceof Promise)) {
        chain[index] = made;
        continue;
      }
      const done = made.then((policy) => void (chain[index] = policy));
      // Should a later one fail at once, nobody waits for this one any more.
      done.catch(() => {});
      pending.push(done);
    }
    const finish = (): PolicyChain => compileChain(this.importance.withDecision(classOf(importance), uses, chain));
    return pending.length === 0 ? finish() : Promise.all(pending).then(finish);
  }

  /** Those of the defaults stand before those of the route. */
  private pathOf(route: string, index: number): Path {
    const { defaultPolicies } = this.config;
    if (index < defaultPolicies) return ['defaults', 'policies', index];
    return [...(route === 'notFound' ? [] : ['routes']), route, 'policies', index - defaultPolicies];
  }

  private make(place: Place, use: PolicyUse): MaybePromise<NamedPolicy> {
    const definition = this.env.definitionOf(use);
    const inner = definition.combines === true ? innerUses(use).map((one) => this.make(place, one)) : [];
    if (isMade(inner)) return this.create(place, use, definition, inner);
    const all = Promise.all(inner.map((one) => Promise.resolve(one)));
    return all.then((policies) => this.create(place, use, definition, policies));
  }

  private create(
    place: Place,
    use: PolicyUse,
    definition: PolicyDefinition,
    inner: readonly InnerPolicy[],
  ): MaybePromise<NamedPolicy> {
    const { route, path } = place;
    const refuse = (error: unknown): never => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CompileError(`route ${route}: policy ${use.label}: ${reason}`, path);
    };
    try {
      const policy = definition.create(use.options, this.envFor(place, use), inner);
      if (policy instanceof Promise) return policy.then((made) => this.named(use, made)).catch(refuse);
      return this.named(use, policy);
    } catch (error) {
      return refuse(error);
    }
  }

  /** What a module without types has made may be anything. */
  private named({ label }: PolicyUse, policy: unknown): NamedPolicy {
    if (typeof policy !== 'object' || policy === null) throw new Error('made no policy');
    const made: Policy = policy;
    for (const field of made.secretFields ?? []) this.secretFields.add(field);
    return { name: label, policy: made };
  }

  private envFor({ route, earlier }: Place, use: PolicyUse): PolicyEnv {
    const { clock, wheel, services } = this.env;
    const { consumers, damping, limits, bans } = services;
    return {
      route,
      label: use.label,
      baseDir: this.config.baseDir,
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      wait: (ms) => new Promise((resolve) => wheel.arm(new Timer(resolve), ms)),
      warn: (message) => this.env.warn(message, { route, policy: use.label }),
      earlierAuthenticators: earlier,
      consumers,
      damping,
      limits,
      ownFunction: (file) => this.env.functionIn(resolvePath(this.config.baseDir, file)),
      bans,
      isTrustedProxy: (address) => this.isTrustedProxy(address),
      sharedMemory: (name) => services.sharedMemory(name),
      call: (request) => services.call(request),
      document: (source) => {
        const lease = services.document(source);
        this.leases.push(lease);
        return lease.value;
      },
      store: async (name) => (await this.store(name)).values,
      limitsIn: async (name, how) => (await this.store(name)).limits(how),
      identity: () => this.ownIdentity(),
      counter: (name, labels) => services.counter(route, name, labels),
    };
  }

  private async store(name: string): Promise<StoreShare> {
    const onProblem = (message: string): void => this.env.warn(message, { store: name });
    const lease = this.env.services.store(name, this.config, onProblem);
    this.leases.push(lease);
    await lease.value.ready;
    return lease.value;
  }

  private isTrustedProxy(address: string): boolean {
    this.trusted ??= IpSet.parse(Object.values(this.config.listeners).flatMap(({ trustedProxies }) => trustedProxies));
    return this.trusted.has(address);
  }

  /** One for all policies. */
  private ownIdentity(): GatewayIdentity {
    const { identity } = this.config;
    if (identity === null) throw new Error('the configuration has no `identity`');
    this.identity ??= createIdentity(identity);
    return this.identity;
  }
}

function isMade(policies: readonly MaybePromise<NamedPolicy>[]): policies is readonly NamedPolicy[] {
  return policies.every((policy) => !(policy instanceof Promise));
}
