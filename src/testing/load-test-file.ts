/** Reads a file of configuration tests, and finds everything that is wrong with it. */
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { type Finding, type Path, type Problem, sortProblems } from '../config/problem.ts';
import type { GatewayConfig } from '../config/schema.ts';
import { type SourceDocument, readJsonDocument, readYamlDocument, toProblems } from '../config/source/document.ts';
import { Interpolations, reasonOf } from '../config/source/interpolation.ts';
import type { Position } from '../config/source/positions.ts';
import { suggest } from '../config/suggest.ts';
import { validate } from '../config/validate.ts';
import { isCallPlace } from './fake-upstreams.ts';
import { type DeclaredTest, type TestFile, type TestStep, testFileSchema } from './test-file-schema.ts';

/** In a test a text is what it is: `${…}` may well be part of a body. */
class NoInterpolations extends Interpolations {
  constructor() {
    super({ env: {}, readFile: () => '' });
  }

  override expand(text: string): string {
    return text;
  }
}

export interface LoadedTestFile {
  /** Null when there are problems. */
  readonly tests: TestFile | null;
  readonly problems: readonly Problem[];
  locate(path: Path): Position;
  /** What the file names and the configuration does not have. */
  checkNames(config: GatewayConfig): readonly Problem[];
}

/** @param shown how problems name the file; `path` is where it is. */
export function loadTestFile(path: string, shown: string): LoadedTestFile {
  const nothing = { tests: null, locate: () => ({ line: 1, column: 1 }), checkNames: () => [] };
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const message = `the tests cannot be read (${reasonOf(error)})`;
    const problem = { file: shown, line: 1, column: 1, severity: 'error', code: 'FILE', message, path: [] } as const;
    return { ...nothing, problems: [problem] };
  }
  const interpolations = new NoInterpolations();
  const source = { file: shown, text, interpolations };
  const document = extname(path) === '.json' ? readJsonDocument(source) : readYamlDocument(source);
  if (document.value === undefined) return { ...nothing, problems: document.problems };
  const findings: Finding[] = [];
  const tests = validate(testFileSchema, document.value, [], interpolations, findings);
  if (tests !== undefined) checkTests(tests, findings);
  const placed = (found: readonly Finding[]): Problem[] => sortProblems(toProblems(found, source, document));
  const problems = sortProblems([...document.problems, ...placed(findings)]);
  return {
    tests: problems.length === 0 ? (tests ?? null) : null,
    problems,
    locate: (place) => locateIn(document, place),
    checkNames: (config) => (tests === undefined ? [] : placed(unknownNames(tests, config))),
  };
}

function locateIn(document: SourceDocument, path: Path): Position {
  return document.locate(path, false);
}

/** What a schema cannot say: which parts go together. */
function checkTests({ tests }: TestFile, findings: Finding[]): void {
  const names = new Set<string>();
  const refuse = (message: string, path: Path, code = 'BAD_VALUE'): void => {
    findings.push({ severity: 'error', code, message, path });
  };
  for (const [index, test] of tests.entries()) {
    const path: Path = ['tests', index];
    if (names.has(test.name)) {
      refuse(`there is a test called ${JSON.stringify(test.name)} already`, [...path, 'name'], 'BAD_NAME');
    }
    names.add(test.name);
    const mistake = mistakeIn(test);
    if (mistake !== null) refuse(mistake, path);
    for (const { step, path: place } of stepsOf(test, path)) {
      const wrong = test.steps === undefined ? null : mistakeInStep(step);
      if (wrong !== null) refuse(wrong, place);
      if (step.expect !== undefined && Object.keys(step.expect).length === 0) {
        refuse('expects nothing', [...place, 'expect']);
      }
    }
  }
}

function mistakeIn({ request, steps, expect, repeat }: DeclaredTest): string | null {
  if ((request === undefined) === (steps === undefined)) return 'a test has one `request`, or several `steps`';
  if (steps !== undefined && (expect !== undefined || repeat !== undefined)) {
    return 'a test with steps expects something of each of them, not of all';
  }
  const expects = expect !== undefined || steps?.some((step) => step.expect !== undefined) === true;
  return expects ? null : 'a test without `expect` cannot fail';
}

function mistakeInStep({ advance, request, ...rest }: TestStep): string | null {
  if ((request === undefined) === (advance === undefined)) {
    return 'a step has a `request`, or lets time pass with `advance`';
  }
  const isAlone = Object.values(rest).every((value) => value === undefined);
  return advance === undefined || isAlone ? null : 'a step that lets time pass has nothing else';
}

/** The steps of a test, and where each of them is. */
export function stepsOf(test: DeclaredTest, path: Path): readonly { readonly step: TestStep; readonly path: Path }[] {
  if (test.steps === undefined) return [{ step: test, path }];
  return test.steps.map((step, index) => ({ step, path: [...path, 'steps', index] }));
}

function unknownNames(file: TestFile, config: GatewayConfig): Finding[] {
  const findings: Finding[] = [];
  const routes = Object.keys(config.routes);
  const upstreams = Object.keys(config.upstreams);
  const targets = Object.values(config.upstreams).flatMap((upstream) => upstream.targets.map(({ url }) => url));
  const answerable = [...upstreams, ...targets];
  const check = (kind: string, name: string | null | undefined, known: readonly string[], path: Path): void => {
    if (name === null || name === undefined || known.includes(name)) return;
    const suggestion = suggest(name, known);
    const message = `there is no ${kind} ${JSON.stringify(name)} in the configuration`;
    const code = `UNKNOWN_${kind.toUpperCase()}`;
    const atKey = path.at(-1) === name;
    findings.push({ severity: 'error', code, message, path, atKey, ...(suggestion !== undefined && { suggestion }) });
  };
  const checkAnswers = (answers: object | undefined, path: Path): void => {
    for (const name of Object.keys(answers ?? {})) {
      if (!isCallPlace(name)) check('upstream', name, answerable, [...path, 'upstreams', name]);
    }
  };
  checkAnswers(file.upstreams, []);
  for (const [index, test] of file.tests.entries()) {
    const place: Path = ['tests', index];
    if (test.steps !== undefined) checkAnswers(test.upstreams, place);
    for (const { step, path } of stepsOf(test, place)) {
      checkAnswers(step.upstreams, path);
      check('listener', step.request?.listener, Object.keys(config.listeners), [...path, 'request', 'listener']);
      check('route', step.expect?.route, routes, [...path, 'expect', 'route']);
      check('upstream', step.expect?.upstream, upstreams, [...path, 'expect', 'upstream']);
      check('target', step.expect?.target, targets, [...path, 'expect', 'target']);
    }
  }
  return findings;
}
