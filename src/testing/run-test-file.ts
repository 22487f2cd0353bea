/** Runs the tests of a file, one after another, each with a gateway and a clock of its own. */
import { dirname, relative, resolve } from 'node:path';
import { findConfigFile } from '../config/config-file.ts';
import { type Path, type Problem, sortProblems } from '../config/problem.ts';
import type { GatewayConfig } from '../config/schema.ts';
import type { Position } from '../config/source/positions.ts';
import { SecretFilter } from '../telemetry/secret-filter.ts';
import { compareResponse } from './compare-response.ts';
import type { FakeAnswer } from './fake-answer.ts';
import { isCallPlace } from './fake-upstreams.ts';
import { type LoadedTestFile, loadTestFile, stepsOf } from './load-test-file.ts';
import { type TestConfig, loadTestConfig } from './load-test-config.ts';
import type { AnswerParts, DeclaredTest, RequestParts, TestFile, TestStep } from './test-file-schema.ts';
import { TestGateway, type TestResponse } from './test-gateway.ts';

export interface RunTestsOptions {
  /** The folder that files are shown relative to. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Says why a request did not go to the route that a test expected; lines for people. */
  readonly explainRoute?: ExplainRoute | undefined;
}

export type ExplainRoute = (
  config: GatewayConfig,
  request: RequestParts,
  expected: string | null,
  actual: string | null,
) => readonly string[];

export interface TestFileResult {
  /** As it was named. */
  readonly file: string;
  /** With the tests or with the configuration. If there are any, no test has run. */
  readonly problems: readonly Problem[];
  readonly tests: readonly TestResult[];
}

export interface TestResult extends Position {
  readonly name: string;
  /** Empty when it has passed. */
  readonly failures: readonly TestFailure[];
}

export interface TestFailure extends Position {
  /** From 1; null in a test of one request. */
  readonly step: number | null;
  /** Method and URL of the request. */
  readonly request: string;
  /** What is wrong, in one line. */
  readonly message: string;
  /** What differs, where something was expected; otherwise null. */
  readonly what: string | null;
  readonly expected: string | null;
  readonly actual: string | null;
  /** What else is known: lines of the gateway's log, why another route won. */
  readonly notes: readonly string[];
}

/** @param file the path of the tests, absolute or relative to `cwd`. */
export async function runTestFile(file: string, options: RunTestsOptions): Promise<TestFileResult> {
  const path = resolve(options.cwd, file);
  const loaded = loadTestFile(path, file);
  const { tests } = loaded;
  if (tests === null) return { file, problems: loaded.problems, tests: [] };
  const configFile = tests.config ?? findConfigFile(dirname(path));
  if (configFile === null) {
    const message = 'there is no gateway.yaml beside the tests: name the configuration with `config`';
    const problem = {
      file,
      line: 1,
      column: 1,
      severity: 'error',
      code: 'MISSING',
      message,
      path: ['config'],
    } as const;
    return { file, problems: [problem], tests: [] };
  }
  const configPath = resolve(dirname(path), configFile);
  const config = await loadTestConfig(configPath, { env: { ...options.env, ...tests.env }, files: tests.files });
  if (config.config === null) {
    const shown = relative(options.cwd, configPath);
    const asNamed = (problem: Problem): Problem =>
      problem.file === configPath ? { ...problem, file: shown } : problem;
    return { file, problems: sortProblems(config.errors.map(asNamed)), tests: [] };
  }
  const problems = loaded.checkNames(config.config);
  if (problems.length > 0) return { file, problems, tests: [] };
  const results: TestResult[] = [];
  for (const [index, test] of tests.tests.entries()) {
    results.push(await new TestRun(loaded, tests, config, options).run(test, ['tests', index]));
  }
  return { file, problems: [], tests: results };
}

class TestRun {
  private readonly loaded: LoadedTestFile;
  private readonly file: TestFile;
  private readonly config: TestConfig & { readonly config: GatewayConfig };
  private readonly options: RunTestsOptions;
  private readonly failures: TestFailure[] = [];
  /** The URLs that there has been an answer for, of those that the gateway calls on its own behalf. */
  private calls: ReadonlySet<string> = new Set();
  /** What a test prints may end up in a public log of builds. */
  private readonly secrets: SecretFilter;

  constructor(loaded: LoadedTestFile, file: TestFile, config: TestConfig, options: RunTestsOptions) {
    this.loaded = loaded;
    this.file = file;
    this.config = { ...config, config: config.config! };
    this.options = options;
    this.secrets = new SecretFilter(config.secrets);
  }

  async run(test: DeclaredTest, path: Path): Promise<TestResult> {
    const { name } = test;
    const { now } = this.file;
    let gateway: TestGateway | null = null;
    try {
      // What is asked for at the start is answered like what is asked for later.
      const upstreams = callAnswers({ ...this.file.upstreams, ...test.upstreams });
      gateway = await TestGateway.open(this.config, { now: now === undefined ? undefined : new Date(now), upstreams });
      this.calls = new Set(Object.keys(upstreams));
      for (const [index, place] of stepsOf(test, path).entries()) {
        const number = test.steps === undefined ? null : index + 1;
        this.setAnswers(gateway, test.steps === undefined ? [this.file, test] : [this.file, test, place.step]);
        await this.runStep(gateway, place.step, place.path, number);
        // What comes after a step that failed says little.
        if (this.failures.length > 0) break;
      }
    } catch (error) {
      this.failures.push(this.failure(path, messageOf(error)));
    } finally {
      await gateway?.close();
    }
    return {
      name,
      ...this.loaded.locate(path),
      failures: this.failures.map((failure) => this.withoutSecrets(failure)),
    };
  }

  /** What upstreams answer: what is said nearest to the request counts. */
  private setAnswers(
    gateway: TestGateway,
    layers: readonly { readonly upstream?: AnswerParts | undefined; readonly upstreams?: TestStep['upstreams'] }[],
  ): void {
    const answers = new Map<string, AnswerParts | undefined>();
    const calls = new Map([...this.calls].map((url): [string, AnswerParts | undefined] => [url, undefined]));
    for (const [name, { targets }] of Object.entries(this.config.config.upstreams)) {
      for (const place of [name, ...targets.map(({ url }) => url)]) answers.set(place, undefined);
    }
    for (const { upstream, upstreams = {} } of layers) {
      if (upstream !== undefined) for (const place of answers.keys()) answers.set(place, upstream);
      for (const [place, answer] of Object.entries(upstreams)) {
        if (isCallPlace(place)) {
          calls.set(place, answer);
          continue;
        }
        for (const { url } of this.config.config.upstreams[place]?.targets ?? []) answers.set(url, undefined);
        answers.set(place, answer);
      }
    }
    this.calls = new Set(calls.keys());
    for (const [place, answer] of [...answers, ...calls]) gateway.answerWith(place, toAnswer(answer));
  }

  private async runStep(gateway: TestGateway, step: TestStep, path: Path, number: number | null): Promise<void> {
    if (step.advance !== undefined) await gateway.clock.advance(step.advance);
    if (step.request === undefined) return;
    const { request, repeat = 1 } = step;
    for (let i = 0; i < repeat && this.failures.length === 0; i++) {
      const line = `${request.method} ${request.url}${repeat === 1 ? '' : ` (${i + 1} of ${repeat})`}`;
      const linesBefore = gateway.log.length;
      const about = { step: number, request: line };
      try {
        const response = await send(gateway, request);
        this.expect(step, response, path, about, () => logOf(gateway, linesBefore));
      } catch (error) {
        const notes = logOf(gateway, linesBefore);
        this.failures.push({ ...this.failure([...path, 'request'], messageOf(error)), ...about, notes });
      }
    }
  }

  private expect(
    step: TestStep,
    response: TestResponse,
    path: Path,
    about: Pick<TestFailure, 'step' | 'request'>,
    log: () => readonly string[],
  ): void {
    if (step.expect === undefined) return;
    const mismatches = compareResponse(step.expect, response);
    for (const [index, { path: below, what, expected, actual }] of mismatches.entries()) {
      const notes = index === 0 ? [...this.explain(step, response), ...log()] : [];
      const message = `${what}: expected ${expected}, got ${actual}`;
      const failure = this.failure([...path, 'expect', ...below], message);
      this.failures.push({ ...failure, ...about, what, expected, actual, notes });
    }
  }

  /** Whatever is known of why the request went where it went. */
  private explain({ request, expect }: TestStep, { route, status, code, reason }: TestResponse): string[] {
    const notes = [
      `the gateway answered ${status}${code === null ? '' : ` ${code}`}${reason === null ? '' : ` (${reason})`}`,
    ];
    const { explainRoute } = this.options;
    if (explainRoute !== undefined && request !== undefined && expect?.route !== undefined && expect.route !== route) {
      notes.push(...explainRoute(this.config.config, request, expect.route, route));
    }
    return notes;
  }

  private withoutSecrets(failure: TestFailure): TestFailure {
    const { message, expected, actual, notes } = failure;
    const clean = (text: string | null): string | null => (text === null ? null : this.secrets.text(text));
    return {
      ...failure,
      message: this.secrets.text(message),
      expected: clean(expected),
      actual: clean(actual),
      notes: notes.map((note) => this.secrets.text(note)),
    };
  }

  private failure(path: Path, message: string): TestFailure {
    const nothing = { step: null, request: '', what: null, expected: null, actual: null, notes: [] };
    return { ...this.loaded.locate(path), ...nothing, message };
  }
}

function send(
  gateway: TestGateway,
  { method, url, headers, body, json, from, listener }: RequestParts,
): Promise<TestResponse> {
  return gateway.request(method, url, {
    headers: json === undefined ? headers : withJsonType(headers),
    body: json === undefined ? body : JSON.stringify(json),
    from,
    listener,
    passTime: true,
  });
}

function callAnswers(answers: Readonly<Record<string, AnswerParts>>): Record<string, FakeAnswer> {
  const calls = Object.entries(answers).filter(([place]) => isCallPlace(place));
  return Object.fromEntries(calls.map(([place, answer]) => [place, toAnswer(answer) ?? 'refuse']));
}

function toAnswer(answer: AnswerParts | undefined): FakeAnswer | undefined {
  if (answer === undefined || typeof answer === 'string') return answer;
  const { json, ...rest } = answer;
  if (json === undefined) return rest;
  return { ...rest, headers: withJsonType(rest.headers), body: JSON.stringify(json) };
}

function withJsonType<T>(headers: Readonly<Record<string, T>>): Readonly<Record<string, T | string>> {
  const isTyped = Object.keys(headers).some((name) => name.toLowerCase() === 'content-type');
  return isTyped ? headers : { ...headers, 'content-type': 'application/json' };
}

/** What the gateway had to say while a request was on its way. */
function logOf(gateway: TestGateway, from: number): string[] {
  return gateway.log.slice(from).map(({ level, message, about }) => {
    const fields = Object.entries(about).map(([name, value]) => `${name}: ${messageOf(value)}`);
    return `${level}: ${[message, ...fields].join(', ')}`;
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
