import type { Path } from '../config/problem.ts';

/** A configuration that cannot be served although it was checked; the message is for its author. */
export class CompileError extends Error {
  override readonly name = 'CompileError';
  /** What it is about, as far as that is known. */
  readonly path: Path;

  constructor(message: string, path: Path = []) {
    super(message);
    this.path = path;
  }
}
