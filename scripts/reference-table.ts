/** Puts a JSON Schema into the tables of the reference. */
import { type JsonSchema, NOT_AVAILABLE } from '../src/config/json-schema.ts';

interface Row {
  readonly key: string;
  readonly schema: JsonSchema;
  readonly isRequired: boolean;
}

/** One section of the configuration: what it is, and a table of its keys. */
export function sectionOf(name: string, schema: JsonSchema): string {
  const entries = schema.additionalProperties;
  const entry = typeof entries === 'object' ? entries : null;
  const inner = entry ?? schema;
  const table = optionTable(inner);
  const marked = entry?.description?.includes(NOT_AVAILABLE) === true ? ` ${NOT_AVAILABLE}` : '';
  const facts = table === '' ? `${typeOf(inner)}${defaultText(schema)}.` : '';
  const intro = `${schema.description ?? ''}${marked}`;
  return [
    `## ${name}`,
    '',
    intro,
    '',
    ...(facts === '' ? [] : [capitalise(facts), '']),
    ...tableFor(name, entry, table),
  ].join('\n');
}

function tableFor(name: string, entry: JsonSchema | null, table: string): string[] {
  if (table === '') return [];
  return entry === null ? [table] : [`Each \`${name}.<name>\`:`, '', table];
}

/** A table of all keys of a mapping, those inside of others included; empty when it has none. */
export function optionTable(schema: JsonSchema): string {
  const rows = rowsOf(schema, '');
  if (rows.length === 0) return '';
  const lines = rows.map(({ key, schema: option, isRequired }) => {
    const standard = isRequired ? '*required*' : defaultText(option).replace(/^, by default /, '');
    return `| \`${key}\` | ${typeOf(option)} | ${standard} | ${option.description ?? ''} |`;
  });
  return ['| Key | Value | Default | Meaning |', '|---|---|---|---|', ...lines, ''].join('\n');
}

/** The keys below a schema, every one once even where there is a choice between mappings. */
function rowsOf(schema: JsonSchema, prefix: string): Row[] {
  const rows = new Map<string, Row>();
  const add = (row: Row): void => {
    // Where one or several can be written, the keys of one are those of each.
    const key = row.key.replaceAll('[]', '');
    if (!rows.has(key)) rows.set(key, row);
  };
  for (const option of choicesOf(schema)) {
    for (const [name, property] of Object.entries(option.properties ?? {})) {
      const key = prefix === '' ? name : `${prefix}.${name}`;
      const isRequired = option.required?.includes(name) === true;
      for (const row of [{ key, schema: property as JsonSchema, isRequired }, ...rowsOf(property as JsonSchema, key)]) {
        add(row);
      }
    }
    const elements = isSchema(option.items) ? rowsOf(option.items, `${prefix}[]`) : [];
    const entries = isSchema(option.additionalProperties)
      ? rowsOf(option.additionalProperties, `${prefix}.<name>`)
      : [];
    for (const row of [...elements, ...entries]) add(row);
  }
  return [...rows.values()];
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The alternatives of a schema, flat. What stands for an interpolated value is none: it is explained once, above. */
function choicesOf(schema: JsonSchema): JsonSchema[] {
  if (schema.anyOf === undefined) return schema.pattern === '\\$\\{' ? [] : [schema];
  return schema.anyOf.flatMap((choice) => choicesOf(choice));
}

/** What can be written, in a few words. */
function typeOf(schema: JsonSchema): string {
  const choices = new Map(choicesOf(schema).map((choice) => [nameOf(choice), choice]));
  for (const [name, choice] of choices) {
    // "One, or a list of them" is said shorter.
    const one = choice.type === 'array' && isSchema(choice.items) ? typeOf(choice.items) : null;
    const others = [...choices.keys()].filter((other) => other !== name).join(', or ');
    if (one !== null && one === others) return `one or several: ${one}`;
  }
  return [...choices.keys()].join(', or ');
}

function nameOf(choice: JsonSchema): string {
  const isMissing = choice.description === NOT_AVAILABLE;
  return isMissing ? `${simpleTypeOf(choice)} (not available yet)` : simpleTypeOf(choice);
}

function simpleTypeOf(schema: JsonSchema): string {
  if (schema.$ref?.endsWith('/policyUse') === true) return '[policy](policies.md)';
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${String(word)}\``).join(', ');
  if (schema.title !== undefined) return schema.title;
  switch (schema.type) {
    case 'string':
      return 'text';
    case 'integer':
      return `whole number${rangeOf(schema)}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return isSchema(schema.items) ? `list of ${typeOf(schema.items)}` : 'list';
    case 'object':
      return isSchema(schema.additionalProperties) ? `mapping to ${typeOf(schema.additionalProperties)}` : 'mapping';
    default:
      return typeof schema.type === 'string' ? schema.type : 'anything';
  }
}

function rangeOf({ minimum, maximum }: JsonSchema): string {
  if (minimum === undefined && maximum === undefined) return '';
  return maximum === undefined ? ` from ${minimum}` : ` ${minimum ?? ''}–${maximum}`;
}

function defaultText(schema: JsonSchema): string {
  const { default: standard } = schema;
  if (standard === undefined || (Array.isArray(standard) && standard.length === 0)) return '';
  return `, by default \`${typeof standard === 'string' && standard !== '' ? standard : JSON.stringify(standard)}\``;
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
