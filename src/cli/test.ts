/** `gatewright test [FILES]`: requests in, and what is expected to come of them. */
import { formatProblem } from '../config/problem.ts';
import { type TestFailure, type TestFileResult, type TestResult, runTestFile } from '../testing/run-test-file.ts';
import { type CommandIo, exitCodes } from './cli-io.ts';
import { findTestFiles, isCode } from './find-test-files.ts';

export interface TestOptions {
  /** Lines for people, or one JSON object for programs. */
  readonly format: 'text' | 'json';
}

/** So much of what was expected and what came stands on the line of the failure; more gets lines of its own. */
const maxLineCharacters = 100;

/**
 * Runs the tests in these files and folders, by default in the working folder and below, and reports on standard output.
 * @returns the exit code: 0 when all have passed, 1 when one has failed or could not be run, 2 when there is none.
 */
export async function runTests(named: readonly string[], options: TestOptions, io: CommandIo): Promise<number> {
  let files: readonly string[];
  try {
    files = findTestFiles(named, io.cwd);
  } catch (error) {
    io.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return exitCodes.usage;
  }
  if (files.length === 0) {
    io.stderr.write('There are no tests here: name a file, or write gateway.test.yaml beside gateway.yaml.\n');
    return exitCodes.usage;
  }
  const report = new Report(options, io);
  for (const file of files.filter((name) => !isCode(name))) {
    report.add(await runTestFile(file, { cwd: io.cwd, env: io.env }));
  }
  const code = files.filter(isCode);
  if (code.length > 0) {
    const { runCodeTests } = await import('./run-code-tests.ts');
    for (const result of await runCodeTests(code, io.cwd, (text) => io.stderr.write(text))) report.add(result);
  }
  return report.finish() ? exitCodes.fine : exitCodes.failed;
}

class Report {
  private readonly options: TestOptions;
  private readonly io: CommandIo;
  private readonly files: TestFileResult[] = [];

  constructor(options: TestOptions, io: CommandIo) {
    this.options = options;
    this.io = io;
  }

  add(result: TestFileResult): void {
    this.files.push(result);
    if (this.options.format === 'json') return;
    for (const problem of result.problems) this.line(formatProblem(problem));
    for (const test of result.tests) this.test(result.file, test);
  }

  /** Prints the sums. @returns whether all is well. */
  finish(): boolean {
    const tests = this.files.flatMap((file) => file.tests);
    const failed = tests.filter(({ failures }) => failures.length > 0).length;
    // A file whose tests are not even found has not passed.
    const notRun = this.files.filter((file) => file.tests.length === 0).length;
    const ok = failed === 0 && notRun === 0;
    const passed = tests.length - failed;
    if (this.options.format === 'json') {
      this.io.stdout.write(`${JSON.stringify({ ok, passed, failed, notRun, files: this.files }, null, 2)}\n`);
    } else {
      const counts = [`${passed} passed`, `${failed} failed`];
      if (notRun > 0) counts.push(`${notRun} ${notRun === 1 ? 'file' : 'files'} could not be run`);
      this.line(counts.join(', '));
    }
    return ok;
  }

  private test(file: string, { name, line, column, failures }: TestResult): void {
    this.line(`${file}:${line}:${column}  ${failures.length === 0 ? 'ok' : 'FAILED'}  ${name}`);
    let request = '';
    for (const failure of failures) {
      const about = `${failure.step === null ? '' : `step ${failure.step}: `}${failure.request}`;
      if (about !== request) this.line(`    ${about}`);
      request = about;
      this.failure(file, failure);
    }
  }

  private failure(file: string, { line, column, message, what, expected, actual, notes }: TestFailure): void {
    const at = `    ${file}:${line}:${column}`;
    if (what === null || message.length <= maxLineCharacters) {
      this.line(`${at}  ${message}`);
    } else {
      this.line(`${at}  ${what}`);
      this.line(`      expected  ${expected}`);
      this.line(`      got       ${actual}`);
    }
    for (const note of notes) this.line(`      ${note}`);
  }

  /** What has come from elsewhere must not be able to move the cursor of a terminal. */
  private line(text: string): void {
    this.io.stdout.write(`${text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')}\n`);
  }
}
