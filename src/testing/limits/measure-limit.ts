/**
 * Measures how a gateway keeps a limit, any gateway, from outside: sends a multiple of what the limit allows from several
 * threads, and looks at what was admitted within any span of time.
 */
import { Worker } from 'node:worker_threads';
import { countExchanges } from './count-exchanges.ts';
import { joinExchanges } from './exchange-log.ts';
import { judge } from './judge-limit.ts';
import type { LimitMeasurement } from './limit-measurement.ts';
import { type LimitTest, LimitTestError, type LimitTestOptions, limitTestOf } from './limit-test-options.ts';
import { type FromLoadThread, type ThreadPlan, type ThreadResult, type ToLoadThread, sharedNow } from './load-plan.ts';
import { mostWithin } from './promised-limit.ts';
import { joined, nothingTold } from './told-limits.ts';
import { WaitingClient, type WaitingResult } from './waiting-client.ts';

/** From when all threads are ready until they begin. */
const startInMs = 50;
/** Beyond what was planned and the time-out of the last requests, before a thread counts as lost. */
const threadSlackMs = 30_000;
/** What the waiting client sends at most to be refused. */
const mostToBeRefused = 20_000;

/**
 * Measures once, for as long as the options say.
 * @throws {LimitTestError} when the options cannot be measured, or the gateway cannot be reached.
 */
export async function measureLimit(options: LimitTestOptions): Promise<LimitMeasurement> {
  const test = limitTestOf(options);
  const results = await loadFrom(test);
  const exchanges = joinExchanges(results.map((result) => result.exchanges));
  const waiting = await waitAsTold(test);
  const { promised, plan, load, durationMs, perSecond } = test;
  const counts = countExchanges(exchanges, promised, {
    refusedStatuses: plan.refusedStatuses,
    hasSameClock: test.hasSameClock,
    areKeysNew: plan.keys !== null,
  });
  const measured = {
    urls: test.urls,
    promised,
    clients: test.clients,
    connections: test.connections,
    keys: plan.keys?.count ?? null,
    ...counts,
    plannedLoad: load,
    load: (load * counts.sent) / ((perSecond * durationMs) / 1000),
    clientPauseMs: Math.max(...results.map(({ pauseMs }) => pauseMs)),
    notSent: results.reduce((sum, { notSent }) => sum + notSent, 0),
    trouble: results.find(({ trouble }) => trouble !== null)?.trouble ?? null,
    usable: counts.due === 0 ? 0 : counts.admitted / counts.due,
    headers: results.reduce((sum, { headers }) => joined(sum, headers), nothingTold),
    waiting,
  };
  return { ...measured, ...judge(measured, test.stallMs) };
}

async function waitAsTold({ plan, promised, waits, longestWaitMs }: LimitTest): Promise<WaitingResult | null> {
  if (waits === 0) return null;
  const mostRequests = Math.min(mostToBeRefused, 2 * mostWithin(promised, promised.windowMs) + 10);
  return new WaitingClient(plan, { waits, longestWaitMs, mostRequests }).run();
}

async function loadFrom(test: LimitTest): Promise<ThreadResult[]> {
  const threads = Array.from({ length: test.clients }, (_, index) => new LoadThread(planOf(test, index)));
  try {
    await Promise.all(threads.map((thread) => thread.ready()));
    const atMs = sharedNow() + startInMs;
    return await Promise.all(threads.map((thread) => thread.run(atMs)));
  } finally {
    await Promise.all(threads.map((thread) => thread.end()));
  }
}

function planOf({ plan, clients, connections, perSecond, durationMs }: LimitTest, thread: number): ThreadPlan {
  return {
    ...plan,
    thread,
    threads: clients,
    connections: Math.floor(connections / clients) + Number(thread < connections % clients),
    perSecond: perSecond / clients,
    durationMs,
    maxRequests: Math.ceil((perSecond * durationMs) / 1000 / clients),
  };
}

/** The other end of `load-thread.ts`. */
class LoadThread {
  private readonly plan: ThreadPlan;
  private readonly worker: Worker;
  /** What is awaited of it. */
  private onMessage: (message: FromLoadThread) => void = () => {};
  private onLost: (error: Error) => void = () => {};

  constructor(plan: ThreadPlan) {
    this.plan = plan;
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.worker = new Worker(new URL(`./load-thread.${extension}`, import.meta.url), { workerData: plan });
    this.worker.on('message', (message: FromLoadThread) => this.onMessage(message));
    this.worker.on('error', (error: Error) => this.onLost(error));
    this.worker.on('exit', () => this.onLost(new Error('a thread of clients has ended')));
  }

  async ready(): Promise<void> {
    await this.told('ready', this.plan.timeoutMs + threadSlackMs);
  }

  async run(atMs: number): Promise<ThreadResult> {
    const order: ToLoadThread = { kind: 'start', atMs };
    this.worker.postMessage(order);
    const { durationMs, timeoutMs } = this.plan;
    return (await this.told('done', durationMs + timeoutMs + threadSlackMs)).result;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }

  private told<K extends FromLoadThread['kind']>(kind: K, withinMs: number): Promise<FromLoadThread & { kind: K }> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.onLost(new Error('a thread of clients does not answer')), withinMs);
      this.onLost = (error) => {
        clearTimeout(timer);
        reject(error);
      };
      this.onMessage = (message) => {
        if (message.kind === 'unreachable') {
          this.onLost(new LimitTestError('unreachable', `${message.reason}: start the gateway first`));
        } else if (message.kind === kind) {
          clearTimeout(timer);
          resolve(message as FromLoadThread & { kind: K });
        }
      };
    });
  }
}
