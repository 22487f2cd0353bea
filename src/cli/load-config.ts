/** Finds the configuration that a command is about, and reads it with everything that this gateway knows to say of it. */
import { resolve } from 'node:path';
import { findConfigFile } from '../config/config-file.ts';
import type { Problem } from '../config/problem.ts';
import { type LoadRequest, type LoadedDocument, loadDocument } from '../workers/load-document.ts';
import type { CommandIo } from './cli-io.ts';

export interface CommandConfig extends LoadedDocument {
  /** As it was named, or as it is called in the working folder. */
  readonly file: string;
}

/**
 * The configuration that is named or, if none is, that of the working folder.
 * @returns null when none is named and none is there, which has then been said.
 */
export async function loadCommandConfig(named: string | undefined, io: CommandIo): Promise<CommandConfig | null> {
  const file = named ?? findConfigFile(io.cwd);
  if (file === null) {
    io.stderr.write('There is no gateway.yaml here: name a file, or make one with `gatewright init`.\n');
    return null;
  }
  return readCommandConfig(file, io);
}

/**
 * Reads a configuration. Problems name the file as it was named, so that a terminal or an editor can open it.
 * @param replacement what is read instead of what the file has in it.
 */
export async function readCommandConfig(
  file: string,
  io: CommandIo,
  replacement?: LoadRequest['replacement'],
): Promise<CommandConfig> {
  const path = resolve(io.cwd, file);
  const request = { file: path, env: io.env, ...(replacement === undefined ? {} : { replacement }) };
  const loaded = await loadDocument(request);
  const asNamed = (problem: Problem): Problem => (problem.file === path ? { ...problem, file } : problem);
  return {
    ...loaded,
    file,
    problems: loaded.problems.map(asNamed),
    analyse: async () => (await loaded.analyse()).map(asNamed),
    tryToMake: async () => (await loaded.tryToMake()).map(asNamed),
  };
}
