/** The control plane of a running gateway: which configuration serves, and how another comes to. */
import type { Problem } from '../config/problem.ts';
import { formatProblem } from '../config/problem.ts';
import type { AdminConfig, GatewayConfig, PolicyUse } from '../config/schema.ts';
import type { PolicyDefinition } from '../contract.ts';
import { type Gateway, type GatewayCounts, type GatewayStatus, ListenError } from '../gateway/gateway.ts';
import type { LimitBook } from '../stores/shared-limits.ts';
import type { AppLog } from '../telemetry/app-log.ts';
import type { Clock } from '../util/clock.ts';
import type { WatchFiles } from '../wire/file-watch.ts';
import { digestOf, type LoadedDocument } from '../workers/load-document.ts';
import { BanControl, type BanPlane } from './ban-control.ts';
import { type ConsumerBook, ConsumerConflict, type ConsumerGateway } from './consumer-book.ts';
import { ConsumerControl } from './consumer-control.ts';
import type {
  ControlEvent,
  ControlPlane,
  ReloadCause,
  ReloadOutcome,
  ReplaceOptions,
  Revision,
} from './control-plane.ts';

export interface Replacement {
  readonly text: string;
  readonly format: 'yaml' | 'json';
}

/** The admin port, which may have to move when the configuration changes. */
export interface AdminPort {
  /** @throws {ListenError} when it cannot listen there. @returns what makes the change, or takes it back. */
  prepare(config: AdminConfig): Promise<{ commit(): void; abort(): void }>;
}

export interface ControlEnv {
  readonly clock: Clock;
  readonly log: AppLog;
  readonly version: string;
  readonly watch: WatchFiles;
  /** Those of all threads. */
  readonly bans: BanPlane;
  /** Has the consumers of what serves at first. */
  readonly book: ConsumerBook;
  /** Reads the configuration file, or checks what is to be served instead of it. */
  load(replacement?: Replacement): Promise<LoadedDocument>;
  /** Told of what serves from now on; keeps it for a start with a file that is broken. */
  onApplied?(loaded: LoadedDocument, replacement: Replacement | undefined): void;
}

/** A gateway that can tell whether all of it serves. */
export interface CompleteGateway extends Gateway, ConsumerGateway {
  readonly isComplete: boolean;
  /** What all of it has in common. */
  readonly shared: { readonly limits: LimitBook };
}

type Served = LoadedDocument & { readonly config: GatewayConfig };

export class Control implements ControlPlane {
  readonly version: string;
  readonly startedAt: number;
  readonly consumers: ConsumerControl;
  readonly reloads = { applied: 0, refused: 0 };
  readonly bans: BanControl;
  private readonly env: ControlEnv;
  private readonly gateway: CompleteGateway;
  private readonly admin: AdminPort;
  private served: Served;
  private now: Revision;
  private lastFindings: ControlPlane['findings'];
  private readonly secrets = new Set<string>();
  private readonly listeners = new Set<(event: ControlEvent) => void>();
  private stopWatching: () => void = () => {};
  /** The digest of files that were found to be others than those that were read. */
  private caughtUp = '';
  private isServing = false;
  private isEnding = false;
  private lastChange: Promise<unknown> = Promise.resolve();

  constructor(first: Served, cause: ReloadCause, gateway: CompleteGateway, admin: AdminPort, env: ControlEnv) {
    this.env = env;
    this.gateway = gateway;
    this.admin = admin;
    this.version = env.version;
    this.startedAt = env.clock.wallNow();
    this.served = first;
    this.now = { number: 1, digest: first.digest, appliedAt: this.startedAt, cause };
    this.lastFindings = { refused: false, problems: first.problems };
    this.hide(first.secrets);
    const { book, clock, log } = env;
    this.bans = new BanControl(env.bans, (about) => {
      log.info('a ban was changed', about);
      this.tell('ban', about);
    });
    this.consumers = new ConsumerControl({
      book,
      gateway,
      clock,
      inTurn: (work) =>
        this.alone(() => {
          // Whoever has taken over has read the database already.
          if (this.isEnding) throw new ConsumerConflict('This process is about to end: ask again in a moment.');
          return work();
        }),
      onProblem: (error) => log.error('the database of consumers cannot be used', { error }),
      onChange: (consumer, what) => {
        log.info('a consumer was changed', { consumer, what });
        this.tell('consumer', { consumer, what });
      },
    });
  }

  get isReady(): boolean {
    return this.isServing && this.gateway.isComplete;
  }

  get revision(): Revision {
    return this.now;
  }

  get config(): GatewayConfig {
    return this.served.config;
  }

  get limits(): LimitBook {
    return this.gateway.shared.limits;
  }

  get findings(): ControlPlane['findings'] {
    return this.lastFindings;
  }

  /** The gateway serves: from now on, changes of files are followed. */
  begin(): void {
    this.isServing = true;
    // Of the last good document the file differs anyway, and has just been found to be broken.
    this.follow(this.served, this.now.cause === 'start');
    void this.consumers.begin();
  }

  /** What a closer look at what serves has found. */
  notice(problems: readonly Problem[]): void {
    this.lastFindings = { ...this.lastFindings, problems: [...this.lastFindings.problems, ...problems] };
  }

  /** The process is going to end: nothing changes any longer. */
  end(): void {
    this.isServing = false;
    this.isEnding = true;
    this.stopWatching();
    this.tell('draining', {});
  }

  redact(text: string): string {
    let plain = text;
    for (const secret of this.secrets) plain = plain.replaceAll(secret, '[secret]');
    return plain;
  }

  /** Policies that a module brings are known only where they are loaded, which is in another thread. */
  definitionOf({ name, module }: PolicyUse): PolicyDefinition | null {
    return module === null ? (this.served.policies.get(name) ?? null) : null;
  }

  status(): Promise<GatewayStatus> {
    return this.gateway.status();
  }

  counted(): GatewayCounts {
    return this.gateway.counted(this.config.telemetry.metrics.maxSeries);
  }

  reload(cause: ReloadCause): Promise<ReloadOutcome> {
    return this.inTurn(cause, async () => this.move(await this.env.load(), cause, undefined));
  }

  replace(text: string, { format, ifMatch, dryRun }: ReplaceOptions): Promise<ReloadOutcome> {
    return this.inTurn('api', async () => {
      if (ifMatch !== null && ifMatch !== this.now.digest) return this.outcome('conflict', []);
      const replacement = { text, format };
      const loaded = await this.env.load(replacement);
      if (!dryRun) return this.move(loaded, 'api', replacement);
      const problems = [...loaded.problems, ...(await closerLook(loaded))];
      return this.outcome(isServable(loaded, problems) ? 'valid' : 'refused', problems);
    });
  }

  subscribe(listener: (event: ControlEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Tells of something that has happened elsewhere, to threads for instance. */
  tell(kind: string, about: Readonly<Record<string, unknown>>): void {
    const event = { kind, at: this.env.clock.wallNow(), about };
    for (const listener of this.listeners) {
      try {
        listener(event);
      } catch (error) {
        this.env.log.error('nobody could be told of an event', { event: kind, error });
      }
    }
  }

  /** One change after another. That the process ends is no reason to change anything, or to be told of it as an error. */
  private inTurn(cause: ReloadCause, change: () => Promise<ReloadOutcome>): Promise<ReloadOutcome> {
    return this.alone(async () => {
      if (this.isEnding) return this.outcome('unchanged', []);
      try {
        return await change();
      } catch (error) {
        // A defect of ours must not end what serves.
        return this.refuse(cause, [cannotServe(this.served, error)], this.served, false);
      }
    });
  }

  private alone<T>(change: () => Promise<T>): Promise<T> {
    const done = this.lastChange.then(change);
    this.lastChange = done.catch(() => {});
    return done;
  }

  private async move(
    loaded: LoadedDocument,
    cause: ReloadCause,
    replacement: Replacement | undefined,
  ): Promise<ReloadOutcome> {
    this.hide(loaded.secrets);
    const { problems } = loaded;
    const isFile = replacement === undefined;
    const refuse = (all: readonly Problem[]): ReloadOutcome => this.refuse(cause, all, loaded, isFile);
    if (!isServable(loaded, problems)) return refuse(problems);
    if (loaded.digest === this.served.digest) {
      this.lastFindings = { refused: false, problems };
      return this.outcome('unchanged', problems);
    }
    try {
      await this.apply(loaded, this.now.number + 1);
    } catch (error) {
      if (this.isEnding) return this.outcome('unchanged', problems);
      // What the router refuses is said better by a closer look: of all routes at once, and where they are.
      const found = error instanceof ListenError ? [] : await closerLook(loaded);
      return refuse([...problems, ...found, ...(countErrors(found) > 0 ? [] : [cannotServe(loaded, error)])]);
    }
    this.env.onApplied?.(loaded, replacement);
    this.noteServed(loaded, cause, isFile);
    // For very many routes this takes longer than everything before, and it can only give advice.
    const all = [...problems, ...(await loaded.analyse())];
    this.lastFindings = { refused: false, problems: all };
    this.say(all);
    return this.outcome('applied', all);
  }

  private noteServed(loaded: Served, cause: ReloadCause, isFile: boolean): void {
    this.reloads.applied++;
    this.served = loaded;
    this.now = { number: this.now.number + 1, digest: loaded.digest, appliedAt: this.env.clock.wallNow(), cause };
    this.lastFindings = { refused: false, problems: loaded.problems };
    this.follow(loaded, isFile);
    const about = { revision: this.now.number, digest: this.now.digest, cause };
    this.env.log.info('the configuration was changed', about);
    this.tell('reload', about);
  }

  private async apply({ config, secrets, codeDigest }: Served, revision: number): Promise<void> {
    const book = await this.env.book.prepare(config);
    try {
      const admin = await this.admin.prepare(config.admin);
      try {
        await this.gateway.apply({ revision, config: book.config, secrets, codeDigest });
        admin.commit();
      } catch (error) {
        admin.abort();
        throw error;
      }
      book.commit();
    } catch (error) {
      book.abort();
      throw error;
    }
  }

  /** Loudly: nobody else will notice that what was meant to serve does not. */
  private refuse(
    cause: ReloadCause,
    problems: readonly Problem[],
    refused: Pick<LoadedDocument, 'files' | 'digest'>,
    isFile: boolean,
  ): ReloadOutcome {
    this.reloads.refused++;
    this.lastFindings = { refused: true, problems };
    const about = { revision: this.now.number, cause, errors: countErrors(problems) };
    this.env.log.error('the configuration was refused; what served before serves on', about);
    this.say(problems);
    this.tell('refused', { ...about, problems: problems.map((problem) => this.redact(formatProblem(problem))) });
    // Whoever corrects it may correct a file that only the refused one names.
    this.follow(refused, isFile, this.served.files);
    return this.outcome('refused', problems);
  }

  private say(problems: readonly Problem[]): void {
    for (const { severity, code, file, line, column, message } of problems) {
      const about = { code, place: `${file}:${line}:${column}`, problem: message };
      this.env.log[severity === 'error' ? 'error' : 'warn']('the configuration has a problem', about);
    }
  }

  private outcome(result: ReloadOutcome['result'], problems: readonly Problem[]): ReloadOutcome {
    return { result, revision: this.now, problems };
  }

  /**
   * @param mayBeStale whether the files should still have in them what was read; if not, they were changed before they
   * were watched. What is only half written then is not read before it stands still.
   */
  private follow(
    { files, digest }: Pick<LoadedDocument, 'files' | 'digest'>,
    mayBeStale: boolean,
    others: readonly string[] = [],
  ): void {
    this.stopWatching();
    if (!this.isServing) return;
    const isStale = (): boolean => {
      const current = digestOf(files);
      // Each content is a reason to read again once.
      if (!mayBeStale || current === digest || current === this.caughtUp) return false;
      this.caughtUp = current;
      return true;
    };
    const all = [...new Set([...files, ...others])];
    this.stopWatching = this.env.watch(all, () => void this.reload('file'), isStale);
  }

  private hide(secrets: readonly string[]): void {
    for (const secret of secrets) this.secrets.add(secret);
    this.env.log.hide(secrets);
  }
}

function isServable(loaded: LoadedDocument, problems: readonly Problem[]): loaded is Served {
  // A certificate that cannot be used leaves the others serving, but a change to it is a mistake to be told of.
  return loaded.config !== null && countErrors(problems) === 0;
}

async function closerLook(loaded: LoadedDocument): Promise<readonly Problem[]> {
  const found = await loaded.analyse();
  return countErrors(found) > 0 ? found : [...found, ...(await loaded.tryToMake())];
}

/** Nobody means to take every route away with an empty file; it is one that is just being written. */
function countErrors(problems: readonly Problem[]): number {
  return problems.filter(({ severity, code }) => severity === 'error' || code === 'EMPTY').length;
}

/** What only showed when it was about to serve. */
function cannotServe({ files }: LoadedDocument, error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof ListenError ? 'CANNOT_LISTEN' : 'CANNOT_SERVE';
  return { file: files[0] ?? '', line: 1, column: 1, severity: 'error', code, message, path: [] };
}
