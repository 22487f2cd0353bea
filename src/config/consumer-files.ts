/** Consumers in files of their own: YAML or JSON with names at the top, one by one or all of a folder. */
import { readdirSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import type { ConsumerEntries } from './consumer-entries.ts';
import { readPlainConsumer } from './plain-consumer.ts';
import type { Finding, Problem } from './problem.ts';
import { isMapping } from './is-mapping.ts';
import type { ConsumerDeclaration } from './schema.ts';
import { consumerSchema } from './schema/consumer.ts';
import { isName } from './schema/scalars.ts';
import { badName, validateMarked } from './sections.ts';
import {
  type SourceDocument,
  type SourceText,
  readJsonDocument,
  readYamlDocument,
  toProblems,
} from './source/document.ts';
import { Interpolations, type InterpolationSources, reasonOf } from './source/interpolation.ts';

/** The names of the files in a folder, sorted; null where there is no folder. @throws when it cannot be read. */
export type ListFolder = (path: string) => readonly string[] | null;

export interface ConsumerFilesEnv extends InterpolationSources {
  /** The file of the configuration, as problems name it; the others are named relative to its folder. */
  readonly fileName: string;
  readonly listFolder: ListFolder;
}

/** More files are no folder of consumers. */
const mostFiles = 10_000;

export const listFolder: ListFolder = (path) => {
  try {
    // A name that begins with a dot is an editor's, or a step on the way to the others (Kubernetes).
    return readdirSync(path)
      .filter((name) => !name.startsWith('.') && /\.(?:ya?ml|json)$/i.test(name))
      .toSorted();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return null;
    throw error;
  }
};

/** Reads files of consumers, one after another. */
export class ConsumerFiles {
  private readonly env: ConsumerFilesEnv;
  private readonly entries: ConsumerEntries;
  private readonly files: ConsumerFile[] = [];

  constructor(env: ConsumerFilesEnv, entries: ConsumerEntries) {
    this.env = env;
    this.entries = entries;
  }

  /** @param path of a file or a folder, as written. @returns why it cannot be read, or null. */
  read(path: string): string | null {
    try {
      const names = this.env.listFolder(path);
      if (names === null) {
        this.readFile(path);
        return null;
      }
      if (names.length > mostFiles) return `the folder ${path} has ${names.length} files, which are too many`;
      for (const name of names) this.readFile(join(path, name));
      return null;
    } catch (error) {
      return `${path} cannot be read (${reasonOf(error)})`;
    }
  }

  private readFile(path: string): void {
    const text = this.env.readFile(path);
    const file = new ConsumerFile(join(dirname(this.env.fileName), path), text, this.env);
    this.files.push(file);
    file.addTo(this.entries);
  }

  get problems(): Problem[] {
    return this.files.flatMap((file) => file.problems);
  }

  get secrets(): string[] {
    return this.files.flatMap(({ interpolations }) => interpolations.secrets);
  }

  redact(text: string): string {
    return this.files.reduce((plain, { interpolations }) => interpolations.redact(plain), text);
  }
}

class ConsumerFile {
  readonly interpolations: Interpolations;
  private readonly source: SourceText;
  private readonly document: SourceDocument;
  private readonly findings: Finding[] = [];

  constructor(file: string, text: string, sources: InterpolationSources) {
    this.interpolations = new Interpolations(sources);
    this.source = { file, text, interpolations: this.interpolations };
    const isJson = extname(file).toLowerCase() === '.json';
    this.document = isJson ? readJsonDocument(this.source) : readYamlDocument(this.source);
  }

  addTo(entries: ConsumerEntries): void {
    const { document, findings, interpolations } = this;
    const { value } = document;
    // An empty file is one whose last consumer was taken out; one that could not be read has said so.
    if (value === undefined || value === null) return;
    if (!isMapping(value)) {
      const message = 'a file of consumers is a mapping from their names to what they can show';
      findings.push({ severity: 'error', code: 'BAD_VALUE', message, path: [] });
      return;
    }
    const place = (path: Finding['path']): string => {
      const { line, column } = document.locate(path, false);
      return `${this.source.file}:${line}:${column}`;
    };
    const holder = { path: [], findings, placeOf: place };
    for (const name in value) {
      if (!isName(name)) findings.push(badName([name]));
      const consumer =
        readPlainConsumer(value[name]) ??
        validateMarked<ConsumerDeclaration>(consumerSchema, value[name], [name], interpolations, findings);
      if (consumer !== undefined && isName(name)) entries.add(name, consumer, holder);
    }
  }

  get problems(): Problem[] {
    return [...this.document.problems, ...toProblems(this.findings, this.source, this.document)];
  }
}
