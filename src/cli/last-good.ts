/** The last configuration that served, kept on disk for a start with a file that is broken (`--last-good`). */
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { digestOf, type LoadedDocument } from '../workers/load-document.ts';
import type { CommandIo } from './cli-io.ts';
import { type CommandConfig, readCommandConfig } from './load-config.ts';

interface Replacement {
  readonly text: string;
  readonly format: 'yaml' | 'json';
}

export class LastGood {
  private readonly path: string;
  private readonly io: CommandIo;

  constructor(path: string, io: CommandIo) {
    this.path = resolve(io.cwd, path);
    this.io = io;
  }

  /** Whether it could be kept: code cannot be run from another place. */
  static canKeep(file: string): boolean {
    return !/^\.[cm]?[jt]s$/.test(extname(file).toLowerCase());
  }

  /**
   * Keeps the text that serves, as it was written: what it takes from the environment and from other files is not in it.
   * @param file the configuration file, for its text unless something else serves.
   */
  keep(file: string, loaded: Pick<LoadedDocument, 'files' | 'digest'>, replacement?: Replacement): void {
    try {
      const document = replacement ?? {
        text: readFileSync(resolve(this.io.cwd, file), 'utf8'),
        format: formatOf(file),
      };
      // It has changed again, nobody knows yet whether for the better.
      if (replacement === undefined && digestOf(loaded.files) !== loaded.digest) return;
      const draft = `${this.path}.${process.pid}`;
      rmSync(draft, { force: true });
      writeFileSync(draft, JSON.stringify(document), { mode: 0o600, flag: 'wx' });
      chmodSync(draft, 0o600);
      renameSync(draft, this.path);
    } catch (error) {
      this.io.stderr.write(`the last good configuration cannot be kept in ${this.path}: ${String(error)}\n`);
    }
  }

  /** @returns what was kept, if it can be served in place of the file that is broken; else null. */
  async load(broken: CommandConfig): Promise<CommandConfig | null> {
    const kept = this.read();
    if (kept === null) return null;
    const loaded = await readCommandConfig(broken.file, this.io, kept);
    if (loaded.config === null) return null;
    return { ...loaded, problems: broken.problems };
  }

  private read(): Replacement | null {
    let kept: unknown;
    try {
      kept = JSON.parse(readFileSync(this.path, 'utf8'));
    } catch (error) {
      // There is none yet at the first start.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.complain();
      return null;
    }
    if (isReplacement(kept)) return { text: kept.text, format: kept.format };
    this.complain();
    return null;
  }

  private complain(): void {
    this.io.stderr.write(`there is no configuration in ${this.path}\n`);
  }
}

function isReplacement(value: unknown): value is Replacement {
  if (typeof value !== 'object' || value === null || !('text' in value) || !('format' in value)) return false;
  return typeof value.text === 'string' && (value.format === 'yaml' || value.format === 'json');
}

function formatOf(file: string): Replacement['format'] {
  return extname(file).toLowerCase() === '.json' ? 'json' : 'yaml';
}
