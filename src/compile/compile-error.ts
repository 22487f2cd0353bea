/** A configuration that cannot be served although it was checked; the message is for its author. */
export class CompileError extends Error {
  override readonly name = 'CompileError';
}
