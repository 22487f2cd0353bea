/** Tests of a configuration that are written in code: `node --test` runs them, each file in a process of its own. */
import { resolve } from 'node:path';
import { run } from 'node:test';
import type { TestFailure, TestFileResult, TestResult } from '../testing/run-test-file.ts';

/** What of an event of the test runner is looked at. */
interface TestEvent {
  readonly name: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly details: { readonly type?: string | undefined; readonly error?: Error & { readonly failureType?: string } };
}

/** @param onOutput gets what the tests themselves print. */
export async function runCodeTests(
  files: readonly string[],
  cwd: string,
  onOutput: (text: string) => void,
): Promise<TestFileResult[]> {
  // Set where a test has started this command; the runner takes it for one that is called by itself, and runs nothing.
  delete process.env['NODE_TEST_CONTEXT'];
  const results = new Map<string, TestResult[]>(files.map((file) => [resolve(cwd, file), []]));
  const note = (event: TestEvent): void => {
    const { error } = event.details;
    // A file without tests passes, to the runner, as a test.
    if (error === undefined && results.has(resolve(cwd, event.name))) return;
    // A suite fails because of its tests, which have been noted.
    if (event.details.type === 'suite' && (error === undefined || error.failureType === 'subtestsFailed')) return;
    const position = { line: event.line ?? 1, column: event.column ?? 1 };
    const failures = error === undefined ? [] : [{ ...position, ...failureOf(error) }];
    // A file that does not even load is reported under its own name.
    const tests = results.get(event.file ?? '') ?? results.get(resolve(cwd, event.name));
    tests?.push({ name: event.name, ...position, failures });
  };
  const stream = run({ files: [...results.keys()], concurrency: false });
  stream.on('test:pass', note);
  stream.on('test:fail', note);
  stream.on('test:stdout', ({ message }) => onOutput(message));
  stream.on('test:stderr', ({ message }) => onOutput(message));
  // Read to its end, or it would not come to it.
  for await (const _ of stream);
  return files.map((file) => ({ file, problems: [], tests: results.get(resolve(cwd, file)) ?? [] }));
}

function failureOf(error: Error): Omit<TestFailure, 'line' | 'column'> {
  // What was thrown comes wrapped.
  const { message: text } = error.cause instanceof Error ? error.cause : error;
  const [message = '', ...notes] = text.split('\n').filter((line) => line.trim() !== '');
  return { step: null, request: '', message, what: null, expected: null, actual: null, notes };
}
